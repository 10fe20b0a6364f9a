"""The processes behind the console's pages: a sandbox for each browser session that looks, for as long as it does.

In a sandbox runs a server, which starts a process for each page. It listens nowhere: for every connection the daemon
makes a pair of sockets and passes one end inside, over a channel that is inherited. So nobody else can connect to it,
and there is no address to guard.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import structlog

from runtime.console.sandbox import console_command, console_policy
from runtime.dispatch.console_keys import ConsoleKeys
from runtime.domain.machines import Machine
from runtime.errors import JobRuntimeError, UnauthenticatedError, UnavailableError
from runtime.proxy.connections import Connections
from runtime.sandbox.confinement import Confinement
from runtime.sandbox.process import run_in_sandbox
from runtime.sandbox.system_mounts import system_view

MOST_PAGES = 16
MOST_PAGES_OF_A_PERSON = 4
"""A page takes about as much memory as `dlt-runtime tui` does, 80 MB."""
CONSOLE_MACHINE = Machine(name="console", memory=1536 * 1024 * 1024, cpus=2, tasks=256)
"""What a session's pages may use together."""
LOOK_AGAIN_SECONDS = 0.9
IDLE_SECONDS = 30.0
"""So long a sandbox without a page is kept, for a page that is loaded again."""
_MOST_LINES = 50
_BOX = tuple("╭│╰")

log = structlog.get_logger()


class Host:
    """One session's sandbox."""

    def __init__(self, user_id: UUID) -> None:
        self.user_id = user_id
        self.pages = 0
        """Open ones."""
        self.connections = Connections(self._connect)
        self.channel, self.far_channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.channel.setblocking(False)
        self.running: asyncio.Task[None] | None = None
        self.resting: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Let go of everything; connections break off."""
        self.connections.close()
        self.channel.close()
        self.far_channel.close()
        if self.resting is not None:
            self.resting.cancel()

    async def _connect(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            try:
                socket.send_fds(self.channel, [b"+"], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        return ours


class ConsoleHosts:
    """Starts sandboxes when a page needs one, and ends them.

    Args:
        system_files: The directory with the sandboxes' `/etc`.
        api_socket: Where the console's own socket of the API is.
        confinement: What one sandbox may use.
    """

    def __init__(self, keys: ConsoleKeys, system_files: Path, api_socket: Path, confinement: Confinement) -> None:
        self._keys = keys
        self._system_files = system_files
        self.api_socket = api_socket
        self._confinement = confinement
        self._hosts: dict[str, Host] = {}

    @contextmanager
    def page(self, session_secret: str, user_id: UUID) -> Iterator[Host]:
        """The sandbox for one more page of a session, until the page is closed.

        Raises:
            UnavailableError: there are too many pages.
        """
        hosts = self._hosts.values()
        if sum(host.pages for host in hosts if host.user_id == user_id) >= MOST_PAGES_OF_A_PERSON:
            raise UnavailableError("you have too many pages of the console open", code="console_pages")
        if sum(host.pages for host in hosts) >= MOST_PAGES:
            raise UnavailableError("too many pages of the console are open", code="console_pages")
        host = self._hosts.get(session_secret) or self._start(session_secret, user_id)
        host.pages += 1
        if host.resting is not None:
            host.resting.cancel()
        try:
            yield host
        finally:
            host.pages -= 1
            if not host.pages and self._hosts.get(session_secret) is host:
                host.resting = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.end, session_secret)

    def present(self, session_secret: str) -> Host | None:
        """The sandbox of a session that has one."""
        return self._hosts.get(session_secret)

    def end(self, session_secret: str) -> None:
        """End the sandbox of a session, and its pages with it."""
        host = self._hosts.pop(session_secret, None)
        if host is not None and host.running is not None:
            host.running.cancel()

    async def close(self) -> None:
        """End all of them, and wait until they have ended."""
        running = [host.running for host in self._hosts.values() if host.running is not None]
        for session_secret in list(self._hosts):
            self.end(session_secret)
        await asyncio.gather(*running, return_exceptions=True)

    def _start(self, session_secret: str, user_id: UUID) -> Host:
        host = self._hosts[session_secret] = Host(user_id)
        host.running = asyncio.create_task(self._run(session_secret, host))
        host.running.add_done_callback(lambda _: host.close())  # it may be cancelled before it begins
        return host

    async def _run(self, session_secret: str, host: Host) -> None:
        key = self._keys.issue(session_secret)
        watching = asyncio.create_task(self._watch(session_secret, key))
        log.info("The console for a session", action="console.start", user_id=str(host.user_id))
        try:
            system = await asyncio.to_thread(system_view, self._system_files, Path(sys.base_prefix))
            inside = host.far_channel.fileno()
            status = await run_in_sandbox(
                console_policy(system, self.api_socket, key, os.environ),
                console_command(inside),
                confinement=self._confinement,
                pass_fds=(inside,),
                on_line=_Said(),
                timeout_seconds=None,
            )
            log.warning("The console has ended by itself", action="console.end", status=status)
        except JobRuntimeError as error:
            log.error(error.message, action="console.start", code=error.code, hint=error.hint)  # noqa: TRY400
        finally:
            watching.cancel()
            self._keys.revoke(key)
            if self._hosts.get(session_secret) is host:
                del self._hosts[session_secret]

    async def _watch(self, session_secret: str, key: str) -> None:
        """End the sandbox when its session has ended."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            try:
                await self._keys.principal(key)
            except UnauthenticatedError:
                self.end(session_secret)
                return
            except JobRuntimeError as error:  # nothing is known of it; the next look tells
                log.warning(error.message, action="console.watch", code=error.code)


class _Said:
    """Notes what a sandbox says, which is about mistakes in it, as far as there is an end to it.

    Of a traceback as Textual draws it, only the error itself: in the box around it are the values of variables.
    """

    def __init__(self) -> None:
        self._lines = 0

    def __call__(self, line: str) -> None:
        if line[:1] in _BOX:
            return
        self._lines += 1
        if self._lines <= _MOST_LINES:
            log.warning("The console says", action="console.output", line=line)
