"""Rows of the newest loads as a plot."""

from collections.abc import Sequence

from textual_plotext import PlotextPlot

# One of the terminal's own, that suits its theme. Without one it is that of the theme which the plot has when it is
# drawn on, and before the plot is first shown it has another.
_COLOUR = "blue+"


class RowPlot(PlotextPlot):
    """The oldest load stands left."""

    DEFAULT_CSS = "RowPlot { height: 9; }"

    def show(self, rows: Sequence[int]) -> None:
        """Draw one bar for each load."""
        most = max(rows, default=0)
        self.plt.clear_data()
        self.plt.title(f"rows per load, the newest right; {most:,} at most" if rows else "no loads yet")
        if rows:
            self.plt.bar(list(range(1, len(rows) + 1)), list(rows), width=0.6, color=_COLOUR)
            steps: list[float] = sorted({0, most // 2, most})
            self.plt.yticks(steps, [f"{step:,}" for step in steps])
            self.plt.xticks([], [])
        self.refresh()
