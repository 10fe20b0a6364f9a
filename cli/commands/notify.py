"""`notify`: who is told when jobs fail, are well again, are late or do not run."""

from typing import Annotated

import typer

from cli.groups import DefaultGroup, new_group
from cli.options import JsonOption, session_of
from cli.output.console import Column

app = new_group("Messages about jobs, by `[notify]` in the settings; for administrators.", DefaultGroup)
_COLUMNS = (
    Column("Target"),
    Column("Kind"),
    Column("Events"),
    Column("Workspaces"),
    Column("Tags"),
    Column("Waiting"),
)


@app.command("list")
def list_targets(context: typer.Context, as_json: JsonOption = False) -> None:
    """List targets, without their addresses."""
    from runtime.wire.operations_client import OperationsClient

    session = session_of(context)
    targets = OperationsClient(session.client.connection).targets()
    if as_json:
        session.output.json([target.to_wire() for target in targets])
        return
    if not targets:
        session.output.message("nobody is told of anything: `[notify.targets.NAME]` in the settings changes that")
        return
    session.output.table(
        _COLUMNS,
        [
            (
                target.name,
                target.kind,
                ", ".join(target.events),
                ", ".join(target.workspaces) or "all",
                ", ".join(target.tags) or "all",
                str(target.waiting),
            )
            for target in targets
        ],
    )


@app.command("test")
def test(context: typer.Context, name: Annotated[str, typer.Argument(help="A target's name.")]) -> None:
    """Send a test message; says whether it was delivered."""
    from runtime.wire.operations_client import OperationsClient

    session = session_of(context)
    OperationsClient(session.client.connection).test_target(name)
    session.output.message(f"a test message was delivered to `{name}`")
