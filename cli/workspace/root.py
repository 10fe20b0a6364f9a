"""The workspace directory: the nearest one upwards that holds `.dlt/.workspace`."""

from pathlib import Path

from runtime.errors import NotFoundError

MARKER = Path(".dlt/.workspace")
DEPLOYMENT_MODULE = "__deployment__"


def find_root(start: Path) -> Path | None:
    """The workspace directory that `start` lies in, resolved; None if it lies in none."""
    start = start.resolve()
    return next((directory for directory in (start, *start.parents) if (directory / MARKER).exists()), None)


def require_root(start: Path) -> Path:
    """As `find_root`.

    Raises:
        NotFoundError: there is none; the hint says how to make one.
    """
    root = find_root(start)
    if root is not None:
        return root
    if (start / ".dlt").is_dir():
        hint = "this looks like a dlt project: `touch .dlt/.workspace` makes it a workspace"
    else:
        hint = "go to your project, or make a workspace here: `mkdir .dlt && touch .dlt/.workspace`"
    raise NotFoundError(f"there is no dlt workspace in `{start}` or above", code="workspace_missing", hint=hint)
