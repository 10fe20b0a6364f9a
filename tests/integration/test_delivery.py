"""Delivery of notifications: over real connections, and to targets that do not answer, never in a run's way."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from runtime.dispatch import notifications
from runtime.dispatch.delivery import send
from runtime.dispatch.notifications import Notifier
from runtime.domain.notices import Notice
from runtime.errors import NotFoundError, UnavailableError
from runtime.settings import NotifySettings
from tests.house import House
from tests.http_listener import dripping, listening
from tests.processes import wait_for

BASE = "https://runtime.example.org"


@pytest.fixture
async def shop(house: House) -> None:
    """A job whose runs are told of."""
    await house.ready()


async def run_once(house: House, status: str) -> None:
    await house.end(await house.launch(), status)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # apprise's own
def test_apprise_delivers() -> None:
    """Notify: over a real connection."""
    with listening() as (port, posted):
        assert send(f"json://127.0.0.1:{port}/hook", Notice(title="pears", body="are bad"))
    assert (posted[0]["title"], posted[0]["message"]) == ("pears", "are bad")


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
def test_apprise_says_if_it_was_refused() -> None:
    with listening(500) as (port, _):
        assert not send(f"json://127.0.0.1:{port}/hook", Notice(title="pears", body="are bad"))
    with pytest.raises(UnavailableError):
        send("nonsense://", Notice(title="pears", body="are bad"))


async def waiting(one: Notifier) -> dict[str, int]:
    return {target.name: target.waiting for target in await one.targets()}


@pytest.mark.usefixtures("shop")
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
async def test_a_target_whose_answer_never_ends_gets_one_attempt_and_the_others_all_their_messages(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notify: however often the first would have been tried meanwhile; and when it ends, its outcome counts."""
    monkeypatch.setattr(notifications, "_SEND_SECONDS", 0.1)
    with dripping() as (slow, begun, enough), listening() as (quick, posted):
        targets = {"slow": {"url": f"json://127.0.0.1:{slow}/"}, "quick": {"url": f"json://127.0.0.1:{quick}/"}}
        made = NotifySettings.model_validate({"targets": targets})
        one = Notifier(house.database, house.changes, made, BASE, house.clock)
        for status in ("failed", "completed") * 4:
            await run_once(house, status)
            await one.take()
            assert not await one.deliver("slow")
            async with asyncio.timeout(30):
                while (await waiting(one))["quick"]:
                    await one.deliver("quick")
            house.clock.pass_seconds(3600)
        assert [message["title"].partition(" (shop) ")[2] for message in posted] == ["failed", "is well again"] * 4
        monkeypatch.setattr(notifications, "_SEND_SECONDS", 30)
        await one.test("quick")
        wait_for(lambda: len(begun) > 0, "the slow one has its message")
        assert (len(begun), (await waiting(one))["slow"]) == (1, 8)
        enough.set()
        while await one.deliver("slow"):
            pass
        assert [message["title"] for message in begun] == [message["title"] for message in posted[:-1]]
        assert await waiting(one) == {"quick": 0, "slow": 0}


class Hanging:
    """A target that takes messages and gives its answer when it is told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.accepts = True
        self.tried = 0

    def __call__(self, url: str, notice: Notice) -> bool:
        self.tried += 1
        self.answers.wait(30)
        return self.accepts


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    """Answers late, and nobody waits for it."""
    monkeypatch.setattr(notifications, "_SEND_SECONDS", 0)
    sender = Hanging()
    yield sender
    sender.answers.set()


def of_hanging(house: House, hanging: Hanging) -> Notifier:
    made = NotifySettings.model_validate({"targets": {"ops": {"url": "json://localhost"}}, "expire_seconds": 7200})
    return Notifier(house.database, house.changes, made, BASE, house.clock, hanging)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("accepts", [True, False])
async def test_an_answer_that_comes_late_counts(
    house: House, hanging: Hanging, monkeypatch: pytest.MonkeyPatch, *, accepts: bool
) -> None:
    """Notify: what was accepted is not sent again, what was refused is."""
    one, hanging.accepts = of_hanging(house, hanging), accepts
    await run_once(house, "failed")
    await one.take()
    for _ in range(3):
        assert not await one.deliver("ops")
        house.clock.pass_seconds(600)
    monkeypatch.setattr(notifications, "_SEND_SECONDS", 30)
    hanging.answers.set()
    assert await one.deliver("ops") is accepts
    assert (hanging.tried, await waiting(one)) == (1, {"ops": 0 if accepts else 1})
    house.clock.pass_seconds(60)
    hanging.accepts = True
    await one.deliver("ops")
    assert (hanging.tried, await waiting(one)) == (1 if accepts else 2, {"ops": 0})


@pytest.mark.usefixtures("shop")
async def test_messages_behind_one_without_an_answer_grow_old_all_the_same(house: House, hanging: Hanging) -> None:
    one = of_hanging(house, hanging)
    for status in ("failed", "completed"):
        await run_once(house, status)
    await one.take()
    assert not await one.deliver("ops")
    house.clock.pass_seconds(7200)
    assert not await one.deliver("ops")
    wait_for(lambda: hanging.tried > 0, "the first is being tried")
    assert (hanging.tried, await waiting(one)) == (1, {"ops": 1}), "the first itself is there until it has an answer"


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("accepts", [True, False])
async def test_an_answer_that_comes_when_its_message_has_grown_old_counts_for_no_newer_message(
    house: House, hanging: Hanging, monkeypatch: pytest.MonkeyPatch, *, accepts: bool
) -> None:
    """Notify: the number of a message that is gone may be the next one's."""
    one, hanging.accepts = of_hanging(house, hanging), accepts
    await run_once(house, "failed")
    await one.take()
    assert not await one.deliver("ops")
    house.clock.pass_seconds(7200)
    assert not await one.deliver("ops")
    await run_once(house, "completed")
    await one.take()
    monkeypatch.setattr(notifications, "_SEND_SECONDS", 30)
    hanging.answers.set()
    assert await one.deliver("ops") is accepts
    hanging.accepts = True
    assert await one.deliver("ops"), "the newer one is due"
    assert (hanging.tried, await waiting(one)) == (2, {"ops": 0})


@pytest.mark.parametrize(
    ("targets", "others"), [({}, "there is none yet"), ({"ops": {"url": "json://ops.example"}}, "there are: ops")]
)
async def test_a_test_of_an_unknown_target_is_answered_with_those_there_are(
    house: House, targets: dict[str, dict[str, str]], others: str
) -> None:
    settings = NotifySettings.model_validate({"targets": targets})
    with pytest.raises(NotFoundError) as refused:
        await Notifier(house.database, house.changes, settings, BASE, house.clock).test("nobody")
    assert refused.value.hint == f"`[notify.targets.nobody]` in the settings makes one; {others}"


@pytest.mark.usefixtures("shop")
async def test_a_target_that_hangs_is_tested_once_at_a_time(house: House, hanging: Hanging) -> None:
    """Notify: an impatient operator takes no threads."""
    one = of_hanging(house, hanging)
    with pytest.raises(UnavailableError, match="no answer within 0 seconds"):
        await one.test("ops")
    with pytest.raises(UnavailableError, match="the last test has had no answer yet"):
        await one.test("ops")
    wait_for(lambda: hanging.tried > 0, "the first test is being made")
    assert hanging.tried == 1


@pytest.mark.usefixtures("shop")
async def test_delivery_goes_on_beside_everything_else(house: House) -> None:
    """Notify: a target that hangs keeps neither another target nor a run waiting."""
    hanging, told = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def deliver_or_hang(url: str, notice: Notice) -> bool:
        if "slow" in url:
            hanging.wait(20)
        else:
            loop.call_soon_threadsafe(told.set)
        return True

    targets = {"a": {"url": "json://slow"}, "b": {"url": "json://quick"}}
    made = NotifySettings.model_validate({"targets": targets})
    one = Notifier(house.database, house.changes, made, BASE, house.clock, deliver_or_hang)
    task = asyncio.create_task(one.run())
    try:
        await run_once(house, "failed")
        house.changes.announce("pending-runs")
        async with asyncio.timeout(10):
            await told.wait()
        await run_once(house, "completed")
    finally:
        hanging.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
