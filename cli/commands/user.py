"""`user`: who may log in over the network."""

from typing import Annotated

import typer

from cli.groups import DefaultGroup, new_group
from cli.options import JsonOption, session_of
from cli.output.console import Column

app = new_group("Who may log in; for administrators, through the daemon's socket.", DefaultGroup)
_COLUMNS = (Column("Email"), Column("Kind"), Column("State"), Column("Added"))


@app.command("list")
def list_users(context: typer.Context, as_json: JsonOption = False) -> None:
    """List users."""
    from runtime.wire.admin_client import AdminClient

    session = session_of(context)
    users = AdminClient(session.client.connection).users()
    if as_json:
        session.output.json([user.to_wire() for user in users])
        return
    session.output.table(
        _COLUMNS,
        [
            (
                user.email,
                "local" if user.local else "network",
                "disabled" if user.disabled else "active",
                session.output.time(user.date_added),
            )
            for user in users
        ],
    )


@app.command("add")
def add(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="How the person is known.")],
    as_json: JsonOption = False,
) -> None:
    """Let a person log in."""
    from runtime.wire.admin_client import AdminClient

    session = session_of(context)
    user = AdminClient(session.client.connection).add_user(email)
    if as_json:
        session.output.json(user.to_wire())
    session.output.message(f"added {user.email}")
