"""`backfill`: do a part of a job's interval again."""

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from cli.lookup import find_job
from cli.options import JsonOption, session_of
from cli.output.schedules import show_backfill
from runtime.errors import InvalidError


def backfill(
    context: typer.Context,
    job: Annotated[str, typer.Argument(metavar="JOB", help="Name, reference or script path.")],
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="ISO 8601; in the job's zone without offset.")],
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Where it ends; now by default.")] = None,
    parallel: Annotated[int | None, typer.Option("--parallel", min=1, metavar="N", help="So many at a time.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Do a part of a job's interval again.

    A job that works tick by tick does the whole ticks between the two times. The windows of other jobs are continuous:
    such a job goes back to the first time and does all from there on.
    """
    from runtime.wire.schedule_client import ScheduleClient

    session = session_of(context)
    found = find_job(session, job)
    zone = (found.job_definition.get("require") or {}).get("timezone") or "UTC"
    first, last = parse_time(start, zone), parse_time(end, zone) if end else None
    client = ScheduleClient(session.client.connection, session.workspace_id)
    show_backfill(session.output, client.backfill(found.job_ref, first, last, parallel), as_json=as_json)


def parse_time(text: str, timezone: str) -> datetime:
    """A time as typed; a date is its midnight, and one without an offset is one of the job's zone.

    Raises:
        InvalidError: it is no time.
    """
    try:
        at = datetime.fromisoformat(text.strip())
        zone = ZoneInfo(timezone)
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError, ZoneInfoNotFoundError):  # overflow: the first or last day of all, elsewhere
        raise InvalidError(
            f"`{text}` is no time", code="time", hint="write it as `2026-01-31` or `2026-01-31T08:00`"
        ) from None
