"""Just enough of WebSocket frames (RFC 6455, 5.2) to know where one ends, and to write a closing one between two."""

import struct

_CLOSE = 0x88
_LENGTHS = {126: 2, 127: 8}
MOST_FRAMES = 1000
"""In one piece. To follow a stream of nothing but tiny frames would take all the time that there is."""


class Boundary:
    """Follows a stream of frames, in whatever pieces it comes; no further than a piece that has too many of them.

    Attributes:
        is_between: Whether the stream so far ends with a whole frame, so that another may begin, for all we know.
        has_closed: Whether one of them was a closing frame.
    """

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self._is_lost = False
        self.has_closed = False

    @property
    def is_between(self) -> bool:
        """See the class."""
        return not self._is_lost and not self._head and not self._left

    def feed(self, data: bytes) -> None:
        """Take note of a piece."""
        position, size, frames = 0, len(data), 0
        while position < size and not self._is_lost:
            if self._left:
                step = min(self._left, size - position)
                self._left -= step
                position += step
                continue
            missing = _head_size(self._head) - len(self._head)
            self._head += data[position : position + missing]
            position += missing
            if len(self._head) >= 2 and len(self._head) == _head_size(self._head):
                self.has_closed = self.has_closed or self._head[0] & 0x0F == 0x8
                self._left = _payload_size(self._head)
                self._head = b""
                frames += 1
                self._is_lost = frames > MOST_FRAMES


def close_frame(code: int, reason: str) -> bytes:
    """A closing frame as a server sends it: not masked."""
    payload = struct.pack("!H", code) + reason.encode()[:123]
    return bytes((_CLOSE, len(payload))) + payload


def _head_size(head: bytes) -> int:
    """How long a frame's head is, as far as its first bytes say."""
    if len(head) < 2:
        return 2
    masked = 4 if head[1] & 0x80 else 0
    return 2 + _LENGTHS.get(head[1] & 0x7F, 0) + masked


def _payload_size(head: bytes) -> int:
    short = head[1] & 0x7F
    if short in _LENGTHS:
        return int.from_bytes(head[2 : 2 + _LENGTHS[short]], "big")
    return short
