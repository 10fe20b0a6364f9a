"""Giving back parts of a log that is being written."""

import os
from pathlib import Path

import pytest

from runtime.runner.holes import free_range

MIB = 1024**2


def test_a_part_is_given_back_and_everything_else_stays(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"a" * MIB + b"b" * MIB + b"c" * MIB)
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
    try:
        if not free_range(descriptor, MIB, 2 * MIB):
            pytest.skip("this file system makes no holes")
        os.write(descriptor, b"d")
    finally:
        os.close(descriptor)
    content = file.read_bytes()
    assert content == b"a" * MIB + bytes(MIB) + b"c" * MIB + b"d"
    assert file.stat().st_blocks * 512 < 3 * MIB


def test_nothing_is_given_back_of_nothing(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"a" * 100)
    descriptor = os.open(file, os.O_WRONLY)
    try:
        assert free_range(descriptor, 50, 50)
        assert free_range(descriptor, 50, 20)
    finally:
        os.close(descriptor)
    assert file.read_bytes() == b"a" * 100
