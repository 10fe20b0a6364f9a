"""`logs`: what a run printed, so far or while it prints."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.lookup import find_job, find_run
from cli.options import FollowOption, JsonOption, session_of, whole_number
from cli.output.jobs import short_ref
from cli.output.log_lines import log_line
from cli.session import Session

if TYPE_CHECKING:
    from runtime.wire.run_details import DetailedRunResponse

NumberArgument = Annotated[
    int | None, typer.Argument(metavar="RUN", parser=whole_number, help="The run's number; the newest by default.")
]


def logs(
    context: typer.Context,
    job: Annotated[str, typer.Argument(help="Name, reference or script path.")],
    run_number: NumberArgument = None,
    follow: FollowOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the log of a job's newest run, or of the run with a number."""
    show_logs(session_of(context), job, run_number, follow=follow, as_json=as_json)


def show_logs(session: Session, job: str, run_number: int | None, *, follow: bool, as_json: bool) -> None:
    """Print a log; following ends the command with the status of the run. Also `job-run JOB logs`."""
    found = find_job(session, job)
    run = find_run(session, found, run_number)
    if follow:
        from cli.following import follow_run

        raise typer.Exit(follow_run(session, run, found.job_ref, as_json=as_json))
    _print_lines(session, run, as_json=as_json)
    session.output.message(f"run {run.number} of {short_ref(found.job_ref)}: {run.status}")


def _print_lines(session: Session, run: "DetailedRunResponse", *, as_json: bool) -> None:
    output = session.output
    for line in session.client.logs(session.workspace_id, run.id).logs or ():
        if as_json:
            output.json_line(line.to_wire())
        else:
            text = log_line(line.line_num, line.reported_at, line.phase, line.content, timestamps=output.timestamps)
            output.line(text)
