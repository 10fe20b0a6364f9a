"""Apps and the data of batch runs: copies, generations, and the workspace's word on them."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from runtime.dispatch import access_data, last_whole
from runtime.dispatch.access_data import CURRENT, AccessData
from runtime.dispatch.last_whole import LastWhole
from runtime.dispatch.workspaces import WorkspaceService
from runtime.domain.access_data import DataPlace
from runtime.domain.runs import Run
from runtime.errors import DiskFullError
from runtime.packages.removal import remove_tree
from runtime.packages.snapshot import LeftOut, take_snapshot
from runtime.sandbox.quota import LEAST_ENTRY_BYTES, disk_use, laid_bytes
from tests.factories import make_raw_definition
from tests.house import House
from tests.stage import SECONDS, Stage

LOAD, BOARD, OTHER = "jobs.shop.load", "jobs.shop.board", "jobs.shop.other"
PROD = DataPlace(profile="prod")


async def _ready(house: House, most_bytes: int = 0) -> AccessData:
    entry_point = {**make_raw_definition()["entry_point"], "job_type": "interactive"}
    boards = [make_raw_definition(ref, triggers=["http:"], entry_point=entry_point) for ref in (BOARD, OTHER)]
    await house.ready(make_raw_definition(LOAD), *boards)
    return AccessData(house.database, house.folder, LastWhole(house.folder, most_bytes, 0), house.clock)


def _write(house: House, text: str) -> None:
    """As a load with the profile `prod` does."""
    (house.folder / "data" / str(house.workspace_id) / "prod" / "local" / "rows.txt").write_text(text)


async def _open(house: House, access: AccessData, job_ref: str = BOARD) -> tuple[Run, Path]:
    """An app that shows the first rows."""
    await _settled(house, access, "one")
    board = await house.launch(job_ref)
    place = await access.place_of(board, "interactive")
    return board, await access.lay(board, place, print)


def _shown(place: Path) -> str:
    return (place / CURRENT / "local" / "rows.txt").read_text()


class Busy:
    """Takes the part of a run that writes to some files all the time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self.is_of_one_moment = True
        monkeypatch.setattr(access_data, "take_snapshot", self.take)

    def take(self, source: Path, into: Path, *, patience_seconds: float) -> LeftOut:
        left_out = take_snapshot(source, into, patience_seconds=patience_seconds)
        busy = [name for name in self.names if (into / name).exists()]
        for name in busy:
            (into / name).unlink()
        return left_out._replace(busy=busy, is_of_one_moment=self.is_of_one_moment)


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Busy:
    return Busy(monkeypatch)


async def _settled(house: House, access: AccessData, text: str) -> None:
    """A batch run wrote `text`, and has ended."""
    access.directories(house.workspace_id, PROD)
    _write(house, text)
    run = await house.end(await house.launch(LOAD))
    await access.settled(run)


async def test_an_app_that_is_open_shows_what_the_next_load_writes(house: House) -> None:
    access = await _ready(house)
    _, place = await _open(house, access)
    assert (place / CURRENT / "local" / "rows.txt").read_text() == "one"
    await _settled(house, access, "two")
    assert (place / CURRENT / "local" / "rows.txt").read_text() == "two"


async def test_who_has_a_file_of_the_last_generation_open_goes_on_reading_it(house: House) -> None:
    access = await _ready(house)
    _, place = await _open(house, access)
    with (place / CURRENT / "local" / "rows.txt").open() as reading:
        for text in ("two", "three", "four"):
            await _settled(house, access, text)
        assert reading.read() == "one"
    assert len([path for path in place.iterdir() if not path.is_symlink()]) == 2


async def test_what_an_app_writes_stays_its_own_and_is_gone_with_the_next_generation(house: House) -> None:
    access = await _ready(house)
    _, place = await _open(house, access)
    (place / CURRENT / "local" / "rows.txt").write_text("changed")
    (place / CURRENT / "local" / "mine.txt").write_text("mine")
    theirs = access.directories(house.workspace_id, PROD)[1]
    assert [(path.name, path.read_text()) for path in theirs.iterdir()] == [("rows.txt", "one")]
    await _settled(house, access, "two")
    assert [path.name for path in (place / CURRENT / "local").iterdir()] == ["rows.txt"]


async def test_of_what_lies_in_an_apps_place_the_copies_are_known_as_ours(house: House) -> None:
    access = await _ready(house)
    _, place = await _open(house, access)
    for text in ("two", "three", "four"):
        await _settled(house, access, text)
    ours = sum(laid_bytes(place).values())
    names = len(list(place.iterdir()))
    assert ours > 0
    assert disk_use([place]).bytes == ours + names * LEAST_ENTRY_BYTES


async def test_links_that_an_app_lays_in_the_way_lead_the_copy_nowhere(house: House, tmp_path: Path) -> None:
    access = await _ready(house)
    _, place = await _open(house, access)
    outside = tmp_path / "outside"
    outside.mkdir()
    (place / CURRENT).unlink()
    (place / CURRENT).symlink_to(outside)
    (place / "7-planted").symlink_to(outside)
    await _settled(house, access, "two")
    assert list(outside.iterdir()) == []
    assert (place / CURRENT / "local" / "rows.txt").read_text() == "two"


async def test_what_is_written_all_the_time_does_not_keep_the_rest_from_an_app(house: House, busy: Busy) -> None:
    access = await _ready(house)
    local = access.directories(house.workspace_id, PROD)[1]
    (local / "busy.log").write_text("on and on")
    busy.names = ["busy.log"]
    _, place = await _open(house, access)
    for text in ("two", "three"):
        await _settled(house, access, text)
        assert _shown(place) == text
    busy.names = []
    await _settled(house, access, "four")
    assert (place / CURRENT / "local" / "busy.log").read_text() == "on and on"


async def test_a_copy_that_lacks_what_the_last_one_has_takes_not_its_place_and_that_is_said(
    house: House, busy: Busy
) -> None:
    access = await _ready(house)
    local = access.directories(house.workspace_id, PROD)[1]
    (local / "shop.duckdb").write_text("whole")
    board, place = await _open(house, access)
    busy.names = ["shop.duckdb"]
    with capture_logs() as logs:
        await _settled(house, access, "two")
    assert (_shown(place), (place / CURRENT / "local" / "shop.duckdb").read_text()) == ("one", "whole")
    (said,) = [event for event in logs if event.get("action") == "data.renew"]
    assert (said["run_id"], said["lacking"]) == (str(board.id), "local/shop.duckdb")
    busy.names = []
    await _settled(house, access, "three")
    assert _shown(place) == "three"


async def test_a_file_that_may_not_be_read_any_more_ends_no_renewals(house: House) -> None:
    access = await _ready(house)
    local = access.directories(house.workspace_id, PROD)[1]
    (local / "secret.txt").write_text("secret")
    _, place = await _open(house, access)
    (local / "secret.txt").chmod(0)
    await _settled(house, access, "two")
    assert (_shown(place), (place / CURRENT / "local" / "secret.txt").exists()) == ("two", False)


async def test_an_app_is_told_what_its_data_lacks_and_why(house: House, busy: Busy) -> None:
    access = await _ready(house)
    local = access.directories(house.workspace_id, PROD)[1]
    for name in ("busy.log", "secret.txt"):
        (local / name).write_text("text")
    (local / "secret.txt").chmod(0)
    busy.names = ["busy.log"]
    said: list[str] = []
    await access.lay(await house.launch(BOARD), DataPlace(profile="prod", kind="copy"), said.append)
    assert said == [
        "left out of the data, since a run writes to it right now: local/busy.log; it comes once that run is over",
        "left out of the data, since nobody may read it: local/secret.txt",
    ]


@pytest.mark.parametrize("broken", [BOARD, OTHER])
async def test_an_app_whose_copy_fails_keeps_no_other_from_its_data(house: House, broken: str) -> None:
    access = await _ready(house)
    places = {ref: (await _open(house, access, ref))[1] for ref in (BOARD, OTHER)}
    places[broken].with_name("data.new").write_text("no directory")
    with capture_logs() as logs:
        await _settled(house, access, "two")
    assert [_shown(places[ref]) for ref in places if ref != broken] == ["two"]
    assert [event["log_level"] for event in logs if event.get("action") == "data.renew"] == ["warning"]


async def test_a_copy_that_does_not_fit_gives_the_disk_back_and_the_old_one_stays(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(source: Path, into: Path, *, patience_seconds: float) -> LeftOut:
        take_snapshot(source, into, patience_seconds=patience_seconds)
        raise DiskFullError("the data could not be copied for the app: No space left on device")

    access = await _ready(house)
    _, place = await _open(house, access)
    monkeypatch.setattr(access_data, "take_snapshot", fill)
    await _settled(house, access, "two")
    assert not place.with_name("data.new").exists()
    assert _shown(place) == "one"


async def test_where_a_runs_place_is_cleared_no_copy_comes_to_lie(house: House) -> None:
    access = await _ready(house)
    board, place = await _open(house, access)
    async with access.undisturbed(board.id):
        renewal = access.settled(await house.end(await house.launch(LOAD)))
        await asyncio.sleep(0.05)
        assert not place.with_name("data.new").exists()
        remove_tree(place.parent)
    await renewal
    assert not place.parent.exists()


class Held:
    """Counts copies for apps, the next of which does not begin to read before it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.may_read = threading.Event(), threading.Event()
        self.copies = 0
        monkeypatch.setattr(access_data, "take_snapshot", self.take)

    def take(self, source: Path, into: Path, *, patience_seconds: float) -> LeftOut:
        self.copies += source.name == "local"
        self.begun.set()
        assert self.may_read.wait(SECONDS)
        return take_snapshot(source, into, patience_seconds=patience_seconds)


async def _asked_by_many(house: House, access: AccessData) -> list[asyncio.Task[None]]:
    """What four batch runs ask for that end while a copy is made; returns once three of them ask no more."""
    ended = [await house.end(await house.launch(LOAD)) for _ in range(4)]
    asked = [access.settled(run) for run in ended]
    async with asyncio.timeout(SECONDS):
        for done in itertools.islice(asyncio.as_completed(asked), 3):
            await done
    return asked


async def test_of_the_renewals_that_many_ends_ask_for_at_once_one_waits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = await _ready(house)
    await _open(house, access)
    held = Held(monkeypatch)
    first = access.settled(await house.end(await house.launch(LOAD)))
    assert await asyncio.to_thread(held.begun.wait, SECONDS)
    asked = await _asked_by_many(house, access)
    held.may_read.set()
    await asyncio.gather(first, *asked)
    assert held.copies == 2


async def test_a_daemon_that_ends_begins_no_more_copies(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    access = await _ready(house)
    await _open(house, access)
    await _open(house, access, OTHER)
    held = Held(monkeypatch)
    access.settled(await house.end(await house.launch(LOAD)))
    assert await asyncio.to_thread(held.begun.wait, SECONDS)
    closing = asyncio.create_task(access.close())
    await asyncio.sleep(0)
    held.may_read.set()
    await closing
    assert held.copies == 1


async def test_of_the_whole_copies_that_many_ends_ask_for_at_once_one_waits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = await _ready(house, 1024 * 1024)
    begun, may_end, kept = asyncio.Event(), asyncio.Event(), list[UUID]()

    async def keep(_: object, workspace_id: UUID, *__: object) -> bool:
        kept.append(workspace_id)
        begun.set()
        await may_end.wait()
        return True

    monkeypatch.setattr(LastWhole, "keep", keep)
    first = access.settled(await house.end(await house.launch(LOAD)))
    await begun.wait()
    asked = await _asked_by_many(house, access)
    may_end.set()
    await asyncio.gather(first, *asked)
    assert kept == [house.workspace_id] * 2


@asynccontextmanager
async def _live(house: House, access: AccessData) -> AsyncIterator[tuple[Stage, Run, Path]]:
    """A daemon, and an app that it looks after until the end."""
    stage = Stage(house)
    stage.runner.exit_at_release = None
    async with _daemon(stage):
        board, place = await _open(house, access)
        async with asyncio.timeout(SECONDS):
            await stage.runner.released.wait()
        yield stage, board, place


@asynccontextmanager
async def _daemon(stage: Stage) -> AsyncIterator[None]:
    async with stage.tail:
        executor = stage.executor()
        await executor.start()
        yield
        await executor.close()


async def test_apps_are_renewed_also_after_a_run_whose_place_cannot_be_cleared(house: House) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "the disk is not ours")

    async with _live(house, await _ready(house)) as (stage, _, place):
        stage.runner.exit_at_release = 0
        stage.preparation.clear = refuse
        _write(house, "two")
        await stage.until_final(await house.launch(LOAD))
        await _until(lambda: _shown(place) == "two")


async def test_the_next_daemon_makes_good_the_renewal_that_died_with_the_last_one(house: House) -> None:
    async with _live(house, await _ready(house)) as (stage, board, place):
        pass
    _write(house, "two")
    following = Stage(house)
    following.runner = stage.runner
    async with _daemon(following):
        await _until(lambda: _shown(place) == "two")
    assert not (await house.runs.get(board.workspace_id, board.id)).run.is_final


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110 - files announce nothing
            await asyncio.sleep(0.01)


async def test_where_apps_are_separate_they_share_no_directory_with_runs_of_any_profile(house: House) -> None:
    access = await _ready(house)
    await WorkspaceService(house.database, house.clock).update(
        house.principal, house.workspace_id, {"access_data": "separate"}
    )
    board = await house.launch(BOARD)
    place = await access.place_of(board, "interactive")
    assert place == DataPlace(profile="access", kind="apart")
    own = access.directories(house.workspace_id, place)
    theirs = [access.directories(house.workspace_id, DataPlace(profile=name)) for name in ("prod", "access", "apps")]
    for directory in own:
        assert not any(directory.is_relative_to(each) for pair in theirs for each in pair)


async def _first_opened(house: House, access: AccessData) -> tuple[Path, list[str]]:
    """An app that is opened now, and what its log says."""
    board, told = await house.launch(BOARD), list[str]()
    place = await access.lay(board, await access.place_of(board, "interactive"), told.append)
    return place, told


async def test_an_app_that_is_first_opened_while_a_run_writes_shows_what_the_last_one_left(
    house: House, busy: Busy
) -> None:
    access = await _ready(house, 1024 * 1024)
    await _settled(house, access, "last night's")
    busy.names = ["rows.txt"]
    _write(house, "half of tonight's")
    place, told = await _first_opened(house, access)
    assert _shown(place) == "last night's"
    (line,) = told
    assert line.startswith("the data is shown as it was at 2026-03-10 12:00:00 UTC, since a run writes right now to ")
    assert line.endswith(" local/rows.txt; what is newer comes once that run is over")
    (place / CURRENT / "local" / "rows.txt").write_text("changed by the app")
    again, _ = await _first_opened(house, access)
    assert _shown(again) == "last night's"
    busy.names = []
    await _settled(house, access, "tonight's")
    assert _shown(place) == "tonight's"


async def test_no_copy_is_kept_of_what_is_never_whole_or_has_no_room_or_nobody_shows(house: House) -> None:
    access = await _ready(house, 10_000)
    await _settled(house, access, "one")
    whole = house.folder / "whole" / str(house.workspace_id)
    assert (whole / "prod" / "local" / "rows.txt").read_text() == "one"
    await _settled(house, access, "x" * 20_000)
    assert not (whole / "prod").exists()
    await _settled(house, access, "two")
    await WorkspaceService(house.database, house.clock).update(
        house.principal, house.workspace_id, {"access_data": "separate"}
    )
    await _settled(house, access, "three")
    assert (whole / "prod" / "local" / "rows.txt").read_text() == "two"


async def test_the_next_whole_copy_has_what_has_not_changed_in_common_with_the_last(house: House) -> None:
    access = await _ready(house, 1024 * 1024)
    local = access.directories(house.workspace_id, PROD)[1]
    (local / "old.txt").write_text("old")
    await _settled(house, access, "one")
    copy = house.folder / "whole" / str(house.workspace_id) / "prod" / "local"
    before = {name: (copy / name).stat().st_ino for name in ("old.txt", "rows.txt")}
    await _settled(house, access, "two")
    after = {name: (copy / name).stat().st_ino for name in ("old.txt", "rows.txt")}
    assert after["old.txt"] == before["old.txt"]
    assert after["rows.txt"] != before["rows.txt"]
    assert (copy / "rows.txt").read_text() == "two"
    assert sorted(path.name for path in copy.parent.parent.iterdir()) == ["prod"]


async def test_a_copy_that_took_long_is_not_taken_again_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is that waited for where the daemon ends."""
    access = await _ready(house, 1024 * 1024)
    monkeypatch.setattr(last_whole, "_QUICK_SECONDS", 0.0)
    monkeypatch.setattr(last_whole, "_RESTS", 1_000_000)
    await _settled(house, access, "one")
    _write(house, "two")
    keeping = access.settled(await house.end(await house.launch(LOAD)))
    await access.close()
    assert keeping.done()
    kept = house.folder / "whole" / str(house.workspace_id) / "prod" / "local" / "rows.txt"
    assert kept.read_text() == "one"


async def test_whole_copies_go_when_they_are_old(house: House) -> None:
    access = await _ready(house, 1024 * 1024)
    await _settled(house, access, "one")
    whole = LastWhole(house.folder, 1024 * 1024, 0)
    assert await whole.sweep(house.clock()) == 0
    assert await whole.sweep(house.clock() + timedelta(seconds=1)) == 1
    assert list((house.folder / "whole").glob("*/*")) == []


async def test_a_whole_copy_does_not_go_while_it_is_lent(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    access = await _ready(house, 1024 * 1024)
    await _settled(house, access, "one")
    whole, into = LastWhole(house.folder, 1024 * 1024, 0), house.folder / "into"
    into.mkdir()
    looked, swept = threading.Event(), threading.Event()

    def take(source: Path, into: Path, *, patience_seconds: float) -> LeftOut:
        looked.set()
        assert not swept.wait(0.2)
        return take_snapshot(source, into, patience_seconds=patience_seconds)

    async def sweep() -> int:
        assert await asyncio.to_thread(looked.wait, SECONDS)
        count = await whole.sweep(house.clock() + timedelta(seconds=1))
        swept.set()
        return count

    monkeypatch.setattr(last_whole, "take_snapshot", take)
    lent, count = await asyncio.gather(whole.lend(house.workspace_id, "prod", ("var", "local"), into), sweep())
    assert lent == house.clock()
    assert (into / "local" / "rows.txt").read_text() == "one"
    assert count == 1


async def test_parts_of_whole_copies_that_a_crash_left_go_and_take_no_room(house: House) -> None:
    access = await _ready(house, 1024 * 1024)
    await _settled(house, access, "one")
    folder = house.folder / "whole" / str(house.workspace_id)
    for name in (".prod.new", ".other.new", "half"):
        (folder / name / "local").mkdir(parents=True)
    (folder / ".other.new" / "taken").write_text(house.clock().isoformat())
    assert await LastWhole(house.folder, 1024 * 1024, 0).sweep(house.clock()) == 3
    assert [path.name for path in folder.iterdir()] == ["prod"]


async def test_an_app_is_told_that_its_data_is_not_of_one_moment(house: House, busy: Busy) -> None:
    """A destination of many files, to which a run adds more all the time."""
    access = await _ready(house)
    await _settled(house, access, "one")
    busy.is_of_one_moment = False
    _, told = await _first_opened(house, access)
    (line,) = told
    assert line.startswith("the data is not of one moment, since a run writes to it right now: ")
