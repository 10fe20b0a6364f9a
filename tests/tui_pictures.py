"""Pictures of each screen. `python -m tests.tui_pictures FOLDER` writes those of the documentation."""

import asyncio
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

import tui.app
from tests.console_store import serve_console
from tests.served_estate import ADMINISTRATOR, ServedEstate
from tests.tui_pilot import Person, sitting_at, tui_for
from tui.app import RuntimeTui
from tui.screens.prompts import Tell

KEYS: dict[str, tuple[str, ...]] = {
    "overview": (),
    "jobs": ("2",),
    "job": ("2", "enter"),
    "job-runs": ("2", "enter", "r"),
    "job-intervals": ("2", "z", "slash", *"anna", "full_stop", *"load", "enter", "enter", "i"),
    "job-versions": ("2", "enter", "v"),
    "runs": ("3",),
    "timeline": ("3", "g"),
    "run": ("3", "s", "s", "enter"),
    "run-details": ("3", "s", "s", "enter", "d"),
    "run-related": ("3", "s", "s", "enter", "d", "d"),
    "versions": ("4",),
    "configuration": ("4", "d"),
    "diff": ("4", "enter", "down", "down", "enter"),
    "data": ("5",),
    "tables": ("5", "d", "d", "d", "down", "down", "down", "enter"),
    "loads": ("5", "d"),
    "lineage": ("5", "d", "d"),
    "workspaces": ("6",),
    "settings": ("6", "d"),
    "tokens": ("6", "d", "d"),
    "hooks": ("6", "d", "d", "d"),
    "notified": ("6", "d", "d", "d", "d"),
    "machine": ("6", "d", "d", "d", "d", "d"),
    "health": ("6", "d", "d", "d", "d", "d", "d"),
    "about": ("6", "d", "d", "d", "d", "d", "d", "d"),
    "confirm": ("2", "R"),
    "ask": ("2", "s"),
    "choose": ("6", "d", "d", "d", "n"),
    "tell": ("6", "d", "d", "d"),
}
"""What leads to each screen."""

READS = {
    "overview": "shop.load #21",
    "jobs": "shop.stream",
    "job": "no, ",
    "job-runs": "#24",
    "job-intervals": "2026-02-28 08:00",
    "job-versions": "Prices of the shop, in euro",
    "runs": "shop.report #21",
    "timeline": "last 6 h",
    "run": "1241 ",
    "run-details": "code version 3",
    "run-related": "shop.alarm #3",
    "versions": "1 added, 1 changed",
    "configuration": "missing: ",
    "diff": "+URL = ",
    "data": "shop_data",
    "tables": "discount",
    "loads": "rows per load",
    "lineage": "▶",
    "workspaces": "workspace-anna",
    "settings": "viewer-anna@example.org",
    "tokens": "active",
    "hooks": "anna.load",
    "notified": "on-call",
    "machine": "large",
    "health": "uv python install",
    "about": "anna@example.org",
    "confirm": "with refresh?",
    "ask": "Schedule of shop.load",
    "choose": "Hook of which job",
    "tell": "it is not shown again",
}
"""What each shows once it is complete."""

OF_ADMINISTRATORS = {"tokens", "notified", "machine", "health"}
IN_THE_DOCUMENTATION = ("overview", "jobs", "job", "timeline", "run", "diff", "data", "lineage")
SIZE = (110, 30)


class Pictured(RuntimeTui):
    """The interface without what is another each time it is served: identifiers and the port."""

    CSS_PATH = str(Path(tui.app.__file__).with_name("app.tcss"))

    def get_line_filters(self) -> Sequence[LineFilter]:
        """The last of all."""
        return [*super().get_line_filters(), _Steady()]


class _Steady(LineFilter):
    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Noughts in the places of digits, as many as there were."""
        return [Segment(_PASSING.sub(_noughts, text), style, control) for text, style, control in segments]


_PASSING = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{0,4}-?){0,3}[0-9a-f]{0,12}|(?<=127\.0\.0\.1:)\d{5}\b")


def _noughts(found: re.Match[str]) -> str:
    return re.sub(r"[0-9a-f]", "0", found[0])


def tui_of(served: ServedEstate, screen: str, *, is_light: bool = False) -> RuntimeTui:
    """The interface as somebody sees it who may see that screen."""
    token = ADMINISTRATOR if screen in OF_ADMINISTRATORS else None
    return tui_for(served, token=token, is_light=is_light, kind=Pictured)


async def walk_to(person: Person, screen: str) -> None:
    """Go to a screen, and `settle`."""
    await person.until(lambda: person.app.estate.is_loaded, "the workspace is loaded")
    for key in KEYS[screen]:
        await person.press(key)
        await settle(person)
    if screen == "tell":  # what is told once is another every time
        person.app.push_screen(Tell("The token; it is not shown again", "a-token-that-somebody-has-to-copy"))
    await person.reads(READS[screen])
    person.app.clear_notifications()  # whether one is still there is a matter of how fast the machine is
    await settle(person)


async def settle(person: Person) -> None:
    """Wait until nothing is being asked any more, and what was answered is drawn."""
    await person.until(lambda: not any(worker.is_running for worker in person.app.workers), "all is answered")
    await person.pilot.pause()


async def take_pictures(served: ServedEstate, folder: Path) -> None:
    """Write those of the documentation."""
    for screen in IN_THE_DOCUMENTATION:
        app = tui_of(served, screen)
        async with sitting_at(app, size=SIZE) as person:
            await walk_to(person, screen)
            # Whoever reads the documentation has fonts: none is to be loaded from elsewhere.
            picture = re.sub(r"@font-face \{.*?\}", "", app.export_screenshot(), flags=re.DOTALL)
            (folder / f"tui-{screen}.svg").write_text(picture)


if __name__ == "__main__":
    os.environ["TZ"] = "UTC"
    time.tzset()
    with serve_console() as served:
        asyncio.run(take_pictures(served, Path(sys.argv[1])))
