"""Which environment a run had: this runtime's own."""

from runtime.wire.model import WireModel


class RunEnvironmentResponse(WireModel):
    """The virtualenv of a run.

    `key` is the same for runs that shared one. `python_version` is exact. `packages` are what was installed, by name:
    `dlt==1.26.0`, or `shop @ https://...` where a package came from an address.
    """

    key: str
    python_version: str
    packages: list[str]
