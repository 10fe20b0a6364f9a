"""Why uv gave up, in one line a person can act on (semantics S6), and without anybody's password."""

import re
from collections import deque
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

_ERROR = re.compile(r"(?:error: |\s{0,2}\N{MULTIPLICATION SIGN} )(?P<text>.*)")  # uv's older sign and its newer word
_CAUSE = re.compile(r"\s*(?:cause: |[├╰]─▶ )(?P<text>.*)")
_SECTION = re.compile(r"\s*(?:│\s*)?\[(?:stdout|stderr)\]")
_MARGIN = "│ \t"
_LONGEST_REASON = 800
_FIRST_LINES, _LAST_LINES = 100, 400
_USERINFO = re.compile(r"(?<=://)[^/\s@]+@")


class KeptOutput:
    """What `reason_of` needs of an output without end: the lines uv's last error begins with, and the last ones."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=_LAST_LINES)

    def add(self, line: str) -> None:
        """Take the next line."""
        if _ERROR.fullmatch(line):
            self._first.clear()
            self._last.clear()
        if len(self._first) < _FIRST_LINES:
            self._first.append(line)
        else:
            self._last.append(line)

    @property
    def reason(self) -> str:
        """As `reason_of` has it."""
        return reason_of([*self._first, *self._last])


def reason_of(lines: Iterable[str]) -> str:
    """uv's last error as one line: what failed, its causes, and the last line a build script had to say.

    Without an error of uv's own the last line that says anything; "" when there is none.
    """
    kept = list(lines)
    start = next((index for index in reversed(range(len(kept))) if _ERROR.fullmatch(kept[index])), None)
    if start is None:
        return _shortened(next((line.strip() for line in reversed(kept) if line.strip()), ""))
    return _shortened(": ".join(part.rstrip(":") for part in _parts(kept[start:]) if part))


class Scrubber:
    """Takes credentials out of text: the userinfo of every URL, and the given secrets wherever they stand."""

    def __init__(self, urls: Iterable[str] = ()) -> None:
        passwords = {password for url in urls if (password := urlsplit(url).password)}
        self._secrets = sorted(passwords | {unquote(password) for password in passwords}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """`text` with `***` where a credential stood."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _USERINFO.sub("***@", text)


def _parts(lines: list[str]) -> list[str]:
    parts: list[str] = []
    said: list[str] = []  # by the build script, after the last section mark
    in_section = False
    for line in lines:
        if line.startswith("hint:"):
            break
        started = _ERROR.fullmatch(line) or _CAUSE.fullmatch(line)
        if started and not in_section:
            parts.append(started["text"].strip())
        elif _SECTION.fullmatch(line):
            in_section = True
        elif (text := line.strip(_MARGIN)) and text.strip("^"):
            if in_section:
                said.append(text)
            else:
                parts[-1] += f" {text}"
    return parts + said[-1:]


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"
