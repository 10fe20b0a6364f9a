"""The one shape of every error body."""

from typing import Any

from pydantic import Field

from runtime.wire.model import WireModel


class ErrorResponse(WireModel):
    """What every answer of status 400 and above holds.

    `detail` is one sentence for a person. `extra` holds `code`, a stable word for programs, and may hold `hint`, the
    way out, and `errors`, the faults of a body or of parameters.
    """

    status_code: int
    detail: str
    extra: dict[str, Any] = Field(default_factory=dict)
