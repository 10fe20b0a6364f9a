"""From stored packages to trees on the disk: a deployment's cached tree, a run's working copy and its `.dlt`.

The cache holds each deployment's tree once, read-only by convention; a working copy is a copy of it, shared blocks
where the file system can. Trees are written so that nothing in them is ever followed: every directory is made
here, files and links must be new, and links come last.
"""

import asyncio
import os
import secrets
import shutil
import stat
from collections.abc import AsyncIterable, Awaitable, Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from runtime.domain.packages import PackageFile
from runtime.errors import UnavailableError, disk_error
from runtime.packages.copying import FileCopier
from runtime.packages.refusal import refusal
from runtime.packages.removal import remove_tree
from runtime.packages.tree import path_parts
from runtime.sandbox.identity import boot_id

log = structlog.get_logger()

_BATCH_BYTES = 8 * 1024 * 1024
_ENTRY_BYTES = 1024
"""What an entry counts for besides its content, so that a batch of empty files ends too."""

_OWNER_READS = 0o400
_DIRECTORY_MODE = 0o755
_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600
_WORKSPACE_MARKER = ".workspace"


class PackageCache:
    """The trees of deployments, each written once and kept as `<root>/<deployment id>`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        self._opening = asyncio.Lock()
        self._is_open = False

    async def ensure(self, deployment_id: UUID, write: Callable[[Path], Awaitable[None]]) -> Path:
        """The deployment's tree; where it is missing, `write` fills an empty directory that becomes it.

        However many ask at the same time, one writes and the others wait for it. A tree appears whole or not at
        all; if writing fails or is cancelled, its error goes to that caller and the next one in line writes.

        Raises:
            UnavailableError: the disk did not take it; `write`'s own errors pass through.
        """
        tree = self._root / str(deployment_id)
        lock = self._locks.setdefault(deployment_id, asyncio.Lock())
        with _disk_errors("the deployment's tree could not be written"):
            await self._open()
            async with lock:
                if not tree.is_dir():
                    await self._write(tree, write)
        return tree

    async def prune(self, used: Callable[[], Awaitable[Container[UUID]]]) -> int:
        """Remove the trees of deployments that nothing uses; returns how many.

        Args:
            used: Asked after the trees have been listed, so that one which is written meanwhile is safe.
        """
        found = await asyncio.to_thread(_trees, self._root)
        in_use = await used()
        unused = [tree for deployment_id, tree in found if deployment_id not in in_use]
        for tree in unused:
            await asyncio.to_thread(shutil.rmtree, tree, ignore_errors=True)
        return len(unused)

    async def _write(self, tree: Path, write: Callable[[Path], Awaitable[None]]) -> None:
        unfinished = self._root / f".{tree.name}.{secrets.token_hex(4)}"
        unfinished.mkdir(mode=0o700)
        try:
            await write(unfinished)
            unfinished.rename(tree)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, unfinished, ignore_errors=True)
            raise
        log.info("wrote the tree of a deployment", action="package.materialise", deployment_id=tree.name)

    async def _open(self) -> None:
        async with self._opening:
            if not self._is_open:
                await asyncio.to_thread(_open_cache, self._root, boot_id())
                self._is_open = True


def _trees(root: Path) -> list[tuple[UUID, Path]]:
    found = []
    for tree in root.glob("*"):
        with suppress(ValueError):
            found.append((UUID(tree.name), tree))
    return found


def _open_cache(root: Path, boot: str) -> None:
    """Drop what cannot be trusted: unfinished trees, and after a reboot all trees.

    Files are not synced one by one, so a power failure may leave a tree in place whose files are empty.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    stamp = root / ".boot"
    is_same_boot = stamp.is_file() and stamp.read_text() == boot
    for entry in root.iterdir():
        if entry.is_dir() and (entry.name.startswith(".") or not is_same_boot):
            shutil.rmtree(entry)
    stamp.write_text(boot)


async def write_tree(contents: AsyncIterable[tuple[PackageFile, bytes | None]], into: Path) -> None:
    """Write a package's entries below `into`, an existing directory, in any order; None is a link's content.

    Holds about 8 MiB of contents at a time (or one larger file); the disk's work is done in threads.

    Raises:
        InvalidError: an entry would leave `into`, pass through a link or replace something, which a package that
            `unpack_archive` accepted does not do; code `package`.
        UnavailableError: the disk did not take it.
    """
    writer = _TreeWriter(into)
    batch: list[tuple[PackageFile, bytes | None]] = []
    held = 0
    with _disk_errors("the files could not be written"):
        async for file, content in contents:
            batch.append((file, content))
            held += len(content or b"") + _ENTRY_BYTES
            if held >= _BATCH_BYTES:
                await asyncio.to_thread(writer.write, batch)
                batch, held = [], 0
        await asyncio.to_thread(writer.write, batch)
        await asyncio.to_thread(writer.write_links)


def working_copy(source: Path, target: Path) -> None:
    """Copy a tree to `target`, which must not exist, with modes and links as they are; blocks are shared if possible.

    Raises:
        UnavailableError: the disk did not take it; nothing is left at `target` then.
    """
    with _disk_errors("the working copy could not be made"):
        target.mkdir(mode=0o700)
        try:
            _copy_tree(source, target)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise


def lay_links(links: Mapping[str, str], copy: Path) -> None:
    """Put symbolic links (path below the working copy, and target) in the place of whatever the deployment has there.

    Raises:
        UnavailableError: a directory on the way is a link, or the disk did not take it.
    """
    with _disk_errors("the working copy could not be made"):
        for path, target in links.items():
            directory = copy
            *parents, name = path.split("/")
            for part in parents:
                directory = directory / part
                if directory.is_symlink():
                    raise UnavailableError(f"`{path}` in the deployment must not be below a link", code="deployment")
                directory.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
            link = directory / name
            if link.is_symlink() or not link.is_dir():
                link.unlink(missing_ok=True)
            else:
                remove_tree(link)
            link.symlink_to(target)


def write_settings(files: Iterable[tuple[str, bytes]], dot_dlt: Path) -> None:
    """Write a run's settings (path and content) into its `.dlt`, as 0600 files in 0700 directories.

    Beside them goes `.workspace`, the empty file by which dlt knows a workspace.

    Raises:
        InvalidError: a path would leave `dot_dlt`, or a link or file stands where a directory should be.
        UnavailableError: the disk did not take it.
    """
    with _disk_errors("the settings could not be written"):
        _make_directory(dot_dlt, _PRIVATE_DIRECTORY, ".dlt")
        for path, content in [*files, (_WORKSPACE_MARKER, b"")]:
            *parents, name = path_parts(path, path)
            directory = dot_dlt
            for part in parents:
                directory = directory / part
                _make_directory(directory, _PRIVATE_DIRECTORY, path)
            with suppress(FileNotFoundError):
                (directory / name).unlink()  # a deployment's own file of that name must not lend it its mode
            _write_new(directory / name, content, _PRIVATE_FILE, path)


class _TreeWriter:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[tuple[str, ...], Path] = {(): root}
        self._links: list[PackageFile] = []

    def write(self, batch: Iterable[tuple[PackageFile, bytes | None]]) -> None:
        for file, content in batch:
            if file.linkname is not None:
                self._links.append(file)
            else:
                # The owner can always read: a file nobody can read could not be copied for a run.
                _write_new(self._place(file), content or b"", file.mode | _OWNER_READS, file.relative_path)

    def write_links(self) -> None:
        places = [(self._place(link), link) for link in self._links]
        for place, link in places:
            try:
                place.symlink_to(link.linkname or "")
            except FileExistsError as error:
                raise refusal(link.relative_path, "is there already") from error

    def _place(self, file: PackageFile) -> Path:
        *parents, name = path_parts(file.relative_path, file.relative_path)
        return self._directory(tuple(parents), file.relative_path) / name

    def _directory(self, parts: tuple[str, ...], entry: str) -> Path:
        if parts not in self._made:
            directory = self._directory(parts[:-1], entry) / parts[-1]
            _make_directory(directory, _DIRECTORY_MODE, entry)
            self._made[parts] = directory
        return self._made[parts]


def _copy_tree(source: Path, target: Path) -> None:
    copier = FileCopier()
    waiting = [(source, target)]
    while waiting:
        from_directory, to_directory = waiting.pop()
        with os.scandir(from_directory) as entries:
            for entry in entries:
                from_path, to_path = from_directory / entry.name, to_directory / entry.name
                if entry.is_symlink():
                    to_path.symlink_to(from_path.readlink())
                elif entry.is_dir(follow_symlinks=False):
                    to_path.mkdir(_DIRECTORY_MODE)
                    waiting.append((from_path, to_path))
                else:
                    _copy_file(copier, from_path, to_path)


def _copy_file(copier: FileCopier, source: Path, target: Path) -> None:
    with source.open("rb", buffering=0) as reading, target.open("xb", buffering=0) as writing:
        copier.copy(reading.fileno(), writing.fileno())
        os.fchmod(writing.fileno(), stat.S_IMODE(os.fstat(reading.fileno()).st_mode))


def _make_directory(directory: Path, mode: int, entry: str) -> None:
    try:
        directory.mkdir(mode=mode)
    except FileExistsError:
        if not stat.S_ISDIR(directory.lstat().st_mode):
            raise refusal(entry, "lies below a link or a file") from None
    directory.chmod(mode)  # whatever the umask, and whoever made it


def _write_new(path: Path, content: bytes, mode: int, entry: str) -> None:
    try:
        with open(path, "xb", buffering=0, opener=_open_new) as file:
            written = 0
            while written < len(content):
                written += file.write(memoryview(content)[written:])
            os.fchmod(file.fileno(), mode)
    except FileExistsError as error:
        raise refusal(entry, "is there already") from error


def _open_new(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE_FILE)


@contextmanager
def _disk_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(what, error) from error
