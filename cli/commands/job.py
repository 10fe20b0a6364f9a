"""`job`: the jobs of the workspace. Values stand before the operation: `job batch list`, `job load_shop info`."""

from typing import Annotated

import typer

from cli.groups import OperationGroup, new_group
from cli.lookup import find_job, find_jobs
from cli.options import JsonOption, session_of
from cli.output.jobs import show_job, show_jobs

app = new_group("The jobs of the workspace: `job [NAME or SELECTOR...] list`, `job NAME info`.", OperationGroup)


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
    show_jobs(session.output, find_jobs(session, jobs or []), as_json=as_json)


@app.command("info")
def info(
    context: typer.Context,
    job: Annotated[str, typer.Argument(help="Name, reference or script path.")],
    as_json: JsonOption = False,
) -> None:
    """Show one job."""
    session = session_of(context)
    show_job(session.output, find_job(session, job), as_json=as_json)
