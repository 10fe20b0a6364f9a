"""The page that waits for an app, in a real browser, when its stream of events ends or is refused."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from runtime.domain.apps import App
from runtime.domain.logs import LogLine
from runtime.domain.runs import Run
from runtime.errors import UnavailableError
from tests.chromium import Chromium, chromium, needs_chromium
from tests.factories import NOW
from tests.plain_app import plain_app
from tests.proxied import SECRET, FakeApps, FakeRuns, Proxied, on_uvloop, proxied

pytestmark = needs_chromium

PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<p>The app.</p>"
LOG = "document.getElementById('lines')?.textContent"
HASTY = "const wait = window.setTimeout; window.setTimeout = (work, milliseconds) => wait(work, milliseconds / 50);"


def line(text: str) -> LogLine:
    return LogLine(line_num=0, phase="setup", content=text, reported_at=NOW)


class BreakingRuns(FakeRuns):
    """A log whose first stream ends after a line, as where the daemon ends."""

    def __init__(self) -> None:
        super().__init__()
        self.streams = 0

    async def follow(self, run_id: UUID) -> AsyncIterator[list[LogLine]]:
        self.streams += 1
        yield [line("builds the environment")]
        if self.streams == 1:
            raise UnavailableError("the daemon ends")
        yield [line("imports the app")]
        await self.ended.wait()


def refuse_second_stream(apps: FakeApps) -> None:
    """For a reason that passes."""
    latest, asked = apps.latest, itertools.count(1)

    async def refusing(app: App) -> Run | None:
        if next(asked) == 2:
            raise UnavailableError("the database is busy")
        return await latest(app)

    apps.latest = refusing  # type: ignore[method-assign]


@contextmanager
def waiting(proxy: Proxied, folder: Path) -> Iterator[Chromium]:
    """A browser that waits for the app."""
    with chromium(folder) as browser:
        browser.before_pages(HASTY)
        browser.open(f"http://127.0.0.1:{proxy.port}/public/{SECRET}/")
        browser.wait_for_text("board is starting")
        yield browser


@on_uvloop
async def test_the_log_is_there_once_however_often_its_stream_begins(tmp_path: Path) -> None:
    async with plain_app(PAGE) as app, proxied(app.port, tmp_path) as proxy:
        proxy.apps.is_running = False
        proxy.runs.follow = BreakingRuns().follow  # type: ignore[method-assign]

        def look() -> str:
            with waiting(proxy, tmp_path) as browser:
                browser.wait_for(f"{LOG}.includes('imports')", "the second stream")
                return str(browser.evaluate(LOG))

        assert await asyncio.to_thread(look) == "builds the environment\nimports the app\n"


@on_uvloop
async def test_a_page_whose_stream_was_refused_for_a_while_shows_the_app_all_the_same(tmp_path: Path) -> None:
    async with plain_app(PAGE) as app, proxied(app.port, tmp_path) as proxy:
        proxy.apps.is_running = False
        proxy.runs.follow = BreakingRuns().follow  # type: ignore[method-assign]
        refuse_second_stream(proxy.apps)

        def look() -> None:
            with waiting(proxy, tmp_path) as browser:
                browser.wait_for(f"{LOG}.includes('imports')", "the stream after the refused one")
                proxy.apps.is_running = True
                browser.wait_for_text("The app.")

        await asyncio.to_thread(look)
        assert proxy.apps.woken == 1


@on_uvloop
async def test_a_page_whose_visitor_has_lost_access_says_so(tmp_path: Path) -> None:
    async with plain_app(PAGE) as app, proxied(app.port, tmp_path) as proxy:
        proxy.apps.is_running = False
        loop = asyncio.get_running_loop()

        def look() -> None:
            with waiting(proxy, tmp_path) as browser:
                browser.wait_for(LOG, "the log")
                loop.call_soon_threadsafe(proxy.visits.revoke)
                browser.wait_for_text("This link has ended")

        await asyncio.to_thread(look)
