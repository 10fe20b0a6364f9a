"""Copies of directories that others go on writing to."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from runtime.packages import snapshot
from runtime.packages.snapshot import Earlier, LeftOut, Signatures, follow_snapshot, take_snapshot

WHOLE = LeftOut([], [])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


def test_files_directories_and_links_are_copied_and_nothing_is_left_out(source: Path, into: Path) -> None:
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "rows.jsonl").write_text("1\n2\n")
    (source / "a" / "newest").symlink_to("b/rows.jsonl")
    (source / "empty").mkdir()
    assert take_snapshot(source, into, patience_seconds=5) == WHOLE
    assert (into / "a" / "b" / "rows.jsonl").read_text() == "1\n2\n"
    assert (into / "a" / "newest").readlink() == Path("b/rows.jsonl")
    assert (into / "empty").is_dir()


def test_writing_to_the_copy_changes_nothing_of_what_was_copied(source: Path, into: Path) -> None:
    (source / "file").write_text("theirs")
    take_snapshot(source, into, patience_seconds=5)
    (into / "file").write_text("mine")
    assert (source / "file").read_text() == "theirs"


def test_a_file_that_never_rests_is_left_out_and_named_and_the_others_are_there(source: Path, into: Path) -> None:
    (source / "still").write_text("here")
    with _scribbling(source / "busy"):
        assert take_snapshot(source, into, patience_seconds=0.5) == LeftOut(["busy"], [])
    assert sorted(path.name for path in into.iterdir()) == ["still"]


def test_where_files_come_all_the_time_the_copy_is_not_of_one_moment_and_says_so(source: Path, into: Path) -> None:
    """A destination of many files: each is whole, together they are of no moment."""
    with _adding(source):
        left_out = take_snapshot(source, into, patience_seconds=0.5)
    assert not left_out.is_of_one_moment
    assert not left_out.is_whole
    assert all(path.read_text() == "rows" for path in into.iterdir())


def test_a_copy_that_nobody_writes_to_has_files_in_common_with_the_one_before(source: Path, tmp_path: Path) -> None:
    (source / "a").mkdir()
    for name, text in {"a/still": "still", "a/changes": "before", "a/goes": "gone"}.items():
        (source / name).write_text(text)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    left_out, signatures = follow_snapshot(source, first, Earlier(tmp_path / "none", Signatures()), patience_seconds=5)
    assert left_out == WHOLE
    signatures.save(tmp_path / "signatures.json")
    (source / "a" / "changes").write_text("after!")
    (source / "a" / "goes").unlink()
    earlier = Earlier(first, Signatures.load(tmp_path / "signatures.json"))
    assert follow_snapshot(source, second, earlier, patience_seconds=5)[0] == WHOLE
    assert {path.name: path.read_text() for path in (second / "a").iterdir()} == {"still": "still", "changes": "after!"}
    assert (second / "a" / "still").samefile(first / "a" / "still")
    assert (first / "a" / "changes").read_text() == "before"


def test_a_database_and_its_log_are_of_one_moment(source: Path, into: Path) -> None:
    (source / "shop.duckdb").write_text("database")
    with _scribbling(source / "shop.duckdb.wal"):
        assert take_snapshot(source, into, patience_seconds=0.5) == LeftOut(["shop.duckdb", "shop.duckdb.wal"], [])
    assert list(into.iterdir()) == []


def test_what_may_not_be_read_is_left_out_at_once_and_named_by_itself(source: Path, into: Path) -> None:
    """As ordinary users have it: for root everything may be read."""
    for name in ("still", "secret.txt", "shop.duckdb", "shop.duckdb.wal", "shut/inside", "half/inside"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text(name)
    for name, mode in (("secret.txt", 0), ("shop.duckdb.wal", 0), ("shut", 0), ("half", 0o400)):
        (source / name).chmod(mode)
    began = time.monotonic()
    left_out = take_snapshot(source, into, patience_seconds=60)
    for name in ("shut", "half"):
        (source / name).chmod(0o700)
    assert time.monotonic() - began < 30
    assert left_out == LeftOut([], ["half/", "secret.txt", "shop.duckdb", "shop.duckdb.wal", "shut/"])
    assert [path.name for path in into.rglob("*") if path.is_file()] == ["still"]


def test_a_file_that_may_be_read_again_is_copied(source: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy is looked at once more before it counts as whole."""
    (source / "file").write_text("here")
    (source / "file").chmod(0)
    looks = 0
    look = snapshot._scan

    def look_later(root: int) -> snapshot._Seen:
        nonlocal looks
        looks += 1
        if looks == 2:
            (source / "file").chmod(0o600)
        return look(root)

    monkeypatch.setattr(snapshot, "_scan", look_later)
    assert take_snapshot(source, into, patience_seconds=30) == WHOLE
    assert (into / "file").read_text() == "here"


def test_the_copy_waits_for_what_is_being_written_to_come_to_rest(source: Path, into: Path) -> None:
    writer = _scribbling(source / "busy")
    writer.__enter__()
    threading.Timer(0.5, writer.__exit__, (None, None, None)).start()
    assert take_snapshot(source, into, patience_seconds=30) == WHOLE
    assert (into / "busy").read_bytes() == (source / "busy").read_bytes()


def test_a_link_out_of_the_directory_is_copied_as_a_link_and_never_read(
    source: Path, into: Path, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("secret")
    (source / "stolen").symlink_to(tmp_path / "key")
    (source / "stolen_directory").symlink_to(tmp_path)
    take_snapshot(source, into, patience_seconds=5)
    assert (into / "stolen").is_symlink()
    assert (into / "stolen_directory").is_symlink()


def test_a_directory_swapped_for_a_link_while_it_is_read_leads_nowhere(
    source: Path, into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a hostile job does, at the worst moment: after the look, before the copy."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("secret")
    (source / "place").mkdir()
    (source / "place" / "file").write_text("plain")
    look = snapshot._scan

    def look_then_swap(root: int) -> snapshot._Seen:
        seen = look(root)
        if not (source / "place").is_symlink():
            (source / "place").rename(source / "moved")
            (source / "place").symlink_to(outside)
        return seen

    monkeypatch.setattr(snapshot, "_scan", look_then_swap)
    take_snapshot(source, into, patience_seconds=0.5)
    copied = [path.read_text() for path in into.rglob("*") if path.is_file() and not path.is_symlink()]
    assert "secret" not in copied


def test_pipes_and_trees_without_an_end_do_not_hold_the_copy_up(source: Path, into: Path) -> None:
    os.mkfifo(source / "pipe")
    place = os.open(source, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("deep", dir_fd=place)
        place, left = os.open("deep", os.O_RDONLY, dir_fd=place), place
        os.close(left)
    os.close(place)
    (source / "file").write_text("here")
    assert take_snapshot(source, into, patience_seconds=5) == WHOLE
    assert (into / "file").read_text() == "here"
    assert not (into / "pipe").exists()


def test_a_database_copied_while_it_is_loaded_opens_and_holds_whole_transactions(source: Path, into: Path) -> None:
    """Two tables are written in one transaction, again and again; a copy never shows one without the other."""
    begun, ended = threading.Event(), threading.Event()

    def load() -> None:
        with duckdb.connect(str(source / "shop.duckdb")) as connection:
            connection.execute("CREATE TABLE one (n INTEGER); CREATE TABLE two (n INTEGER)")
            number = 0
            while not ended.is_set():
                number += 1
                connection.execute("BEGIN")
                connection.execute("INSERT INTO one SELECT ? FROM range(1000)", [number])
                connection.execute("INSERT INTO two SELECT ? FROM range(1000)", [number])
                connection.execute("COMMIT")
                begun.set()
                ended.wait(0.3)

    loading = threading.Thread(target=load)
    loading.start()
    begun.wait()
    try:
        for number in range(5):
            copy = into / str(number)
            copy.mkdir()
            assert take_snapshot(source, copy, patience_seconds=30) == WHOLE
            with duckdb.connect(str(copy / "shop.duckdb")) as connection:
                counts = "SELECT (SELECT count(*) FROM one), (SELECT count(*) FROM two)"
                one, two = connection.execute(counts).fetchall()[0]
                assert one == two > 0
    finally:
        ended.set()
        loading.join()


@contextmanager
def _scribbling(path: Path) -> Iterator[None]:
    """Write to a file all the time, until the end."""
    ended = threading.Event()

    def scribble() -> None:
        with path.open("ab", buffering=0) as file:
            while not ended.wait(0.001):
                file.write(b"x")

    path.touch()
    thread = threading.Thread(target=scribble)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _adding(directory: Path) -> Iterator[None]:
    """Add files to a directory all the time, until the end."""
    ended = threading.Event()

    def add() -> None:
        number = 0
        while not ended.wait(0.001):
            number += 1
            (directory / f".{number}").write_text("rows")
            (directory / f".{number}").rename(directory / f"{number}.jsonl")

    (directory / "0.jsonl").write_text("rows")
    thread = threading.Thread(target=add)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
