"""What every screen has: the bar at the top, the keys at the bottom, and being told what has changed."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from textual.app import ComposeResult
from textual.screen import Screen
from textual.worker import get_current_worker

from cli.output import times
from cli.output.text import clean
from runtime.errors import JobRuntimeError
from runtime.wire.failures import ForbiddenError, MissingError
from tui.estate import Changed, Estate
from tui.place import Place
from tui.widgets.key_bar import KeyBar
from tui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from tui.app import RuntimeTui

TICK_SECONDS = 1.0
TURN_SECONDS = 1.0
"""What changes all the time is asked for so often at most."""
Answer = TypeVar("Answer")


class Page(Screen[None]):
    """A screen about the workspace.

    `changed` is called while the screen is the one that is seen, and once with `everything` when it becomes that.
    Handlers of a screen do not call those of this class: Textual does so itself, after them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._turns: dict[str, Callable[[], None] | None] = {}
        """Groups whose question is under way, or was a moment ago, with what asks the next one."""

    def compose(self) -> ComposeResult:
        """The bar, what the screen is about, the keys."""
        yield TopBar()
        yield from self.content()
        yield KeyBar()

    def content(self) -> ComposeResult:
        """What the screen is about."""
        raise NotImplementedError

    def changed(self, changed: Changed) -> None:
        """Show what is current."""
        raise NotImplementedError

    def tick(self) -> None:
        """A second has passed: relative times may read otherwise."""

    def on_mount(self) -> None:
        """Let time pass."""
        self.set_interval(TICK_SECONDS, self._tick)

    def on_screen_resume(self) -> None:
        """The screen is seen now."""
        self.changed(Changed(everything=True))

    def _tick(self) -> None:
        if self.is_current:
            self.tick()

    # --- what is at hand

    @property
    def ours(self) -> "RuntimeTui":
        """The application, as what it is."""
        return cast("RuntimeTui", self.app)

    @property
    def place(self) -> Place:
        """The daemon and the workspace."""
        return self.ours.place

    @property
    def estate(self) -> Estate:
        """What is known of the workspace."""
        return self.ours.estate

    @property
    def now(self) -> datetime:
        """The time."""
        return self.place.now()

    def when(self, at: datetime | None) -> str:
        """A point in time, relative or, as the person wants it, exact in this machine's time zone."""
        if at is None:
            return ""
        return times.local(at) if self.ours.shows_exact_times else times.relative(at, self.now)

    def brief(self, at: datetime | None) -> str:
        """As `when`, for a column of 14: exact times are those of the last months."""
        if at is None:
            return ""
        return times.local(at)[5:] if self.ours.shows_exact_times else times.relative(at, self.now)

    def copy(self, text: str) -> None:
        """Put a text into the clipboard, and show which."""
        self.app.copy_to_clipboard(text)
        self.notify(clean(text), title="copied", markup=False)

    def copy_link(self, kind: str, name: str) -> None:
        """Copy the address of a run, job or pipeline."""
        self.fetch(lambda: self.place.link(kind, name), self.copy, group="link")

    def fetch(
        self, ask: Callable[[], Answer], show: Callable[[Answer], None], *, group: str, in_turn: bool = False
    ) -> None:
        """Ask the daemon away from the interface, and show the answer if this screen still wants it.

        A newer question of the same group takes the place of the older one.

        Args:
            in_turn: It waits for the answer to the older one instead, which is shown, and takes the place of another
                that waits: for what may change faster than it is answered, which would never be shown otherwise.
        """
        if in_turn:
            if group in self._turns:
                self._turns[group] = lambda: self.fetch(ask, show, group=group, in_turn=True)
                return
            self._turns[group] = None

        def answered(then: Callable[[], None]) -> None:
            if in_turn:
                self.set_timer(TURN_SECONDS, lambda: self._next_turn(group))
            then()

        def work() -> None:
            worker = get_current_worker()
            try:
                answer = ask()
            except JobRuntimeError as error:
                then = partial(self.ours.report, error)
            else:
                then = partial(self._show, show, answer)
            if not worker.is_cancelled:
                self.app.call_from_thread(answered, then)

        self.run_worker(work, thread=True, group=group, exclusive=True)

    def _next_turn(self, group: str) -> None:
        ask = self._turns.pop(group, None)
        if ask is not None:
            ask()

    def _show(self, show: Callable[[Answer], None], answer: Answer) -> None:
        if self.is_attached and self.display:  # a screen that is being removed is not displayed
            show(answer)


def or_none(ask: Callable[[], Answer], *also: type[JobRuntimeError]) -> Answer | None:
    """The answer; None where the daemon knows no such thing, it is not for the caller, or such an error says no."""
    refusals: tuple[type[JobRuntimeError], ...] = (ForbiddenError, MissingError, *also)
    try:
        return ask()
    except refusals:
        return None
