"""Measuring files that belong to somebody who may not want them measured."""

import os
import stat
from pathlib import Path

import pytest

from runtime.sandbox.quota import DEEPEST, LEAST_ENTRY_BYTES, disk_use, take_stock

MIB = 1024**2


def test_files_count_by_the_room_they_take(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * MIB)
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(1024 * MIB)
    used = disk_use([tmp_path])
    assert MIB <= used.bytes < 2 * MIB
    assert not used.hides


def test_empty_files_are_not_free(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).touch()
    assert disk_use([tmp_path]).bytes == 50 * LEAST_ENTRY_BYTES


def test_a_file_with_two_names_counts_once_wherever_they_are(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    (first / "file").write_bytes(b"x" * MIB)
    os.link(first / "file", second / "file")
    assert disk_use([first, second]).bytes < 2 * MIB


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside, own = tmp_path / "outside", tmp_path / "own"
    outside.mkdir()
    own.mkdir()
    (outside / "file").write_bytes(b"x" * MIB)
    (own / "to a directory").symlink_to(outside)
    (own / "to a file").symlink_to(outside / "file")
    (own / "round").symlink_to(own)
    assert disk_use([own]).bytes < MIB // 2


def test_what_is_gone_takes_no_room(tmp_path: Path) -> None:
    assert disk_use([tmp_path / "never"]).bytes == 0


def test_what_lies_too_deep_is_said_to_be_hidden(tmp_path: Path) -> None:
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(DEEPEST + 5):
        os.mkdir("down", dir_fd=place)
        below = os.open("down", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)
    assert disk_use([tmp_path]).hides


@pytest.mark.skipif(os.geteuid() == 0, reason="root needs no permissions")
@pytest.mark.parametrize("mode", [0o000, 0o200, 0o400, 0o100, 0o644])
def test_a_directory_without_permissions_hides_nothing_and_keeps_them_as_they_are(tmp_path: Path, mode: int) -> None:
    closed = tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    (closed / "inner" / "file").write_bytes(b"x" * MIB)
    (closed / "inner").chmod(mode)
    closed.chmod(mode)
    try:
        used = disk_use([tmp_path])
        assert disk_use([closed]).bytes >= MIB
        assert stat.S_IMODE(closed.stat().st_mode) == mode
    finally:
        closed.chmod(0o700)
    assert used.bytes >= MIB
    assert not used.hides
    assert stat.S_IMODE((closed / "inner").stat().st_mode) == mode
    (closed / "inner").chmod(0o700)


def test_large_files_are_told_by_themselves(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * MIB)
    (tmp_path / "small").write_bytes(b"x" * 1000)
    stock = take_stock([tmp_path])
    assert stock.large == {(tmp_path / "large").stat().st_ino: MIB}
    assert stock.use == disk_use([tmp_path])
