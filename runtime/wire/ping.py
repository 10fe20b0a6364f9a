"""Liveness."""

from runtime.wire.model import WireModel


class PingResponse(WireModel):
    """Answered without credentials."""

    message: str
    service: str
