"""A strict reader of the tar dialect packages are written in: POSIX headers, `x` records, files and symbolic links.

Tar has many dialects, and readers that know them all disagree on what a hostile archive holds. This one knows a
single dialect and refuses the rest by name, so there is nothing to disagree about: hard links, devices, FIFOs,
directories, sparse files, GNU long names, global headers and unknown `x` records are all errors.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from runtime.errors import InvalidError
from runtime.packages.gzip_stream import GzipStream
from runtime.packages.refusal import refusal

_BLOCK_BYTES = 512
_ZERO_BLOCK = bytes(_BLOCK_BYTES)
_EXTENSION_BYTES = 16 * 1024
"""Largest `x` record block: two paths of the greatest length and a few numbers fit in well."""

_PADDING_BYTES = 1024 * 1024
"""Most zeros after the end mark; writers fill up to their record size, 10 KiB as a rule."""

_HARMLESS_RECORDS = {"mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment"}
_OVERRIDES = {"path", "linkpath", "size"}
_REFUSED_KINDS = {
    "1": "a hard link",
    "3": "a character device",
    "4": "a block device",
    "5": "a directory",
    "6": "a FIFO",
    "S": "a sparse file",
    "K": "a GNU long name",
    "L": "a GNU long name",
    "g": "a global header",
}


@dataclass(frozen=True, slots=True)
class TarEntry:
    """One member. `size` is in bytes (0 for links), `mode` the header's, `linkname` None for files."""

    name: str
    size: int
    mode: int
    linkname: str | None


@dataclass(frozen=True, slots=True)
class _Header:
    """A header block; the names stay bytes, since an `x` record may replace one that was cut within a character."""

    kind: str
    name: bytes
    size: int
    mode: int
    linkname: bytes


class TarStream:
    """Iterate for the members; between two of them `read` gives the content of the one last yielded."""

    def __init__(self, source: GzipStream) -> None:
        self._source = source
        self._unread = 0
        self._padding = 0

    def __iter__(self) -> Iterator[TarEntry]:
        """Every member in order; the end of the archive is verified before the iteration ends.

        Raises:
            InvalidError: the archive is not of this dialect; a member that is to blame is named.
        """
        while header := self._next_header():
            overrides: dict[str, str] = {}
            if header.kind == "x":
                overrides = self._extension(header)
                following = self._next_header()
                if following is None or following.kind == "x":
                    raise refusal(_lossy(header.name), "is an extended header without an entry")
                header = following
            entry = _entry(header, overrides)
            self._expect(entry.size)
            yield entry
        self._check_end()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of the present member, nothing at its end."""
        piece = self._source.read(min(size, self._unread)) if self._unread else b""
        if self._unread and not piece:
            raise InvalidError("the archive ends too early", code="package")
        self._unread -= len(piece)
        return piece

    def _expect(self, size: int) -> None:
        self._unread = size
        self._padding = -size % _BLOCK_BYTES

    def _next_header(self) -> _Header | None:
        while self.read(_BLOCK_BYTES):
            pass  # a consumer that stopped reading early
        self._source.read_exactly(self._padding)
        self._expect(0)
        block = self._source.read_exactly(_BLOCK_BYTES)
        return _parse_header(block) if block != _ZERO_BLOCK else None

    def _extension(self, header: _Header) -> dict[str, str]:
        if header.size > _EXTENSION_BYTES:
            raise refusal(_lossy(header.name), f"is an extended header of more than {_EXTENSION_BYTES} bytes")
        content = self._source.read_exactly(header.size)
        self._source.read_exactly(-header.size % _BLOCK_BYTES)
        return _parse_records(content, _lossy(header.name))

    def _check_end(self) -> None:
        if self._source.read_exactly(_BLOCK_BYTES) != _ZERO_BLOCK:
            raise InvalidError("the archive's end mark is damaged", code="package")
        padding = 0
        while piece := self._source.read(_BLOCK_BYTES * 64):
            padding += len(piece)
            if piece.count(0) != len(piece) or padding > _PADDING_BYTES:
                raise InvalidError("there is something behind the end of the archive", code="package")


def _entry(header: _Header, overrides: dict[str, str]) -> TarEntry:
    name = overrides["path"] if "path" in overrides else _decode(header.name)
    size = header.size
    if "size" in overrides:
        text = overrides["size"]
        if not (text.isascii() and text.isdecimal() and len(text) < 20):
            raise refusal(name, "has a size that is not a number")
        size = int(text)
    if header.kind in ("0", "\0"):
        if "linkpath" in overrides:
            raise refusal(name, "is a file with a link target")
        return TarEntry(name, size, header.mode, None)
    if header.kind == "2":
        if size:
            raise refusal(name, "is a symbolic link with content")
        linkname = overrides["linkpath"] if "linkpath" in overrides else _decode(header.linkname)
        return TarEntry(name, 0, header.mode, linkname)
    what = _REFUSED_KINDS.get(header.kind, "of an unknown kind")
    raise refusal(name, f"is {what}; packages hold files and symbolic links only")


def _parse_header(block: bytes) -> _Header:
    if sum(block[:148]) + sum(block[156:]) + 8 * 0x20 != _octal(block[148:156], block[:100]):
        raise InvalidError("the archive is damaged: a header's checksum is wrong", code="package")
    if block[257:265] != b"ustar\x0000":
        raise InvalidError("the archive is not a POSIX tar", code="package")
    name, prefix = block[:100].rstrip(b"\0"), block[345:500].rstrip(b"\0")
    if prefix:
        name = prefix + b"/" + name
    return _Header(
        kind=block[156:157].decode("latin-1"),
        name=name,
        size=_octal(block[124:136], name),
        mode=_octal(block[100:108], name),
        linkname=block[157:257].rstrip(b"\0"),
    )


def _octal(field: bytes, entry: bytes) -> int:
    digits = field.rstrip(b"\0 ").lstrip(b" ")
    if not digits or digits.strip(b"01234567"):
        raise refusal(_lossy(entry), "has a damaged header")
    return int(digits, 8)


def _lossy(name: bytes) -> str:
    return name.decode(errors="backslashreplace")


def _decode(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise refusal(_lossy(content), "has a name that is not UTF-8") from error
    if "\0" in text:
        raise refusal(text, "has a NUL in its name")
    return text


def _parse_records(content: bytes, entry: str) -> dict[str, str]:
    """The overriding records of an `x` block: lines of `<length> <key>=<value>`, the length counting itself."""
    records: dict[str, str] = {}
    at = 0
    while at < len(content):
        length, space, _ = content[at : at + 8].partition(b" ")
        if not space or not length.isdigit():
            raise refusal(entry, "is a damaged extended header")
        end = at + int(length)
        key, equals, value = content[at + len(length) + 1 : end - 1].partition(b"=")
        if not equals or end > len(content) or content[end - 1 : end] != b"\n":
            raise refusal(entry, "is a damaged extended header")
        _keep_record(records, _decode(key), value, entry)
        at = end
    return records


def _keep_record(records: dict[str, str], key: str, value: bytes, entry: str) -> None:
    if key in _OVERRIDES and key not in records:
        records[key] = _decode(value)
    elif key not in _HARMLESS_RECORDS:
        raise refusal(records.get("path", entry), f"uses the tar extension `{key[:40]}` in a way packages do not")
