"""Receiving multipart uploads as files, without ever holding one in memory.

The framework's own parser writes to an anonymous file wherever the system keeps such, and limits the number of parts
but not their sizes; here each part has a limit of its own, enforced while reading, and a place of ours.
"""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

from litestar import Request
from litestar.exceptions import HTTPException, InternalServerException
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from runtime.errors import InvalidError

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of every fault, and strangers make many

_OVERHEAD_BYTES = 64 * 1024  # boundaries and part headers
_BUFFER_BYTES = 1024 * 1024


@asynccontextmanager
async def receive_parts(
    request: Request[Any, Any, Any], scratch: Path, limits: Mapping[str, int]
) -> AsyncIterator[dict[str, Path]]:
    """Receive a multipart body; yields the files by part name, and removes them at the end.

    Args:
        scratch: Where the files are put.
        limits: The parts that must come, each with the most bytes it may have.

    Raises:
        InvalidError: not multipart, malformed, cut short, or a part is missing, unknown or there twice.
        HTTPException: 413, a part is larger than its limit.
    """
    content_type, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if content_type != b"multipart/form-data" or not boundary:
        raise InvalidError("the body must be multipart/form-data", code="multipart")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > sum(limits.values()) + _OVERHEAD_BYTES:
        raise _too_large("the upload", sum(limits.values()))
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="upload-") as folder:
        with _Parts(Path(folder), limits) as parts:
            await _feed(request, boundary, parts)
        yield parts.complete()


async def _feed(request: Request[Any, Any, Any], boundary: bytes, parts: "_Parts") -> None:
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        async for chunk in request.stream():
            parser.write(chunk)
            if parts.buffered >= _BUFFER_BYTES:
                await asyncio.to_thread(parts.flush)
    except FormParserError:
        raise InvalidError("the body is not well-formed multipart/form-data", code="multipart") from None
    except InternalServerException:
        raise InvalidError("the upload was cut short", code="multipart") from None
    await asyncio.to_thread(parts.flush)


class _Parts:
    """What the parser calls back: collects a part's headers, then its content, into buffers and from there to files."""

    def __init__(self, folder: Path, limits: Mapping[str, int]) -> None:
        self._folder = folder
        self._limits = limits
        self._sizes: dict[str, int] = {}
        self._files: dict[str, IO[bytes]] = {}
        self._buffers: list[tuple[str, bytes]] = []
        self._header_name = b""
        self._header_value = b""
        self._current = ""
        self._has_ended = False
        self.buffered = 0

    def __enter__(self) -> "_Parts":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def callbacks(self) -> Any:
        """The table that the parser takes."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_header_name,
            "on_header_value": self._add_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._add_data,
            "on_end": self._end,
        }

    def flush(self) -> None:
        """Write what has been buffered; blocks."""
        buffers, self._buffers, self.buffered = self._buffers, [], 0
        for name, data in buffers:
            self._files[name].write(data)

    def complete(self) -> dict[str, Path]:
        """The files, if all that was expected has come."""
        if not self._has_ended:
            raise InvalidError("the upload was cut short", code="multipart")
        if missing := self._limits.keys() - self._files.keys():
            raise InvalidError(f"the part `{min(missing)}` is missing", code="multipart")
        return {name: self._folder / name for name in self._files}

    def _begin(self) -> None:
        self._current = ""

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            _, options = parse_options_header(self._header_value)
            self._current = options.get(b"name", b"").decode("utf-8", "replace")
        self._header_name = self._header_value = b""

    def _open(self) -> None:
        name = self._current
        if name not in self._limits:
            raise InvalidError(f"there is no use for a part `{name}`", code="multipart")
        if name in self._files:
            raise InvalidError(f"the part `{name}` is there twice", code="multipart")
        self._files[name] = (self._folder / name).open("wb")
        self._sizes[name] = 0

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        name = self._current
        self._sizes[name] += end - start
        if self._sizes[name] > self._limits[name]:
            raise _too_large(f"the part `{name}`", self._limits[name])
        self._buffers.append((name, data[start:end]))
        self.buffered += end - start

    def _end(self) -> None:
        self._has_ended = True


def _too_large(what: str, limit: int) -> HTTPException:
    return HTTPException(
        status_code=413,
        detail=f"{what} is larger than this runtime accepts, {limit:,} bytes; see `[limits]` in its configuration",
    )
