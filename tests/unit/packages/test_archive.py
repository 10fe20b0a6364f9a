"""Packages from honest writers are taken as they are; from anybody else they are refused whole."""

import contextlib
import gzip
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidError, UnavailableError
from runtime.packages.archive import UnpackedPackage, content_path, unpack_archive
from runtime.settings import LimitSettings
from tests.package_factory import (
    END,
    Link,
    Member,
    Tree,
    archive,
    digest,
    manifest,
    members,
    named,
    package,
    raw_tar,
    tree_hash,
)

HONEST: Tree = {
    "pipeline.py": b"print('hello')\n",
    "shop/__init__.py": b"",
    "shop/Fruit.py": b"APPLE = 1\n",
    "shop/fruit.py": b"APPLE = 1\n",
    "data/latest": Link("../shop/fruit.py"),
    "shop/\u00fcnlich \u679c.txt": b"\x00\xff",
    "deep/" + "d" * 120 + "/" + "n" * 120 + ".py": b"pass\n" * 300,
}


@contextlib.contextmanager
def contents_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "contents"


def unpack(upload: bytes, into: Path, *, max_bytes: int = 1 << 20, max_files: int = 100) -> UnpackedPackage:
    file = into.with_name("upload.tar.gz")
    file.write_bytes(upload)
    return unpack_archive(file, into, LimitSettings(package_files=max_files), max_bytes)


def refusal_of(upload: bytes, *, max_bytes: int = 1 << 20, max_files: int = 100) -> str:
    with contents_directory() as into:
        with pytest.raises(InvalidError) as caught:
            unpack(upload, into, max_bytes=max_bytes, max_files=max_files)
        assert caught.value.code == "package"
        assert not into.exists(), "a refused package leaves nothing behind"
        return caught.value.message


def assert_same(result: UnpackedPackage, tree: Tree, into: Path) -> None:
    assert result.content_hash == tree_hash(tree)
    assert [file.relative_path for file in result.files] == sorted(tree)
    for file in result.files:
        entry = tree[file.relative_path]
        if isinstance(entry, Link):
            assert (file.linkname, file.size_bytes, file.sha3_256) == (entry.target, 0, digest(entry.target.encode()))
        else:
            assert (file.linkname, file.size_bytes) == (None, len(entry))
            assert content_path(into, file.sha3_256).read_bytes() == entry
    assert len(list(into.iterdir())) == len({entry for entry in tree.values() if isinstance(entry, bytes)})


def test_an_honest_package_is_taken_with_every_content_once() -> None:
    with contents_directory() as into:
        assert_same(unpack(package(HONEST), into), HONEST, into)


def test_an_empty_package_is_taken() -> None:
    with contents_directory() as into:
        assert unpack(package({}), into).files == ()


def test_an_empty_directory_that_is_there_already_is_used() -> None:
    with contents_directory() as into:
        into.mkdir()
        assert_same(unpack(package(HONEST), into), HONEST, into)


def test_a_directory_with_something_in_it_is_left_alone() -> None:
    with contents_directory() as into:
        into.mkdir()
        (into / "mine").touch()
        with pytest.raises(ValueError, match="empty directory"):
            unpack(b"nonsense", into)
        assert (into / "mine").exists()


def test_a_missing_upload_is_our_fault_and_leaves_nothing() -> None:
    with contents_directory() as into:
        with pytest.raises(UnavailableError):
            unpack_archive(into.with_name("none"), into, LimitSettings(), 1)
        assert not into.exists()


def test_set_user_id_set_group_id_and_sticky_bits_are_dropped() -> None:
    with contents_directory() as into:
        tree = {"run.sh": b"#!/bin/sh\n"}
        upload = archive([named("files/run.sh", b"#!/bin/sh\n", mode=0o7755), manifest(tree)])
        assert unpack(upload, into).files[0].mode == 0o755


def test_names_in_different_unicode_forms_are_different_files() -> None:
    tree: Tree = {"caf\u00e9.py": b"1", "cafe\u0301.py": b"2"}
    with contents_directory() as into:
        assert_same(unpack(package(tree), into), tree, into)


def test_a_name_split_over_the_headers_prefix_is_put_together() -> None:
    long = "files/" + "p" * 90 + "/" + "n" * 60
    block = bytearray(raw_tar([Member("n" * 60, b"x")]))
    block[345 : 345 + len("files/" + "p" * 90)] = b"files/" + b"p" * 90
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    tree = {long.removeprefix("files/"): b"x"}
    with contents_directory() as into:
        assert_same(unpack(gzip.compress(bytes(block) + raw_tar([manifest(tree)]) + END), into), tree, into)


_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1)
_PARTS = _NAMES.filter(lambda name: name not in (".", "..") and len(name.encode()) <= 255)
_PATHS = st.lists(_PARTS, min_size=1, max_size=4).map("/".join)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, bytes | Link]:
    """Trees in which nothing lies below a file; links lead to files or below directories."""
    paths = draw(st.lists(_PATHS, max_size=8, unique=True))
    files = [path for path in paths if not any(other.startswith(path + "/") for other in paths)]
    tree: dict[str, bytes | Link] = {path: draw(st.binary(max_size=2000)) for path in files}
    for number, path in enumerate(draw(st.lists(st.sampled_from(files), max_size=3)) if files else []):
        name = f"link {number} \u2192"
        if name not in paths and not any(other.startswith(name + "/") for other in paths):
            tree[name] = Link(path)
    return tree


@given(trees())
@settings(max_examples=100, deadline=None)
def test_what_was_packed_comes_out_again(tree: dict[str, bytes | Link]) -> None:
    with contents_directory() as into:
        assert_same(unpack(package(tree), into), tree, into)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_changed_byte_is_refused_or_changes_nothing(data: st.DataObject) -> None:
    tar = bytearray(raw_tar([*members(HONEST), manifest(HONEST)]) + END)
    where = data.draw(st.integers(0, len(tar) - 1))
    tar[where] ^= data.draw(st.integers(1, 255))
    with contents_directory() as into:
        try:
            result = unpack(gzip.compress(bytes(tar), compresslevel=1), into)
        except InvalidError:
            assert not into.exists()
        else:
            assert_same(result, HONEST, into)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_damaged_compression_is_refused_or_changes_nothing(data: st.DataObject) -> None:
    upload = bytearray(package(HONEST))
    where = data.draw(st.integers(0, len(upload) - 1))
    upload[where] ^= data.draw(st.integers(1, 255))
    with contents_directory() as into:
        try:
            result = unpack(bytes(upload), into)
        except InvalidError:
            assert not into.exists()
        else:
            assert_same(result, HONEST, into)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_cut_upload_is_refused_wherever_it_is_cut(data: st.DataObject) -> None:
    upload = package(HONEST)
    assert refusal_of(upload[: data.draw(st.integers(0, len(upload) - 1))])


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_cut_tar_is_refused_wherever_it_is_cut(data: st.DataObject) -> None:
    tar = raw_tar([*members(HONEST), manifest(HONEST)]) + END
    assert refusal_of(gzip.compress(tar[: data.draw(st.integers(0, len(tar) - 1))], compresslevel=1))


@given(st.binary(max_size=3000))
@settings(max_examples=60, deadline=None)
def test_noise_is_refused(noise: bytes) -> None:
    assert refusal_of(noise)
    assert refusal_of(gzip.compress(noise, compresslevel=1))


def lying(member: Member, path: str = "x") -> bytes:
    """An archive with this member, and a manifest that lists `path` with its content."""
    entry = Link(str(member.linkname)) if member.kind == "2" else member.content
    return archive([member, manifest({path: entry})])


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (Member("files//etc/passwd"), "absolute path"),
        (Member("/files/x"), "outside `files/`"),
        (Member("x"), "outside `files/`"),
        (Member("filesx"), "outside `files/`"),
        (Member("./files/x"), "outside `files/`"),
        (Member("../files/x"), "outside `files/`"),
        (Member("files/../x"), "`..` in its path"),
        (Member("files/a/../../x"), "`..` in its path"),
        (Member("files/a/.."), "`..` in its path"),
        (Member("files/"), "empty part"),
        (Member("files/a//b"), "empty part"),
        (Member("files/a/"), "empty part"),
        (Member("files/./x"), "empty part or `.`"),
        (Member("files/a\\..\\x"), "backslash"),
        (Member("files/C:\\x"), "backslash"),
        (Member(b"files/a\0b"), "NUL"),
        (Member("files/x", pax={"path": "files/a\0b"}), "NUL"),
        (Member(b"files/\xff"), "not UTF-8"),
        (Member("files/x", pax={"path": b"files/\xff"}), "not UTF-8"),
        (Member("files/x", pax={"path": b"files/\xed\xa0\x80"}), "not UTF-8"),
        (Member("files/a\nb"), "control character"),
        (Member("files/\x1b[2J"), "control character"),
        (Member("files/x", pax={"path": "files/" + "n" * 256}), "part longer than 255"),
        (Member("files/x", pax={"path": "files/" + "\u00fc" * 128}), "part longer than 255"),
        (Member("files/x", pax={"path": "files/" + "d/" * 1600 + "x"}), "longer than 3072"),
        (Member("files/x", pax={"path": "files/" + "d/" * 100 + "x"}), "100 directories deep"),
        (Member("files/x", kind="1", linkname="files/y"), "hard link"),
        (Member("files/x", kind="3"), "character device"),
        (Member("files/x", kind="4"), "block device"),
        (Member("files/x", kind="5"), "directory"),
        (Member("files/x", kind="6"), "FIFO"),
        (Member("files/x", kind="7"), "unknown kind"),
        (Member("files/x", kind="S"), "sparse"),
        (Member("././@LongLink", b"files/x\0", kind="L"), "GNU long name"),
        (Member("././@LongLink", b"files/x\0", kind="K"), "GNU long name"),
        (Member("pax_global_header", b"20 path=/etc/passwd\n", kind="g"), "global header"),
        (Member("files/x", pax={"GNU.sparse.major": "1"}), "GNU.sparse.major"),
        (Member("files/x", pax={"SCHILY.xattr.security.capability": "x"}), "SCHILY"),
        (Member("files/x", pax={"hdrcharset": "BINARY"}), "hdrcharset"),
        (Member("files/x", pax={"size": "-1"}), "not a number"),
        (Member("files/x", pax={"size": "1e3"}), "not a number"),
        (Member("files/x", pax={"size": "\u0661"}), "not a number"),
        (Member("files/x", pax={"linkpath": "/etc/passwd"}), "file with a link target"),
        (Member("files/x", pax={"path": ""}), "outside `files/`"),
        (Member("files/x", pax={"path": "/etc/passwd"}), "outside `files/`"),
        (Member("files/x", pax={"path": "files/../../etc/passwd"}), "`..` in its path"),
        (Member("files/x", pax={"comment": "c" * 20_000}), "more than 16384 bytes"),
        (Member("files/x", kind="2", linkname="/etc/passwd"), "absolute target"),
        (Member("files/x", kind="2", linkname=""), "link to nothing"),
        (Member("files/x", kind="2", linkname="y", content=b"z"), "link with content"),
        (Member("files/x", kind="2", linkname=".."), "leaves the package"),
        (Member("files/x", kind="2", linkname="../etc"), "leaves the package"),
        (Member("files/x", kind="2", linkname="a/../../etc"), "leaves the package"),
        (Member("files/x", kind="2", linkname="x"), "in a circle"),
        (Member("files/x", kind="2", linkname="y", pax={"linkpath": "../../etc"}), "leaves the package"),
        (Member("files/x", kind="2", linkname="y", pax={"linkpath": "/etc/" + "a" * 120}), "absolute target"),
        (Member("files/x", kind="2", linkname="a\\b"), "backslash"),
        (Member("files/x", magic=b"ustar  \0"), "not a POSIX tar"),
        (Member("files/x", magic=b"\0" * 8), "not a POSIX tar"),
        (Member("files/x", kind="x", content=b"11 path=/x\n"), "extended header without an entry"),
        (Member("files/x", kind="x", content=b"nonsense"), "damaged extended header"),
        (Member("files/x", kind="x", content=b"99 path=/x\n"), "damaged extended header"),
        (Member("files/x", kind="x", content=b"0 path=/x\n"), "damaged extended header"),
        (Member("files/x", kind="x", content=b"2 path=/x\n"), "damaged extended header"),
    ],
)
def test_a_hostile_member_is_refused_with_its_reason(member: Member, reason: str) -> None:
    following = [member] if member.kind == "x" else []
    message = refusal_of(archive([*following, member, manifest({})]) if following else lying(member))
    assert reason in message
    assert message.isprintable()


def test_the_refusal_names_the_entry() -> None:
    assert refusal_of(lying(Member("files/a/../../x"))).startswith("`files/a/../../x` ")
    assert refusal_of(lying(Member("files/x", kind="6"))).startswith("`files/x` ")


def test_a_long_hostile_name_is_named_short() -> None:
    assert len(refusal_of(lying(Member("files/x", pax={"path": "files/" + "n" * 3000})))) < 250


@pytest.mark.parametrize(
    ("tree", "blamed", "reason"),
    [
        ({"d": Link("."), "d/x": b""}, "files/d/x", "below a symbolic link"),
        ({"d/x": b"", "d": Link(".")}, "files/d", "also a directory"),
        ({"d": b"", "d/x": b""}, "files/d/x", "below a file"),
        ({"d/x": b"", "d": b""}, "files/d", "also a directory"),
        ({"a": Link("b"), "b": Link("a")}, "a", "in a circle"),
        ({"a": Link("b/x"), "b": Link("c"), "c": Link("a")}, "a", "in a circle"),
        ({"up/d/l": Link("../.."), "x": Link("up/d/l/../etc")}, "x", "leaves the package"),
        ({"a": Link("d/e"), "d/e/f": b"", "x": Link("a/../../..")}, "x", "leaves the package"),
        ({"x": Link("missing/../../etc")}, "x", "leaves the package"),
        ({f"l{n}": Link(f"l{n + 1}") for n in range(60)}, "", "more than 40 links"),
        ({f"l{n:02}": Link(f"l{n - 1:02}") for n in range(1, 60)}, "", "more than 40 links"),
        ({f"l{n}": Link(f"l{n + 1}/l{n + 1}") for n in range(12)} | {"l12": Link(".")}, "", "more than 40 links"),
    ],
)
def test_entries_that_are_hostile_together_are_refused(tree: Tree, blamed: str, reason: str) -> None:
    message = refusal_of(package(tree))
    assert reason in message
    assert message.startswith(f"`{blamed}")


@pytest.mark.parametrize(
    "tree",
    [
        {"a": Link("b"), "b": Link("c"), "c": b"content"},
        {"d/l": Link("../x"), "x": b""},
        {"here": Link("."), "d/root": Link("..")},
        {"ignored": Link(".venv/bin/python")},
        {"through": Link("x/../y"), "x": b"", "y": b""},
        {"odd": Link(".//d/./x/"), "d/x/y": b""},
        {f"l{n}": Link(f"l{n + 1}") for n in range(40)},
    ],
)
def test_links_that_stay_in_the_tree_are_taken(tree: Tree) -> None:
    with contents_directory() as into:
        assert_same(unpack(package(tree), into), tree, into)


def test_a_name_that_comes_twice_is_refused() -> None:
    tree = {"x": b"1"}
    twice = archive([*members(tree), *members(tree), manifest(tree)])
    assert refusal_of(twice) == "`files/x` is in the archive twice"
    link_and_file = archive([*members(tree), *members({"x": Link("y")}), manifest(tree)])
    assert refusal_of(link_and_file) == "`files/x` is in the archive twice"


@pytest.mark.parametrize(
    "after", [b"x" + bytes(511), raw_tar([Member("files/y")]) + END, bytes(2 << 20)], ids=["text", "tar", "zeros"]
)
def test_something_behind_the_end_of_the_tar_is_refused(after: bytes) -> None:
    assert "behind the end" in refusal_of(archive([manifest({})], after=after))


def test_zeros_up_to_a_writers_record_size_are_no_garbage() -> None:
    with contents_directory() as into:
        unpack(archive([manifest({})], after=bytes(10_240)), into)


@pytest.mark.parametrize(
    "after", [b"garbage", b"\0" * 512, gzip.compress(b""), package(HONEST)], ids=["text", "zeros", "stream", "package"]
)
def test_something_behind_the_end_of_the_gzip_stream_is_refused(after: bytes) -> None:
    assert "behind the end" in refusal_of(package(HONEST) + after)


def test_a_damaged_end_mark_is_refused() -> None:
    assert "end mark" in refusal_of(gzip.compress(raw_tar([manifest({})]) + bytes(512) + raw_tar([Member("files/x")])))


@pytest.mark.parametrize("size", [b"+0000000012\0", b"0x000000012\0", b"\x80" + bytes(10) + b"\x01", b" " * 12])
def test_a_size_that_is_not_plain_octal_is_refused(size: bytes) -> None:
    block = bytearray(raw_tar([Member("files/x")]))
    block[124:136] = size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    assert "damaged header" in refusal_of(gzip.compress(bytes(block) + END))


def test_an_entry_that_would_exceed_the_bytes_is_refused_unread() -> None:
    huge = archive([Member("files/a", b"1234"), Member("files/huge", b"", size=8 << 30)])
    assert refusal_of(huge, max_bytes=1000) == "`files/huge` makes the package larger than 1000 bytes"


def test_exactly_the_permitted_bytes_and_files_are_taken() -> None:
    tree: Tree = {"a": b"12345", "b": b"67890"}
    with contents_directory() as into:
        assert_same(unpack(package(tree), into, max_bytes=10, max_files=2), tree, into)
    assert "larger than 9 bytes" in refusal_of(package(tree), max_bytes=9)
    assert refusal_of(package(tree), max_files=1) == "`files/b` is one entry too many: a package may have 1"


def test_more_directories_than_entries_are_permitted_are_refused() -> None:
    tree: Tree = {f"{n}/" + "d/" * 50 + "x": b"" for n in range(3)}
    assert "one directory too many" in refusal_of(package(tree), max_files=100)


def manifest_of(text: str) -> Member:
    return Member("manifest.yaml", text.encode())


X = Member("files/x", b"1")
X_LINES = f"- relative_path: x\n  sha3_256: {digest(b'1')}\n  size_in_bytes: 1\n"


def test_a_manifest_in_block_style_is_read() -> None:
    with contents_directory() as into:
        assert unpack(archive([X, manifest_of(f"engine_version: 1\nfiles:\n{X_LINES}")]), into).files


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([X], "has no `manifest.yaml`"),
        ([], "has no `manifest.yaml`"),
        ([manifest({"x": b"1"}), X], "`files/x` comes after manifest.yaml"),
        ([X, manifest({"x": b"1"}), manifest({"x": b"1"})], "`manifest.yaml` comes after"),
        ([X, Member("manifest.yaml", kind="2", linkname="files/x")], "outside `files/`"),
        ([X, manifest({})], "`x` is not in manifest.yaml"),
        ([X, manifest({"x": b"1", "y": b""})], "`y` is in manifest.yaml but not in the archive"),
        ([X, manifest({"x": b"2"})], "`x` has another content"),
        ([X, manifest({"x": b"12"})], "`x` has 1 bytes, manifest.yaml says 2"),
        ([X, manifest({"x": Link("1")})], "`x` has another link target"),
        ([*members({"x": Link("a")}), manifest({"x": Link("b")})], "`x` has another link target"),
        ([*members({"x": Link("a")}), manifest({"x": b""})], "`x` has another link target"),
        ([X, manifest_of(f"engine_version: 2\nfiles:\n{X_LINES}")], "engine version 2"),
        ([X, manifest_of(f"files:\n{X_LINES}")], "engine version None"),
        ([X, manifest_of(f"engine_version: 1\nfiles:\n{X_LINES}{X_LINES}")], "`x` is in manifest.yaml twice"),
        ([X, manifest_of("engine_version: 1\nfiles: []\nfiles: []")], "the key `files`"),
        ([X, manifest_of("engine_version: 1\nfiles: []\n--- more")], "where none belongs"),
        ([X, manifest_of("engine_version: 1\nfiles: [{relative_path: x}]")], "without its size"),
        ([X, manifest_of("engine_version: 1\nfiles: [{size_in_bytes: 1}]")], "without path or sha3_256"),
        ([X, manifest_of("engine_version: 1\nfiles: [{size_in_bytes: -1}]")], "without its size"),
        ([X, manifest_of("engine_version: 1\nfiles: [x]")], "where none belongs"),
        ([X, manifest_of("engine_version: 1\nfiles: [{mode: 1}]")], "the key `mode`"),
        ([X, manifest_of("engine_version: 1\nfiles: [{relative_path: [x]}]")], "where none belongs"),
        ([X, manifest_of("- 1")], "where none belongs"),
        ([X, manifest_of("")], "where none belongs"),
        ([X, manifest_of("engine_version: '1")], "is not YAML"),
        ([X, Member("manifest.yaml", b"\xff\xfe\xff")], "is not YAML"),
        ([X, manifest_of("!!python/object/apply:os.system [id]")], "where none belongs"),
        ([X, manifest_of("engine_version: !!int 1")], "where none belongs"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(entries: list[Member], reason: str) -> None:
    assert reason in refusal_of(archive(entries))


def test_aliases_in_the_manifest_are_refused_before_they_multiply() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9))
    assert "where none belongs" in refusal_of(archive([manifest_of(f"l0: &l0 [x]\n{levels}")]))
    assert "where none belongs" in refusal_of(archive([manifest_of("engine_version: &a 1\nfiles: *a")]))


def test_deep_nesting_in_the_manifest_is_refused() -> None:
    assert refusal_of(archive([manifest_of("files: " + "[" * 30_000)])).startswith("`manifest.yaml` is not")
    assert "where none belongs" in refusal_of(archive([manifest_of("files: " + "[" * 500 + "]" * 500)]))


def test_a_manifest_larger_than_its_files_need_is_refused_unread() -> None:
    huge = Member("manifest.yaml", size=100 << 20)
    assert refusal_of(archive([X, huge])) == "`manifest.yaml` is larger than 1 files need"
