"""What widgets have in common that draw the lines in view by themselves, whatever there is in all."""

from textual.scroll_view import ScrollView


class ScrolledLines(ScrollView):
    """Knows the room that it draws into, which the scrollbars are beside of."""

    def watch_show_vertical_scrollbar(self) -> None:
        """A bar that comes into sight is where the lines are: before, nobody has told it."""
        self.vertical_scrollbar.position = self.scroll_y

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    @property
    def _height(self) -> int:
        return self.scrollable_content_region.height
