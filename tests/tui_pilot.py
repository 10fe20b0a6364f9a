"""The terminal interface before a served workspace, with somebody at its keys who waits for what they have done."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot

from cli.credentials import MachineToken
from runtime.wire.client import RuntimeClient
from runtime.wire.endpoint import parse_endpoint
from tests.console_store import END, LONG_LOG
from tests.served_estate import ServedEstate
from tui.app import RuntimeTui
from tui.place import Place
from tui.screens.run import RunScreen
from tui.widgets.log_view import LogView

SECONDS = 60.0
LOOK_SECONDS = 0.03


def tui_for(
    served: ServedEstate, *, token: str | None = None, is_light: bool = False, kind: type[RuntimeTui] = RuntimeTui
) -> RuntimeTui:
    """The interface, at the moment at which the workspace is looked at."""
    client = RuntimeClient(parse_endpoint(served.url), keeper=MachineToken(token or served.tenant.token))
    app = kind(Place(client, served.tenant.workspace_id, lambda: END), is_light=is_light)
    app.animation_level = "none"  # what slides looks different every time
    return app


class Person:
    """Presses keys and reads."""

    def __init__(self, app: RuntimeTui, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Type into the field that has the keys."""
        await self.pilot.press(*("space" if character == " " else character for character in text))

    async def until(self, look: Callable[[], Any], what: str) -> Any:
        """What `look` gives once it is something true; the test fails, with what is shown, if that takes too long."""
        try:
            async with asyncio.timeout(SECONDS):
                while not (seen := look()):
                    await self.pilot.pause(LOOK_SECONDS)
        except TimeoutError:
            raise AssertionError(
                f"not within {SECONDS:g} s: {what}; toasts {self.toasts}; shown:\n{self.shown}"
            ) from None
        return seen

    async def reads(self, text: str) -> None:
        """Wait until the screen shows a text."""
        await self.until(lambda: text in self.shown, f"`{text}` is shown")

    async def is_told(self, text: str) -> None:
        """Wait until a toast says a text."""
        await self.until(lambda: text in self.toasts, f"a toast says `{text}`")

    async def goes_to(self, key: str, text: str) -> None:
        """Change to a screen, and wait for what it shows."""
        await self.press(key)
        await self.reads(text)

    @property
    def shown(self) -> str:
        """The screen as text."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    @property
    def toasts(self) -> str:
        """What toasts say."""
        return " | ".join(f"{one.title} {one.message}" for one in self.app._notifications)


async def open_failed(person: Person) -> LogView:
    """Look at the run that failed after a long log."""
    run = next(run for run in person.app.estate.recent if run.status == "failed" and run.number == 21)
    person.app.push_screen(RunScreen(run.id))
    await person.reads("503 Server Error")
    view = person.app.screen.query_one("#lines", LogView)
    await person.until(lambda: view.total == LONG_LOG + 7, "the whole log is known")
    return view


@asynccontextmanager
async def sitting_at(app: RuntimeTui, size: tuple[int, int] = (120, 34)) -> AsyncIterator[Person]:
    """Sit down before it; it is loaded."""
    async with app.run_test(size=size) as pilot:
        person = Person(app, pilot)
        await person.until(lambda: app.estate.is_loaded, "the workspace is loaded")
        yield person
    app.place.client.close()
