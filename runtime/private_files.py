"""Files that are the daemon's alone, mode 0600, on the disk before anybody relies on them."""

import os
from pathlib import Path


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet; FileExistsError if there is one."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_whole(path: Path, content: bytes) -> None:
    """Put a file in place of another, or of none: a crash in between leaves the old one, never half of the new.

    One writer at a time. The draft has one name, so that a daemon that is killed meanwhile leaves one at most, which
    is in nobody's way.
    """
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    try:
        write_new(draft, content)
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
