"""`deployment`: the versions of the workspace's code. `deployment 3 info` shows version 3, `redeploy` makes it the
newest again."""

from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from cli.groups import OperationGroup, new_group
from cli.lookup import known_version
from cli.options import (
    DryRunOption,
    JsonOption,
    UnusedVersion,
    VerboseOption,
    VersionArgument,
    session_of,
    whole_number,
)
from cli.output.plans import show_plan, show_sync, show_version, show_versions, sync_json
from cli.session import Session
from cli.syncing import describe_workspace, sync_code

if TYPE_CHECKING:
    from runtime.wire.packages import DeploymentResponse


class _Group(OperationGroup):
    default_operation: ClassVar[str] = "info"


app = new_group("Versions of the code: `deployment [VERSION] info`, `diff`, `redeploy`, `list`, `sync`.", _Group)


@app.command("info")
def info(context: typer.Context, version: VersionArgument = None, as_json: JsonOption = False) -> None:
    """Show a version."""
    session = session_of(context)
    show_version(session.output, _found(session, version), as_json=as_json)


@app.command("list")
def list_versions(
    context: typer.Context,
    version: UnusedVersion = None,  # noqa: ARG001 - the grammar allows one
    as_json: JsonOption = False,
) -> None:
    """List the versions, the newest last."""
    session = session_of(context)
    show_versions(session.output, list(session.client.deployments(session.workspace_id)), as_json=as_json)


@app.command("diff")
def diff(
    context: typer.Context,
    version: VersionArgument = None,
    since: Annotated[
        int | None,
        typer.Option("--from", metavar="VERSION", parser=whole_number, help="The one before by default."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a version changed, line by line."""
    from cli.output.code_diff import change_lines, counts_text, file_changes
    from runtime.wire.code_client import CodeClient

    session = session_of(context)
    client, workspace_id = session.client, session.workspace_id
    after = _found(session, version).version
    # Numbers have gaps where old versions need not be kept.
    lower = (one.version for one in client.deployments(workspace_id) if one.version < after)
    before = _found(session, since).version if since is not None else next(lower, 0)
    old = client.package_files(workspace_id, "deployments", before).files if before else []
    changes = file_changes(old, client.package_files(workspace_id, "deployments", after).files)
    read = CodeClient(client.connection, workspace_id).file
    differing = [(one, change_lines(one, before, after, read)) for one in changes if one.fate != "same"]
    if as_json:
        session.output.json([{"path": one.path, "change": one.fate, "diff": lines} for one, lines in differing])
        return
    for _, lines in differing:
        for line in lines:
            session.output.line(line)
    compared = f"since version {before}" if before else "is the first that there is"
    session.output.message(f"version {after} {compared}: {counts_text(changes)}")


@app.command("redeploy")
def redeploy(
    context: typer.Context,
    version: VersionArgument = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make an older version the newest again, with the jobs that it came with; the configuration stays as it is."""
    from runtime.wire.code_client import CodeClient

    if version is None:
        raise typer.BadParameter("say which version: `deployment VERSION redeploy`")
    session = session_of(context)
    done = CodeClient(session.client.connection, session.workspace_id).redeploy(version, dry_run=dry_run)
    if as_json:
        session.output.json(done.to_wire())
        return
    for warning in done.warnings:
        session.output.warning(warning)
    for plan in done.modules:
        show_plan(session.output, plan, dry_run=dry_run)
    if not dry_run and done.deployment is not None:
        session.output.message(f"version {version} of the code is deployed as version {done.deployment.version}")


@app.command("sync")
def sync(
    context: typer.Context,
    version: UnusedVersion = None,  # noqa: ARG001 - the grammar allows one
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


def _found(session: Session, version: int | None) -> "DeploymentResponse":
    """A version that there is, the newest by default."""
    return known_version(session.client.deployment(session.workspace_id, version), "deployment", version)
