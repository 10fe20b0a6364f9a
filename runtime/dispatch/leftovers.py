"""What a daemon that was killed has left lying about, taken away by the next one before it begins anything.

Builds and the console's pages end with the daemon, but bubblewrap sees to that only some milliseconds after it has been
started. A sandbox that was prepared and not recorded yet ends by itself, unless it stands still.

A run is settled first and cleared away afterwards, so a daemon that dies in between leaves files that no run needs.
No file of a live run is touched, nor the sandbox of one that has begun: they belong to whoever takes it up.
"""

import asyncio
import contextlib
import os
from collections.abc import Container
from pathlib import Path
from uuid import UUID

import structlog

from runtime.packages.removal import remove_tree
from runtime.sandbox.detached import kill_all
from runtime.sandbox.identity import ProcessIdentity, identify
from runtime.sandbox.network import NetworkHolders
from runtime.store import runs, workspaces
from runtime.store.database import Database

log = structlog.get_logger()

_SANDBOX = "bwrap"
_PLACES = ("runs", "cache/uv", "tmp")
"""What sandboxes of runs, of builds and of the console show, below the state directory."""
_END_SECONDS = 5.0
"""For the ends of killed processes; a daemon that would not start for the sake of rubbish helps nobody."""


async def sweep_leftovers(database: Database, state_dir: Path, network: NetworkHolders) -> None:
    """Remove the sandboxes, working copies, logs and networks that belong to no live run; call before all else begins.

    A sandbox of a run that is not live is there only where the database has been put back to an earlier state.
    """
    async with database.read() as connection:
        live = {run.id for run in await runs.active_runs(connection)}
        begun = await runs.begun_runs(connection)
        known = {workspace.id for workspace in await workspaces.all_workspaces(connection)}
    ended = await asyncio.to_thread(_sandboxes, state_dir, begun)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            await kill_all(ended)
    removed = await asyncio.to_thread(_remove_files, state_dir, live)
    await network.sweep(live | known)
    if ended or removed:
        log.info("took away what an earlier daemon left", action="leftovers.sweep", sandboxes=len(ended), files=removed)


def _sandboxes(state_dir: Path, begun: Container[UUID]) -> list[ProcessIdentity]:
    """The bubblewrap processes of this user for builds, pages of the console, and runs whose process is not recorded.

    Each shows something below one of `_PLACES`, which nobody else shows.
    """
    places = tuple(f"{state_dir / place}/" for place in _PLACES)
    runs_dir = places[0]
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            if directory.stat().st_uid != os.geteuid() or (directory / "comm").read_text().strip() != _SANDBOX:
                continue
            words = (directory / "cmdline").read_text(errors="replace").split("\0")
            shown = next((word for word in words if word.startswith(places)), None)
            if shown is None:
                continue
            if shown.startswith(runs_dir) and UUID(shown.removeprefix(runs_dir).partition("/")[0]) in begun:
                continue
            if (process := identify(int(directory.name))) is not None:
                found.append(process)
    return found


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
