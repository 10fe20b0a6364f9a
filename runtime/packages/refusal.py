"""How a package is refused: whole, with one sentence that names the entry."""

from runtime.errors import InvalidError

_SHOWN_CHARACTERS = 120


def refusal(entry: str, reason: str) -> InvalidError:
    """The error for `entry`, whose name comes from a stranger; `reason` continues the sentence after the name."""
    return InvalidError(f"`{shown(entry)}` {reason}", code="package")


def shown(name: str) -> str:
    """`name` fit for a terminal and a log: nothing unprintable, the middle of a long one left out."""
    if len(name) > _SHOWN_CHARACTERS:
        half = _SHOWN_CHARACTERS // 2
        name = f"{name[:half]}...{name[-half:]}"
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode() for char in name
    )
