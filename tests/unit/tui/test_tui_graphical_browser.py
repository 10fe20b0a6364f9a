"""Which browser pages are opened in, from a terminal that may stand on another machine."""

import sys
import webbrowser

import pytest

from tui.graphical_browser import graphical_browser


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Linux machine without a display."""
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)


def has(monkeypatch: pytest.MonkeyPatch, browser: webbrowser.BaseBrowser) -> None:
    """There is one."""
    monkeypatch.setattr(webbrowser, "get", lambda: browser)


@pytest.mark.parametrize("display", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_a_browser_with_windows_is_used_where_there_is_a_display(display: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(display, ":0")
    for browser in (webbrowser.BackgroundBrowser("xdg-open"), webbrowser.Chrome("chromium")):
        has(monkeypatch, browser)
        assert graphical_browser() is browser


def test_no_browser_is_used_where_nobody_would_see_its_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """As over SSH; there a text browser would be all there is."""
    has(monkeypatch, webbrowser.Chrome("chromium"))
    assert graphical_browser() is None
    monkeypatch.setattr(sys, "platform", "darwin")
    assert graphical_browser() is not None
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22")
    assert graphical_browser() is None


@pytest.mark.parametrize("browser", [webbrowser.GenericBrowser("w3m"), webbrowser.Elinks("elinks")])
def test_a_browser_that_takes_the_terminal_is_none(
    browser: webbrowser.BaseBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    has(monkeypatch, browser)
    assert graphical_browser() is None


def test_a_display_without_any_browser_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")

    def find() -> webbrowser.BaseBrowser:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", find)
    assert graphical_browser() is None
