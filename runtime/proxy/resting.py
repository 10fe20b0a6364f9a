"""An app that does not answer yet, or has failed: woken, waited for, or shown with the reason.

A person gets a page at once, which follows the log and comes back when there is something to see. A program's request
waits, since most programs have never heard of waiting pages. An app that has just failed is not started over and over
by everybody who looks: the page says why it failed and has a button.
"""

import asyncio
import json
from collections.abc import AsyncIterator

from runtime.dispatch.apps import App, AppService, Backend
from runtime.dispatch.runs import RunService
from runtime.dispatch.visits import Grant, VisitService
from runtime.domain.runs import Run
from runtime.errors import JobRuntimeError, NotFoundError, UnavailableError, sentence
from runtime.proxy.ahead import Ahead
from runtime.proxy.asgi import Receive, Scope, Send
from runtime.proxy.origins import is_visit
from runtime.proxy.pages import notice, page, redirect, wants_page
from runtime.proxy.places import OWN, Asked

RETRY_SECONDS = 5
_LAST_LINES = 40
_LOOK_AGAIN_SECONDS = 1.0
_KEEP_ALIVE_LOOKS = 15


class Resting:
    """Answers for apps that do not."""

    def __init__(
        self,
        apps: AppService,
        runs: RunService,
        visits: VisitService,
        wait_seconds: float,
    ) -> None:
        self._apps = apps
        self._runs = runs
        self._visits = visits
        self._wait_seconds = wait_seconds

    async def backend(self, scope: Scope, receive: Ahead, send: Send, asked: Asked, grant: Grant) -> Backend | None:
        """What answers for the app in the end; None if the request has been answered here, or nobody waits for it."""
        app = grant.app
        failed = await self._apps.failure(app)
        if failed is not None:
            await self._show_failure(scope, send, asked, grant, failed)
            return None
        if not is_visit(scope, grant.claim):
            await self._not_yet(scope, send, "It is not running; visit it to start it.")
            return None
        try:
            run = await self._apps.wake(app, grant.user_id)
        except JobRuntimeError as error:
            message = "It does not run at present." if grant.is_public else sentence(error.message)
            await notice(scope, send, 503, error.code, "This app cannot be started", message, _again())
            return None
        if wants_page(scope):
            await self._show_waiting(scope, send, asked, grant, run)
            return None
        backend = await self._wait(app, run, receive)
        if backend is None:
            ended = await self._apps.failure(app)
            if ended is not None:
                await self._show_failure(scope, send, asked, grant, ended)
            else:
                await self._not_yet(scope, send, "It is starting; try again in a moment.")
        return backend

    async def start(self, scope: Scope, send: Send, asked: Asked, grant: Grant) -> None:
        """The button of the failure page."""
        await self._apps.wake(grant.app, grant.user_id)
        await redirect(scope, send, 303, f"{asked.prefix}/")

    async def events(self, receive: Receive, send: Send, grant: Grant) -> None:
        """Server-sent events for the waiting page, until the app answers or its run has ended."""
        run = await self._apps.latest(grant.app)
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        gone = asyncio.create_task(_until_gone(receive))
        try:
            async for piece in self._pieces(grant, run):
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            gone.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pieces(self, grant: Grant, run: Run | None) -> AsyncIterator[bytes]:
        if run is None:
            yield _event("ended", "")
            return
        lines = self._runs.follow(run.id)
        upcoming = asyncio.ensure_future(anext(lines, None))
        looks = 0
        try:
            while True:
                changed = asyncio.ensure_future(self._visits.changed({grant.app.workspace_id}, _LOOK_AGAIN_SECONDS))
                await asyncio.wait((upcoming, changed), return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if await self._apps.backend(grant.app) is not None:
                    yield _event("ready", "")
                    return
                if not upcoming.done():
                    looks += 1
                    if looks % _KEEP_ALIVE_LOOKS == 0:
                        yield b": still here\n\n"
                    continue
                batch = upcoming.result()
                if batch is None:
                    cancelled = await self._apps.cancelled(grant.app)
                    # To load the page again would be a visit, which would undo what somebody has just done.
                    yield _event("cancelled", _stopped(cancelled)) if cancelled else _event("ended", "")
                    return
                if not grant.is_public:
                    yield b"".join(_event("line", line.content) for line in batch)
                upcoming = asyncio.ensure_future(anext(lines, None))
        except (UnavailableError, NotFoundError):
            return  # the daemon is about to end, or the run is gone: the page asks again
        finally:
            upcoming.cancel()
            await asyncio.wait((upcoming,))

    async def _wait(self, app: App, run: Run, receive: Ahead) -> Backend | None:
        answering = asyncio.create_task(self._until_it_answers(app, run))
        leaving = asyncio.create_task(receive.until_gone())
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            return answering.result() if answering.done() else None
        finally:
            answering.cancel()
            leaving.cancel()
            await asyncio.wait((answering, leaving))

    async def _until_it_answers(self, app: App, run: Run) -> Backend | None:
        deadline = asyncio.get_running_loop().time() + self._wait_seconds
        while asyncio.get_running_loop().time() < deadline:
            backend = await self._apps.backend(app)
            if backend is not None:
                return backend
            latest = await self._apps.latest(app)
            if latest is not None and latest.is_final and latest.number >= run.number:
                return None
            await self._visits.changed({app.workspace_id}, _LOOK_AGAIN_SECONDS)
        return await self._apps.backend(app)

    async def _show_waiting(self, scope: Scope, send: Send, asked: Asked, grant: Grant, run: Run) -> None:
        await page(
            scope,
            send,
            "waiting.html",
            503,
            _again(),
            label=grant.app.label,
            version=await self._apps.version_of(run),
            events_path=f"{asked.prefix}{OWN}log",
            shows_log=not grant.is_public,
            start_path=None if grant.is_public else f"{asked.prefix}{OWN}start",
        )

    async def _show_failure(self, scope: Scope, send: Send, asked: Asked, grant: Grant, run: Run) -> None:
        code, title = "app_failed", "This app has failed"
        if grant.is_public:
            await notice(scope, send, 503, code, title, "Whoever shared it can see why.", _again())
            return
        lines = await self._runs.last_lines(run.id, _LAST_LINES) if wants_page(scope) else ()
        await notice(
            scope,
            send,
            503,
            code,
            title,
            f"Run {run.number}: {run.reason or 'no reason is known'}.",
            _again(),
            version=await self._apps.version_of(run),
            lines=[line.content for line in lines],
            start_path=f"{asked.prefix}{OWN}start",
        )

    async def _not_yet(self, scope: Scope, send: Send, message: str) -> None:
        await notice(scope, send, 503, "app_not_running", "This app is not running", message, _again())


def _again() -> list[tuple[bytes, bytes]]:
    return [(b"retry-after", b"%d" % RETRY_SECONDS)]


def _event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _stopped(run: Run) -> str:
    return f"It was stopped before it answered: {run.reason or 'no reason is known'}."


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
