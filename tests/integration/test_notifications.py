"""Notifications: queued where the thing happens, delivered once, and tried again."""

import asyncio
from typing import Any

import pytest
import structlog

from runtime.dispatch.notifications import Notifier
from runtime.doctor import _targets
from runtime.domain.notices import Notice
from runtime.errors import NotFoundError, UnavailableError
from runtime.settings import NotifySettings, Settings
from runtime.store import runs
from runtime.store.runs import RunFilter
from tests.factories import make_raw_definition
from tests.house import House
from tests.processes import wait_for

SECRET = "s3cr3t-path"
BASE = "https://runtime.example.org"


class Letters:
    """Takes apprise's part; `fault` makes it refuse."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Notice]] = []
        self.fault: Exception | None = None
        self.accepts = True

    def __call__(self, url: str, notice: Notice) -> bool:
        if self.fault:
            raise self.fault
        if self.accepts:
            self.sent.append((url, notice))
        return self.accepts

    @property
    def titles(self) -> list[str]:
        return [notice.title for _, notice in self.sent]


@pytest.fixture
async def letters(house: House) -> Letters:
    await house.ready(make_raw_definition(expose={"tags": ["gold"]}))
    return Letters()


def notifier(house: House, letters: Letters, target: dict[str, Any] | None = None, **settings: Any) -> Notifier:
    targets = {"ops": {"url": f"json://localhost/{SECRET}", **(target or {})}}
    made = NotifySettings.model_validate({"targets": targets, **settings})
    return Notifier(house.database, house.changes, made, BASE, house.clock, letters)


async def deliver(one: Notifier) -> None:
    await one.take()
    while await one.deliver("ops"):
        pass


async def run_once(house: House, status: str) -> None:
    await house.end(await house.launch(), status, reason="the pears are bad" if status == "failed" else None)


async def test_a_failure_is_told_once_and_the_recovery_too(house: House, letters: Letters) -> None:
    """Notify: not each of a hundred failures in a row; well again ends it."""
    one = notifier(house, letters)
    for status in ("completed", "failed", "failed", "failed", "completed", "completed", "failed"):
        await run_once(house, status)
        await deliver(one)
        house.clock.pass_seconds(60)
    assert letters.titles == [
        "fruitshop: load (shop) failed",
        "fruitshop: load (shop) is well again",
        "fruitshop: load (shop) failed",
    ]
    url, notice = letters.sent[0]
    assert url == f"json://localhost/{SECRET}"
    assert notice.body.splitlines()[0] == "the pears are bad"
    assert notice.body.endswith(f"{BASE}/w/{house.workspace_id}")


async def test_a_failure_that_goes_on_is_told_again_after_a_while(house: House, letters: Letters) -> None:
    one = notifier(house, letters, repeat_seconds=3600)
    for _ in range(5):
        await run_once(house, "failed")
        await deliver(one)
        house.clock.pass_seconds(1800)
    assert len(letters.sent) == 3


async def test_cancelled_runs_are_nobodys_failure(house: House, letters: Letters) -> None:
    run = await house.launch()
    await house.runs.cancel(house.principal, house.workspace_id, run.id)
    await deliver(notifier(house, letters))
    assert letters.sent == []


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ({"workspaces": ["fruitshop"]}, 1),
        ({"workspaces": ["other"]}, 0),
        ({"tags": ["gold"]}, 1),
        ({"tags": ["lead"]}, 0),
        ({"events": ["late"]}, 0),
    ],
)
async def test_a_target_hears_of_its_workspaces_tags_and_events(
    house: House, letters: Letters, target: dict[str, Any], told: int
) -> None:
    await run_once(house, "failed")
    await deliver(notifier(house, letters, target))
    assert len(letters.sent) == told


async def test_what_happened_while_nobody_listened_is_told_by_the_next_daemon(house: House, letters: Letters) -> None:
    """Notify: the event is noted in the transaction that settles the run."""
    await run_once(house, "failed")
    await notifier(house, letters).take()
    await deliver(notifier(house, letters))  # another daemon: the message was queued, not lost, not doubled
    await deliver(notifier(house, letters))
    assert len(letters.sent) == 1


async def test_a_message_that_is_not_accepted_is_tried_again_and_expires(house: House, letters: Letters) -> None:
    """Notify: later and later, for a day."""
    one = notifier(house, letters, expire_seconds=7200)
    letters.accepts = False
    await run_once(house, "failed")
    await deliver(one)
    assert not await one.deliver("ops"), "not at once again"
    house.clock.pass_seconds(31)
    letters.fault = RuntimeError(f"https://user:{SECRET}@example.org did not answer")
    assert not await one.deliver("ops")
    letters.fault = None
    letters.accepts = True
    house.clock.pass_seconds(61)
    assert await one.deliver("ops")
    assert len(letters.sent) == 1
    letters.accepts = False
    house.clock.pass_seconds(7 * 3600)
    await run_once(house, "failed")
    await deliver(one)
    house.clock.pass_seconds(8000)
    letters.accepts = True
    await deliver(one)
    assert len(letters.sent) == 1, "too old to be of use"
    assert [target.waiting for target in await one.targets()] == [0]


async def test_a_run_that_waits_too_long_after_its_tick_is_late(house: House, letters: Letters) -> None:
    """Notify: a tick that should have run by now and did not; told once for each run."""
    await house.deploy(make_raw_definition(triggers=["schedule:0 * * * *"], default_trigger="schedule:0 * * * *"))
    one = notifier(house, letters)
    house.clock.pass_seconds(3600)
    await house.tick()
    for _ in range(4):
        await deliver(one)
        house.clock.pass_seconds(400)
    assert letters.titles == ["fruitshop: load (shop) is late"]


async def test_a_tick_that_was_missed_while_no_daemon_ran_is_late(house: House, letters: Letters) -> None:
    """Notify: also where the run is over by the time anybody looks."""
    await house.deploy(make_raw_definition(triggers=["schedule:0 0 * * *"], default_trigger="schedule:0 0 * * *"))
    house.clock.pass_seconds(40 * 3600)
    await house.tick()
    (run,) = await house.all_runs()
    await house.end(run)
    await deliver(notifier(house, letters))
    assert letters.titles == ["fruitshop: load (shop) is late"]


async def test_a_job_that_skips_for_hours_is_told(house: House, letters: Letters) -> None:
    """Notify: one message, not one for each tick."""
    await house.deploy(make_raw_definition(triggers=["every:10m"], default_trigger="every:10m"))
    await house.launch()
    one = notifier(house, letters, {"events": ["skipped"]})
    for _ in range(36):
        house.clock.pass_seconds(600)
        await house.tick()
        await deliver(one)
    async with house.database.read() as connection:
        page = await runs.list_runs(connection, house.workspace_id, RunFilter(status="skipped"), 10, 0)
    assert page.items[0].skip_count > 20
    assert letters.titles == ["fruitshop: load (shop) does not run"]


HOURLY: dict[str, Any] = {"triggers": ["schedule:0 * * * *"], "default_trigger": "schedule:0 * * * *"}


async def run_tick(house: House, one: Notifier, late_seconds: float = 0) -> None:
    """The next hour's tick, and the run it makes: begun so long after it, and well."""
    now = house.clock()
    house.clock.pass_seconds(3600 - now.minute * 60 - now.second)
    await house.tick()
    house.clock.pass_seconds(late_seconds)
    await deliver(one)
    await house.end(next(run for run in await house.all_runs() if run.status == "pending"))
    await deliver(one)


@pytest.mark.parametrize("repeat_seconds", [0, 21600])
async def test_lateness_after_runs_in_time_is_news(house: House, letters: Letters, repeat_seconds: int) -> None:
    """Notify: what is told again only after a while, or never, is what goes on."""
    await house.deploy(make_raw_definition(**HOURLY))
    one = notifier(house, letters, repeat_seconds=repeat_seconds)
    for late_seconds in (1200, 1200, 0, 1200, 0, 0):
        await run_tick(house, one, late_seconds)
    assert letters.titles == ["fruitshop: load (shop) is late"] * 2


async def test_a_run_by_hand_says_nothing_of_lateness(house: House, letters: Letters) -> None:
    """Notify: it has no tick that it could be in time for."""
    await house.deploy(make_raw_definition(**HOURLY))
    one = notifier(house, letters, repeat_seconds=0)
    await run_tick(house, one, 1200)
    await run_once(house, "completed")
    await run_tick(house, one, 1200)
    assert letters.titles == ["fruitshop: load (shop) is late"]


async def skip_for_hours(house: House, one: Notifier, hours: float) -> None:
    for _ in range(int(hours * 2)):
        house.clock.pass_seconds(1800)
        await house.tick()
        await deliver(one)


async def test_a_job_whose_triggers_are_skipped_by_turns_is_told(house: House, letters: Letters) -> None:
    """Notify: no row grows there, since each is of another trigger than the one before; the job skips all the same."""
    apples = make_raw_definition("jobs.shop.apples")
    triggers = ["schedule:0 * * * *", "job.success:jobs.shop.apples"]
    await house.deploy(make_raw_definition(triggers=triggers, default_trigger=triggers[0]), apples)
    await house.launch()
    one = notifier(house, letters)
    for _ in range(8):
        house.clock.pass_seconds(1800)
        await house.end(await house.launch("jobs.shop.apples"))
        await deliver(one)
        await skip_for_hours(house, one, 0.5)
    skipped = [run for run in await house.all_runs() if run.status == "skipped"]
    assert {run.skip_count for run in skipped} == {1}
    assert letters.titles == ["fruitshop: load (shop) does not run"]
    assert letters.sent[0][1].body.startswith("skipped 9 times in 4 hours: ")


@pytest.mark.parametrize("repeat_seconds", [0, 86400])
async def test_skipping_after_a_run_is_news(house: House, letters: Letters, repeat_seconds: int) -> None:
    """Notify: and is measured from that run on."""
    await house.deploy(make_raw_definition(**HOURLY))
    one = notifier(house, letters, repeat_seconds=repeat_seconds)
    for hours in (6, 3, 6):
        run = await house.launch()
        await skip_for_hours(house, one, hours)
        await house.end(run)
    assert letters.titles == ["fruitshop: load (shop) does not run"] * 2


async def test_one_skip_between_runs_is_no_skipping_for_hours(house: House, letters: Letters) -> None:
    """Notify: however long ago the last run was."""
    daily = "schedule:0 0 * * *"
    await house.deploy(make_raw_definition(triggers=[daily], default_trigger=daily))
    one = notifier(house, letters, {"events": ["skipped"]})
    for _ in range(3):
        run = await house.launch()
        house.clock.pass_seconds(24 * 3600)
        await house.tick()
        await deliver(one)
        await house.end(run)
    assert letters.sent == []


async def test_without_targets_nothing_piles_up(house: House, letters: Letters) -> None:
    await run_once(house, "failed")
    one = Notifier(house.database, house.changes, NotifySettings(), BASE, house.clock, letters)
    assert await one.take() == 0
    async with house.database.read() as connection:
        assert await connection.value("SELECT count(*) FROM notable_events") == 0


async def test_the_address_of_a_target_is_shown_to_nobody(house: House, letters: Letters) -> None:
    """Notify: it holds a password or a token."""
    one = notifier(house, letters)
    letters.fault = RuntimeError(f"cannot reach {SECRET}")
    with pytest.raises(UnavailableError) as caught:
        await one.test("ops")
    assert SECRET not in caught.value.message
    assert SECRET not in repr(await one.targets())
    assert SECRET not in repr(NotifySettings.model_validate({"targets": {"ops": {"url": f"json://{SECRET}"}}}))
    with pytest.raises(NotFoundError):
        await one.test("nobody")


async def test_what_is_no_address_is_shown_to_nobody_either(house: House, letters: Letters) -> None:
    (shown,) = await notifier(house, letters, {"url": SECRET}).targets()
    assert shown.kind == "unknown"


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # apprise's own
async def test_a_target_that_nothing_can_be_delivered_to_is_named_at_the_start_and_by_doctor(
    house: House, letters: Letters
) -> None:
    made = NotifySettings.model_validate({"targets": {"good": {"url": "json://h"}, "bad": {"url": f"{SECRET}"}}})
    one = Notifier(house.database, house.changes, made, BASE, house.clock, letters)
    with structlog.testing.capture_logs() as logged:
        running = asyncio.create_task(one.run())
        await asyncio.to_thread(wait_for, lambda: logged, "the start tells of the target")
        running.cancel()
    (warning,) = logged
    assert (warning["log_level"], warning["target"]) == ("warning", "bad")
    settings = Settings.model_validate({"state_dir": house.folder, "socket": house.folder / "s", "notify": made})
    check = _targets(settings)
    assert (check.state, "`[notify.targets.bad]`" in check.message) == ("fail", True)
    assert SECRET not in repr((warning, check))
