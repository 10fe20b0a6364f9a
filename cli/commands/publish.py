"""`publish` and `unpublish`: the public link of an interactive job."""

from typing import Annotated

import typer

from cli.lookup import find_job
from cli.options import JsonOption, session_of
from cli.output.jobs import short_ref
from cli.session import Session
from runtime.errors import InvalidError

JobArgument = Annotated[str, typer.Argument(help="Name, reference or script path of an interactive job.")]


def publish(
    context: typer.Context,
    job: JobArgument,
    cancel: Annotated[bool, typer.Option("--cancel", hidden=True, help="Older spelling of `unpublish`.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Switch on the public link of an interactive job and print it; who has the link needs no login."""
    session = session_of(context)
    if cancel:
        _switch_off(session, job, as_json=as_json)
        return
    found = find_job(session, job)
    if found.script_type != "interactive":
        raise InvalidError(f"{short_ref(found.job_ref)} is {found.script_type}: only interactive jobs have links")
    published = found if found.public_url else session.client.publish(session.workspace_id, found.job_ref)
    if as_json:
        session.output.json(published.to_wire())
    elif published.public_url:
        session.output.line(published.public_url)
    else:
        session.output.message("the daemon gives no public link for it")


def unpublish(context: typer.Context, job: JobArgument, as_json: JsonOption = False) -> None:
    """Switch off the public link of an interactive job; the link stops working at once."""
    _switch_off(session_of(context), job, as_json=as_json)


def _switch_off(session: Session, job: str, *, as_json: bool) -> None:
    found = find_job(session, job)
    was_public = bool(found.public_url)
    left = session.client.unpublish(session.workspace_id, found.job_ref) if was_public else found
    if as_json:
        session.output.json(left.to_wire())
    words = "the public link is off" if was_public else "there was no public link"
    session.output.message(f"{short_ref(found.job_ref)}: {words}")
