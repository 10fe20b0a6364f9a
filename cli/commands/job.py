"""`job`: the jobs of the workspace. Values stand before the operation: `job batch list`, `job load_shop info`."""

from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from cli.groups import OperationGroup, new_group
from cli.lookup import find_job, find_jobs
from cli.options import JsonOption, session_of
from cli.output.jobs import show_job, show_jobs
from cli.output.schedules import show_intervals, show_schedule
from runtime.errors import NotFoundError
from runtime.wire.failures import MissingError

if TYPE_CHECKING:
    from cli.session import Session
    from runtime.wire.schedule_client import ScheduleClient

app = new_group(
    "The jobs of the workspace: `job [NAME or SELECTOR...] list`, `job NAME info` (or `pause`, `resume`, `schedule "
    "TRIGGER`, `revert`, `intervals`).",
    OperationGroup,
)
JobArgument = Annotated[str, typer.Argument(help="Name, reference or script path.")]


@app.command("list")
def list_jobs(
    context: typer.Context,
    jobs: Annotated[
        list[str] | None, typer.Argument(metavar="JOB...", help="Names or selectors; all by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List jobs."""
    session = session_of(context)
    words = jobs or []
    try:
        found = find_jobs(session, words)
    except NotFoundError as error:
        # `job load_shop paus` lists, since `paus` is no operation.
        if error.code == "job_unknown" and len(words) > 1 and (meant := _operation_like(words[-1])):
            raise NotFoundError(
                error.message, code=error.code, hint=f"did you mean `job {' '.join(words[:-1])} {meant}`?"
            ) from None
        raise
    show_jobs(session.output, found, as_json=as_json)


@app.command("info")
def info(
    context: typer.Context,
    job: JobArgument,
    as_json: JsonOption = False,
) -> None:
    """Show one job, when it comes next, and why it would or would not run now."""
    session = session_of(context)
    found = find_job(session, job)
    try:
        schedule = _client(session).schedule(found.job_ref)
    except MissingError:  # a daemon without schedules of its own
        schedule = None
    show_job(session.output, found, schedule, as_json=as_json)


@app.command("pause")
def pause(context: typer.Context, job: JobArgument, as_json: JsonOption = False) -> None:
    """Keep the clock from starting a job; by hand it still starts."""
    session = session_of(context)
    paused = _client(session).pause(find_job(session, job).job_ref)
    show_schedule(session.output, paused, as_json=as_json)


@app.command("resume")
def resume(context: typer.Context, job: JobArgument, as_json: JsonOption = False) -> None:
    """Let the clock start a job again; one run makes up for what was missed."""
    session = session_of(context)
    resumed = _client(session).resume(find_job(session, job).job_ref)
    show_schedule(session.output, resumed, as_json=as_json)


@app.command("schedule")
def schedule(
    context: typer.Context,
    job: JobArgument,
    trigger: Annotated[str, typer.Argument(metavar="TRIGGER", help="`every:10m`, or a cron expression in quotes.")],
    as_json: JsonOption = False,
) -> None:
    """Put another schedule in the place of the one in the code, until `revert` or a deploy of other triggers."""
    session = session_of(context)
    overridden = _client(session).override(find_job(session, job).job_ref, trigger)
    show_schedule(session.output, overridden, as_json=as_json)


@app.command("revert")
def revert(context: typer.Context, job: JobArgument, as_json: JsonOption = False) -> None:
    """Return to the schedule in the code."""
    session = session_of(context)
    reverted = _client(session).revert(find_job(session, job).job_ref)
    show_schedule(session.output, reverted, as_json=as_json)


@app.command("intervals")
def intervals(context: typer.Context, job: JobArgument, as_json: JsonOption = False) -> None:
    """Show what is done, running, failed and missing of a job's interval."""
    session = session_of(context)
    show_intervals(session.output, _client(session).intervals(find_job(session, job).job_ref), as_json=as_json)


def _operation_like(word: str) -> str | None:
    """The operation that a misspelt word may have been meant to be."""
    close = get_close_matches(word, [command.name for command in app.registered_commands if command.name], n=1)
    return close[0] if close else None


def _client(session: "Session") -> "ScheduleClient":
    from runtime.wire.schedule_client import ScheduleClient

    return ScheduleClient(session.client.connection, session.workspace_id)
