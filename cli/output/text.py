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
    if text.isprintable():
        return text
    text = _COLOURS.sub("", text)
    for character in {one for one in set(text) if not _is_visible(one)}:
        text = text.replace(character, character.encode("unicode_escape", "surrogatepass").decode("ascii"))
    return text


def cell(text: str) -> str:
    """As `clean`, for a field of a tab-separated line."""
    return clean(text).replace("\t", " ")


def _is_visible(character: str) -> bool:
    return character == "\t" or character in _JOINERS or unicodedata.category(character) not in _INVISIBLE
