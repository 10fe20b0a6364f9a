"""A file of a deployment as it is shown to people: as text, if it is text that a person can read."""

from typing import Literal

from runtime.domain.model import Frozen

MOST_TEXT_BYTES = 512 * 1024
"""Larger files are not shown."""

CodeKind = Literal["text", "binary", "large", "link"]


class CodeFile(Frozen):
    """One file. `text` is there for kind `text`, `linkname` for kind `link`."""

    relative_path: str
    size_bytes: int
    sha3_256: str
    kind: CodeKind
    text: str | None = None
    linkname: str | None = None


def as_text(content: bytes) -> str | None:
    """What a file says; None if it is not text: it is not UTF-8, or has zero bytes."""
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None
