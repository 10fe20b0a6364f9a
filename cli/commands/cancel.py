"""`cancel`: stop the active runs of jobs."""

from typing import Annotated

import typer

from cli.lookup import find_jobs
from cli.options import DryRunOption, JsonOption, session_of
from cli.output.console import Column
from cli.output.jobs import short_ref
from runtime.errors import NotFoundError


def cancel(
    context: typer.Context,
    jobs: Annotated[list[str], typer.Argument(metavar="JOB...", help="Names or selectors.")],
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Stop the newest active run of every job that names or selectors mean."""
    session = session_of(context)
    refs = [job.job_ref for job in find_jobs(session, jobs)]
    if not refs:
        raise NotFoundError(f"no job matches {', '.join(f'`{word}`' for word in jobs)}", code="job_unknown")
    answer = session.client.cancel_jobs(session.workspace_id, refs, dry_run=dry_run)
    if as_json:
        session.output.json(answer.to_wire())
        return
    outcome = "would be cancelled" if dry_run else "cancelling"
    rows = [(short_ref(one.job_ref), str(one.run_number), outcome) for one in answer.cancelled]
    rows += [(short_ref(ref), "", "no active run") for ref in answer.not_running]
    session.output.table((Column("Job"), Column("Run"), Column("Outcome")), rows)
