"""Whether the daemon is well."""

from typing import Literal

from runtime.wire.model import WireModel


class HealthResponse(WireModel):
    """`ok`; where it is not, the answer is an error."""

    status: Literal["ok"] = "ok"
