"""What a power cut does to the state of a daemon, as far as that can be done without one.

The kernel's name for the boot cannot be changed by a test. The product only ever asks whether a name it has written
down is the present one, so here what was written down is given another: the next daemon takes it for an earlier boot.
"""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from runtime.sandbox.identity import boot_id
from tests.processes import DaemonProcess, wait_for

EARLIER_BOOT = "00000000-1111-2222-3333-444444444444"


def end_everything(daemon: DaemonProcess) -> None:
    """As the machine does when its power goes: the daemon, the sandboxes and the networks end at one moment."""
    daemon.kill()
    daemon.end_what_is_left()
    wait_for(lambda: not daemon.left_behind(), "nothing runs any more")


def start_on_the_next_boot(daemon: DaemonProcess) -> None:
    """Start it when all that is recorded of processes is of an earlier boot."""
    state = daemon.state
    for path in (*(state / "network").glob("*.json"), state / "cache" / "packages" / ".boot"):
        with suppress(FileNotFoundError):
            path.write_text(path.read_text().replace(boot_id(), EARLIER_BOOT))
    with closing(sqlite3.connect(state / "runtime.db")) as connection:
        connection.execute("UPDATE live_runs SET boot_id = ? WHERE boot_id IS NOT NULL", (EARLIER_BOOT,))
        connection.commit()
        daemon.start()  # before this connection is closed, which would take the write-ahead log away


def lose_unsynced_files(state: Path, keep: float) -> None:
    """Let only a part of each live run's log have reached the disk, and nothing of its status.

    Args:
        keep: Which part, 0 to 1. The database is whole: each of its commits is synced.
    """
    for log in (state / "live").glob("*.log"):
        os.truncate(log, int(log.stat().st_size * keep))
    for status in (state / "live").glob("*.status"):
        status.unlink()
