"""Sizes in bytes, as people write and read them."""

import re

_UNITS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgt", start=1):
    _UNITS |= {f"{_letter}ib": 1024**_power, f"{_letter}b": 1000**_power, _letter: 1024**_power}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_bytes(text: str) -> int:
    """A size such as `512MiB`, `10 GB` or `1048576`; a letter alone counts in powers of 1024, as `docker -m` has it.

    Raises:
        ValueError: it is none.
    """
    match = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise ValueError(f"`{text}` is no size; write it as 512MiB, 10GiB or a number of bytes")
    return int(float(match[1]) * unit)


def bytes_text(amount: int) -> str:
    """A size as people read it, `512 MiB`: three digits at least, no more than one decimal."""
    value, unit = float(amount), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.1f}".removesuffix(".0") + f" {unit}" if value < 100 else f"{value:.0f} {unit}"
