"""Real processes for tests: a daemon as an ordinary user runs it, and commands, waited for and never left behind."""

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from runtime.wire.client import RuntimeClient
from runtime.wire.endpoint import socket_endpoint

T = TypeVar("T")

REPOSITORY = Path(__file__).parents[1]
START_SECONDS = 30.0
STOP_SECONDS = 20.0
LOOK_SECONDS = 0.02

_KEPT = ("PATH", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH")


def _obstacle() -> str:
    """Why jobs cannot run on this machine; empty if they can."""
    if os.geteuid() == 0:
        return "pasta does not work for root: run this as an ordinary user, as ./install.sh --test does"
    missing = [name for name in ("bwrap", "pasta", "nsenter") if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


needs_jobs = pytest.mark.skipif(bool(_obstacle()), reason=_obstacle() or "jobs can run here")
"""For tests whose daemon runs jobs."""


def wait_for(look: Callable[[], T | None], what: str, seconds: float = 60.0) -> T:
    """What `look` gives, once that is something true; fails, saying `what` did not happen, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(LOOK_SECONDS)
    return seen


def pids_with(text: str) -> list[int]:
    """The other processes in whose words a text stands."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if text in (directory / "cmdline").read_text(errors="replace") and int(directory.name) != os.getpid():
                found.append(int(directory.name))
    return found


def run_until_killed(code: str, *arguments: object) -> None:
    """Run code in a Python of its own, in which it dies of SIGKILL as a daemon may; fails if it does not."""
    argv = [sys.executable, "-c", code, *map(str, arguments)]
    assert subprocess.run(argv, env=plain_environment(), check=False).returncode == -signal.SIGKILL


def plain_environment(**variables: str) -> dict[str, str]:
    """An environment without the settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.lower().endswith("_proxy")}
    # The tests may run from a source tree that is not installed.
    return {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8", **kept, **variables}


@dataclass(frozen=True)
class Ended:
    """A command that has ended; `text` is all it said."""

    argv: Sequence[str]
    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    def expect(self, status: int = 0) -> "Ended":
        """Itself, if it ended with that status; otherwise the test fails with all it said."""
        if self.status != status:
            words = " ".join(self.argv[-6:])
            pytest.fail(f"`{words}` ended with {self.status}, not {status}\n{self.out}\n--- stderr\n{self.err}")
        return self


def run(argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str], seconds: float = 120.0) -> Ended:
    """Run a command without a terminal to its end; it fails the test by taking too long."""
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        said = b"".join(part for part in (late.stdout, late.stderr) if part).decode(errors="replace")
        pytest.fail(f"`{' '.join(argv[-6:])}` did not end within {seconds:g} s; it said:\n{said}")
    return Ended(argv, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


class DaemonProcess:
    """A daemon with a state directory of its own, which survives it; start, stop, kill and start it again.

    Args:
        folder: Made if missing; its path must be short enough for that of a socket.
        settings: By their names in the environment without the prefix: `AUTH__ACCESS_TOKEN_SECONDS`.
        prefix: A command that starts the daemon, `unshare ...` for one.
        environment: More variables of the daemon's process.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, object] | None = None,
        *,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.socket = folder / "api.sock"
        self.log_file = folder / "daemon.log"
        self.settings = dict(settings or {})
        self.prefix = tuple(prefix)
        self.environment = dict(environment or {})
        self.listen = ""
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.client = RuntimeClient(socket_endpoint(self.socket))
        """Through the socket, as an administrator."""

    @property
    def pid(self) -> int:
        """Of the daemon, or of what its prefix started."""
        if self._process is None:
            raise LookupError("the daemon is not running")
        return self._process.pid

    @property
    def url(self) -> str:
        """The TCP listener."""
        has_tls = "TLS__CERT" in self.settings or self.settings.get("TLS__SELF_SIGNED") == "always"
        return f"{'https' if has_tls else 'http'}://{self.listen}"

    @property
    def socket_url(self) -> str:
        """The Unix socket, as our command line wants it."""
        return f"unix://{self.socket}"

    def start(self) -> "DaemonProcess":
        """Start it and wait until it serves."""
        read_from = self.log_file.stat().st_size if self.log_file.exists() else 0
        given = {"STATE_DIR": self.state, "SOCKET": self.socket, "LISTEN": "127.0.0.1:0", "LOG_FORMAT": "json"}
        variables = {f"DLT_RUNTIME_{name}": str(value) for name, value in {**given, **self.settings}.items()}
        environment = plain_environment(HOME=str(self.folder), **variables, **self.environment)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "runtime"],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process = self._process

        def ready() -> str | None:
            if process.poll() is not None:
                self._process = None
                said = self.log_file.read_bytes()[read_from:].decode(errors="replace")
                raise DaemonEndedError(process.returncode, said)
            events = self.events(read_from)
            return next((str(event["listen"]) for event in events if event.get("action") == "daemon.ready"), None)

        self.listen = wait_for(ready, "the daemon serves", START_SECONDS)
        return self

    def events(self, read_from: int = 0) -> Iterator[dict[str, Any]]:
        """What it has logged."""
        for line in self.log_file.read_bytes()[read_from:].splitlines():
            with contextlib.suppress(ValueError):
                yield json.loads(line)

    def stop(self) -> int:
        """SIGTERM, as systemd stops it; returns its exit status. Runs go on."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL: it gets no chance to do anything. Runs go on."""
        return self._end(signal.SIGKILL)

    def restart(self) -> "DaemonProcess":
        """Stop and start."""
        self.stop()
        return self.start()

    def left_behind(self) -> list[int]:
        """Pids of what belongs to this state directory besides the daemon: sandboxes, networks."""
        kept = [pid for pid, words in _commands() if str(self.state) in words and pid != self._own_pid]
        for record in (self.state / "network").glob("*.json"):
            holder = json.loads(record.read_bytes())
            kept += [pid for part in ("relay", "sleeper") if Path(f"/proc/{(pid := holder[part]['pid'])}").exists()]
        return kept

    def close(self) -> None:
        """Stop it and everything it has left behind."""
        self.client.close()
        try:
            if self._process is not None:
                self.stop()
        finally:
            self.end_what_is_left()

    def end_what_is_left(self) -> None:
        """End the sandboxes and networks that have outlived the daemon."""
        for _ in itertools.repeat(None, 3):  # a sandbox's end may still start something
            for pid in self.left_behind():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)

    @property
    def _own_pid(self) -> int | None:
        return self._process.pid if self._process else None

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            raise LookupError("the daemon is not running")
        process, self._process = self._process, None
        if self.prefix:
            # Its whole group: the daemon is a child of what was started, and whatever else that has started ends too.
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"the daemon did not end within {STOP_SECONDS:g} s of {number.name}")
        if self.prefix:
            wait_for(lambda: not _is_group(process.pid), "its children end", STOP_SECONDS)
        return status


class DaemonEndedError(Exception):
    """The daemon ended instead of serving."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"the daemon ended with {status}:\n{said}")
        self.status = status


def _is_group(number: int) -> bool:
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


def _commands() -> Iterator[tuple[int, str]]:
    """Every process of this user that can be looked at, with the words that started it."""
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if directory.stat().st_uid == os.geteuid():
                yield int(directory.name), (directory / "cmdline").read_text(errors="replace").replace("\0", " ")
