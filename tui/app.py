"""The terminal interface: the screens, the feed that keeps them current, and what all of them share."""

import gc
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from typing import Any, ClassVar
from uuid import UUID

from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.reactive import var
from textual.screen import Screen

from cli.output.text import clean
from runtime.errors import JobRuntimeError
from runtime.wire.events import ChangeEvent
from runtime.wire.failures import DaemonUnreachableError
from tui.colours import ON_DARK, ON_LIGHT, Readable
from tui.estate import Changed, Estate, Histories, Snapshot
from tui.feed import Back, Feed
from tui.graphical_browser import graphical_browser
from tui.place import Place
from tui.screens.page import Page
from tui.widgets.top_bar import TopBar

DRAIN_SECONDS = 0.1
_RARELY = (10_000, 10, 50)
"""How often garbage is looked for, as `gc.set_threshold` has it: memory is at hand, and keys are not to wait."""
DARK, LIGHT = "textual-dark", "textual-light"
SCREENS = {
    "overview": ("tui.screens.overview", "OverviewScreen"),
    "jobs": ("tui.screens.jobs", "JobsScreen"),
    "runs": ("tui.screens.runs", "RunsScreen"),
    "versions": ("tui.screens.versions", "VersionsScreen"),
    "data": ("tui.screens.data", "DataScreen"),
    "settings": ("tui.screens.settings", "SettingsScreen"),
}
"""The module and the class of each mode's screen."""


def _load(mode: str) -> Page:
    module, name = SCREENS[mode]
    screen: Page = getattr(import_module(module), name)()
    return screen


class RuntimeTui(App[None]):
    """One workspace at a time; each screen is imported and built when it is first looked at."""

    TITLE = "dlt-runtime"
    CSS_PATH = "app.tcss"
    MODES: ClassVar[dict[str, Callable[[], Screen[Any]]]] = {  # type: ignore[assignment]
        mode: partial(_load, mode) for mode in SCREENS
    }
    DEFAULT_MODE = "overview"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "switch_mode('overview')", "Overview", show=False),
        Binding("2", "switch_mode('jobs')", "Jobs", show=False),
        Binding("3", "switch_mode('runs')", "Runs", show=False),
        Binding("4", "switch_mode('versions')", "Versions", show=False),
        Binding("5", "switch_mode('data')", "Data", show=False),
        Binding("6", "switch_mode('settings')", "Settings", show=False),
        Binding("t", "times", "Exact or relative times", show=False),
        Binding("ctrl+t", "light", "Light or dark", show=False),
        Binding("question_mark", "keys", "Keys", show=False),
        Binding("escape", "hide_keys", show=False, priority=True),
        Binding("q", "quit", "Quit"),
    ]

    shows_exact_times = var(False)
    trouble = var("")
    """Why nothing is current at present; empty while the feed is alive."""

    def __init__(self, place: Place, *, is_light: bool = False) -> None:
        super().__init__()
        self.place = place
        self.estate = Estate()
        self.feed = Feed(place)
        self.ansi_theme_dark, self.ansi_theme_light = ON_DARK, ON_LIGHT
        self.theme = LIGHT if is_light else DARK

    def on_mount(self) -> None:
        """Begin to follow the workspace."""
        self.feed.start()
        self._looks_for_garbage = gc.get_threshold()
        gc.set_threshold(*_RARELY)
        self.set_interval(DRAIN_SECONDS, self._drain)

    def on_unmount(self) -> None:
        """Stop following."""
        self.feed.close()
        gc.set_threshold(*self._looks_for_garbage)
        gc.unfreeze()

    # --- what is current

    def _drain(self) -> None:
        if not self.is_running:  # screens are being taken apart
            return
        news = self.feed.take()
        changes: list[ChangeEvent] = []
        for one in news:
            if isinstance(one, ChangeEvent):
                changes.append(one)
            elif isinstance(one, Snapshot):
                changes.clear()
                self._tell(self.estate.take(one))
                self.call_after_refresh(self._set_aside)
            elif isinstance(one, Histories):
                self._tell(self.estate.take_histories(one))
                self.call_after_refresh(self._set_aside)
            elif isinstance(one, Back):
                self.trouble = ""
                self.notify("the daemon answers again")
                self._tell(Changed(everything=True))  # what was asked for meanwhile had no answer
            else:
                self.trouble = one.message
                self._show_error(one)
        if changes:
            self._tell(self.estate.apply(changes))

    def _set_aside(self) -> None:
        """Let the search for garbage pass by what has been loaded, which stays.

        Of a large workspace it would take a tenth of a second each time, while keys wait.
        """
        gc.collect()
        gc.freeze()

    def _tell(self, changed: Changed) -> None:
        for bar in self.screen.query(TopBar):
            bar.refresh()
        # One that is being built shows everything once it is.
        if isinstance(self.screen, Page) and self.screen.is_mounted:
            self.screen.changed(changed)

    def look_at(self, workspace_id: UUID) -> None:
        """Change to another workspace of the daemon; what screens have of the one before goes with them."""
        self.feed.close()
        gc.unfreeze()
        self.place = Place(self.place.client, workspace_id, self.place.now)
        self.estate = Estate()
        self.trouble = ""
        self.feed = Feed(self.place)
        self.feed.start()
        left = self.current_mode
        for mode in self.MODES:
            if mode != left:
                self._drop_screens(mode)
        self.switch_mode("overview")
        if left != "overview":  # it could not go before, being looked at
            self._drop_screens(left)

    def _drop_screens(self, mode: str) -> None:
        """Have a mode, other than the one that is looked at, begin with a new screen when it is next looked at."""
        self.remove_mode(mode)
        self.add_mode(mode, self.MODES[mode])

    # --- what screens have done

    @work(thread=True, group="acts")
    def act(self, do: Callable[[], str]) -> None:
        """Do something that asks the daemon, away from the interface; its sentence or its error is shown."""
        try:
            said = do()
        except JobRuntimeError as error:
            self.call_from_thread(self._show_error, error)
        else:
            self.call_from_thread(self.notify, said, markup=False)

    def report(self, error: JobRuntimeError) -> None:
        """Show that an answer did not come; that no daemon answers is said once, and stands at the top."""
        if not (self.trouble and isinstance(error, DaemonUnreachableError)):
            self._show_error(error)

    def _show_error(self, error: JobRuntimeError) -> None:
        """An error, and the way out."""
        self.notify(error.hint or "", title=error.message, severity="error", timeout=10, markup=False)

    def open_url(self, url: str, *, new_tab: bool = True) -> None:
        """Open a page in the browser; where there is none to see, its address is copied."""
        if self.is_web:
            super().open_url(url, new_tab=new_tab)
            self._say_opened(url, is_open=True)
        else:
            self._open_in_browser(url)

    @work(thread=True, group="opens")
    def _open_in_browser(self, url: str) -> None:
        """Away from the interface: to find a browser and to start it takes a while."""
        browser = graphical_browser()
        is_open = browser is not None and browser.open(url)
        self.call_from_thread(self._say_opened, url, is_open=is_open)

    def _say_opened(self, url: str, *, is_open: bool) -> None:
        if not is_open:
            self.copy_to_clipboard(url)
        title = "opened" if is_open else "copied, for there is no browser here"
        self.notify(clean(url), title=title, markup=False)

    # --- actions

    def delay_update(self, delay: float = 0.0) -> None:  # noqa: ARG002 - Textual's signature
        """Hold back drawing while screens change: until the one that is shown next has taken what is current.

        Textual waits 50 milliseconds instead, and draws twice what takes longer.
        """
        batch = ExitStack()
        batch.enter_context(self.batch_update())

        def draw() -> None:
            batch.close()
            self.screen.refresh()

        # By then the app has another screen, and that screen has been told so before it is asked to draw.
        self.call_later(lambda: self.screen.call_later(draw))

    def action_times(self) -> None:
        """Change between relative and exact times."""
        self.shows_exact_times = not self.shows_exact_times
        self._tell(Changed(everything=True))

    @property
    def _shows_keys(self) -> bool:
        """By name: it is not imported before somebody wants it. Only children, since each key looks."""
        return any(type(child).__name__ == "HelpPanel" for child in self.screen.children)

    def action_keys(self) -> None:
        """Show the keys of the screen beside it, or no longer."""
        if self._shows_keys:
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()

    def action_hide_keys(self) -> None:
        """Show the keys no longer."""
        self.action_hide_help_panel()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape is about the keys where they are shown, else about the screen."""
        if action == "hide_keys":
            return self._shows_keys
        return super().check_action(action, parameters)

    def action_light(self) -> None:
        """Change between light and dark."""
        self.theme = DARK if self.theme == LIGHT else LIGHT

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Without colours, their greys must be told from what is behind them."""
        filters = super().get_line_filters()
        return [*filters, Readable()] if self.no_color else filters

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Everything a key does, by name too."""
        seen = set()
        for active in screen.active_bindings.values():
            binding = active.binding
            if binding.description and binding.description not in seen and not binding.system:
                seen.add(binding.description)
                action, node, key = binding.action, active.node, self.get_key_display(binding)
                yield SystemCommand(
                    binding.description,
                    f"{active.tooltip} (key: {key})" if active.tooltip else f"key: {key}",
                    lambda action=action, node=node: self.call_next(self.run_action, action, node),
                )
        yield from super().get_system_commands(screen)
