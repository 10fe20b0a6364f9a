"""Two people who play the same steps, one at a terminal and one without; what each step said, ended with and did."""

import json
import os
import pty
import re
import select
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self, TextIO

from runtime.wire.admin_client import AdminClient
from tests.deployed_workspace import DeployedWorkspace
from tests.official_client import OfficialClient
from tests.our_cli import connected_workspace

SERVER = Path(__file__).parents[1] / "resources" / "client_server.py"
STEP_SECONDS = 150.0
TERMINAL, MACHINE = "terminal", "--non-interactive"
MODES = (TERMINAL, MACHINE)

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class ClientProcess:
    """The public client, imported once in a person's directory and environment; forks for each command."""

    def __init__(self, client: OfficialClient, environment: dict[str, str]) -> None:
        self._channel, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [f"{client.virtualenv}/bin/python", str(SERVER), str(theirs.fileno())],
            cwd=client.directory,
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self._answers = self._channel.makefile("r")

    def begin(self, words: Sequence[str], *, at_terminal: bool) -> "Command":
        """Start a command, the words after `dlt`."""
        if at_terminal:
            ours, theirs = pty.openpty()
            given = [theirs, theirs, theirs]
        else:
            ours, theirs = os.pipe()
            given = [os.open(os.devnull, os.O_RDONLY), theirs, theirs]
        socket.send_fds(self._channel, [json.dumps(list(words)).encode()], given)
        for descriptor in set(given):
            os.close(descriptor)
        return Command(ours, self._answers)

    def close(self) -> None:
        """End it, and whatever command is still there."""
        self._answers.close()
        self._channel.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Command:
    """A running command: what it has said so far, and somebody who types."""

    def __init__(self, descriptor: int, answers: TextIO) -> None:
        self._descriptor = descriptor
        self._answers = answers
        self._pid = int(answers.readline())
        self._deadline = time.monotonic() + STEP_SECONDS
        self._shown = b""
        self._answered = 0

    def read_until(self, text: str) -> str:
        """All it has said, once there is `text` in what came after the text waited for before."""
        while (at := self.shown.find(text, self._answered)) < 0:
            if not self._read():
                raise AssertionError(f"it ended and never showed {text!r}; it said:\n{self.shown}")
        self._answered = at + len(text)
        return self.shown

    def type(self, text: str) -> None:
        """A line, as if typed."""
        os.write(self._descriptor, f"{text}\n".encode())

    def end(self) -> int:
        """Its exit status, once it has ended by itself."""
        while self._read():
            pass
        os.close(self._descriptor)
        return int(self._answers.readline())

    def kill(self) -> None:
        """End it."""
        os.kill(self._pid, signal.SIGKILL)
        os.close(self._descriptor)
        self._answers.readline()

    @property
    def shown(self) -> str:
        text = self._shown.decode(errors="replace").replace("\r\n", "\n")
        return _COLOURS.sub("", text)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, self._deadline - time.monotonic()))
        if not ready:
            raise AssertionError(f"it did not end within {STEP_SECONDS:g} s; it said:\n{self.shown}")
        try:
            read = os.read(self._descriptor, 1 << 16)
        except OSError:  # how a pseudo-terminal says that the other side is gone
            return False
        self._shown += read
        return bool(read)


@dataclass
class Person:
    """One who plays; `names` are what earlier steps have found out, for the words of later ones."""

    mode: str
    client: OfficialClient
    email: str
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names["email"] = self.email
        self.names["mode"] = self.mode.strip("-")
        opener = self.client.home / "open-browser"
        opener.write_text(f'#!/bin/sh\necho "$1" >> {self.client.home}/visited\n')
        opener.chmod(0o755)
        environment = {**self.client.environment, "BROWSER": f"{opener} %s", "COLUMNS": "300"}
        self.process = ClientProcess(self.client, environment)

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient(self.client.daemon.client.connection)

    @property
    def at_terminal(self) -> bool:
        return self.mode == TERMINAL

    @property
    def workspace(self) -> DeployedWorkspace:
        """The one that the directory is connected to."""
        return DeployedWorkspace(self.client.daemon, connected_workspace(self.client.directory))

    @property
    def visited(self) -> list[str]:
        """What the client has opened in a browser."""
        path = self.client.home / "visited"
        return path.read_text().splitlines() if path.exists() else []


Act = Callable[[Person], None]
Look = Callable[[Person, str], None]


@dataclass(frozen=True)
class Answer:
    """Once a text is shown, a line is typed or something is done."""

    to: str
    line: str | None = None
    act: Look | None = None


@dataclass(frozen=True)
class Step:
    """One command, what is to be seen and what must have come of it.

    Args:
        words: After `dlt runtime`; `{name}` stands for something an earlier step has found out.
        says: Each of these is in what it shows; `{name}` as in the words.
        never: None of these is.
        status: The exit status.
        before: Done before the command.
        talk: What goes on while the command runs.
        effect: Looks, with what was said, whether the command has done what it should.
        mode: If only one of the two plays it.
        options: Before `runtime`.
    """

    words: str
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    status: int = 0
    before: Act | None = None
    talk: tuple[Answer, ...] = ()
    effect: Look | None = None
    mode: str | None = None
    options: str = ""

    @property
    def command(self) -> str:
        return f"dlt {self.options} runtime {self.words}".replace("  ", " ").strip()

    def modes(self) -> tuple[str, ...]:
        return (self.mode,) if self.mode else MODES

    def play(self, person: Person) -> None:
        """Play it; raises what went wrong."""
        if self.before:
            self.before(person)
        switch = [] if person.at_terminal else [MACHINE]
        words = shlex.split(self.words.format_map(person.names))
        argv = [*switch, *self.options.split(), "runtime", *words]
        command = person.process.begin(argv, at_terminal=person.at_terminal)
        try:
            for answer in self.talk:
                shown = command.read_until(answer.to.format_map(person.names))
                if answer.line is not None:
                    command.type(answer.line.format_map(person.names))
                if answer.act:
                    answer.act(person, shown)
            status = command.end()
        except BaseException:
            command.kill()
            raise
        said = command.shown
        assert status == self.status, f"it ended with {status}, not {self.status}, and said:\n{said}"
        for text in self.says:
            assert text.format_map(person.names) in said, f"{text!r} is not in:\n{said}"
        for text in self.never:
            assert text.format_map(person.names) not in said, f"{text!r} is in:\n{said}"
        if self.effect:
            self.effect(person, said)


@dataclass(frozen=True)
class Outcome:
    """How a step went for one of the two."""

    error: BaseException | None
    seconds: float


class Played(dict[tuple[int, str], Outcome]):
    """The outcome of each step (its number) for each person (the mode)."""

    def play(self, person: Person, steps: Iterable[tuple[int, Step]]) -> Self:
        """Play a person's steps in order, whatever becomes of each."""
        for number, step in steps:
            if person.mode not in step.modes():
                continue
            began = time.monotonic()
            error: BaseException | None = None
            try:
                step.play(person)
            except BaseException as caught:  # a failed assertion of pytest's is no Exception
                error = caught
            self[number, person.mode] = Outcome(error, time.monotonic() - began)
        return self
