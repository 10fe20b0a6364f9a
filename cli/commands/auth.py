"""`auth`: letting people in, on the daemon's machine."""

from typing import Annotated

import typer

from cli.groups import new_group
from cli.options import JsonOption, session_of
from runtime.errors import NotFoundError

app = new_group("Logins over the network; for administrators, through the daemon's socket.")


@app.callback()
def auth() -> None:
    """Logins over the network; for administrators, through the daemon's socket."""


@app.command("approve")
def approve(
    context: typer.Context,
    user_code: Annotated[str, typer.Argument(metavar="USER-CODE", help="The code that `login` printed.")],
    email: Annotated[str | None, typer.Option(help="Whose login it is; needless where there is one user.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Let a waiting login in. Approve only a code that its person gave you themselves."""
    from runtime.wire.admin_client import AdminClient

    session = session_of(context)
    approved = AdminClient(session.client.connection).approve_device(user_code, email)
    if as_json:
        session.output.json(approved.to_wire())
    session.output.message(f"{approved.email} is logged in")


@app.command("fingerprint")
def fingerprint(context: typer.Context) -> None:
    """Print the SHA-256 fingerprint of the daemon's certificate, to compare with what `login` asks about elsewhere."""
    from runtime.wire.admin_client import AdminClient

    session = session_of(context)
    found = AdminClient(session.client.connection).status().tls_fingerprint
    if found is None:
        raise NotFoundError("the daemon's listener does not speak TLS", code="tls_off")
    session.output.line(found)
