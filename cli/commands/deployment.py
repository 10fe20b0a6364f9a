"""`deployment`: the versions of the workspace's code. `deployment 3 info` shows version 3."""

from typing import Annotated, ClassVar

import typer

from cli.groups import OperationGroup, new_group
from cli.options import DryRunOption, JsonOption, VerboseOption, session_of, whole_number
from cli.output.plans import show_sync, show_version, show_versions, sync_json
from cli.syncing import describe_workspace, sync_code
from runtime.errors import NotFoundError


class _Group(OperationGroup):
    default_operation: ClassVar[str] = "info"


app = new_group("Versions of the code: `deployment [VERSION] info`, `list`, `sync`.", _Group)
VersionArgument = Annotated[
    int | None, typer.Argument(metavar="VERSION", parser=whole_number, help="A version; the newest by default.")
]


@app.command("info")
def info(context: typer.Context, version: VersionArgument = None, as_json: JsonOption = False) -> None:
    """Show a version."""
    session = session_of(context)
    found = session.client.deployment(session.workspace_id, version)
    if found is None:
        raise NotFoundError(
            "no code has been uploaded yet" if version is None else f"there is no deployment version {version}",
            code="version_unknown",
            hint="`dlt-runtime deploy` uploads it" if version is None else "`dlt-runtime deployment list` shows all",
        )
    show_version(session.output, found, as_json=as_json)


@app.command("list")
def list_versions(
    context: typer.Context,
    version: Annotated[int | None, typer.Argument(hidden=True, parser=whole_number)] = None,  # noqa: ARG001 - the grammar allows one
    as_json: JsonOption = False,
) -> None:
    """List the versions, the newest last."""
    session = session_of(context)
    show_versions(session.output, list(session.client.deployments(session.workspace_id)), as_json=as_json)


@app.command("sync")
def sync(
    context: typer.Context,
    version: Annotated[int | None, typer.Argument(hidden=True, parser=whole_number)] = None,  # noqa: ARG001 - the grammar allows one
    dry_run: DryRunOption = False,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Upload the workspace's code if it changed."""
    session = session_of(context)
    description = describe_workspace(session, None)
    result = sync_code(session, session.connect_directory(), description, dry_run=dry_run)
    show_sync(session.output, result, verbose=verbose)
    if as_json:
        session.output.json(sync_json(result))
