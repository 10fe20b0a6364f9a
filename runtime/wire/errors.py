"""The one shape of every error body."""

from typing import Any

from runtime.wire.model import WireModel


class ErrorResponse(WireModel):
    """What every answer of status 400 and above holds.

    `detail` is one sentence for a person. `extra` may hold `code`, a stable word for programs, and `hint`, the way out.
    """

    status_code: int | None = None
    detail: str | None = None
    extra: dict[str, Any] | None = None
