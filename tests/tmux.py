"""A terminal that people really use: tmux with a server of its own, keys sent to it and its pane read."""

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import pytest

PROGRAM = shutil.which("tmux")
SECONDS = 120.0
LOOK_SECONDS = 0.1

needs_tmux = pytest.mark.skipif(PROGRAM is None, reason="tmux is not installed")


class Tmux:
    """One session with one pane, ended at the end; `keep` is where captured panes go."""

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        *,
        keep: Path,
        size: tuple[int, int] = (100, 30),
    ) -> None:
        self._socket = keep / "tmux.sock"
        self._keep = keep
        # An account for services has no shell, and tmux runs everything by the account's.
        self._environment = {**environment, "TERM": "xterm-256color", "SHELL": "/bin/sh"}
        width, height = size
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "-c", str(directory),
                   "--", *command)  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([str(PROGRAM), "-S", str(self._socket), "kill-server"], check=False, capture_output=True)

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self._tmux("send-keys", "-l", "--", text)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: `Enter`, `Escape`, `C-p`."""
        self._tmux("send-keys", *keys)

    def line(self, text: str) -> None:
        """Type a line and end it."""
        self.type(text)
        self.press("Enter")

    @property
    def pane(self) -> str:
        """What is seen."""
        return self._tmux("capture-pane", "-p")

    def reads(self, text: str, seconds: float = SECONDS) -> str:
        """The pane, once it shows a text."""
        deadline = time.monotonic() + seconds
        while text not in (seen := self.pane):
            assert time.monotonic() < deadline, f"not shown: {text!r}; but:\n{seen}"
            time.sleep(LOOK_SECONDS)
        return seen

    def lacks(self, text: str, seconds: float = SECONDS) -> None:
        """Wait until the pane does not show a text any more."""
        deadline = time.monotonic() + seconds
        while text in (seen := self.pane):
            assert time.monotonic() < deadline, f"still shown: {text!r}:\n{seen}"
            time.sleep(LOOK_SECONDS)

    def capture(self, name: str) -> None:
        """Keep the pane, for a person to look at."""
        (self._keep / f"{name}.txt").write_text(self.pane)

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(PROGRAM), "-S", str(self._socket), *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
