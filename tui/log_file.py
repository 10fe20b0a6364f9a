"""A log written to a file, as commands print it."""

from collections.abc import Callable, Iterator
from pathlib import Path

from cli.output.log_lines import log_line
from runtime.wire.log_pages import LogPageResponse

SAVED_AT_ONCE = 1000

PageOf = Callable[[int, int], LogPageResponse]
"""So many lines of a log from one on."""


def log_text(page_of: PageOf, total: int) -> Iterator[str]:
    """The lines of a log as commands print them, fetched page by page."""
    for first in range(0, total, SAVED_AT_ONCE):
        for line in page_of(first, SAVED_AT_ONCE).lines:
            yield log_line(line.line_num, line.reported_at, line.phase, line.content, timestamps=True) + "\n"


def is_taken(path: str) -> bool:
    """Whether something is there that would be written over."""
    try:
        place = Path(path).expanduser()
        return place.exists() and not place.is_dir()
    except (OSError, RuntimeError):
        return False  # writing says why


def save_log(page_of: PageOf, path: str, total: int) -> str:
    """Write a log to a file.

    Args:
        path: As a person types it; `~` and `~ada` are home directories.

    Returns:
        One sentence on what came of it.
    """
    try:
        with Path(path).expanduser().open("w", encoding="utf-8") as file:
            file.writelines(log_text(page_of, total))
    except RuntimeError:  # pathlib's, of a home directory that nobody knows
        return f"`{path}` cannot be written: there is no such home directory"
    except OSError as error:
        return f"`{path}` cannot be written: {error.strerror}"
    return f"{total:,} lines are in `{path}`"
