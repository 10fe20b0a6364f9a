"""The window of time a run covers, computed from cron ticks and periods (semantics W1, W2).

Cron is iterated in naive local time and the zone attached afterwards, as the SDK does: a daily 08:00 stays 08:00
through a change of clocks. All results are UTC.

A job without `interval` gets the window of its trigger (`run_window`). One with `interval` gets the next piece of it,
whatever triggered it (`pointer_window`), or one of its ticks (`runtime.domain.interval_store`).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError

from runtime.domain.jobs import JobDefinition
from runtime.domain.model import Frozen, Instant
from runtime.domain.runs import TriggerOutcome
from runtime.domain.schedules import clock_of, effective_triggers
from runtime.domain.ticks import cron_floor, cron_ticks, wall_times
from runtime.domain.triggers import Trigger, parse_trigger
from runtime.domain.wording import moment
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
    ticks = wall_times(cron, now.astimezone(zone).replace(tzinfo=None) + _EPSILON)
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


class NoWindow(Frozen):
    """There is nothing for a run to cover; `reason` says why in words (semantics D2, D4)."""

    outcome: TriggerOutcome
    reason: str


class JobInterval(Frozen):
    """The `interval` of a job: the range of time its windows divide.

    `clock` is the schedule or period that divides it. `start` and `end` lie on ticks of a schedule (snapped backward)
    and are as declared for a period, whose ticks count from `start`. `end` None means that it never ends.
    `is_discrete` jobs do it tick by tick (W3), `is_parallel` ones several at a time.
    """

    start: Instant
    end: Instant | None
    clock: Trigger
    timezone: str
    is_discrete: bool
    is_parallel: bool

    def floor(self, at: datetime) -> datetime:
        """The newest tick at or before a moment, but never before `start`."""
        if self.clock.period_seconds is not None:
            period = timedelta(seconds=self.clock.period_seconds)
            return self.start + max((at - self.start) // period, 0) * period
        return max(cron_floor(self.clock.expression, self.timezone, at) or self.start, self.start)

    def ticks(self, after: datetime) -> Iterator[datetime]:
        """The ticks strictly after a moment and after `start`, ascending; without regard to `end`."""
        after = max(after, self.start)
        if self.clock.period_seconds is None:
            yield from cron_ticks(self.clock.expression, self.timezone, after)
            return
        tick = self.floor(after)
        while True:
            tick += timedelta(seconds=self.clock.period_seconds)
            yield tick

    def elapsed(self, now: datetime) -> Window:
        """The part that has passed: of discrete jobs and of schedules, up to the newest tick. It may be empty."""
        until = now if self.end is None else min(now, self.end)
        # The end of an interval is its last window's, though an override's ticks may miss it.
        if self.is_discrete or (self.clock.type == "schedule" and until != self.end):
            until = self.floor(until)
        return self.start, max(until, self.start).astimezone(UTC)


def declared_interval(definition: JobDefinition, override: str | None = None) -> JobInterval | None:
    """The job's `interval`, None if it declares none.

    An override of its schedule moves the ends of windows (W2) but not those of discrete ones (W3), so that the ticks
    that are recorded as completed stay what they are.

    Raises:
        InvalidError: it is not readable, has no schedule or period to divide it, or ends where it starts or before.
    """
    if definition.interval_start is None:
        return None

    def refuse(why: str) -> InvalidError:
        return InvalidError(f"job `{definition.job_ref}`: {why}", code="job_interval")

    declared = clock_of(definition.declared_triggers)
    if declared is None:
        raise refuse("an `interval` needs a `schedule:` or `every:` trigger")
    is_parallel = (definition.raw.get("interval") or {}).get("mode") == "parallel"
    is_discrete = definition.allow_external_schedulers or is_parallel
    clock = declared if is_discrete else clock_of(effective_triggers(definition, override)) or declared
    try:
        start = _bound(definition.interval_start, declared, definition.timezone)
        end = _bound(definition.interval_end, declared, definition.timezone) if definition.interval_end else None
    except (ValueError, OverflowError) as error:
        raise refuse(f"`interval`: {error}") from None
    if end is not None and end <= start:
        raise refuse(f"its `interval` holds no tick: it starts at {moment(start)} and ends at {moment(end)}")
    return JobInterval(
        start=start,
        end=end,
        clock=clock,
        timezone=definition.timezone,
        is_discrete=is_discrete,
        is_parallel=is_parallel,
    )


def pointer_window(interval: JobInterval, completed_until: datetime | None, now: datetime) -> Window | NoWindow:
    """The next window of a job with `interval`: from where the last success ended to the newest tick (W2).

    Args:
        completed_until: The pointer; None before the first success, and for a run that refreshes (R1).
    """
    start, end = interval.elapsed(now)
    pointer = max(completed_until or start, start)
    return (pointer.astimezone(UTC), end) if pointer < end else no_window(interval, now)


def latest_window(interval: JobInterval, now: datetime) -> Window | NoWindow:
    """The most recent tick of the interval, done or not: what a manual start of a job that is up to date runs (D4)."""
    start, end = interval.elapsed(now)
    if start == end:
        return no_window(interval, now)
    if interval.clock.period_seconds is not None:
        return max(end - timedelta(seconds=interval.clock.period_seconds), start), end
    return interval.floor(end - _EPSILON), end


def no_window(interval: JobInterval, now: datetime) -> NoWindow:
    """Why an interval of which all that has passed is done has no window: not begun, ended, or up to date (D2, D4)."""
    start, until = interval.elapsed(now)
    if start == until:
        reason = f"no tick of its interval has passed, which starts at {moment(start)}"
        return NoWindow(outcome="skipped_out_of_interval", reason=reason)
    if interval.end is not None and now >= interval.end:
        reason = f"its interval ended at {moment(interval.end)} and is done"
        return NoWindow(outcome="skipped_out_of_interval", reason=reason)
    return NoWindow(outcome="skipped_already_covered", reason=f"done up to {moment(until)}, the newest tick")


def snapped_range(interval: JobInterval, start: datetime, end: datetime, now: datetime) -> Window | NoWindow:
    """The whole ticks that `[start, end)` touches, within what has passed of the interval: what a backfill re-opens."""
    first, until = interval.elapsed(now)
    start, end = max(start, first), min(end, until)
    if start >= end:
        reason = f"nothing of its interval, of which {moment(first)} to {moment(until)} has passed, lies in that range"
        return NoWindow(outcome="skipped_out_of_interval", reason=reason)
    floor = interval.floor(end)
    return interval.floor(start), floor if floor == end else min(next(interval.ticks(end), until), until)


def _bound(text: str, clock: Trigger, timezone: str) -> datetime:
    """One end of an interval in UTC; a time without an offset is one of the job's zone, and schedules snap it."""
    at = datetime.fromisoformat(text)
    at = (at.replace(tzinfo=ZoneInfo(timezone)) if at.tzinfo is None else at).astimezone(UTC)
    if clock.type != "schedule":
        return at
    floor = cron_floor(clock.expression, timezone, at)
    if floor is None:
        raise ValueError(f"the schedule `{clock.expression}` does not come before {moment(at)}")
    return floor
