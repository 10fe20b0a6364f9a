"""`configuration`: the versions of the workspace's settings and secrets. `configuration 3 info` shows version 3."""

from typing import ClassVar

import typer

from cli.groups import OperationGroup, new_group
from cli.lookup import known_version
from cli.options import DryRunOption, JsonOption, UnusedVersion, VerboseOption, VersionArgument, session_of
from cli.output.plans import show_sync, show_version, show_versions, sync_json
from cli.syncing import sync_configuration
from cli.workspace.python import workspace_python
from cli.workspace.selection import rules_for


class _Group(OperationGroup):
    default_operation: ClassVar[str] = "info"


app = new_group("Versions of the settings and secrets: `configuration [VERSION] info`, `list`, `sync`.", _Group)


@app.command("info")
def info(context: typer.Context, version: VersionArgument = None, as_json: JsonOption = False) -> None:
    """Show a version."""
    session = session_of(context)
    found = known_version(session.client.configuration(session.workspace_id, version), "configuration", version)
    show_version(session.output, found, as_json=as_json)


@app.command("list")
def list_versions(
    context: typer.Context,
    version: UnusedVersion = None,  # noqa: ARG001 - the grammar allows one
    as_json: JsonOption = False,
) -> None:
    """List the versions, the newest last."""
    session = session_of(context)
    show_versions(session.output, list(session.client.configurations(session.workspace_id)), as_json=as_json)


@app.command("sync")
def sync(
    context: typer.Context,
    version: UnusedVersion = None,  # noqa: ARG001 - the grammar allows one
    dry_run: DryRunOption = False,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Upload the workspace's configuration if it changed."""
    session = session_of(context)
    rules = rules_for(workspace_python(session.root).dlt_version())
    result = sync_configuration(session, session.connect_directory(), rules, dry_run=dry_run)
    show_sync(session.output, result, verbose=verbose)
    if as_json:
        session.output.json(sync_json(result))
