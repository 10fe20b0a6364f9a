"""Trees on a real file system: what is written, copied and removed stays where it belongs."""

import asyncio
import contextlib
import os
import stat
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.domain.packages import PackageFile
from runtime.errors import InvalidError, UnavailableError
from runtime.packages.archive import content_path, unpack_archive
from runtime.packages.materialise import PackageCache, working_copy, write_settings, write_tree
from runtime.packages.removal import remove_tree
from runtime.settings import LimitSettings
from tests.package_factory import Link, Tree, archive, digest, manifest, members, named, names_in, package

Entries = Iterable[tuple[PackageFile, bytes | None]]


def file(path: str, content: bytes, mode: int = 0o644) -> tuple[PackageFile, bytes]:
    return PackageFile(relative_path=path, size_bytes=len(content), sha3_256=digest(content), mode=mode), content


def link(path: str, target: str) -> tuple[PackageFile, None]:
    entry = PackageFile(relative_path=path, size_bytes=0, sha3_256=digest(target.encode()), linkname=target, mode=0o777)
    return entry, None


async def stream(entries: Entries) -> AsyncIterator[tuple[PackageFile, bytes | None]]:
    for entry in entries:
        yield entry


async def write(entries: Entries, into: Path) -> Path:
    into.mkdir(exist_ok=True)
    await write_tree(stream(entries), into)
    return into


def snapshot(root: Path) -> dict[str, tuple[int, bytes | str]]:
    """Mode and content (or target) of everything below `root`; directories are there by their files."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for path in root.rglob("*"):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.is_symlink():
            found[str(path.relative_to(root))] = (mode, str(path.readlink()))
        elif path.is_file():
            found[str(path.relative_to(root))] = (mode, path.read_bytes())
    return found


# From archive to tree


async def test_an_uploaded_package_becomes_the_same_tree(tmp_path: Path) -> None:
    tree: Tree = {"a/b/c.py": b"1", "a/d.py": b"1", "e": b"", "l": Link("a/b/c.py"), "a/l": Link("..")}
    (tmp_path / "upload").write_bytes(package(tree))
    contents = tmp_path / "contents"
    unpacked = unpack_archive(tmp_path / "upload", contents, LimitSettings(), 1000)
    entries = [
        (entry, None if entry.linkname else content_path(contents, entry.sha3_256).read_bytes())
        for entry in unpacked.files
    ]
    assert snapshot(await write(entries, tmp_path / "tree")) == {
        "a/b/c.py": (0o644, b"1"),
        "a/d.py": (0o644, b"1"),
        "e": (0o644, b""),
        "l": (0o777, "a/b/c.py"),
        "a/l": (0o777, ".."),
    }


def test_a_refused_package_may_lie_in_a_temporary_directory_that_cleans_itself_up(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(archive([*members({"x": b"1"})]))
    with pytest.raises(InvalidError), tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        unpack_archive(upload, Path(folder), LimitSettings(), 1000)
    assert names_in(tmp_path) == ["upload"]


_STEPS = st.sampled_from(["..", ".", "a", "b", "c", "missing"])
_TARGETS = st.lists(_STEPS, min_size=1, max_size=5).map("/".join)


@given(
    st.dictionaries(
        st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join),
        st.one_of(_TARGETS.map(Link), st.just(b"")),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=300, deadline=None)
def test_links_of_an_accepted_package_end_inside_and_links_that_end_outside_are_refused(
    entries: dict[str, bytes | Link],
) -> None:
    tree = {path: entries[path] for path in entries if not any(path.startswith(other + "/") for other in entries)}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(os.path.realpath(folder), "root")
        root.mkdir()
        for path, entry in tree.items():
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(entry.target) if isinstance(entry, Link) else place.write_bytes(entry)
        ends = [os.path.realpath(root / path) for path in tree]
        is_inside = all(end == str(root) or end.startswith(f"{root}/") for end in ends)
        upload = Path(folder, "upload")
        upload.write_bytes(package(tree))
        refused = ""
        try:
            unpack_archive(upload, Path(folder, "contents"), LimitSettings(), 1000)
        except InvalidError as error:
            refused = error.message
        assert is_inside == (not refused) or "circle" in refused


# Writing trees


async def test_permission_bits_are_kept_and_the_owner_can_always_read(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        entries = [file("run.sh", b"", 0o755), file("shared", b"", 0o666), file("closed", b"", 0o000)]
        written = snapshot(await write(entries, tmp_path / "tree"))
    finally:
        os.umask(old)
    assert {path: mode for path, (mode, _) in written.items()} == {"run.sh": 0o755, "shared": 0o666, "closed": 0o400}


async def test_a_tree_larger_than_a_batch_is_written_in_full(tmp_path: Path) -> None:
    entries = [file(f"{n}", bytes([n]) * (3 << 20)) for n in range(7)]
    assert len(snapshot(await write(entries, tmp_path / "tree"))) == 7


@pytest.mark.parametrize("path", ["../out", "/tmp/out", "a/../../out", "a//b", ""])
async def test_an_entry_that_would_leave_the_tree_is_not_written(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidError):
        await write([file(path, b"x")], tmp_path / "tree")
    assert names_in(tmp_path) == ["tree"]


async def test_nothing_is_written_through_a_link_whatever_the_order(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for number, entries in enumerate(
        ([link("d", "../outside"), file("d/x", b"")], [file("d/x", b""), link("d", "../outside")])
    ):
        with pytest.raises(InvalidError):
            await write(entries, tmp_path / f"tree{number}")
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted" / "d").symlink_to(outside)
    (tmp_path / "planted" / "f").symlink_to(outside / "f")
    for entry in (file("d/x", b""), file("f", b"")):
        with pytest.raises(InvalidError):
            await write([entry], tmp_path / "planted")
    assert names_in(outside) == []


async def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="there already"):
        await write([file("x", b"1"), file("x", b"2")], tmp_path / "tree")
    assert (tmp_path / "tree" / "x").read_bytes() == b"1"


# The cache


async def test_one_tree_is_written_however_many_ask_for_it(tmp_path: Path) -> None:
    cache = PackageCache(tmp_path / "cache")
    identifier = uuid4()
    calls = 0

    async def fill(into: Path) -> None:
        nonlocal calls
        calls += 1
        await write([file("x", b"1")], into)

    paths = await asyncio.gather(*(cache.ensure(identifier, fill) for _ in range(20)))
    assert calls == 1
    assert set(paths) == {tmp_path / "cache" / str(identifier)}
    assert snapshot(paths[0]) == {"x": (0o644, b"1")}


async def test_different_deployments_are_written_side_by_side(tmp_path: Path) -> None:
    cache = PackageCache(tmp_path / "cache")
    both = asyncio.Barrier(2)

    async def fill(into: Path) -> None:
        await both.wait()

    async with asyncio.timeout(5):
        await asyncio.gather(cache.ensure(uuid4(), fill), cache.ensure(uuid4(), fill))


async def test_a_tree_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    cache = PackageCache(root)
    identifier = uuid4()

    async def fail(into: Path) -> None:
        assert not (root / str(identifier)).exists()
        (into / "half").touch()
        raise InvalidError("no", code="test")

    async def fill(into: Path) -> None:
        assert names_in(into) == []

    with pytest.raises(InvalidError, match="no"):
        await cache.ensure(identifier, fail)
    assert names_in(root) == [".boot"]
    assert (await cache.ensure(identifier, fill)).is_dir()


async def test_the_next_in_line_writes_when_the_first_is_cancelled(tmp_path: Path) -> None:
    cache = PackageCache(tmp_path / "cache")
    identifier = uuid4()
    started = asyncio.Event()

    async def hang(into: Path) -> None:
        started.set()
        await asyncio.Event().wait()

    async def fill(into: Path) -> None:
        (into / "x").touch()

    first = asyncio.create_task(cache.ensure(identifier, hang))
    await started.wait()
    second = asyncio.create_task(cache.ensure(identifier, fill))
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    assert names_in(await second) == ["x"]
    assert names_in(tmp_path / "cache") == sorted([".boot", str(identifier)])


async def test_trees_outlive_the_daemon_but_not_a_reboot_or_a_half_write(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    identifier = UUID(int=1)

    async def fill(into: Path) -> None:
        (into / "x").touch()

    async def refuse(into: Path) -> None:
        raise AssertionError("the tree is there")

    await PackageCache(root).ensure(identifier, fill)
    (root / ".half.0123").mkdir()
    await PackageCache(root).ensure(identifier, refuse)
    assert not (root / ".half.0123").exists()
    (root / ".boot").write_text("another boot")
    with pytest.raises(AssertionError):
        await PackageCache(root).ensure(identifier, refuse)


async def test_a_cache_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")

    async def fill(into: Path) -> None: ...

    with pytest.raises(UnavailableError, match="could not be written"):
        await PackageCache(tmp_path / "cache").ensure(uuid4(), fill)


# Working copies


async def test_a_working_copy_is_the_same_tree_and_its_own(tmp_path: Path) -> None:
    entries = [file("a/b/c.py", b"1" * 100_000, 0o600), file("run", b"#!", 0o755), file("empty", b"", 0o444)]
    source = await write([*entries, link("a/up", ".."), link("gone", "missing")], tmp_path / "tree")
    before = snapshot(source)
    working_copy(source, tmp_path / "copy")
    assert snapshot(tmp_path / "copy") == before
    (tmp_path / "copy" / "a/b/c.py").write_bytes(b"changed")
    (tmp_path / "copy" / "run").unlink()
    assert snapshot(source) == before


async def test_a_working_copy_is_never_made_over_something(tmp_path: Path) -> None:
    source = await write([file("x", b"1")], tmp_path / "tree")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "mine").touch()
    with pytest.raises(UnavailableError):
        working_copy(source, tmp_path / "copy")
    assert names_in(tmp_path / "copy") == ["mine"]


def test_a_working_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "tree"
    source.mkdir()
    (source / "x").write_text("1")
    os.mkfifo(source / "y")
    with pytest.raises(UnavailableError):
        working_copy(source / "x", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


# Settings


def test_settings_are_private_and_mark_the_workspace(tmp_path: Path) -> None:
    write_settings([("secrets.toml", b"a = 1"), ("team/config.toml", b"b = 2")], tmp_path / ".dlt")
    assert snapshot(tmp_path / ".dlt") == {
        "secrets.toml": (0o600, b"a = 1"),
        "team/config.toml": (0o600, b"b = 2"),
        ".workspace": (0o600, b""),
    }
    assert stat.S_IMODE((tmp_path / ".dlt").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / ".dlt/team").stat().st_mode) == 0o700


def test_settings_do_not_follow_what_a_deployment_put_in_their_place(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "link").symlink_to(outside)
    with pytest.raises(InvalidError):
        write_settings([("secrets.toml", b"a")], tmp_path / "link")
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt/team").symlink_to(outside)
    with pytest.raises(InvalidError):
        write_settings([("team/secrets.toml", b"a")], tmp_path / ".dlt")
    (tmp_path / ".dlt/secrets.toml").symlink_to(outside / "stolen")
    (tmp_path / ".dlt/config.toml").touch(0o666)
    write_settings([("secrets.toml", b"a"), ("config.toml", b"b")], tmp_path / ".dlt")
    assert names_in(outside) == []
    assert stat.S_IMODE((tmp_path / ".dlt/config.toml").stat().st_mode) == 0o600
    assert not (tmp_path / ".dlt/secrets.toml").is_symlink()


@pytest.mark.parametrize("path", ["../secrets.toml", "/tmp/secrets.toml", "a/../../secrets.toml"])
def test_settings_stay_below_their_directory(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidError):
        write_settings([(path, b"a")], tmp_path / ".dlt")


# Removal


def test_a_tree_deeper_than_paths_and_recursion_reach_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "run"
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("directory", dir_fd=here)
        below = os.open("directory", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    remove_tree(root)
    assert names_in(tmp_path) == []


def test_removal_opens_closed_directories_and_follows_no_link(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o500)
    (tmp_path / "run/a/b").mkdir(parents=True)
    (tmp_path / "run/a/b/x").touch()
    (tmp_path / "run/a/link").symlink_to(kept)
    os.mkfifo(tmp_path / "run/pipe")
    for closed in ("run/a/b", "run/a", "run"):
        (tmp_path / closed).chmod(0)
    remove_tree(tmp_path / "run")
    assert names_in(tmp_path) == ["kept"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o500


def test_removing_what_is_gone_is_no_error(tmp_path: Path) -> None:
    remove_tree(tmp_path / "gone")


def test_removal_does_not_follow_a_link_in_place_of_the_tree(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/x").touch()
    (tmp_path / "run").symlink_to(tmp_path / "kept")
    with pytest.raises(OSError, match="run"):
        remove_tree(tmp_path / "run")
    assert (tmp_path / "kept/x").exists()


# Modes of an upload reach the tree


async def test_an_executable_script_stays_executable(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(archive([named("files/run", b"#!", mode=0o4755), manifest({"run": b"#!"})]))
    (entry,) = unpack_archive(upload, tmp_path / "contents", LimitSettings(), 10).files
    assert snapshot(await write([(entry, b"#!")], tmp_path / "tree")) == {"run": (0o755, b"#!")}
