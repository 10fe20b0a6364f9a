"""A command at a terminal, and somebody who reads and types."""

import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

SECONDS = 60.0


class Terminal:
    """A command with a pseudo-terminal of its own, ended at the end."""

    def __init__(
        self,
        argv: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        kind: str = "dumb",
        size: tuple[int, int] = (80, 24),
    ) -> None:
        self._ours, theirs = pty.openpty()
        columns, rows = size
        termios.tcsetwinsize(theirs, (rows, columns))
        self._process = subprocess.Popen(
            argv,
            cwd=directory,
            env={**environment, "TERM": kind},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def read_until(self, text: str) -> str:
        """All that is shown up to a text, which must come."""
        shown, deadline = "", time.monotonic() + SECONDS
        while text not in shown:
            ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"not shown: {text!r}; but: {shown}"
            shown += os.read(self._ours, 1 << 16).decode(errors="replace")
        return shown

    def type(self, text: str) -> None:
        """Type, a newline ends a line."""
        os.write(self._ours, text.encode())

    def wait(self) -> int:
        """The exit status."""
        return self._process.wait(SECONDS)
