"""Log lines: `setup` lines are the runtime's own, `program` lines the job's (semantics S5)."""

from typing import Literal

from runtime.domain.model import Frozen, Instant

LogPhase = Literal["setup", "program"]


class LogAllowance(Frozen):
    """How much of a run's output is stored: bytes in all, and lines a second while it runs."""

    bytes: int
    lines_per_second: int


class LogLine(Frozen):
    """One line of a run, numbered densely from 0 within the run (clients show it plus one)."""

    line_num: int
    phase: LogPhase
    reported_at: Instant
    content: str
