"""Reads what a job left in its report directory, where it may have put anything at all.

Only regular files are opened, none through a link and none that would make the reader wait; what is too much, too long
or not a report is left out. Nothing here fails: a job that spoils its reports has none.
"""

import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import ValidationError

from runtime.domain.pipelines import PipelineReport

MOST_ENTRIES = 2000
"""That are looked at; a directory may have millions."""
MOST_REPORTS = 200
MOST_BYTES = 1024 * 1024
"""Of one report; the launcher shortens what would be longer."""
MOST_BYTES_TOGETHER = 16 * MOST_BYTES

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_reports(directory: Path) -> tuple[list[PipelineReport], int]:
    """The reports in a directory, and how many files there are that should be some and are none; blocks."""
    reports: list[PipelineReport] = []
    left, refused = MOST_BYTES_TOGETHER, 0
    try:
        with _opened(directory) as place:
            for name in _names(place):
                content = _content(name, place, min(left, MOST_BYTES)) if len(reports) < MOST_REPORTS else None
                report = None if content is None else _parsed(content)
                if report is None:
                    refused += 1
                else:
                    left -= len(content or b"")
                    reports.append(report)
    except FileNotFoundError:
        pass  # the run has not come that far
    except OSError:
        refused += 1
    return reports, refused


def last_change(directory: Path) -> int | None:
    """When anything was last put there, in nanoseconds; None if nobody can tell."""
    try:
        return directory.stat(follow_symlinks=False).st_mtime_ns
    except OSError:
        return None


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _names(place: int) -> list[str]:
    with os.scandir(place) as entries:
        names = [entry.name for entry in itertools.islice(entries, MOST_ENTRIES)]
    return sorted(name for name in names if name.endswith(".json") and not name.startswith("."))


def _content(name: str, place: int, most: int) -> bytes | None:
    try:
        file = os.fdopen(os.open(name, _OPEN, dir_fd=place), "rb")
    except OSError:
        return None
    with closing(file):
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            return None
        content = file.read(most + 1)  # it may have grown
    return content if len(content) <= most else None


def _parsed(content: bytes) -> PipelineReport | None:
    try:
        return PipelineReport.model_validate_json(content)
    except ValidationError:
        return None
