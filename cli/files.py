"""Writing small files so that a reader, or a power cut, meets the old content or the new, never half of it."""

import contextlib
import os
import tempfile
from collections.abc import Generator
from pathlib import Path

from runtime.errors import InvalidError


@contextlib.contextmanager
def refusing(path: Path) -> Generator[Path, None, None]:
    """Around what writes there: an InvalidError that names the path is what the system's refusal becomes."""
    try:
        yield path
    except OSError as error:
        raise InvalidError(f"`{path}` cannot be written: {error.strerror or error}", code="file") from error


def write_atomically(path: Path, text: str, *, mode: int | None = None) -> None:
    """Replace a file's content.

    Args:
        mode: Permission bits of the new file; by default those the file has, or what the umask leaves.

    Raises:
        InvalidError: the file or its directory cannot be written to.
    """
    with refusing(path):
        if mode is None:
            mode = path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask()
        target = path.resolve()  # a linked settings file stays a link
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), mode)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
