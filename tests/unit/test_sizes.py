"""Sizes in bytes, written and read."""

import pytest

from runtime.sizes import bytes_text, parse_bytes

MIB = 1024**2


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("512MiB", 512 * MIB),
        ("512 mib", 512 * MIB),
        ("512M", 512 * MIB),
        ("1GB", 1000**3),
        ("1.5GiB", 1536 * MIB),
        ("4096", 4096),
        ("4096B", 4096),
        ("2TiB", 2 * 1024**4),
    ],
)
def test_sizes_are_written_as_people_write_them(text: str, amount: int) -> None:
    assert parse_bytes(text) == amount


@pytest.mark.parametrize("text", ["", "much", "12 parsecs", "-1MiB", "1e9", "MiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (512 * MIB, "512 MiB"), (10 * 1024 * MIB, "10 GiB")],
)
def test_sizes_are_said_shortly(amount: int, text: str) -> None:
    assert bytes_text(amount) == text
