"""Packing: the archive holds what was selected, and its hash is the contract's."""

import gzip
import hashlib
import io
import os
import tarfile
from base64 import b64encode
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.workspace.packing import Package, read_package, write_archive
from runtime.errors import InvalidError
from runtime.wire.package_format import package_hash

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12
).filter(lambda name: name not in (".", ".."))
TREES = st.dictionaries(NAMES, st.binary(max_size=300), max_size=6)


def archive_of(package: Package) -> bytes:
    into = io.BytesIO()
    write_archive(package, into)
    return into.getvalue()


def contents(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isreg()}  # type: ignore[union-attr]


@settings(max_examples=40)  # each makes files
@given(TREES)
def test_what_is_packed_is_what_was_there(tmp_path_factory: pytest.TempPathFactory, tree: dict[str, bytes]) -> None:
    root = tmp_path_factory.mktemp("tree")
    for name, content in tree.items():
        (root / name).write_bytes(content)
    package = read_package(root, tree, root)
    packed = contents(archive_of(package))
    manifest = yaml.safe_load(packed.pop("manifest.yaml"))
    assert packed == {f"files/{name}": content for name, content in tree.items()}
    assert [entry["relative_path"] for entry in manifest["files"]] == sorted(tree)
    assert manifest["engine_version"] == 1
    expected = hashlib.sha3_256()
    for name in sorted(tree):
        digest = b64encode(hashlib.sha3_256(tree[name]).digest())
        expected.update(name.encode() + digest)
    assert package.content_hash == b64encode(expected.digest()).decode()


@settings(max_examples=20)
@given(TREES, st.randoms())
def test_the_order_of_files_is_not_in_the_hash(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, bytes], random: object
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for name, content in tree.items():
        (root / name).write_bytes(content)
    names = list(tree)
    random.shuffle(names)  # type: ignore[attr-defined]
    package = read_package(root, names, root)
    assert package.content_hash == package_hash(reversed(package.files))
    assert archive_of(package) == archive_of(read_package(root, tree, root))


def test_modes_and_times_are_kept_and_not_in_the_hash(tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("echo")
    before = read_package(tmp_path, ["run.sh"], tmp_path).content_hash
    script.chmod(0o755)
    os.utime(script, (1_000_000, 1_000_000))
    package = read_package(tmp_path, ["run.sh"], tmp_path)
    assert package.content_hash == before
    with tarfile.open(fileobj=io.BytesIO(archive_of(package))) as tar:
        entry = tar.getmember("files/run.sh")
    assert (entry.mode, entry.mtime, entry.uid, entry.uname) == (0o755, 1_000_000, 0, "")


def test_links_that_stay_inside_are_packed_as_links_and_others_left_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("a")
    (tmp_path / "outside.txt").write_text("secret")
    (root / "sub" / "inside").symlink_to("../a.txt")
    (root / "sub" / "outside").symlink_to("../../outside.txt")
    (root / "dangling").symlink_to("nowhere")
    (root / "loop").symlink_to("loop")
    package = read_package(root, ["a.txt", "sub/inside", "sub/outside", "dangling", "loop"], root)
    assert [file.relative_path for file in package.files] == ["a.txt", "sub/inside"]
    assert package.left_out == ("sub/outside", "dangling", "loop")
    with tarfile.open(fileobj=io.BytesIO(archive_of(package))) as tar:
        assert tar.getmember("files/sub/inside").linkname == "../a.txt"
    entry = package.files[1]
    assert (entry.size_in_bytes, entry.linkname) == (0, "../a.txt")
    assert entry.sha3_256 == b64encode(hashlib.sha3_256(b"../a.txt").digest()).decode()


@pytest.mark.parametrize("content", ["longer than before", "s", "other"])
def test_a_file_that_changes_while_it_is_packed_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.txt").write_text("start")
    package = read_package(tmp_path, ["a.txt"], tmp_path)
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(InvalidError, match=r"`a\.txt` changed while it was being packed"):
        archive_of(package)


def test_a_file_that_became_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("start")
    package = read_package(tmp_path, ["a.txt"], tmp_path)
    (tmp_path / "a.txt").unlink()
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(InvalidError, match="changed"):
        archive_of(package)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match=r"`gone\.txt` cannot be read: No such file"):
        read_package(tmp_path, ["gone.txt"], tmp_path)


def test_a_name_that_is_not_text_is_refused(tmp_path: Path) -> None:
    name = os.fsdecode(b"bad\xff.txt")
    (tmp_path / name).write_text("x")
    with pytest.raises(InvalidError, match="is not UTF-8"):
        read_package(tmp_path, [name], tmp_path)


def test_the_archive_says_nothing_of_when_it_was_made(tmp_path: Path) -> None:
    archive = archive_of(read_package(tmp_path, [], tmp_path))
    assert archive[4:8] == b"\0\0\0\0"
    assert b"manifest.yaml" in gzip.decompress(archive)
