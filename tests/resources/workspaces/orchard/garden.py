"""Declared in a module that `__deployment__` does not name."""

import dlt.hub.run as run


@run.job
def water() -> None:
    print("watered")


__all__ = ["water"]
