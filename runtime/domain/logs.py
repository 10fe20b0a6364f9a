"""Log lines: `setup` lines are the runtime's own, `program` lines the job's (semantics S5)."""

from typing import Literal

from runtime.domain.model import Frozen, Instant

LogPhase = Literal["setup", "program"]


LEAST_BYTES_OF_LINE = 32
"""What lines count as at least, on average: one costs its readers more than its bytes, were it blank."""


class LogAllowance(Frozen):
    """How much of a run's output is stored: bytes in all, and lines a second while it runs."""

    bytes: int
    lines_per_second: int

    def room(self, stored_bytes: int, stored_lines: int) -> int:
        """Bytes that may be stored yet; not above zero where there are none, or lines enough."""
        return self.bytes - max(stored_bytes, stored_lines * LEAST_BYTES_OF_LINE)


class LogLine(Frozen):
    """One line of a run, numbered densely from 0 within the run (clients show it plus one)."""

    line_num: int
    phase: LogPhase
    reported_at: Instant
    content: str
