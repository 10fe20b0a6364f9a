"""What counts as taken from the disk, measured on real files of real processes."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from runtime.domain.machines import Machine
from runtime.sandbox import guard as guards
from runtime.sandbox import sharing
from runtime.sandbox.guard import DiskGuard, until_overuse
from runtime.sandbox.identity import ProcessIdentity, identify
from runtime.sandbox.ledger import DiskAccount, DiskLedger
from runtime.sandbox.quota import DiskUse, Stock, note_laid, take_stock

MIB = 1024 * 1024
LIMIT = 8 * MIB
_WRITER = """
import ctypes, os, sys
for line in sys.stdin:
    verb, path, size = line.split()
    if verb == "reserve":
        with open(path, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, int(size))
    elif verb == "hide":
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
    elif verb in ("keep", "keep-reserved"):
        kept = open(path, "wb")
        globals()[path] = kept
        if verb == "keep":
            kept.write(os.urandom(int(size)))
            kept.flush()
        else:
            os.posix_fallocate(kept.fileno(), 0, int(size))
    else:
        with open(path, "wb") as file:
            file.write(os.urandom(int(size)))
    print("done", flush=True)
"""


def fill(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))


def machine() -> Machine:
    return Machine(name="small", memory=None, cpus=None, tasks=None, disk=LIMIT)


def guard(*own: Path) -> DiskGuard:
    init = identify(os.getpid())
    assert init is not None
    return DiskGuard(DiskAccount(DiskLedger(), init, own, []), machine())


class Sandboxed:
    """A process that stands for a sandbox's init, with a child that writes when it is told to."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["sh", "-c", '"$0" -c "$1"; true', sys.executable, _WRITER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        init = identify(self._process.pid)
        assert init is not None
        self.init: ProcessIdentity = init

    def __enter__(self) -> "Sandboxed":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def write(self, path: Path, size: int, how: str = "write") -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{how} {path} {size}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def end(self) -> None:
        self._process.communicate()


@pytest.fixture
def two() -> Iterator[tuple[Sandboxed, Sandboxed]]:
    with ExitStack() as stack:
        yield stack.enter_context(Sandboxed()), stack.enter_context(Sandboxed())


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    place = tmp_path / "shared"
    place.mkdir()
    return place


def account(ledger: DiskLedger, sandboxed: Sandboxed, shared: Path) -> DiskAccount:
    opened = DiskAccount(ledger, sandboxed.init, (), [(shared,)])
    opened.open(None)
    return opened


def about(size: int, of: int) -> bool:
    return of - MIB // 4 <= size < of + MIB


async def test_a_copy_that_the_runtime_has_laid_does_not_count_and_what_an_app_adds_to_it_does(tmp_path: Path) -> None:
    """Semantics S6: an app is stopped for what it takes, not for the size of the data it is shown."""
    data = tmp_path / "data"
    fill(data / "1-a" / "shop.duckdb", 2 * LIMIT)
    note_laid(data, {"1-a": 2 * LIMIT + 2 * MIB})
    (tmp_path / "workspace").mkdir()
    watched = guard(tmp_path / "workspace", data)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watched.overuse(), 1)
    fill(data / "1-a" / "more", LIMIT + 4 * MIB)
    overuse = await asyncio.wait_for(watched.overuse(), 10)
    assert (overuse.cause, overuse.limit, overuse.machine) == ("disk", LIMIT, "small")
    assert LIMIT < overuse.used < LIMIT + 4 * MIB


@pytest.mark.usefixtures("on_disk")
async def test_only_who_fills_a_shared_place_is_over_its_limit(shared: Path, two: tuple[Sandboxed, Sandboxed]) -> None:
    """Semantics S6: and what is left behind is not what the next one took."""
    ledger, (filler, other) = DiskLedger(), two
    fill(shared / "from before", 2 * LIMIT)
    first, second = (DiskGuard(DiskAccount(ledger, one.init, (), [(shared,)]), machine()) for one in (filler, other))
    await asyncio.gather(first.begin(), second.begin())
    innocent = asyncio.create_task(second.overuse())
    for number in range(6):
        filler.write(shared / f"filling-{number}", 2 * MIB)
    overuse = await asyncio.wait_for(first.overuse(), 10)
    assert about(overuse.used, 12 * MIB)
    filler.end()
    first.end()
    third = DiskGuard(DiskAccount(ledger, other.init, (), [(shared,)]), machine())
    late = asyncio.create_task(third.overuse())
    _, pending = await asyncio.wait({innocent, late}, timeout=1.5)
    assert pending == {innocent, late}
    for task in pending:
        task.cancel()
    second.end()
    third.end()


@pytest.mark.usefixtures("on_disk")
def test_growth_is_divided_by_who_wrote_it(shared: Path, two: tuple[Sandboxed, Sandboxed]) -> None:
    ledger, (one, other) = DiskLedger(), two
    first, second = account(ledger, one, shared), account(ledger, other, shared)
    one.write(shared / "a", 9 * MIB)
    other.write(shared / "b", 3 * MIB)
    assert about(first.use().bytes, 9 * MIB)
    assert about(second.use().bytes, 3 * MIB)


def test_growth_of_a_file_is_its_holders_whatever_others_write_meanwhile(
    shared: Path, two: tuple[Sandboxed, Sandboxed]
) -> None:
    """A database that is written over and over takes no more room for that."""
    ledger, (grows, rewrites) = DiskLedger(), two
    rewrites.write(shared / "same", MIB)
    first, second = account(ledger, grows, shared), account(ledger, rewrites, shared)
    for _ in range(10):
        rewrites.write(shared / "same", MIB)
    grows.write(shared / "kept-open", 10 * MIB, "keep")
    assert about(first.use().bytes, 10 * MIB)
    assert second.use().bytes < MIB


def test_room_that_is_set_aside_without_a_write_is_charged_to_who_holds_the_file_or_else_to_all(
    shared: Path, two: tuple[Sandboxed, Sandboxed]
) -> None:
    """The kernel counts no `fallocate`; nobody gets it for nothing."""
    ledger, (one, other) = DiskLedger(), two
    first, second = account(ledger, one, shared), account(ledger, other, shared)
    one.write(shared / "reserved", 10 * MIB, "reserve")
    assert about(first.use().bytes, 5 * MIB)
    assert about(second.use().bytes, 5 * MIB)
    other.write(shared / "reserved-too", 10 * MIB, "keep-reserved")
    assert about(first.use().bytes, 5 * MIB)
    assert about(second.use().bytes, 15 * MIB)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing can be kept from root")
def test_room_that_nobody_is_seen_to_take_is_charged_to_who_lets_nobody_look(
    shared: Path, two: tuple[Sandboxed, Sandboxed]
) -> None:
    ledger, (private, other) = DiskLedger(), two
    first, second = account(ledger, private, shared), account(ledger, other, shared)
    private.write(shared / "no-matter", 0, "hide")
    private.write(shared / "a", 10 * MIB)
    assert about(first.use().bytes, 10 * MIB)
    assert second.use().bytes < MIB


def test_looking_that_failed_is_begun_again_and_counts_once(shared: Path, two: tuple[Sandboxed, Sandboxed]) -> None:
    ledger, (one, _) = DiskLedger(), two
    opened = account(ledger, one, shared)
    opened.open(None)
    one.write(shared / "a", 10 * MIB)
    assert about(opened.use().bytes, 10 * MIB)


def test_what_one_that_has_ended_wrote_at_last_is_nobody_elses(shared: Path, two: tuple[Sandboxed, Sandboxed]) -> None:
    ledger, (gone, stays) = DiskLedger(), two
    first, second = account(ledger, gone, shared), account(ledger, stays, shared)
    gone.write(shared / "last", 20 * MIB)
    gone.end()
    assert second.use().bytes == 0
    first.close()
    assert second.use().bytes == 0


@pytest.mark.usefixtures("on_disk")
def test_what_is_removed_again_does_not_count(shared: Path, two: tuple[Sandboxed, Sandboxed]) -> None:
    ledger, (one, other) = DiskLedger(), two
    first, second = account(ledger, one, shared), account(ledger, other, shared)
    one.write(shared / "a", 8 * MIB)
    assert about(first.use().bytes, 8 * MIB)
    (shared / "a").unlink()
    assert first.use().bytes < MIB
    one.write(shared / "b", 4 * MIB)
    assert about(first.use().bytes, 4 * MIB)
    assert second.use().bytes < MIB


@pytest.mark.usefixtures("on_disk")
def test_the_next_daemon_charges_a_run_with_what_it_has_written_and_no_more(
    shared: Path, two: tuple[Sandboxed, Sandboxed]
) -> None:
    wrote, slept = two
    fill(shared / "from before", MIB)
    baseline = account(DiskLedger(), wrote, shared).open(None)
    wrote.write(shared / "a", 9 * MIB)
    next_daemons = DiskLedger()
    accounts = [DiskAccount(next_daemons, one.init, (), [(shared,)]) for one in (wrote, slept)]
    for one in accounts:
        one.open(baseline)
    assert about(accounts[0].use().bytes, 9 * MIB)
    assert accounts[1].use().bytes < MIB


@pytest.mark.usefixtures("on_disk")
def test_who_hides_something_is_charged_with_what_nobody_else_is_seen_to_take(
    shared: Path, tmp_path: Path, two: tuple[Sandboxed, Sandboxed]
) -> None:
    ledger, (hider, other) = DiskLedger(), two
    first, second = account(ledger, hider, shared), account(ledger, other, shared)
    other.write(shared / "large", 20 * MIB)
    seen = first.use()
    assert first.suspected_use(seen, 50 * MIB) == seen.bytes, "nothing is hidden"
    suspected = first.suspected_use(seen.model_copy(update={"hides": True}), 50 * MIB)
    assert about(suspected, 30 * MIB)
    other.end()
    second.close()
    suspected = first.suspected_use(seen.model_copy(update={"hides": True}), 50 * MIB)
    assert about(suspected, 30 * MIB), "what the other has left is still not its own"


@pytest.mark.parametrize("looks_before", [0, 1])
async def test_who_ends_while_it_is_first_looked_at_is_counted_no_more(
    tmp_path: Path, two: tuple[Sandboxed, Sandboxed], monkeypatch: pytest.MonkeyPatch, looks_before: int
) -> None:
    """Whose limits depend on what others take are judged all the same, and what is added is theirs."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))  # what is asked for later comes later
    ledger, (gone, stays) = DiskLedger(), two
    own, *kept = (tmp_path / name for name in ("own", "first", "second"))
    for place in (own, *kept):
        place.mkdir()
    groups = [(place,) for place in kept]
    is_looking, goes_on = asyncio.Event(), threading.Event()

    def take_stock_slowly(places: Sequence[Path]) -> Stock:
        if places[0] == kept[looks_before]:
            loop.call_soon_threadsafe(is_looking.set)
            assert goes_on.wait(10)
        return take_stock(places)

    with monkeypatch.context() as patched:
        patched.setattr(sharing, "take_stock", take_stock_slowly)
        watched = DiskGuard(DiskAccount(ledger, gone.init, (own,), groups), machine())
        beginning = asyncio.create_task(watched.begin())
        await is_looking.wait()
        beginning.cancel()
        await asyncio.gather(beginning, return_exceptions=True)
        watched.end()
        gone.end()
        own.rmdir()
        goes_on.set()
        await asyncio.to_thread(int)
    second = DiskAccount(ledger, stays.init, (), groups)
    second.open(None)
    assert ledger.taken_by_others(second) == 0
    for number, place in enumerate(kept, 1):
        stays.write(place / "reserved", 10 * MIB, "reserve")
        assert about(second.use().bytes, number * 10 * MIB)


def test_what_another_takes_is_seen_while_its_own_files_are_cleared_away(
    shared: Path, tmp_path: Path, two: tuple[Sandboxed, Sandboxed]
) -> None:
    ledger, (cleared, other) = DiskLedger(), two
    own, data = tmp_path / "own", tmp_path / "data"
    own.mkdir()
    data.mkdir()
    first = DiskAccount(ledger, cleared.init, (own,), [(data, shared)])
    first.open(None)
    second = account(ledger, other, shared)
    own.rmdir()
    data.rmdir()
    cleared.write(shared / "kept-open", 9 * MIB, "keep")
    assert about(ledger.taken_by_others(second), 9 * MIB)


async def test_what_was_free_when_a_run_began_is_remembered_where_a_look_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the disk has lost before is not forgotten to who hides what it takes."""
    free, fails = 100 * MIB, True

    def use(_: DiskAccount) -> DiskUse:
        nonlocal free, fails
        if fails:
            free, fails = free - 20 * MIB, False
            raise PermissionError
        return DiskUse(hides=True)

    monkeypatch.setattr(guards, "free_bytes", lambda _: free)
    monkeypatch.setattr(guards, "_AGAIN_SECONDS", 0)
    monkeypatch.setattr(DiskAccount, "use", use)
    overuse = await asyncio.wait_for(until_overuse(guard(tmp_path)), 5)
    assert overuse.used == 20 * MIB
