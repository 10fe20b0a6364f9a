"""`token`: credentials of machines, such as a CI."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import typer

from cli.credentials import TOKEN_VARIABLE
from cli.groups import DefaultGroup, new_group
from cli.options import JsonOption, session_of
from cli.output.console import Column

if TYPE_CHECKING:
    from runtime.wire.admin import TokenResponse

app = new_group("Tokens for machines; for administrators, through the daemon's socket.", DefaultGroup)
_COLUMNS = (
    Column("Id"),
    Column("Email"),
    Column("Workspace"),
    Column("State"),
    Column("Created"),
    Column("Expires"),
)


@app.command("list")
def list_tokens(context: typer.Context, as_json: JsonOption = False) -> None:
    """List tokens, never their secrets."""
    from runtime.wire.admin_client import AdminClient

    session = session_of(context)
    tokens = AdminClient(session.client.connection).tokens()
    if as_json:
        session.output.json([token.to_wire() for token in tokens])
        return
    output = session.output
    rows = []
    for token in tokens:
        times = (output.time(token.date_added), output.time(token.date_expires))
        rows.append((str(token.id), token.email, token.workspace_name, _state(token, output.now()), *times))
    output.table(_COLUMNS, rows)


@app.command("create")
def create(
    context: typer.Context,
    email: Annotated[str, typer.Option(help="As whom the machine acts.")],
    workspace: Annotated[str, typer.Option("--workspace", "-w", help="The one workspace it may use, by name or id.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it is good for.")] = 90,
    role: Annotated[
        Literal["owner", "viewer"] | None,
        typer.Option(help="What they become in the workspace if they are no member yet; owner by default."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Create a token and print it, this once."""
    from runtime.wire.admin_client import AdminClient

    session = session_of(context)
    created = AdminClient(session.client.connection).create_token(email, workspace, days, role)
    if as_json:
        session.output.json(created.to_wire())
        return
    session.output.line(created.token)
    if created.joined_as:
        session.output.message(
            f"{created.email} was no member of `{created.workspace_name}`, and is its {created.joined_as} from now on"
        )
    session.output.message(
        f"it acts as {created.email} in workspace `{created.workspace_name}` until {created.date_expires:%Y-%m-%d}; "
        f"give it to the machine as {TOKEN_VARIABLE}, it is not shown again"
    )


@app.command("revoke")
def revoke(
    context: typer.Context, token_id: Annotated[UUID, typer.Argument(metavar="ID", help="From `token list`.")]
) -> None:
    """End a token; what uses it is refused from now on."""
    from runtime.wire.admin_client import AdminClient

    session = session_of(context)
    AdminClient(session.client.connection).revoke_token(token_id)
    session.output.message(f"revoked {token_id}")


def _state(token: "TokenResponse", now: datetime) -> str:
    if token.date_revoked:
        return "revoked"
    if token.date_expires <= now:
        return "expired"
    return "active" if token.member else "no member"
