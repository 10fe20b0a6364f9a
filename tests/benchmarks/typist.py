"""A program in a pseudo-terminal, and how long it takes from a key until the terminal has been told its effect."""

import os
import re
import select
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.terminal import Terminal

SECONDS = 120.0
QUIET_SECONDS = 0.03
_STEERING = re.compile(r"\x1b(?:\[[0-9;?<=>]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78])|\x1b\][^\x07]*\x07")

DOWN, UP, PAGE_DOWN, PAGE_UP = b"\x1b[B", b"\x1b[A", b"\x1b[6~", b"\x1b[5~"


class Typist(Terminal):
    """One program, ended at the end; what it draws is read as it comes, without what steers the terminal."""

    def __init__(self, argv: Sequence[str], directory: Path, environment: Mapping[str, str]) -> None:
        super().__init__(argv, directory, environment, "xterm-256color", (140, 40))

    @property
    def processor_seconds(self) -> float:
        """What the program has computed so far, which does not depend on who else does."""
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def press(self, key: bytes, is_seen: Callable[[str], bool]) -> float:
        """Seconds from a key, once the terminal is quiet, until what was drawn since then shows its effect."""
        self.drain()
        began = time.perf_counter()
        os.write(self._ours, key)
        self.wait_until(is_seen)
        return time.perf_counter() - began

    def wait_until(self, is_seen: Callable[[str], bool]) -> None:
        """Read until what has come since shows something."""
        raw, deadline = b"", time.monotonic() + SECONDS
        while not is_seen(shown := _STEERING.sub("", raw.decode(errors="ignore"))):
            ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"not shown within {SECONDS:g} s; but: {shown[-2000:]}"
            raw += os.read(self._ours, 1 << 16)

    def drain(self) -> None:
        """Take what comes by itself, until there is a pause."""
        while select.select([self._ours], [], [], QUIET_SECONDS)[0]:
            os.read(self._ours, 1 << 16)
