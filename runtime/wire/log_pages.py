"""Parts of a log, for readers who do not want all of it: this runtime's own, beside the contract's whole logs."""

import re
from typing import Literal

from runtime.wire.logs import LogLine
from runtime.wire.model import WireModel

LogLevel = Literal["error", "warning", "info", "debug"]

_LEVELS: tuple[tuple[LogLevel, str], ...] = (
    ("error", r"\b(?:ERROR|CRITICAL|FATAL)\b|^Traceback \(|^\S*(?:Error|Exception)(?::|$)"),
    ("warning", r"\b(?:WARNING|WARN)\b|^\S*Warning:"),
    ("debug", r"\b(?:DEBUG|TRACE)\b"),
    ("info", r"\bINFO\b"),
)
_PATTERNS = tuple((level, re.compile(pattern)) for level, pattern in _LEVELS)
ERROR_PATTERN = _PATTERNS[0][1]
"""What a line looks like that somebody who looks for the cause of a failure wants to see."""


def level_of(content: str) -> LogLevel | None:
    """The level that a line names; None where it names none. Only its beginning counts: levels stand in front.

    >>> level_of("2026-03-10 12:00:00 [ERROR] no such table"), level_of("12 apples")
    ('error', None)
    """
    head = content[:160]
    return next((level for level, pattern in _PATTERNS if pattern.search(head)), None)


class LogPageResponse(WireModel):
    """Consecutive lines from the one asked for on; `total` is how many the run has so far."""

    total: int
    lines: list[LogLine]


class FoundLinesResponse(WireModel):
    """Numbers of the lines that were looked for, in the direction of the search.

    `next_line` is where to go on looking, and absent once the log's end, or its beginning, has been reached.
    """

    line_nums: list[int]
    next_line: int | None = None
