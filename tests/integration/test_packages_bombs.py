"""Small uploads that want to become large: refused early, and in bounded memory even when they are allowed."""

import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.errors import InvalidError
from runtime.packages.archive import content_path, unpack_archive
from runtime.settings import LimitSettings
from tests.package_factory import END, Member, manifest, raw_tar

MIB = 1024 * 1024
BOMB_BYTES = 200 * MIB


@contextmanager
def peak_memory_below(limit_bytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit_bytes


def write_gzip(path: Path, *pieces: bytes, zeros_after_first: int) -> None:
    compress = zlib.compressobj(level=1, wbits=31)
    with path.open("wb") as file:
        file.write(compress.compress(pieces[0]))
        for _ in range(zeros_after_first // MIB):
            file.write(compress.compress(bytes(MIB)))
        for piece in pieces[1:]:
            file.write(compress.compress(piece))
        file.write(compress.flush())


def bomb_header() -> bytes:
    return raw_tar([Member("files/zeros", size=BOMB_BYTES)])


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    upload, into = tmp_path / "upload", tmp_path / "into"
    write_gzip(upload, bomb_header(), END, zeros_after_first=BOMB_BYTES)
    assert upload.stat().st_size < 2 * MIB
    began = time.perf_counter()
    with peak_memory_below(4 * MIB), pytest.raises(InvalidError, match="files/zeros"):
        unpack_archive(upload, into, LimitSettings(), 100 * MIB)
    assert time.perf_counter() - began < 1
    assert not into.exists()


def test_a_bomb_behind_the_end_of_the_tar_is_refused(tmp_path: Path) -> None:
    upload, into = tmp_path / "upload", tmp_path / "into"
    write_gzip(upload, raw_tar([manifest({})]) + END, zeros_after_first=BOMB_BYTES)
    with peak_memory_below(4 * MIB), pytest.raises(InvalidError, match="behind the end"):
        unpack_archive(upload, into, LimitSettings(), BOMB_BYTES)
    assert not into.exists()


def test_a_bomb_in_the_manifest_is_refused(tmp_path: Path) -> None:
    upload, into = tmp_path / "upload", tmp_path / "into"
    header = raw_tar([Member("manifest.yaml", size=BOMB_BYTES)])
    write_gzip(upload, header, END, zeros_after_first=BOMB_BYTES)
    with peak_memory_below(4 * MIB), pytest.raises(InvalidError, match=r"`manifest\.yaml` is larger"):
        unpack_archive(upload, into, LimitSettings(), 2 * BOMB_BYTES)
    assert not into.exists()


def test_a_large_file_that_is_allowed_passes_through_in_bounded_memory(tmp_path: Path) -> None:
    upload, into = tmp_path / "upload", tmp_path / "into"
    tail = raw_tar([manifest({"zeros": bytes(BOMB_BYTES)})]) + END
    write_gzip(upload, bomb_header(), tail, zeros_after_first=BOMB_BYTES)
    with peak_memory_below(4 * MIB):
        (file,) = unpack_archive(upload, into, LimitSettings(), BOMB_BYTES).files
    assert content_path(into, file.sha3_256).stat().st_size == BOMB_BYTES
    content_path(into, file.sha3_256).unlink()


def test_many_entries_take_memory_by_their_names_only(tmp_path: Path) -> None:
    tree = {f"directory{n % 100}/module{n}.py": b"same" for n in range(5000)}
    members = [Member(f"files/{path}", content) for path, content in tree.items()]
    upload = tmp_path / "upload"
    write_gzip(upload, raw_tar([*members, manifest(tree)]) + END, zeros_after_first=0)
    with peak_memory_below(16 * MIB):
        assert len(unpack_archive(upload, tmp_path / "into", LimitSettings(), MIB).files) == len(tree)
    assert len(list((tmp_path / "into").iterdir())) == 1
