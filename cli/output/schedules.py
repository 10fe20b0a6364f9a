"""How schedules, intervals and webhook tokens are shown."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cli.output.console import Column, Output
from cli.output.jobs import short_ref
from cli.output.times import wall_clock

if TYPE_CHECKING:
    from runtime.wire.schedules import BackfillResponse, HookResponse, IntervalsResponse, ScheduleResponse

_INTERVAL_STYLES = {"done": "green", "running": "cyan", "failed": "red", "missing": "yellow"}
_INTERVAL_COLUMNS = (
    Column("State", lambda state: _INTERVAL_STYLES.get(state, "")),
    Column("From"),
    Column("To"),
)
_HOOK_COLUMNS = (
    Column("Id"),
    Column("Job"),
    Column("State"),
    Column("Created", spare=1),
    Column("Last used"),
    Column("URL", wraps=True),
)


def schedule_fields(output: Output, schedule: "ScheduleResponse") -> list[tuple[str, str]]:
    """A schedule as named values: in words, its next ticks in the job's zone and here, and whether it would run now."""
    ticks = [("Next ticks" if number == 0 else "", tick) for number, tick in enumerate(_ticks(schedule))]
    if not output.is_terminal:  # every line of a pipe carries its name
        ticks = [("Next ticks", tick) for _, tick in ticks]
    return [
        ("Schedule", schedule.in_words),
        ("Override", schedule.override or ""),
        ("Paused since", output.time(schedule.date_paused)),
        *ticks,
        ("Would run now", f"{'yes' if schedule.would_run else 'no'}, {schedule.explanation}"),
    ]


def show_schedule(output: Output, schedule: "ScheduleResponse", *, as_json: bool) -> None:
    """What an operator's command has made of a schedule."""
    if as_json:
        output.json(schedule.to_wire())
        return
    words = schedule.in_words or "no schedule"
    tick = next(iter(_ticks(schedule)), None)
    output.message(f"{short_ref(schedule.job_ref)}: {words}" + (f"; next {tick}" if tick else ""))


def show_intervals(output: Output, intervals: "IntervalsResponse", *, as_json: bool) -> None:
    """What has passed of an interval, stretch by stretch."""
    if as_json:
        output.json(intervals.to_wire())
        return
    zone = intervals.timezone
    rows = [
        (span.state, _in_zone(output, span.start, zone), _in_zone(output, span.end, zone)) for span in intervals.spans
    ]
    if not rows:
        output.message("nothing of its interval has passed")
        return
    output.table(_INTERVAL_COLUMNS, rows)
    counts: Counter[str] = Counter(span.state for span in intervals.spans)
    output.message(", ".join(f"{counts[state]} {state}" for state in _INTERVAL_STYLES if counts[state]))


def show_backfill(output: Output, done: "BackfillResponse", *, as_json: bool) -> None:
    """What a backfill has opened, and the runs that have begun."""
    if as_json:
        output.json(done.to_wire())
        return
    started = (
        f"started {_runs([run.number for run in done.runs])}" if done.runs else "it follows when the active run ends"
    )
    output.message(
        f"{short_ref(done.job_ref)}: {wall_clock(done.start, UTC)} to {wall_clock(done.end, UTC)}; {started}"
    )


def show_hooks(output: Output, hooks: "Sequence[HookResponse]", *, as_json: bool) -> None:
    """Tokens of webhooks, never their secrets."""
    if as_json:
        output.json([hook.to_wire() for hook in hooks])
        return
    if not hooks:
        output.message("no hook tokens")
        return
    rows = [
        (
            str(hook.id),
            short_ref(hook.job_ref),
            "revoked" if hook.date_revoked else "active",
            output.time(hook.date_added),
            output.time(hook.date_used),
            " ".join(hook.urls),
        )
        for hook in hooks
    ]
    output.table(_HOOK_COLUMNS, rows)


def _ticks(schedule: "ScheduleResponse") -> list[str]:
    """Each tick in the job's zone, and in local time where that reads otherwise."""
    zone = _zone(schedule.timezone)
    shown = []
    for tick in schedule.next_ticks:
        there, here = wall_clock(tick, zone), wall_clock(tick, None)
        there = f"{there.rsplit(' ', 1)[0]} {schedule.timezone}"
        shown.append(
            there if tick.astimezone(zone).utcoffset() == tick.astimezone().utcoffset() else f"{there} ({here})"
        )
    return shown


def _in_zone(output: Output, at: datetime, timezone: str) -> str:
    """A bound of an interval as the job sees it; exact for a program."""
    if not output.is_terminal:
        return output.time(at)
    return f"{wall_clock(at, _zone(timezone)).rsplit(' ', 1)[0]} {timezone}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):  # known to the daemon, but not here
        return ZoneInfo("UTC")


def _runs(numbers: Sequence[int]) -> str:
    return f"run{'' if len(numbers) == 1 else 's'} {', '.join(str(number) for number in numbers)}"
