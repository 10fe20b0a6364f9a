"""Packages written by hand, byte by byte: independent of `tarfile` and of the code under test, and able to lie."""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = 512
NOT_IN_YAML = "\u2028\u2029\ufeff\ufffe\uffff"
"""Characters that JSON has as they are and YAML does not."""

END = bytes(2 * BLOCK)


@dataclass(frozen=True)
class Link:
    """A symbolic link in a tree."""

    target: str


Tree = Mapping[str, bytes | Link]


@dataclass(frozen=True)
class Member:
    """One tar member; `size` declares another size than the content's, `pax` goes in front as an `x` header."""

    name: str | bytes
    content: bytes = b""
    kind: str = "0"
    linkname: str | bytes = ""
    mode: int = 0o644
    size: int | None = None
    pax: Mapping[str, str | bytes] = field(default_factory=dict)
    magic: bytes = b"ustar\x0000"


def names_in(directory: Path) -> list[str]:
    """What lies directly in `directory`, sorted."""
    return sorted(path.name for path in directory.iterdir())


def digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha3_256(content).digest()).decode()


def tree_hash(tree: Tree) -> str:
    total = hashlib.sha3_256()
    for path in sorted(tree):
        total.update(path.encode() + str(manifest_item(path, tree[path])["sha3_256"]).encode())
    return base64.b64encode(total.digest()).decode()


def manifest_item(path: str, entry: bytes | Link) -> dict[str, object]:
    if isinstance(entry, Link):
        target = entry.target
        return {"relative_path": path, "size_in_bytes": 0, "sha3_256": digest(target.encode()), "linkname": target}
    return {"relative_path": path, "size_in_bytes": len(entry), "sha3_256": digest(entry)}


def manifest(tree: Tree) -> Member:
    items = [manifest_item(path, tree[path]) for path in sorted(tree)]
    text = json.dumps({"engine_version": 1, "files": items}, ensure_ascii=False)
    for char in NOT_IN_YAML:
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Member("manifest.yaml", text.encode())


def members(tree: Tree) -> list[Member]:
    """The members of `tree` without a manifest."""
    return [
        named(f"files/{path}", kind="2", linkname=entry.target, mode=0o777)
        if isinstance(entry, Link)
        else named(f"files/{path}", entry)
        for path, entry in tree.items()
    ]


def named(name: str, content: bytes = b"", *, kind: str = "0", linkname: str = "", mode: int = 0o644) -> Member:
    """A member whose long names, as writers do it, are in an `x` header."""
    pax = {}
    if len(name.encode()) > 100:
        pax["path"] = name
    if len(linkname.encode()) > 100:
        pax["linkpath"] = linkname
    return Member(name.encode()[:100], content, kind, linkname.encode()[:100], mode, pax=pax)


def raw_tar(entries: Sequence[Member]) -> bytes:
    return b"".join(_member(entry) for entry in entries)


def archive(entries: Sequence[Member], *, after: bytes = b"") -> bytes:
    """A gzip tar of these members with an end mark, and whatever should follow inside of the compressed stream."""
    return gzip.compress(raw_tar(entries) + END + after, compresslevel=1)


def package(tree: Tree) -> bytes:
    """An honest package."""
    return archive([*members(tree), manifest(tree)])


def _member(entry: Member) -> bytes:
    pax = b""
    if entry.pax:
        records = b"".join(_record(key, value) for key, value in entry.pax.items())
        pax = _member(Member("././@PaxHeader", records, kind="x"))
    return pax + _header(entry) + entry.content + bytes(-len(entry.content) % BLOCK)


def _header(entry: Member) -> bytes:
    size = len(entry.content) if entry.size is None else entry.size
    block = bytearray(BLOCK)
    block[0:100] = _bytes(entry.name).ljust(100, b"\0")
    block[100:108] = b"%07o\0" % entry.mode
    block[108:124] = b"0000000\x000000000\0"
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"%011o\0" % 1_700_000_000
    block[148:156] = b" " * 8
    block[156:157] = entry.kind.encode("latin-1")
    block[157:257] = _bytes(entry.linkname).ljust(100, b"\0")
    block[257:265] = entry.magic
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _record(key: str, value: str | bytes) -> bytes:
    body = b" " + key.encode() + b"=" + _bytes(value) + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
