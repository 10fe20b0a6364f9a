"""Where environments lie, and how a half-built one never looks like a whole one.

What a build leaves was written by strangers: nothing here follows a symlink out of it, and an environment counts only
when the marker that we wrote last, after everything else had reached the disk, names its key.

    <state>/envs/<key>/                         whole
    <state>/envs/<key>.tmp-<random>/            on its way in or out, swept at start
    <state>/cache/uv/<workspace_id>/cache/      uv's cache, written by builds of that workspace only
    <state>/cache/uv/<workspace_id>/<key>.tmp-<random>/    being built, on the cache's file system for hard links
"""

import contextlib
import ctypes
import json
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.errors import disk_error

MARKER = "dlt-runtime.json"
_TEMPORARY = "*.tmp-*"
_LARGEST_FILE = 4 * 1024 * 1024


class EnvironmentDirectories:
    """The directories below one state directory. All of it blocks; call it from a thread."""

    def __init__(self, state_dir: Path) -> None:
        self._environments = state_dir / "envs"
        self._caches = state_dir / "cache" / "uv"

    def environment(self, key: str) -> Path:
        """Where the environment of that key lies when it is whole."""
        return self._environments / key

    def is_whole(self, key: str) -> bool:
        """Whether that environment was built to its end."""
        try:
            marker = json.loads(read_untrusted(self.environment(key) / MARKER))
        except (OSError, ValueError):
            return False
        return isinstance(marker, dict) and marker.get("key") == key

    def scratch(self) -> Path:
        """A new private directory for what goes into and comes out of a resolution; remove it with `remove_tree`."""
        return _new_directory(self._environments, "request")

    def begin(self, workspace_id: UUID, key: str) -> Path:
        """A new empty directory to build in; its parent also holds the workspace's uv cache."""
        return _new_directory(self._caches / str(workspace_id), key)

    def workspace(self, workspace_id: UUID) -> Path:
        """What builds of a workspace share: the one place of the host they may write to."""
        path = self._caches / str(workspace_id)
        _private(path)
        return path

    def finish(self, built: Path, key: str, description: dict[str, Any]) -> None:
        """Make what was built in `built` the environment of that key, at once and as a whole.

        Args:
            description: For the reader of the marker file: the resolved set, the Python.

        Raises:
            UnavailableError: the build replaced its own directory, or the disk does not take it.
        """
        try:
            # First out of the build's reach (others of the workspace may go on), then look at what it is.
            staged = self._take_away(built, key)
            try:
                _write_marker(staged, {"key": key, **description})
                if self.environment(key).exists():
                    remove_tree(self._take_away(self.environment(key), key))
                staged.rename(self.environment(key))
            except OSError:
                remove_tree(staged)
                raise
        except OSError as error:
            raise disk_error("environment could not be put in place", error) from error

    def discard(self, built: Path) -> None:
        """Remove what an unfinished build left in its directory."""
        with contextlib.suppress(FileNotFoundError):
            remove_tree(self._take_away(built, "discarded"))

    def _take_away(self, path: Path, name: str) -> Path:
        _private(self._environments)
        return path.rename(self._environments / _temporary_name(name))

    def environments(self) -> list[tuple[str, Path, float]]:
        """Every environment: its key, its directory, when it was put there in seconds since the epoch."""
        found = []
        for path in self._environments.glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if ".tmp-" not in path.name:
                    found.append((path.name, path, path.lstat().st_mtime))
        return found

    def caches(self) -> list[tuple[UUID, Path, float]]:
        """The downloads of every workspace: whose, their directory, when the workspace last built something."""
        found = []
        for path in self._caches.glob("*/cache"):
            with contextlib.suppress(FileNotFoundError, ValueError):
                found.append((UUID(path.parent.name), path, path.parent.lstat().st_mtime))
        return found

    def take_away(self, path: Path) -> Path:
        """Rename what is to be removed, so that it is gone at once; returns where it is until then."""
        return self._take_away(path, "removed")

    def sweep(self) -> int:
        """Remove what builds that were cut off left behind; returns how much there was. Only while none runs."""
        left = [*self._environments.glob(_TEMPORARY), *self._caches.glob(f"*/{_TEMPORARY}")]
        for path in left:
            remove_tree(path)
        return len(left)


def read_untrusted(path: Path) -> str:
    """The text of a file that a stranger may have put there: no symlink, no pipe, nothing huge.

    Raises:
        OSError: there is no such file, or it is one of those.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_FILE:
            raise OSError(f"`{path.name}` is not an ordinary file of at most {_LARGEST_FILE} bytes")
        return file.read(_LARGEST_FILE).decode("utf-8", errors="replace")


def remove_tree(path: Path) -> None:
    """Remove whatever is at `path`, also what its maker made hard to remove; a symlink is removed, not followed."""
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISDIR(mode):
            path.unlink()
            return
        _open_up(path)
        shutil.rmtree(path)
    except FileNotFoundError:
        return


def _open_up(top: Path) -> None:
    top.chmod(0o700)
    for folder, names, _ in os.walk(top):
        for entry in (Path(folder, name) for name in names):
            if not entry.is_symlink() and entry.stat().st_mode & 0o700 != 0o700:
                entry.chmod(0o700)


def _write_marker(directory: Path, content: dict[str, Any]) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _sync_file_system(handle)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(MARKER, dir_fd=handle)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(MARKER, flags, 0o644, dir_fd=handle), "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
    finally:
        os.close(handle)


def _sync_file_system(handle: int) -> None:
    # Only this file system: sync() would also wait for every slow network mount of the machine.
    if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _new_directory(parent: Path, name: str) -> Path:
    _private(parent)
    path = parent / _temporary_name(name)
    path.mkdir(mode=0o700)
    return path


def _private(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _temporary_name(name: str) -> str:
    return f"{name}.tmp-{secrets.token_hex(8)}"
