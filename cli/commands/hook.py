"""`hook`: tokens with which the world starts jobs through their webhooks."""

from typing import Annotated
from uuid import UUID

import typer

from cli.groups import DefaultGroup, new_group
from cli.lookup import find_job
from cli.options import JsonOption, session_of
from cli.output.jobs import short_ref
from cli.output.schedules import show_hooks

app = new_group("Tokens for the webhooks of jobs: who has one starts the job by a POST.", DefaultGroup)
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Name, reference or script path.")]


@app.command("list")
def list_hooks(
    context: typer.Context,
    job: Annotated[str | None, typer.Argument(metavar="JOB", help="Name or reference; all by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List tokens, never their secrets."""
    from runtime.wire.schedule_client import ScheduleClient

    session = session_of(context)
    client = ScheduleClient(session.client.connection, session.workspace_id)
    if job is not None:
        refs = [find_job(session, job).job_ref]
    else:
        jobs = session.client.jobs(session.workspace_id)
        refs = [one.job_ref for one in jobs if any(text.startswith("webhook:") for text in one.triggers or ())]
    show_hooks(session.output, [hook for ref in refs for hook in client.hooks(ref)], as_json=as_json)


@app.command("create")
def create(context: typer.Context, job: JobArgument, as_json: JsonOption = False) -> None:
    """Create a token and print it, this once."""
    from runtime.wire.schedule_client import ScheduleClient

    session = session_of(context)
    client = ScheduleClient(session.client.connection, session.workspace_id)
    created = client.create_hook(find_job(session, job).job_ref)
    if as_json:
        session.output.json(created.to_wire())
        return
    session.output.line(created.token)
    session.output.message(
        f"it starts {short_ref(created.job_ref)}; send it as `X-Hook-Token` with a POST to "
        f"{' or '.join(created.urls)}, it is not shown again"
    )


@app.command("revoke")
def revoke(
    context: typer.Context,
    job: JobArgument,
    hook_id: Annotated[UUID, typer.Argument(metavar="ID", help="From `hook list`.")],
) -> None:
    """End a token; what uses it is refused from now on."""
    from runtime.wire.schedule_client import ScheduleClient

    session = session_of(context)
    found = find_job(session, job)
    ScheduleClient(session.client.connection, session.workspace_id).revoke_hook(found.job_ref, hook_id)
    session.output.message(f"revoked {hook_id}")
