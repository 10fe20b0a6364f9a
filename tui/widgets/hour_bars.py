"""Runs of each hour of a day as bars, one character and one colour for each status."""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from runtime.wire.stats import RunStatsBucket

_PARTS = (("completed", "█", "green"), ("failed", "▓", "red"), ("cancelled", "▒", "yellow"), ("skipped", "░", "dim"))


class HourBars(Widget):
    """The newest hour stands right; the scale is that of the busiest hour."""

    DEFAULT_CSS = """
    HourBars { height: 7; padding: 0 1; background: $background; }
    HourBars > .bars--axis { color: $foreground-muted; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"bars--axis"}

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._buckets: Sequence[RunStatsBucket] = ()

    def show(self, buckets: Sequence[RunStatsBucket]) -> None:
        """Draw these hours."""
        self._buckets = buckets
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The legend, the bars from the top down, the hours."""
        base = self.rich_style
        axis = base + self.get_component_rich_style("bars--axis", partial=True)
        width, rows = self.size.width, self.size.height - 2
        if y == 0:
            return Strip(self._legend(base)).adjust_cell_length(width, base)
        shown = self._buckets[-24:]
        label = 6
        each = max(1, (width - label) // max(1, len(shown)))
        if y > rows:
            hours = [f"{bucket.bucket_start.astimezone():%H}" for bucket in shown]
            step = 1 if each >= 3 else 3
            text = "".join((hour if place % step == 0 else "").ljust(each) for place, hour in enumerate(hours))
            return Strip([Segment(" " * label + text, axis)]).adjust_cell_length(width, axis)
        most = max((bucket.data.total_runs for bucket in shown), default=0)
        number = f"{most:>{label - 1}} " if y == 1 and most else " " * label
        segments = [Segment(number, axis)]
        for bucket in shown:
            character, style = _cell(bucket, rows - y, rows, max(1, most))
            segments.append(Segment(character * max(1, each - 1) + " " * (each > 1), base + Style.parse(style)))
        return Strip(segments).adjust_cell_length(width, base)

    def _legend(self, base: Style) -> list[Segment]:
        counts = {name: sum(getattr(one.data.status_counts, name) for one in self._buckets) for name, _, _ in _PARTS}
        segments = [Segment("runs per hour", base)]
        for name, character, style in _PARTS:
            segments += [Segment(f"  {character}", base + Style.parse(style)), Segment(f" {counts[name]} {name}", base)]
        return segments


def _cell(bucket: RunStatsBucket, level: int, rows: int, most: int) -> tuple[str, str]:
    """What stands at a height of a bar; a status with any run takes at least one row where there is room."""
    counts = [(getattr(bucket.data.status_counts, name), character, style) for name, character, style in _PARTS]
    heights = [max(1, round(count * rows / most)) if count else 0 for count, _, _ in counts]
    while sum(heights) > rows:
        heights[heights.index(max(heights))] -= 1
    reached = 0
    for height, (_, character, style) in zip(heights, counts, strict=True):
        reached += height
        if level < reached:
            return character, style
    return " ", "none"
