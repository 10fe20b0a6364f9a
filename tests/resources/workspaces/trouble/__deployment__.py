"""Jobs that misbehave in every way a runtime has to bear."""

from trouble import (
    counts,
    exits_3,
    floods,
    ignores_sigterm,
    leaves_a_child,
    misses_a_module,
    prints_garbage,
    prints_half_a_line,
    prints_huge_lines,
    raises,
    reads_its_environment,
    runs_too_long,
    returns_a_value,
    sleeps,
)

__all__ = [
    "counts",
    "exits_3",
    "floods",
    "ignores_sigterm",
    "leaves_a_child",
    "misses_a_module",
    "prints_garbage",
    "prints_half_a_line",
    "prints_huge_lines",
    "raises",
    "reads_its_environment",
    "returns_a_value",
    "runs_too_long",
    "sleeps",
]
