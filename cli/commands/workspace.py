"""`workspace`: the caller's workspaces, and which of them this directory belongs to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.groups import DefaultGroup, new_group
from cli.options import JsonOption, session_of
from cli.output.console import Column
from cli.session import Session
from cli.workspace.root import require_root
from runtime.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from runtime.wire.identities import WorkspaceResponse

app = new_group("Your workspaces on the daemon.", DefaultGroup)
_COLUMNS = (Column("Name"), Column("Id"), Column("Role"), Column("Connected"), Column("Description", wraps=True))


@app.command("list")
def list_workspaces(context: typer.Context, as_json: JsonOption = False) -> None:
    """List your workspaces."""
    session = session_of(context)
    memberships = session.client.me().workspaces
    if as_json:
        session.output.json([membership.to_wire() for membership in memberships])
        return
    connected = session.settings.workspace_id
    session.output.table(
        _COLUMNS,
        [
            (
                membership.workspace.name,
                str(membership.workspace.id),
                membership.role,
                "yes" if membership.workspace.id == connected else "",
                membership.workspace.description or "",
            )
            for membership in memberships
        ],
    )


@app.command("switch")
def switch(
    context: typer.Context,
    workspace: Annotated[str | None, typer.Argument(help="Name or id; an unknown name is created.")] = None,
) -> None:
    """Connect this directory to another workspace; without a name, choose from a list."""
    session = session_of(context)
    require_root(Path.cwd())
    chosen = session.choose_workspace(workspace) if workspace else _ask(session)
    session.remember_workspace(chosen)


@app.command("access-data")
def access_data(
    context: typer.Context,
    choice: Annotated[
        Literal["snapshot", "separate"],
        typer.Argument(help="`snapshot`: a copy of what batch runs wrote, renewed after each. `separate`: nothing."),
    ],
) -> None:
    """Choose what this workspace's interactive jobs see of the data that batch runs wrote."""
    session = session_of(context)
    changed = session.client.update_workspace(session.workspace_id, access_data=choice)
    session.output.message(f"apps of `{changed.name}` started from now on: {choice}")


def _ask(session: Session) -> "WorkspaceResponse":
    if not session.can_ask:
        raise InvalidError(
            "nobody is there to choose a workspace",
            code="not_interactive",
            hint="name it: `dlt-runtime workspace switch NAME`",
        )
    owned = [membership.workspace for membership in session.client.me().workspaces if membership.role == "owner"]
    if not owned:
        raise NotFoundError("you own no workspace yet", code="workspace_unknown", hint="`dlt-runtime login` makes one")
    for number, workspace in enumerate(owned, start=1):
        session.output.message(f"{number:3}  {workspace.name}  {workspace.id}")
    while True:
        answer: int = typer.prompt("Number", type=int, err=True)
        if 1 <= answer <= len(owned):
            return owned[answer - 1]
        session.output.message(f"choose a number from 1 to {len(owned)}")
