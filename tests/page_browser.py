"""A person at a browser, as far as pages without scripts need one: follows links, fills in forms, presses buttons."""

import ssl
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin

import httpx


@dataclass
class Form:
    """A form of a page: its fields as they are filled in, and the buttons that send it."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Label to the name and value that it sends."""


class _Forms(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._button: tuple[str, str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given["method"], given["action"]))
        elif tag == "input" and self.forms:
            self.forms[-1].fields[given["name"]] = given.get("value", "")
        elif tag == "button":
            self._button = (given.get("name", ""), given.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self._button is not None:
            self.forms[-1].buttons[data.strip()] = self._button

    def handle_endtag(self, tag: str) -> None:
        if tag == "button":
            self._button = None


class PageBrowser:
    """One browser with its cookies.

    Args:
        tls: What it trusts beside nothing.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._http = httpx.Client(verify=tls or True, follow_redirects=True)
        self._page = httpx.Response(204)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def text(self) -> str:
        """The source of the page."""
        return self._page.text

    @property
    def status(self) -> int:
        return self._page.status_code

    @property
    def address(self) -> str:
        return str(self._page.url)

    def cookie(self, name: str) -> str | None:
        """What it holds under a name."""
        return self._http.cookies.get(name)

    def open(self, url: str) -> Self:
        """Type an address."""
        self._page = self._http.get(url, headers={"Sec-Fetch-Site": "none"})
        return self

    def press(self, label: str, **typed: str) -> Self:
        """Fill in the form with this button and press it."""
        form = next(form for form in _Forms(self.text).forms if label in form.buttons)
        missing = set(typed) - set(form.fields)
        assert not missing, f"the form has no field {missing}"
        fields = {**form.fields, **typed}
        name, value = form.buttons[label]
        if name:
            fields[name] = value
        url = urljoin(self.address, form.action)
        headers = {"Sec-Fetch-Site": "same-origin"}
        if form.method == "post":
            self._page = self._http.post(url, data=fields, headers=headers)
        else:
            self._page = self._http.get(url, params=fields, headers=headers)
        return self
