"""Names and values, one a line; those that are empty are left out."""

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from cli.output.text import clean


class Facts(Static):
    """Values come from everywhere, so they are made safe to show."""

    def show(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Show these."""
        pairs = [(name, value) for name, value in pairs if value]
        width = max((len(name) for name, _ in pairs), default=0)
        indent = "\n" + " " * (width + 2)
        lines = [
            Content.assemble((f"{name:<{width}}  ", "bold"), indent.join(clean(line) for line in value.split("\n")))
            for name, value in pairs
        ]
        self.update(Content("\n").join(lines))
