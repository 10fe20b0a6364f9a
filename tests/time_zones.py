"""This machine's time zone, as a test has it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock


@contextmanager
def time_zone(name: str) -> Iterator[None]:
    """Have this process be in a time zone, named as in `TZ`."""
    try:
        with mock.patch.dict(os.environ, {"TZ": name}):
            time.tzset()
            yield
    finally:
        time.tzset()
