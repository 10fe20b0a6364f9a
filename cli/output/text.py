"""Text from elsewhere made safe to show: a job's log line or name must not steer the reader's terminal."""

import re
import unicodedata

_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Controls, formatting (which holds the bidirectional overrides), surrogates, line and paragraph separators."""

_JOINERS = frozenset("\u200c\u200d")  # part of the spelling in several scripts and of emoji


def clean(text: str) -> str:
    r"""One line without anything a terminal acts on: colours are dropped, other controls become `\x1b` and the like.

    A tab stays, since it is part of how people lay out log lines.

    >>> clean("\x1b[31mred\x1b[0m \x1b]0;title\x07")
    'red \\x1b]0;title\\x07'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in _COLOURS.sub("", text))


def cell(text: str) -> str:
    """As `clean`, for a field of a tab-separated line."""
    return clean(text).replace("\t", " ")


def _visible(character: str) -> str:
    if character == "\t" or character in _JOINERS or unicodedata.category(character) not in _INVISIBLE:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
