"""`dashboard`: the workspace in the browser, as the daemon serves it."""

import webbrowser
from typing import Annotated

import typer

from cli.options import session_of
from cli.session import Session
from runtime.wire.addresses import API_PREFIX


def dashboard(
    context: typer.Context,
    browser: Annotated[bool, typer.Option(help="Open it; otherwise only the link is printed.")] = True,
) -> None:
    """Open what `dlt-runtime tui` shows in the browser, after signing in there."""
    session = session_of(context)
    link = f"{_base_url(session)}/w/{session.workspace_id}"
    session.output.line(link)
    if browser and not webbrowser.open(link):
        session.output.message("there is no browser here: open the link where there is one")


def _base_url(session: Session) -> str:
    """Where browsers reach the daemon: as this command does, or, through the Unix socket, where it says."""
    if session.endpoint.socket is None:
        return session.endpoint.url

    from runtime.wire.admin_client import AdminClient

    return AdminClient(session.client.connection).status().api_base_url.removesuffix(API_PREFIX)
