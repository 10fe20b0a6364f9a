"""Log lines as the public client prints them: `[   1] 14:05:09.123 [program] content`."""

from datetime import datetime

from cli.output import times
from cli.output.text import clean

_PHASE_WIDTH = len("[program]")


def log_line(number: int, at: datetime, phase: str, content: str, *, timestamps: bool) -> str:
    """One line of a run's log.

    Args:
        number: Counts from 0, as the wire has it; people read it from 1.
        timestamps: The exact time in place of the local time of day.
    """
    when = times.exact(at) if timestamps else times.clock(at)
    return f"[{number + 1:4d}] {when} {f'[{clean(phase)}]':<{_PHASE_WIDTH}} {clean(content)}"
