"""What a daemon that was killed has left lying about, taken away by the next one before it begins anything.

A run is settled first and cleared away afterwards, so a daemon that dies in between leaves files that no run needs.
Nothing of a run that is still live is touched: its files belong to whoever takes it up.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Container, Iterator
from pathlib import Path
from uuid import UUID

import structlog

from runtime.packages.removal import remove_tree
from runtime.sandbox.identity import identify, send_signal
from runtime.sandbox.network import NetworkHolders
from runtime.store import runs, workspaces
from runtime.store.database import Database

log = structlog.get_logger()

_SANDBOX = "bwrap"


async def sweep_leftovers(database: Database, state_dir: Path, network: NetworkHolders) -> None:
    """Remove the sandboxes, working copies, logs and networks that belong to no live run; call before any run begins.

    A sandbox without a live run is there only where the database has been put back to an earlier state.
    """
    async with database.read() as connection:
        live = {run.id for run in await runs.active_runs(connection)}
        known = {workspace.id for workspace in await workspaces.all_workspaces(connection)}
    ended = await asyncio.to_thread(_end_sandboxes, state_dir / "runs", live)
    removed = await asyncio.to_thread(_remove_files, state_dir, live)
    await network.sweep(live | known)
    if ended or removed:
        log.info("took away what an earlier daemon left", action="leftovers.sweep", sandboxes=ended, files=removed)


def _end_sandboxes(runs_dir: Path, live: Container[UUID]) -> int:
    """Kill every sandbox whose working copy is that of a run which is not live; returns how many processes."""
    ended = 0
    for pid, run_id in _sandboxes(f"{runs_dir}/"):
        if run_id not in live and (process := identify(pid)) is not None:
            ended += send_signal(process, signal.SIGKILL)
    return ended


def _sandboxes(place: str) -> Iterator[tuple[int, UUID]]:
    """The bubblewrap processes of this user that show something below `place`, with the run they show it to."""
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            if directory.stat().st_uid != os.geteuid() or (directory / "comm").read_text().strip() != _SANDBOX:
                continue
            words = (directory / "cmdline").read_text(errors="replace").split("\0")
            shown = next((word for word in words if word.startswith(place)), None)
            if shown is not None:
                yield int(directory.name), UUID(shown.removeprefix(place).partition("/")[0])


def _remove_files(state_dir: Path, live: Container[UUID]) -> int:
    """Working copies, logs and status files of runs that are not live; returns how many there were."""
    removed = 0
    for path in [*(state_dir / "runs").glob("*"), *(state_dir / "live").glob("*")]:
        with contextlib.suppress(ValueError):
            if UUID(path.stem) not in live:
                removed += _remove(path)
    return removed


def _remove(path: Path) -> bool:
    try:
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        # A daemon that would not start for the sake of rubbish helps nobody.
        log.warning("a leftover cannot be removed", action="leftovers.sweep", path=str(path), error=error.strerror)
        return False
    return True
