"""What widgets have in common that draw the lines in view by themselves, whatever there is in all."""

from textual.scroll_view import ScrollView


class ScrolledLines(ScrollView):
    """Knows the room that it draws into, which the scrollbars are beside of."""

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    @property
    def _height(self) -> int:
        return self.scrollable_content_region.height
