"""Where frames end, in whatever pieces they come."""

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode

from runtime.proxy.frames import MOST_FRAMES, Boundary, close_frame

SIZES = st.sampled_from([0, 1, 125, 126, 127, 65535, 65536, 70000])


def _frame(opcode: Opcode, size: int, *, mask: bool) -> bytes:
    return Frame(opcode, b"x" * size).serialize(mask=mask)


@given(st.lists(st.tuples(SIZES, st.booleans()), min_size=1, max_size=4), st.integers(1, 40000))
def test_a_stream_is_between_frames_only_at_their_ends(frames: list[tuple[int, bool]], step: int) -> None:
    whole = [_frame(Opcode.BINARY, size, mask=mask) for size, mask in frames]
    ends = {sum(map(len, whole[: count + 1])) for count in range(len(whole))}
    stream, boundary, position = b"".join(whole), Boundary(), 0
    while position < len(stream):
        piece = stream[position : position + step]
        boundary.feed(piece)
        position += len(piece)
        assert boundary.is_between == (position in ends)
    assert not boundary.has_closed


def test_single_bytes_do_as_well() -> None:
    boundary = Boundary()
    stream = _frame(Opcode.TEXT, 300, mask=True) + _frame(Opcode.CLOSE, 2, mask=False)
    for byte in stream:
        boundary.feed(bytes((byte,)))
    assert boundary.is_between
    assert boundary.has_closed


def test_a_closing_frame_reads_as_one() -> None:
    assert close_frame(1008, "so be it") == Frame(Opcode.CLOSE, Close(1008, "so be it").serialize()).serialize(
        mask=False
    )


def test_a_piece_of_very_many_frames_is_not_followed_to_its_end() -> None:
    """Nor is anything that comes after it: nobody knows where that begins."""
    ping, close = _frame(Opcode.PING, 0, mask=False), _frame(Opcode.CLOSE, 2, mask=False)
    followed, lost = Boundary(), Boundary()
    for _ in range(3):
        followed.feed(ping * MOST_FRAMES)
    followed.feed(close)
    assert (followed.is_between, followed.has_closed) == (True, True)
    lost.feed(ping * (MOST_FRAMES + 1) + close)
    lost.feed(close)
    assert (lost.is_between, lost.has_closed) == (False, False)
