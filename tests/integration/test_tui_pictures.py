"""The pictures of the documentation show the interface as it is."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console_store import serve_console
from tests.processes import REPOSITORY
from tests.time_zones import time_zone
from tests.tui_pictures import IN_THE_DOCUMENTATION, take_pictures

PICTURES = REPOSITORY / "docs" / "pictures"
_TEXT = re.compile(r"<text\b[^>]*>(.*?)</text>", re.DOTALL)


@pytest.fixture(autouse=True)
def in_london() -> Iterator[None]:
    """Times of day are the machine's own."""
    with time_zone("UTC"):
        yield


def words(picture: Path) -> list[str]:
    """What a picture says, piece by piece, whatever the colours and places."""
    pieces = (html.unescape(piece).replace("\N{NO-BREAK SPACE}", " ") for piece in _TEXT.findall(picture.read_text()))
    return " ".join(pieces).split()


async def test_the_pictures_of_the_documentation_say_what_the_screens_say(tmp_path: Path) -> None:
    """`python -m tests.tui_pictures docs/pictures` makes them anew. The clock and the data are the same every time."""
    with serve_console() as served:
        await take_pictures(served, tmp_path)
    for screen in IN_THE_DOCUMENTATION:
        name = f"tui-{screen}.svg"
        assert words(PICTURES / name) == words(tmp_path / name), f"{name} shows an interface of the past"


def test_every_picture_is_made_and_shown() -> None:
    """None is left over, and none is missing."""
    committed = {picture.name for picture in PICTURES.iterdir()}
    assert committed == {f"tui-{screen}.svg" for screen in IN_THE_DOCUMENTATION}
    pages = "".join(page.read_text() for page in (REPOSITORY / "docs").glob("*.md"))
    assert {name for name in committed if f"pictures/{name}" not in pages} == set()
