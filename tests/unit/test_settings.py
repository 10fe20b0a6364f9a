"""The addresses that settings tell of to somebody elsewhere."""

from pathlib import Path
from typing import Any

import pytest

from runtime.settings import AppSettings, Settings


def settings(**changes: Any) -> Settings:
    return Settings(state_dir=Path("/nowhere"), socket=Path("/nowhere/s"), **changes)


def test_listeners_that_take_every_address_are_told_of_by_the_one_that_a_client_came_by() -> None:
    seen = settings(listen="0.0.0.0:8470").seen_by("dlt.example")
    assert seen.base_url == "http://dlt.example:8470"
    assert seen.app_addresses.app_url("board-1") == "http://dlt.example:8471/apps/board-1/"
    assert settings(listen="[::]:8470").seen_by("fd00::7").base_url == "http://[fd00::7]:8470"


def test_listeners_with_an_address_are_told_of_by_it_whatever_a_client_came_by() -> None:
    seen = settings(listen="10.0.0.5:8470").seen_by("dlt.example")
    assert seen.base_url == "http://10.0.0.5:8470"
    assert seen.app_addresses.base_url == "http://10.0.0.5:8471"


def test_a_public_url_goes_before_what_a_client_came_by() -> None:
    seen = settings(listen="0.0.0.0:8470", public_url="https://dlt.example").seen_by("10.0.0.5")
    assert seen.base_url == "https://dlt.example"
    assert seen.app_addresses.base_url == "http://dlt.example:8471"


@pytest.mark.parametrize("host", [None, "dlt.example"])
def test_a_public_url_of_apps_is_told_of_as_it_is(host: str | None) -> None:
    apps = AppSettings(public_url="https://apps.example")
    assert settings(listen="0.0.0.0:8470", apps=apps).seen_by(host).app_addresses.base_url == "https://apps.example"


@pytest.mark.parametrize("url", ["https://h", "https://h/", "http://h:8470", "https://[fd00::7]:8470"])
def test_a_public_url_names_a_host(url: str) -> None:
    assert settings(public_url=url).public_url == url
