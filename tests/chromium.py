"""A real browser, where the machine has one: headless Chromium, driven through its debugging pipe."""

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAM = shutil.which("chromium")
_ANSWER_SECONDS = 30.0

needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="there is no /usr/bin/chromium to look at pages with")


class Chromium:
    """One tab. Waits after everything that leads to another page until that has loaded."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._numbers = itertools.count(1)
        self._unread = b""
        self._events: list[dict[str, Any]] = []
        self._session: str | None = None
        self.complaints: list[str] = []
        """What the browser has said in its console, and what the page's policy has kept it from."""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network", "Audits"):
            self._ask(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Type an address."""
        self._ask("Page.navigate", url=url)
        self._wait_for("Page.loadEventFired")

    def before_pages(self, script: str) -> None:
        """Run a script in every page before its own."""
        self._ask("Page.addScriptToEvaluateOnNewDocument", source=script)

    def type(self, selector: str, text: str) -> None:
        """Type into a field."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self._ask("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click once it is there, and wait for the page it leads to."""
        place = (
            f"(() => {{ const b = document.querySelector({json.dumps(selector)}); if (!b) return null;"
            " b.scrollIntoView(); const r = b.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        deadline = time.monotonic() + _ANSWER_SECONDS
        # A page that leads on by itself loads twice, so what is asked for may not be there at the first load.
        while (box := self.evaluate(place)) is None:
            assert time.monotonic() < deadline, f"there is no {selector}; the page says: {self.text}"
            time.sleep(0.05)
        for kind in ("mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)
        self._wait_for("Page.loadEventFired")

    def press(self, key: str) -> None:
        """A key for whatever has the focus, `ArrowRight` or `a` for two."""
        if len(key) == 1:
            self._ask("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
            self._ask("Input.dispatchKeyEvent", type="keyUp", key=key)
            return
        codes = {"ArrowLeft": 37, "ArrowRight": 39, "Enter": 13, "Home": 36, "End": 35}
        for kind in ("rawKeyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key])

    def wait_for(self, expression: str, what: str, seconds: float = _ANSWER_SECONDS) -> Any:
        """The value of an expression, once it is something true."""
        deadline = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}; the page says: {self.text}"
            time.sleep(0.05)
        return value

    def screenshot(self) -> bytes:
        """What it looks like, as a PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])

    def wait_for_text(self, text: str) -> None:
        """Until the page shows it: a page may lead on by itself."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        while text not in self.text:
            assert time.monotonic() < deadline, f"not shown: {text!r}; the page says: {self.text}"
            time.sleep(0.05)

    @property
    def text(self) -> str:
        """What a person reads."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    @property
    def address(self) -> str:
        return str(self.evaluate("location.href"))

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page; the debugger is not held by the page's policy."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, userGesture=True)
        return answer["result"].get("value")

    def cookies(self) -> dict[str, dict[str, Any]]:
        """All that the browser holds for the page, by name."""
        return {cookie["name"]: cookie for cookie in self._ask("Network.getCookies")["cookies"]}

    def roles(self) -> list[tuple[str, str]]:
        """Role and name of what assistive technology is told about."""
        nodes = self._ask("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"] and node.get("role")
        ]

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _wait_for(self, event: str) -> None:
        while not any(noted["method"] == event for noted in self._events):
            self._note(self._read())
        self._events.clear()

    def _note(self, event: dict[str, Any]) -> None:
        self._events.append(event)
        parameters = event.get("params", {})
        # A test clicks before a page has given its field the focus, and the browser remarks on that.
        if event["method"] == "Log.entryAdded" and not parameters["entry"]["text"].startswith("Autofocus"):
            self.complaints.append(parameters["entry"]["text"])
        elif event["method"] == "Audits.issueAdded":
            self.complaints.append(json.dumps(parameters["issue"]))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            more = os.read(self._from, 1 << 16)
            assert more, "the browser has ended"
            self._unread += more
        message, _, self._unread = self._unread.partition(b"\0")
        read: dict[str, Any] = json.loads(message)
        return read


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """Run one with a profile of its own; certificates are not its subject here."""
    assert PROGRAM
    browser_reads, we_write = os.pipe()
    we_read, browser_writes = os.pipe()
    options = [
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--ignore-certificate-errors",
        "--remote-debugging-pipe",
        f"--user-data-dir={folder}",
    ]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            # It talks on descriptors 3 and 4.
            ["bash", "-c", f'exec "$@" 3<&{browser_reads} 4>&{browser_writes}', "bash", PROGRAM, *options],
            env={**os.environ, "HOME": str(folder)},
            pass_fds=(browser_reads, browser_writes),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    os.close(browser_reads)
    os.close(browser_writes)
    try:
        yield Chromium(we_write, we_read)
    finally:
        os.close(we_write)
        os.close(we_read)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
