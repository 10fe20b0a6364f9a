"""Short parts beside each other, on as many lines as they need at the width there is; none is broken."""

from collections.abc import Iterable

from rich.cells import cell_len
from textual.widgets import Static

_GAP = "   "


class Parts(Static):
    """Laid out anew whenever there is another width."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes="note", markup=False)
        self._parts: tuple[str, ...] = ()

    def show(self, parts: Iterable[str]) -> None:
        """Show these."""
        self._parts = tuple(parts)
        self._lay_out()

    def on_resize(self) -> None:
        """Another width."""
        self._lay_out()

    def _lay_out(self) -> None:
        width = self.size.width or self.app.size.width  # it has none before it is first laid out
        lines: list[str] = []
        for part in self._parts:
            if lines and cell_len(lines[-1] + _GAP + part) <= width:
                lines[-1] += _GAP + part
            else:
                lines.append(part)
        self.update("\n".join(lines))
