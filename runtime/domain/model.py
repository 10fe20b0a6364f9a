"""The base of every domain value: frozen, and strict about what it is given."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


def _require_offset(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a domain datetime carries its offset")
    return value


Instant = Annotated[datetime, AfterValidator(_require_offset)]
"""A point in time with an offset; the store hands them out in UTC."""

PROFILE_NAME = r"\w[\w.-]{0,99}"
ProfileName = Annotated[str, StringConstraints(pattern=f"^{PROFILE_NAME}$")]
"""A profile's name becomes part of paths, so nothing like `../other` may be one."""


class Frozen(BaseModel):
    """A value that never changes; `model_copy(update=...)` makes its successor."""

    model_config = ConfigDict(frozen=True, extra="forbid")
