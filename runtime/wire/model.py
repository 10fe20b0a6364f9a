"""The base of every wire model, and the page that lists come in.

Field names are the contract's. An unset optional field is left out of the JSON, never written as null: several fields
of the public client fail on null and none fails on absence. Unknown keys are ignored, so that older and newer clients
and daemons understand each other. Times carry their offset.
"""

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

Item = TypeVar("Item")


def _require_offset(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("the time lacks its offset")
    return value


def _refuse_number(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError("a time is a text")  # noqa: TRY004 - what pydantic turns into a fault of the field
    return value


def _require_plausible(value: datetime) -> datetime:
    if not 1971 <= value.year < 2400:
        raise ValueError("the time is not between 1971 and 2400")
    return value


Instant = Annotated[datetime, BeforeValidator(_refuse_number), AfterValidator(_require_offset)]
"""A point in time, ISO 8601 with an offset."""

PlausibleTime = Annotated[Instant, AfterValidator(_require_plausible)]
"""A point in time at which something can have happened."""

Flag = Annotated[bool, Field(strict=True)]
"""What a request says yes or no to: `true` or `false` and no word or number that may mean it."""

WholeNumber = Annotated[int, Field(strict=True)]
"""A number in a request, not a text that looks like one."""


Count = Annotated[int, Field(ge=0, le=2**63 - 1, strict=True)]
"""A number of things, as large as the store can hold."""


Name = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
"""What a request calls something that is shown in lists."""

MOST_JOBS_AT_ONCE = 10_000
"""Named in one request."""


class WireModel(BaseModel):
    """One JSON object of the API."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_wire(self) -> dict[str, Any]:
        """The JSON object as plain values, unset fields left out; nulls inside plain dicts are kept."""
        return self.model_dump(mode="json", exclude_none=True)


class Page(WireModel, Generic[Item]):
    """A slice of a list: at most `limit` items from `offset` on, of `total` in all."""

    items: list[Item] = []
    limit: int = 100
    offset: int = 0
    total: int = 0
