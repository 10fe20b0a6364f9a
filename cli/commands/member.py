"""`member`: who may look at a workspace, and who may change it and run its jobs."""

from typing import Annotated, Literal

import typer

from cli.groups import DefaultGroup, new_group
from cli.options import JsonOption, session_of
from cli.output.console import Column
from cli.session import Session
from runtime.errors import NotFoundError

app = new_group("Members of a workspace: owners change it and run its jobs, viewers look at it.", DefaultGroup)
_COLUMNS = (Column("Email"), Column("Role"))

EmailArgument = Annotated[str, typer.Argument(help="How the person is known to the daemon.")]


@app.command("list")
def list_members(context: typer.Context, as_json: JsonOption = False) -> None:
    """List members."""
    from runtime.wire.member_client import MemberClient

    session = session_of(context)
    members = MemberClient(session.client.connection, session.workspace_id).members()
    if as_json:
        session.output.json([member.to_wire() for member in members])
        return
    session.output.table(_COLUMNS, [(member.email, member.role) for member in members])


@app.command("add")
def add(
    context: typer.Context,
    email: EmailArgument,
    role: Annotated[Literal["owner", "viewer"], typer.Option(help="What they may do.")] = "viewer",
    as_json: JsonOption = False,
) -> None:
    """Make a person a member, or give a member another role."""
    from runtime.wire.member_client import MemberClient

    session = session_of(context)
    member = MemberClient(session.client.connection, session.workspace_id).add(email, role)
    if as_json:
        session.output.json(member.to_wire())
        return
    session.output.message(f"{member.email} is {_a(member.role)} of the workspace")


@app.command("remove")
def remove(context: typer.Context, email: EmailArgument) -> None:
    """End a membership; owners are made viewers first, `member add EMAIL --role viewer`."""
    session = session_of(context)
    removed = _remove(session, email)
    session.output.message(f"{removed} is no member any more")


def _remove(session: Session, email: str) -> str:
    from runtime.wire.member_client import MemberClient

    client = MemberClient(session.client.connection, session.workspace_id)
    for member in client.members():
        if member.email.lower() == email.lower():
            client.remove(member.user_id)
            return member.email
    raise NotFoundError(
        f"`{email}` is no member of the workspace", code="member_not_found", hint="`dlt-runtime member list` shows them"
    )


def _a(role: str) -> str:
    return "an owner" if role == "owner" else "a viewer"
