"""`user`: who may log in over the network."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.groups import DefaultGroup, new_group
from cli.options import JsonOption, session_of
from cli.output.console import Column
from cli.session import Session
from runtime.errors import NotFoundError

if TYPE_CHECKING:
    from runtime.wire.admin_client import AdminClient

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
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a password, to sign in with where logins are approved.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let a person log in."""
    from runtime.wire.admin_client import AdminClient

    session = session_of(context)
    typed = session.new_password() if password else None
    admin = AdminClient(session.client.connection)
    user = admin.add_user(email, typed)
    if as_json:
        session.output.json(user.to_wire())
    session.output.message(f"added {user.email}")
    if typed is not None:
        session.output.message(f"{user.email} has a password now")


@app.command("remove")
def remove(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="How the person is known.")],
) -> None:
    """Take a person out: their memberships, logins and tokens end; `user add` lets them in again."""
    from runtime.wire.admin_client import AdminClient

    session = session_of(context)
    admin = AdminClient(session.client.connection)
    for user in admin.users():
        if user.email.lower() == email.lower() and not user.disabled:
            admin.remove_user(session.client.me().personal_organization.id, user.id)
            session.output.message(f"{user.email} cannot log in any more; their logins and tokens have ended")
            return
    raise NotFoundError(
        f"there is no active user `{email}`", code="user_not_found", hint="`dlt-runtime user list` shows them"
    )


@app.command("password")
def change_password(
    context: typer.Context,
    email: Annotated[
        str | None, typer.Argument(help="Whose password, for administrators; your own if left out.")
    ] = None,
) -> None:
    """Set a password; the browsers that were signed in with the old one are signed out.

    The new one is typed twice, or a line of stdin. Who changes their own says the present one first.
    """
    from runtime.wire.admin_client import AdminClient

    session = session_of(context)
    if email is None:
        present = session.present_password()
        session.client.change_password(present, session.new_password())
        session.output.message("you have another password now")
        return
    _set_password(session, AdminClient(session.client.connection), email, session.new_password())


def _set_password(session: Session, admin: "AdminClient", email: str, password: str) -> None:
    admin.set_password(email, password)
    session.output.message(f"{email} has a password now")
