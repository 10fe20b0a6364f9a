"""Sealed contents open with the right key in the right place only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import StoreError
from runtime.packages.sealing import Sealer

KEY = bytes(range(32))


@given(st.binary(max_size=500), st.binary(max_size=50))
def test_a_sealed_content_opens_in_its_context(content: bytes, context: bytes) -> None:
    sealed = Sealer(KEY).seal(content, context)
    assert Sealer(KEY).unseal(sealed, context) == content


def test_sealing_twice_gives_different_bytes_that_do_not_show_the_content() -> None:
    first, second = (Sealer(KEY).seal(b"password = 'hunter2'", b"") for _ in range(2))
    assert first != second
    assert b"hunter2" not in first
    assert KEY not in first


@given(st.data())
def test_a_changed_or_cut_content_does_not_open(data: st.DataObject) -> None:
    sealed = bytearray(Sealer(KEY).seal(b"password", b"place"))
    where = data.draw(st.integers(0, len(sealed) - 1))
    with pytest.raises(StoreError):
        Sealer(KEY).unseal(bytes(sealed[:where]), b"place")
    sealed[where] ^= data.draw(st.integers(1, 255))
    with pytest.raises(StoreError):
        Sealer(KEY).unseal(bytes(sealed), b"place")


def test_a_content_moved_to_another_place_does_not_open() -> None:
    with pytest.raises(StoreError) as caught:
        Sealer(KEY).unseal(Sealer(KEY).seal(b"password", b"here"), b"there")
    assert caught.value.code == "sealed_content"


def test_another_key_is_told_apart_from_damage() -> None:
    with pytest.raises(StoreError) as caught:
        Sealer(bytes(32)).unseal(Sealer(KEY).seal(b"password", b""), b"")
    assert caught.value.code == "sealing_key"
    assert caught.value.hint


def test_a_ring_opens_what_any_of_its_keys_has_sealed_and_seals_with_the_newest() -> None:
    old = Sealer(bytes(32))
    sealed = old.seal(b"password", b"")
    ring = Sealer(KEY, older=[bytes(32)])
    assert ring.unseal(sealed, b"") == b"password"
    assert ring.seal(b"", b"").startswith(ring.header)
    assert ring.header == Sealer(KEY).header != old.header
    assert len(ring.key_id) == 16


def test_a_key_brought_in_later_seals_from_then_on_and_the_one_before_still_opens() -> None:
    """Somebody may have read a content just before it was sealed anew."""
    sealer = Sealer(bytes(32))
    before = sealer.seal(b"password", b"place")
    sealer.use(KEY)
    after = sealer.reseal(before, b"place")
    assert after.startswith(Sealer(KEY).header)
    assert len(after) == len(before)
    assert sealer.unseal(before, b"place") == sealer.unseal(after, b"place") == b"password"
    assert Sealer(KEY).unseal(after, b"place") == b"password"
    with pytest.raises(StoreError):
        sealer.reseal(before, b"another place")
