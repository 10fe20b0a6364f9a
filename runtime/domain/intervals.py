"""The window of time a run covers (semantics W1), computed from cron ticks and periods.

Cron is iterated in naive local time and the zone attached afterwards, as the SDK does: a daily 08:00 stays 08:00
through a change of clocks. All results are UTC.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

from runtime.domain.triggers import parse_trigger
from runtime.errors import InvalidError

Window = tuple[datetime, datetime]
"""Half-open `[start, end)`, both UTC."""

_EPSILON = timedelta(microseconds=1)  # croniter looks strictly before its base; we count a tick at `now` as elapsed


def elapsed_ticks(cron: str, now: datetime, timezone: str) -> Window:
    """The last tick at or before `now` and the one before it, as the window `[previous, last)`.

    Args:
        cron: What `schedule:` holds.
        now: Any aware datetime.
        timezone: IANA name in which the expression is read (semantics T1).

    Raises:
        InvalidError: the expression is well formed but never comes, such as 30 February.
    """
    zone = ZoneInfo(timezone)
    ticks = croniter(cron, now.astimezone(zone).replace(tzinfo=None) + _EPSILON)
    try:
        last: datetime = ticks.get_prev(datetime)
        previous: datetime = ticks.get_prev(datetime)
    except CroniterBadDateError:
        raise InvalidError(f"the schedule `{cron}` never comes", code="trigger") from None
    return previous.replace(tzinfo=zone).astimezone(UTC), last.replace(tzinfo=zone).astimezone(UTC)


def run_window(trigger: str, now: datetime, completed_until: datetime | None, timezone: str) -> Window:
    """The window of a run of a job without `interval` (semantics W1).

    A schedule gives the tick that has just elapsed, a period the time since `completed_until` (or one period), and
    both reach back to `completed_until` where that is known, so missed ticks are covered. `once` and events are points.

    Args:
        trigger: The trigger that starts the run.
        now: The moment of dispatch.
        completed_until: End of the last completed window of the job, if any.
        timezone: The job's `require.timezone`.
    """
    now = now.astimezone(UTC)
    parsed = parse_trigger(trigger)
    if parsed.type == "schedule":
        start, end = elapsed_ticks(parsed.expression, now, timezone)
        return completed_until or start, end
    if parsed.period_seconds is not None:
        return completed_until or now - timedelta(seconds=parsed.period_seconds), now
    if parsed.at is not None:
        return parsed.at, parsed.at
    return now, now
