"""Our command line as a process of its own, at home alone."""

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from tests.processes import Ended, plain_environment, run

COMMAND = (sys.executable, "-c", "from cli.main import main; main()")


@dataclass(frozen=True)
class OurCli:
    """One person with a home directory, in one directory, who talks to one daemon.

    `virtualenv` is the active one: where the workspace's dlt is found.
    """

    url: str
    home: Path
    directory: Path
    virtualenv: Path | None = None

    def __call__(self, *arguments: str, seconds: float = 120.0) -> Ended:
        """Run `dlt-runtime ARGUMENTS` to its end, without a terminal."""
        return run(self.argv(*arguments), cwd=self.directory, environment=self.environment, seconds=seconds)

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command and leave it running, its output to be read."""
        return subprocess.Popen(
            # Whoever runs the tests in the background has SIGINT ignored, and that is inherited.
            ["env", "--default-signal=INT", *self.argv(*arguments)],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def argv(self, *arguments: str) -> Sequence[str]:
        return [*COMMAND, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        active = {"VIRTUAL_ENV": str(self.virtualenv)} if self.virtualenv else {}
        return plain_environment(HOME=str(self.home), DLT_RUNTIME_URL=self.url, **active)


def connected_workspace(directory: Path) -> UUID:
    """The workspace that a client has written down in `.dlt/config.toml`."""
    table = tomllib.loads((directory / ".dlt" / "config.toml").read_text())["runtime"]
    return UUID(table["workspace_id"])
