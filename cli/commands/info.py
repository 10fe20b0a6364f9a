"""`info`: the workspace at a glance."""

from itertools import islice
from typing import Any

import typer

from cli.options import JsonOption, session_of
from cli.output.jobs import short_ref


def info(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show the workspace: its versions, jobs and newest run."""
    session = session_of(context)
    client, workspace_id, output = session.client, session.workspace_id, session.output
    me = client.me()
    workspace = client.workspace(workspace_id)
    jobs = list(client.jobs(workspace_id))
    newest = next(islice(client.runs(workspace_id), 1), None)
    deployment = client.deployment(workspace_id)
    configuration = client.configuration(workspace_id)
    if as_json:
        answer: dict[str, Any] = {
            "daemon": session.endpoint.url,
            "email": me.email,
            "workspace": workspace.to_wire(),
            "jobs": len(jobs),
            "latest_run": newest.to_wire() if newest else None,
            "deployment": deployment.to_wire() if deployment else None,
            "configuration": configuration.to_wire() if configuration else None,
        }
        output.json(answer)
        return
    root = session.workspace_directory
    run = f"{newest.number} of {short_ref(newest.script.job_ref)}: {newest.status}" if newest else "none yet"
    if newest and newest.time_started:
        run += f", started {output.time(newest.time_started)}"
    output.fields(
        (
            ("Daemon", session.endpoint.url),
            ("User", me.email),
            ("Workspace", f"{workspace.name} ({workspace.id})"),
            ("Description", workspace.description or ""),
            ("Directory", str(root) if root else ""),
            ("Jobs", str(len(jobs))),
            ("Latest run", run),
            ("Deployment", _version(deployment, output.time(deployment.date_added) if deployment else "")),
            ("Configuration", _version(configuration, output.time(configuration.date_added) if configuration else "")),
        )
    )


def _version(package: Any, when: str) -> str:
    return f"version {package.version}, {package.file_count} files, {when}" if package else "none yet"
