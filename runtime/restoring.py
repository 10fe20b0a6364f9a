"""Putting a backup in the place of the database, while no daemon runs; what was there is kept beside it.

Several files change places, and whoever kills the restore in between leaves some of each state. A file written before
the first of them moves says what was where, until the last has: while it is there no daemon starts, since one would
take an empty place for a new installation. The next restore takes the half-done one back before it begins.
"""

import os
import shutil
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from runtime.backup_file import DATABASE, Description, read_backup
from runtime.domain.model import Frozen
from runtime.errors import InvalidError, UnavailableError, disk_error
from runtime.state_lock import LOCK, sole_user
from runtime.store.backup import check_copy
from runtime.store.database import migrations

MARKER = "restore-unfinished.json"
_PARTS = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm")


class _Exchange(Frozen):
    """Names below the state directory: what comes, what was there, and the directories of each."""

    coming: tuple[str, ...]
    present: tuple[str, ...]
    folder: str
    aside: str


def require_whole(state_dir: Path) -> None:
    """Let a daemon start.

    Raises:
        UnavailableError: a restore was interrupted.
    """
    if (state_dir / MARKER).exists():
        raise UnavailableError(
            f"a restore of `{state_dir}` was interrupted: it is neither the state of before nor that of the backup",
            code="restore_unfinished",
            hint=f"`dlt-runtime restore FILE --state-dir {state_dir}` does it again; with `--take-back` instead of "
            "FILE all is as before",
        )


def take_back(state_dir: Path) -> None:
    """Make what was there before an interrupted restore the present state again.

    Raises:
        UnavailableError: a daemon holds the state directory, or the disk does not take it.
        InvalidError: no restore was interrupted.
    """
    nothing = InvalidError(f"no restore of `{state_dir}` was interrupted", code="backup", hint="see --state-dir")
    if not (state_dir / MARKER).exists():
        raise nothing  # before a directory of that name is made
    with sole_user(state_dir):
        try:
            if not _take_back(state_dir):
                raise nothing
        except OSError as error:
            raise disk_error("the restore could not be taken back", error) from error


def restore(file: Path, state_dir: Path) -> tuple[Description, Path | None]:
    """Make the state that a backup holds the present one; a restore that was interrupted is taken back before.

    Returns:
        What was restored, and the directory with what was there before; None if there was nothing.

    Raises:
        UnavailableError: a daemon holds the state directory, or the disk does not take it; nothing has changed then.
        InvalidError: the file is no backup, is damaged, or is of a newer schema.
        DamagedError: the database in it is not sound.
    """
    with ExitStack() as held:
        if not state_dir.exists():
            held.callback(_drop_if_empty, state_dir)
        held.enter_context(sole_user(state_dir))
        try:
            _take_back(state_dir)
            for left in state_dir.glob("restore-*/"):  # of one that was killed before it had begun to change anything
                shutil.rmtree(left, ignore_errors=True)
            folder = Path(
                held.enter_context(
                    tempfile.TemporaryDirectory(dir=state_dir, prefix="restore-", ignore_cleanup_errors=True)
                )
            )
            description = read_backup(file, folder)
            _check(file, folder / DATABASE)
            names = list(description.digests)
            _give_to_owner(folder, names, state_dir)
            try:
                return description, _exchange(folder, names, state_dir)
            except OSError:
                _take_back(state_dir)
                raise
        except OSError as error:
            raise disk_error("the backup could not be put in place", error) from error


def _drop_if_empty(state_dir: Path) -> None:
    """A state directory that was made for a restore which was refused, perhaps of a misspelt name, goes again."""
    if [path.name for path in state_dir.glob("*")] == [LOCK]:
        (state_dir / LOCK).unlink()
        state_dir.rmdir()


def _check(file: Path, database: Path) -> None:
    copied, newest = check_copy(database), migrations()[-1][0]
    if copied.schema > newest:
        raise InvalidError(
            f"`{file}` has schema {copied.schema}, this program knows schemas up to {newest}",
            code="schema_too_new",
            hint="install the version that made the backup, or a newer one",
        )


def _give_to_owner(folder: Path, names: list[str], state_dir: Path) -> None:
    """Whoever restores may be root; the daemon must be able to read it."""
    owner = state_dir.stat()
    for name in names:
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.geteuid() == 0:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _exchange(folder: Path, names: list[str], state_dir: Path) -> Path | None:
    parts = (*_PARTS, *(name for name in names if name != DATABASE))
    exchange = _Exchange(
        coming=tuple(names),
        present=tuple(part for part in parts if (state_dir / part).exists()),
        folder=folder.name,
        aside=f"before-restore-{datetime.now(UTC):%Y%m%d-%H%M%S}",
    )
    _begin(exchange, state_dir)
    aside = state_dir / exchange.aside
    for part in exchange.present:
        (aside / part).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (state_dir / part).rename(aside / part)
    for name in exchange.coming:
        target = state_dir / name
        if not target.parent.exists():
            target.parent.mkdir(mode=0o700)
            if os.geteuid() == 0:
                shutil.chown(target.parent, state_dir.stat().st_uid, state_dir.stat().st_gid)
        (folder / name).rename(target)
    _end(state_dir, exchange)
    return aside if exchange.present else None


def _begin(exchange: _Exchange, state_dir: Path) -> None:
    """Write down what is about to happen, as a whole or not at all."""
    written = state_dir / exchange.folder / MARKER
    with written.open("w") as file:
        file.write(exchange.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    written.rename(state_dir / MARKER)
    _sync(state_dir)


def _end(state_dir: Path, exchange: _Exchange) -> None:
    for directory in {(state_dir / name).parent for name in (*exchange.coming, *exchange.present)}:
        if directory.exists():
            _sync(directory)
    (state_dir / MARKER).unlink()
    _sync(state_dir)


def _take_back(state_dir: Path) -> bool:
    """Undo a restore that was interrupted; whether there was one. May be interrupted itself."""
    try:
        exchange = _Exchange.model_validate_json((state_dir / MARKER).read_text())
    except FileNotFoundError:
        return False
    aside = state_dir / exchange.aside
    for name in exchange.coming:
        if name not in exchange.present:
            (state_dir / name).unlink(missing_ok=True)
    for part in exchange.present:
        if (aside / part).exists():
            (aside / part).rename(state_dir / part)
    _end(state_dir, exchange)
    for left in (aside, state_dir / exchange.folder):
        shutil.rmtree(left, ignore_errors=True)
    return True


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
