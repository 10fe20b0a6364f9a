"""Samples and how they are printed."""

import statistics
from collections.abc import Sequence


def percentile(samples: Sequence[float], percent: int) -> float:
    """The value below which `percent` of the samples lie."""
    return statistics.quantiles(samples, n=100, method="inclusive")[percent - 1]


def say(name: str, value: str, note: str = "") -> None:
    """One figure, one line."""
    print(f"{name:<44} {value:>16}  {note}".rstrip(), flush=True)


def say_seconds(name: str, samples: Sequence[float]) -> None:
    """Median, extremes and the 99th percentile of durations in seconds."""
    spread = f"min {min(samples):.4f}, p99 {percentile(samples, 99):.4f}, max {max(samples):.4f}, n {len(samples)}"
    say(name, f"{statistics.median(samples):.4f} s", spread)


def say_ratio(name: str, ours: Sequence[float], floor: Sequence[float], aim: str) -> None:
    """The ratio of two medians; samples of both were taken in turn."""
    say(name, f"{statistics.median(ours) / statistics.median(floor):.3f}", f"aim: {aim}")
