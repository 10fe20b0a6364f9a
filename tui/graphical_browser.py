"""The browser of whoever sits at the terminal, if there is one that does not need the terminal itself."""

import os
import sys
import webbrowser


def graphical_browser() -> webbrowser.BaseBrowser | None:
    """What opens pages in windows; None where nobody would see one, as over SSH, or where only text browsers are.

    Those would take the terminal away from the interface, and the keys with it.
    """
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    is_desktop = sys.platform in ("darwin", "win32") and "SSH_CONNECTION" not in os.environ
    if not (has_display or is_desktop):
        return None
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return None
    return None if _needs_terminal(browser) else browser


def _needs_terminal(browser: webbrowser.BaseBrowser) -> bool:
    """Whether it runs in the terminal, or for as long as its page is open."""
    if isinstance(browser, webbrowser.BackgroundBrowser):
        return False
    return isinstance(browser, webbrowser.GenericBrowser) or not getattr(browser, "background", True)
