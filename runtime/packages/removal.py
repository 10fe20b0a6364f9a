"""Removing a tree that a job has had its hands on.

A job may leave directories nested by the thousand, which recursion and path lengths do not survive, and directories
without permissions, which an ordinary user cannot enter. So the tree is taken down from its top: a directory's
subdirectories are moved up beside it until none has any.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path


def remove_tree(path: Path) -> None:
    """Remove a directory and all below it, following no link; nothing to do where it is gone already.

    Raises:
        OSError: the disk refuses, or somebody goes on adding to the tree.
    """
    with suppress(FileNotFoundError):
        _open_up(path, None)
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _empty(root)
        finally:
            os.close(root)
        path.rmdir()


def _empty(root: int) -> None:
    names = _new_names()
    waiting = _clear(root, root, names)
    while waiting:
        name = waiting.pop()
        directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
        try:
            waiting += _clear(directory, root, names)
        finally:
            os.close(directory)
        os.rmdir(name, dir_fd=root)


def _clear(directory: int, root: int, names: Iterator[str]) -> list[str]:
    """Unlink the files of `directory` and move its directories into `root`; their new names there."""
    moved = []
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            os.unlink(name, dir_fd=directory)
            continue
        _open_up(name, directory)
        new_name = next(names)
        os.rename(name, new_name, src_dir_fd=directory, dst_dir_fd=root)
        moved.append(new_name)
    return moved


def _new_names() -> Iterator[str]:
    prefix = secrets.token_hex(8)  # no job can have guessed it and put a file in the way
    return (f"{prefix}-{number}" for number in count())


def _open_up(name: Path | str, directory: int | None) -> None:
    # By descriptor: a job still at work here could put a link where the directory was, and chmod follows links.
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
            Path(f"/proc/self/fd/{descriptor}").chmod(stat.S_IRWXU)
    finally:
        os.close(descriptor)
