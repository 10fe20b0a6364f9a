"""The keys at the bottom: those that fit, whole; where some do not, the key that shows all of them.

One widget that draws a line. Textual's footer makes a widget of every key, anew whenever the keys change, which takes
longer than all else that a change of the screen costs.
"""

from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from textual.app import RenderResult
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget


@dataclass(frozen=True)
class Key:
    """A key and what it does."""

    name: str
    shown: str
    says: str
    action: str

    @property
    def width(self) -> int:
        """In cells, with the space behind it."""
        return cell_len(self.shown) + cell_len(self.says) + 2


ALL_KEYS = Key("question_mark", "?", "All keys", "app.show_help_panel")


def that_fit(keys: list[Key], kept: list[Key], width: int) -> list[Key]:
    """The first of the keys for which there is room beside those that are kept; all others are one press away."""
    room = width - sum(key.width for key in kept)
    if sum(key.width for key in keys) <= room:
        return [*keys, *kept]
    room -= ALL_KEYS.width
    shown = []
    for key in keys:
        room -= key.width
        if room < 0:
            break
        shown.append(key)
    return [*shown, ALL_KEYS, *kept]


class KeyBar(Widget):
    """A click on a key is a press of it."""

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; color: $footer-description-foreground; background: $footer-background;
             link-style: none; link-style-hover: reverse; link-color: $footer-description-foreground; }
    """

    def on_mount(self) -> None:
        """Draw anew when other keys work."""
        self.screen.bindings_updated_signal.subscribe(self, self._keys_changed)

    def _keys_changed(self, _: Screen[Any]) -> None:
        self.refresh()

    def render(self) -> RenderResult:
        """One line, the command palette at its end."""
        keys, kept, palette = self._keys()
        right = _content(palette) if palette else Content("")
        shown = that_fit(keys, kept, self.size.width - (right.cell_length + 2 if palette else 0))
        left = Content(" ").join(_content(key) for key in shown)
        gap = self.size.width - left.cell_length - right.cell_length
        return Content.assemble(left, " " * max(1, gap), right)

    def _keys(self) -> tuple[list[Key], list[Key], Key | None]:
        """Those that go where there is no room, those that stay, and the one of the command palette."""
        usual: dict[str, Key] = {}
        palette = None
        for binding in (active.binding for active in self.screen.active_bindings.values()):
            key = Key(binding.key, self.app.get_key_display(binding), binding.description, binding.action)
            if binding.key == self.app.COMMAND_PALETTE_BINDING:
                palette = key
            elif binding.show:
                usual.setdefault(binding.action, key)
        kept = [key for key in usual.values() if key.action.endswith("quit")]
        return [key for key in usual.values() if key not in kept], kept, palette


def _content(key: Key) -> Content:
    label = Content.assemble((key.shown, "bold $footer-key-foreground"), " ", key.says)
    return label.stylize(f"@click=app.simulate_key('{key.name}')")
