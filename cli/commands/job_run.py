"""`job-run`: the runs of jobs. Values stand before the operation: `job-run hello 2 logs -f`."""

from typing import Annotated

import typer

from cli.commands.logs import NumberArgument, show_logs
from cli.groups import OperationGroup, new_group
from cli.lookup import find_job, find_run, find_runs
from cli.options import FollowOption, JsonOption, LimitOption, session_of
from cli.output.jobs import short_ref, show_run, show_runs
from runtime.errors import ConflictError
from runtime.wire.failures import MissingError
from runtime.wire.runs import FINAL_RUN_STATUSES

app = new_group(
    "The runs of jobs: `job-run [JOB] list`, `job-run JOB [RUN] info` (or `logs`, `cancel`).", OperationGroup
)
JobArgument = Annotated[str, typer.Argument(help="Name, reference or script path.")]


@app.command("list")
def list_runs(
    context: typer.Context,
    job: Annotated[str | None, typer.Argument(metavar="JOB", help="Name or selector; all by default.")] = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """List runs, the newest last."""
    session = session_of(context)
    show_runs(session.output, find_runs(session, job, limit), as_json=as_json)


@app.command("info")
def info(
    context: typer.Context, job: JobArgument, run_number: NumberArgument = None, as_json: JsonOption = False
) -> None:
    """Show the newest run of a job, or the one of a number; with `--json` also every package that it could import."""
    from runtime.wire.console_client import ConsoleClient

    session = session_of(context)
    run = find_run(session, find_job(session, job), run_number)
    try:
        environment = ConsoleClient(session.client.connection, session.workspace_id).environment(run.id)
    except MissingError:  # it has not begun, or the daemon keeps none
        environment = None
    show_run(session.output, run, environment, as_json=as_json)


@app.command("logs")
def logs(
    context: typer.Context,
    job: JobArgument,
    run_number: NumberArgument = None,
    follow: FollowOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the log of a run."""
    show_logs(session_of(context), job, run_number, follow=follow, as_json=as_json)


@app.command("cancel")
def cancel(
    context: typer.Context, job: JobArgument, run_number: NumberArgument = None, as_json: JsonOption = False
) -> None:
    """Stop the newest run of a job, or the one of a number."""
    session = session_of(context)
    found = find_job(session, job)
    run = find_run(session, found, run_number)
    if run.status in FINAL_RUN_STATUSES:
        raise ConflictError(f"run {run.number} of {short_ref(found.job_ref)} has ended: {run.status}", code="run_ended")
    stopping = session.client.cancel_run(session.workspace_id, run.id)
    if as_json:
        session.output.json(stopping.to_wire())
    session.output.message(f"run {run.number} of {short_ref(found.job_ref)}: {stopping.status}")
