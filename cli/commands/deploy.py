"""`deploy` and `sync`: bring the workspace to the daemon."""

from typing import Annotated

import typer

from cli.deploying import declared, put_manifest, require_deployment_module
from cli.options import DryRunOption, JsonOption, VerboseOption, session_of
from cli.output.plans import show_plan, show_sync, sync_json
from cli.syncing import describe_workspace, sync_code, sync_configuration, warn_of_profiles
from cli.workspace.root import DEPLOYMENT_MODULE
from cli.workspace.selection import rules_for


def deploy(
    context: typer.Context,
    file: Annotated[
        str | None, typer.Option(metavar="PATH", help="Module to deploy in place of `__deployment__.py`.")
    ] = None,
    dry_run: DryRunOption = False,
    show_manifest: Annotated[
        bool, typer.Option("--show-manifest", help="Print the manifest as YAML; no jobs change.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Upload code and configuration where they changed, and make the jobs what the deployment module declares."""
    session = session_of(context)
    module = declared(session, file) if file else require_deployment_module(session.root)
    description = describe_workspace(session, module)
    if show_manifest:
        import yaml

        session.output.line(yaml.safe_dump(description.manifest, sort_keys=False, allow_unicode=True).rstrip())
        return
    for warning in description.warnings:
        session.output.warning(warning)
    rules = rules_for(description.dlt_version)
    warn_of_profiles(session, rules)
    workspace_id = session.connect_directory()
    code = sync_code(session, workspace_id, description, dry_run=dry_run)
    configuration = sync_configuration(session, workspace_id, rules, dry_run=dry_run)
    show_sync(session.output, code)
    show_sync(session.output, configuration)
    manifest = description.manifest or {}
    plan = put_manifest(
        session,
        workspace_id,
        description,
        deployment_module=manifest.get("deployment_module") or DEPLOYMENT_MODULE,
        dry_run=dry_run,
    )
    if as_json:
        session.output.json(
            {"deployment": sync_json(code), "configuration": sync_json(configuration), **plan.to_wire()}
        )
    else:
        show_plan(session.output, plan, dry_run=dry_run)


def sync(
    context: typer.Context, dry_run: DryRunOption = False, verbose: VerboseOption = False, as_json: JsonOption = False
) -> None:
    """Upload code and configuration where they changed; jobs stay as they are deployed."""
    session = session_of(context)
    description = describe_workspace(session, None)
    workspace_id = session.connect_directory()
    code = sync_code(session, workspace_id, description, dry_run=dry_run)
    rules = rules_for(description.dlt_version)
    configuration = sync_configuration(session, workspace_id, rules, dry_run=dry_run)
    show_sync(session.output, code, verbose=verbose)
    show_sync(session.output, configuration, verbose=verbose)
    if as_json:
        session.output.json({"deployment": sync_json(code), "configuration": sync_json(configuration)})
