"""Backup and restore: of one moment, while runs write; checked; and nothing is lost by putting one back."""

import asyncio
import errno
import fcntl
import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from typer.testing import CliRunner

from cli.main import app
from runtime.backup_file import Description, digest_of, read_backup, write_backup
from runtime.dispatch.backup import BackupService
from runtime.dispatch.space import Space
from runtime.errors import ConflictError, DiskFullError, InvalidError, UnavailableError
from runtime.restoring import require_whole, restore, take_back
from runtime.store import logs
from runtime.store.database import Database, migrations
from runtime.store.integrity import DamagedError
from tests.factories import NOW
from tests.house import House

KEY = bytes(range(32))


@pytest.fixture
async def backups(house: House, tmp_path: Path) -> BackupService:
    """Of a house with a job; its folder is the state directory."""
    await house.ready()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "keys").mkdir()
    for name in ("sealing.key", "signing.key"):
        (tmp_path / "keys" / name).write_bytes(KEY)
    return BackupService(house.database, tmp_path, "0.1.0", Space(tmp_path, 0), house.clock)


async def take(house: House, backups: BackupService, to: Path, *, with_keys: bool = False) -> Path:
    taken = await backups.take(house.principal, with_keys=with_keys)
    with taken.file as file:
        to.write_bytes(file.read())
    assert to.stat().st_size == taken.size_bytes
    return to


async def runs_in(state: Path) -> set[UUID]:
    database = await Database.open(state / "runtime.db")
    try:
        async with database.read() as connection:
            assert await connection.value("PRAGMA integrity_check") == "ok"
            return {UUID(bytes=row["id"]) for row in await connection.all("SELECT id FROM runs")}
    finally:
        await database.close()


async def test_a_backup_is_of_one_moment_while_runs_write(house: House, backups: BackupService, tmp_path: Path) -> None:
    """Backup: online and consistent: a run in it has its live row and as many lines as its row says."""
    stop = asyncio.Event()
    written = 0

    async def write() -> None:
        nonlocal written
        while not stop.is_set():
            run = await house.launch()
            async with house.database.transaction() as connection:
                await logs.append_lines(connection, run.id, "program", NOW, ["x" * 2000, "y"])
            await house.end(run)
            written += 1

    writing = asyncio.create_task(write())
    try:
        for number in range(3):
            file = await take(house, backups, tmp_path / f"{number}.tar")
            folder = tmp_path / f"unpacked-{number}"
            folder.mkdir()
            description = read_backup(file, folder)
            assert description.schema_number == migrations()[-1][0]
            with closing(sqlite3.connect(folder / "runtime.db")) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
                lines = "SELECT coalesce(sum(line_count), 0) FROM log_chunks WHERE run_id = runs.id"
                odd = f"SELECT count(*) FROM runs WHERE status = 'completed' AND ({lines}) <> 2"
                assert connection.execute(odd).fetchone()[0] == 0
    finally:
        stop.set()
        await writing
    assert written > 3, "runs went on meanwhile"
    assert not list((tmp_path / "tmp").iterdir())


async def test_what_is_restored_is_what_was_backed_up(house: House, backups: BackupService, tmp_path: Path) -> None:
    """Restore: onto another machine, with the keys, it is all there."""
    run = await house.launch()
    file = await take(house, backups, tmp_path / "backup.tar", with_keys=True)
    elsewhere = tmp_path / "elsewhere"
    description, aside = restore(file, elsewhere)
    assert description.has_keys
    assert aside is None
    assert await runs_in(elsewhere) == {run.id}
    assert (elsewhere / "keys" / "sealing.key").read_bytes() == KEY
    assert (elsewhere / "keys" / "sealing.key").stat().st_mode & 0o777 == 0o600


async def test_what_was_there_is_kept_aside(house: House, backups: BackupService, tmp_path: Path) -> None:
    """Restore: a mistake can be undone; the keys stay where the backup has none."""
    early = await house.launch()
    file = await take(house, backups, tmp_path / "early.tar")
    await house.end(early)
    late = await house.launch()
    state = tmp_path / "state"
    restore(await take(house, backups, tmp_path / "late.tar", with_keys=True), state)
    _, aside = restore(file, state)
    assert aside is not None
    assert await runs_in(state) == {early.id}
    assert await runs_in(aside) == {early.id, late.id}
    assert (state / "keys" / "sealing.key").read_bytes() == KEY


async def test_keys_are_in_a_backup_only_if_asked_for(house: House, backups: BackupService, tmp_path: Path) -> None:
    """Backup: one on somebody else's disk opens no secrets."""
    with tarfile.open(await take(house, backups, tmp_path / "a.tar")) as archive:
        assert archive.getnames() == ["backup.json", "runtime.db"]
    (tmp_path / "keys" / "signing.key").unlink()
    with pytest.raises(ConflictError, match="systemd"):
        await backups.take(house.principal, with_keys=True)


async def test_a_backup_needs_room(house: House, backups: BackupService, tmp_path: Path) -> None:
    """Backup: it must not be what fills the disk."""

    class Little(Space):
        free_bytes = 1000

    small = BackupService(house.database, tmp_path, "0.1.0", Little(tmp_path, 0), house.clock)
    with pytest.raises(DiskFullError):
        await small.take(house.principal, with_keys=False)


async def test_the_log_beside_the_database_and_the_reserve_need_room_too(
    house: House, backups: BackupService, tmp_path: Path
) -> None:
    path = house.database.path
    log = path.with_name(f"{path.name}-wal").stat().st_size
    assert log > 0
    needed = 2 * (path.stat().st_size + log) + 5_000_000

    class Just(Space):
        free_bytes = needed + 1_000_000  # what is written meanwhile goes to the log as well

    class Little(Space):
        free_bytes = needed - 1

    little = BackupService(house.database, tmp_path, "0.1.0", Little(tmp_path, 5_000_000), house.clock)
    with pytest.raises(DiskFullError, match="besides the 5 MiB"):
        await little.take(house.principal, with_keys=False)
    just = BackupService(house.database, tmp_path, "0.1.0", Just(tmp_path, 5_000_000), house.clock)
    await take(house, just, tmp_path / "a.tar")


async def test_a_backup_nobody_waits_for_any_more_ends_before_its_folder_goes(
    house: House, backups: BackupService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copying, asked = threading.Event(), threading.Event()

    def copy_for_ever(source: Path, target: Path, go_on: Callable[[], None]) -> None:
        target.touch()
        while target.exists():
            copying.set()
            go_on()
        asked.set()  # its folder went away under it

    monkeypatch.setattr("runtime.dispatch.backup.copy_database", copy_for_ever)
    taking = asyncio.create_task(backups.take(house.principal, with_keys=False))
    await asyncio.to_thread(copying.wait)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert not asked.is_set()
    assert not list((tmp_path / "tmp").iterdir())
    monkeypatch.undo()
    await take(house, backups, tmp_path / "a.tar")


async def test_it_is_noted_who_took_a_backup(house: House, backups: BackupService, tmp_path: Path) -> None:
    await take(house, backups, tmp_path / "a.tar", with_keys=True)
    async with house.database.read() as connection:
        row = await connection.one("SELECT * FROM audit_log ORDER BY id DESC LIMIT 1")
    assert row is not None
    assert (row["action"], json.loads(row["detail"])) == ("backup.take", {"with_keys": True})


async def test_nothing_is_restored_while_a_daemon_runs(house: House, backups: BackupService, tmp_path: Path) -> None:
    file = await take(house, backups, tmp_path / "a.tar")
    state = tmp_path / "state"
    state.mkdir()
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UnavailableError, match="another daemon"):
            restore(file, state)
    assert [path.name for path in state.iterdir()] == ["lock"]


KILLED = """
import os, signal, sys
from pathlib import Path
from runtime.restoring import restore
rename, left = Path.rename, int(sys.argv[3])
def kill_instead(path, target):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return rename(path, target)
Path.rename = kill_instead
restore(Path(sys.argv[1]), Path(sys.argv[2]))
"""


ON_A_SMALL_DISK = """
mount -t tmpfs -o size=$1k tmpfs "$2" && printf before > "$2/runtime.db" || exit 9
"$3" -c 'import sys; from pathlib import Path; from runtime.restoring import restore
try:
    restore(Path(sys.argv[1]), Path(sys.argv[2]))
except Exception as error:
    print(type(error).__name__, error, error.hint, sep="|")' "$4" "$2"
ls "$2"; cat "$2/runtime.db"
"""


async def test_a_restore_without_room_blames_the_disk_and_changes_nothing(
    house: House, backups: BackupService, tmp_path: Path
) -> None:
    """Restore: the backup may be the only one, and there is nothing wrong with it."""
    file = await take(house, backups, tmp_path / "a.tar")
    state = tmp_path / "state"
    state.mkdir()
    unshare = ["unshare", "--map-current-user", "--mount", "--keep-caps", "sh", "-c", ON_A_SMALL_DISK]
    argv = [*unshare, "sh", "100", str(state), sys.executable, str(file)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = await asyncio.to_thread(subprocess.run, argv, check=True, capture_output=True, text=True, env=environment)
    said, *left = done.stdout.splitlines()
    assert said.startswith("DiskFullError|the backup could not be put in place: No space left on device|make room")
    assert left == ["lock", "runtime.db", "before"]


@pytest.mark.parametrize("ends", ["again", "taken back"])
async def test_a_restore_that_was_killed_lets_no_daemon_start_until_it_is_done_or_taken_back(
    house: House, backups: BackupService, tmp_path: Path, ends: str
) -> None:
    """Restore: else a daemon would take the empty place for a new installation."""
    early = await house.launch()
    file = await take(house, backups, tmp_path / "early.tar", with_keys=True)
    await house.end(early)
    late = await house.launch()
    later = await take(house, backups, tmp_path / "late.tar")
    state = tmp_path / "state"
    restore(later, state)
    (state / "keys").mkdir()
    (state / "keys" / "signing.key").write_bytes(b"another")
    require_whole(state)
    killed = 0
    for moment in range(10):
        argv = [sys.executable, "-c", KILLED, str(file), str(state), str(moment)]
        if (await asyncio.to_thread(subprocess.run, argv, check=False)).returncode == 0:
            break
        if (state / "restore-unfinished.json").exists():
            killed += 1
            with pytest.raises(UnavailableError, match="was interrupted") as refused:
                require_whole(state)
            assert "--take-back" in (refused.value.hint or "")
        if ends == "taken back" and (state / "restore-unfinished.json").exists():
            take_back(state)
            require_whole(state)
            assert await runs_in(state) == {early.id, late.id}
            assert (state / "keys" / "signing.key").read_bytes() == b"another"
            assert not (state / "keys" / "sealing.key").exists()
    assert killed >= 4, "before each file that moves, and where it is done again before each that moves back"
    require_whole(state)
    assert await runs_in(state) == {early.id}
    assert (state / "keys" / "signing.key").read_bytes() == KEY
    with pytest.raises(InvalidError, match="no restore"):
        take_back(state)


async def test_a_restore_that_fails_half_way_takes_itself_back(
    house: House, backups: BackupService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = await house.launch()
    state = tmp_path / "state"
    restore(await take(house, backups, tmp_path / "late.tar"), state)
    await house.end(late)
    file = await take(house, backups, tmp_path / "ended.tar", with_keys=True)
    rename, done = Path.rename, 0

    def fail_once(path: Path, target: Path) -> Path:
        nonlocal done
        done += 1
        if done == 3:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(UnavailableError, match="Input/output error"):
        restore(file, state)
    monkeypatch.undo()
    require_whole(state)
    assert await runs_in(state) == {late.id}
    assert sorted(path.name for path in state.iterdir()) == ["lock", "runtime.db"]


def spoil(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    match how:
        case "cut":
            file.write_bytes(content[: len(content) // 2])
        case "bit":
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
        case "other":
            file.write_bytes(b"no archive at all\n" * 1000)
        case "empty":
            file.write_bytes(b"")
        case "gone":
            file.unlink()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("cut", "is cut short or damaged"),
        ("bit", "the file is damaged"),
        ("other", "is no backup of this runtime"),
        ("empty", "is no backup of this runtime"),
        ("gone", "cannot be read: No such file"),
    ],
)
async def test_a_damaged_backup_is_refused_and_changes_nothing(
    house: House, backups: BackupService, tmp_path: Path, how: str, said: str
) -> None:
    """Restore: verified before anything is touched."""
    run = await house.launch()
    file, state = await take(house, backups, tmp_path / "a.tar"), tmp_path / "state"
    restore(file, state)
    spoil(file, how)
    with pytest.raises(InvalidError, match=said):
        restore(file, state)
    assert await runs_in(state) == {run.id}
    assert not [path for path in state.iterdir() if path.name.startswith(("restore-", "before-restore-"))]


@pytest.mark.parametrize(
    ("names", "error"),
    [(["runtime.db"], DamagedError), (["runtime.db", "../evil"], InvalidError), (["keys/sealing.key"], InvalidError)],
)
def test_an_archive_is_not_believed(tmp_path: Path, names: list[str], error: type[Exception]) -> None:
    """Restore: nothing is written but what belongs into a backup, and the database is looked at."""
    content = tmp_path / "content"
    content.write_bytes(b"x" * 5000)
    digest = digest_of(content)
    description = Description(
        format=1, version="0.1.0", schema_number=1, created_at=NOW, digests=dict.fromkeys(names, digest)
    )
    packed = io.BytesIO()
    write_backup(packed, dict.fromkeys(names, content), description)
    file = tmp_path / "a.tar"
    file.write_bytes(packed.getvalue())
    state = tmp_path / "state"
    with pytest.raises(error):
        restore(file, state)
    assert not state.exists()
    assert not (tmp_path / "evil").exists()


def test_a_restore_that_is_refused_leaves_no_directory_of_a_misspelt_name(tmp_path: Path) -> None:
    state = tmp_path / "sttae"
    with pytest.raises(InvalidError, match="no backup"):
        restore(Path("/etc/passwd"), state)
    with pytest.raises(InvalidError, match="no restore"):
        take_back(state)
    assert not state.exists()


async def test_a_backup_of_a_newer_version_is_refused(house: House, backups: BackupService, tmp_path: Path) -> None:
    """Upgrade: an older program does not touch what a newer one wrote."""
    async with house.database.transaction() as connection:
        await connection.execute("PRAGMA user_version = 999")
    file = await take(house, backups, tmp_path / "a.tar")
    with pytest.raises(InvalidError, match="schema 999"):
        restore(file, tmp_path / "state")


@pytest.mark.parametrize("has_key", [True, False])
async def test_a_restore_without_keys_says_whether_there_are_others(
    house: House, backups: BackupService, tmp_path: Path, has_key: bool
) -> None:
    file, state = await take(house, backups, tmp_path / "a.tar"), tmp_path / "state"
    if has_key:
        (state / "keys").mkdir(parents=True)
        (state / "keys" / "sealing.key").write_bytes(KEY)
    done = CliRunner().invoke(app, ["restore", str(file), "--state-dir", str(state)])
    assert done.exit_code == 0, done.output
    assert ("those of the state directory are used" in done.stderr) is has_key
    assert (f"there is no `{state}/keys/sealing.key`" in done.stderr) is not has_key
