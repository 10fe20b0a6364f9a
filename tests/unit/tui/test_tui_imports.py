"""Starting the interface costs what its first screen needs, and nothing of the daemon."""

import subprocess
import sys

from tests.processes import REPOSITORY, plain_environment

LATER = (
    "tui.screens.overview",
    "tui.screens.jobs",
    "tui.screens.run",
    "tui.screens.settings",
    "textual_plotext",
    "plotext",
    "litestar",
    "aiosqlite",
    "runtime.store",
    "runtime.dispatch",
)


def test_screens_and_the_daemon_are_not_imported_with_the_application() -> None:
    """Each screen is imported when it is first looked at."""
    program = f"import sys, tui.app; print([name for name in {LATER!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, env=plain_environment(), capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
