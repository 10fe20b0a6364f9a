"""`launch`, `serve` and `run-pipeline`: bring the workspace to the daemon and start one job of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cli.deploying import declared, pick_job, put_manifest, require_deployment_module
from cli.options import FollowOption, JsonOption, RefreshOption, session_of
from cli.output.jobs import short_ref
from cli.output.plans import show_sync
from cli.output.triggers import skip_reason
from cli.session import Session
from cli.syncing import describe_workspace, sync_code, sync_configuration, warn_of_profiles
from cli.workspace.root import DEPLOYMENT_MODULE
from cli.workspace.selection import rules_for
from runtime.errors import JobRuntimeError

if TYPE_CHECKING:
    from runtime.wire.jobs import TriggeredJob
    from runtime.wire.runs import RunResponse

JobArgument = Annotated[
    str | None,
    typer.Argument(metavar="JOB", help="Name, reference or selector; a `.py` path deploys that file ad hoc."),
]
FileOption = Annotated[str | None, typer.Option(metavar="PATH", help="Deploy one Python file ad hoc.")]


def launch(
    context: typer.Context,
    job: JobArgument = None,
    file: FileOption = None,
    follow: FollowOption = False,
    refresh: RefreshOption = False,
    as_json: JsonOption = False,
) -> None:
    """Sync, deploy and run one batch job; with `-f` its end becomes the exit status.

    To learn what they declare, `__deployment__.py`, or the file, is imported on this machine, in the workspace's own
    environment. So what a script does at its top level is done here first: keep it below `if __name__ == "__main__":`.
    """
    start = _Start(*_job_and_file(job, file), refused_type="interactive", refresh=refresh)
    _launch(session_of(context), start, follow=follow, as_json=as_json)


def serve(
    context: typer.Context,
    job: JobArgument = None,
    file: FileOption = None,
    follow: FollowOption = False,
    as_json: JsonOption = False,
) -> None:
    """Sync, deploy and start one interactive job, and print its URL where the daemon gives one."""
    start = _Start(*_job_and_file(job, file), refused_type="batch")
    _launch(session_of(context), start, follow=follow, as_json=as_json)


def run_pipeline(
    context: typer.Context,
    pipeline_name: Annotated[str, typer.Argument(help="The name of the pipeline.")],
    job_ref: Annotated[str | None, typer.Option(metavar="REF", help="Which job, where several deliver it.")] = None,
    follow: FollowOption = False,
    refresh: RefreshOption = False,
    as_json: JsonOption = False,
) -> None:
    """Sync, deploy and run the batch job that delivers a pipeline."""
    selector = f"pipeline_name:{pipeline_name}"
    start = _Start(job_ref, None, refused_type="interactive", selector=selector, refresh=refresh)
    _launch(session_of(context), start, follow=follow, as_json=as_json)


@dataclass(frozen=True)
class _Start:
    """What to start: a job of the manifest, or whatever a file holds."""

    job: str | None
    file: str | None
    refused_type: str
    selector: str = "manual:"
    refresh: bool = False


def _job_and_file(job: str | None, file: str | None) -> tuple[str | None, str | None]:
    """A value that ends in `.py` is a file."""
    if job is None or not job.lower().endswith(".py"):
        return job, file
    if file is not None:
        raise typer.BadParameter(f"`{job}` and `--file` both name a file")
    return None, job


def _launch(session: Session, start: _Start, *, follow: bool, as_json: bool) -> None:
    triggered = _deploy_and_trigger(session, start)
    job_ref, run = triggered.job_ref, triggered.run
    if as_json and not follow:
        session.output.json(triggered.to_wire())
    if triggered.run_id is None:
        raise JobRuntimeError(f"{short_ref(job_ref)} was not started: {skip_reason(triggered)}", code=triggered.status)
    if run is None:
        run = session.client.run(session.workspace_id, triggered.run_id)
    session.output.message(f"started run {run.number} of {short_ref(job_ref)} ({triggered.trigger})")
    if start.refused_type == "batch":
        _print_url(session, job_ref, as_json=as_json)
    if follow:
        raise typer.Exit(_follow(session, run, job_ref, as_json=as_json))
    session.output.message(f"follow it with `dlt-runtime logs {short_ref(job_ref)} {run.number} -f`")


def _deploy_and_trigger(session: Session, start: _Start) -> "TriggeredJob":
    from runtime.wire.jobs import TriggerJobsRequest

    module = declared(session, start.file) if start.file else require_deployment_module(session.root)
    description = describe_workspace(session, module, use_all=start.file is None)
    for warning in description.warnings:
        session.output.warning(warning)
    job = pick_job(description, start.job, selector=start.selector, refused_type=start.refused_type)
    rules = rules_for(description.dlt_version)
    warn_of_profiles(session, rules)
    workspace_id = session.connect_directory()
    for result in (
        sync_code(session, workspace_id, description),
        sync_configuration(session, workspace_id, rules),
    ):
        if result.status != "unchanged":
            show_sync(session.output, result)
    deployment_module = None if start.file else DEPLOYMENT_MODULE
    plan = put_manifest(session, workspace_id, description, deployment_module=deployment_module)
    for warning in plan.warnings:
        session.output.warning(warning)
    request = TriggerJobsRequest(job_refs=[job["job_ref"]], refresh=start.refresh)
    triggered = session.client.trigger(workspace_id, request)
    if len(triggered) != 1:
        raise JobRuntimeError(f"the daemon answered for {len(triggered)} jobs when one was asked for", code="trigger")
    return triggered[0]


def _print_url(session: Session, job_ref: str, *, as_json: bool) -> None:
    url = session.client.job(session.workspace_id, job_ref).script_url
    if url and not as_json:
        session.output.line(url)
    elif not url:
        session.output.message("the daemon gives no URL for it")


def _follow(session: Session, run: "RunResponse", job_ref: str, *, as_json: bool) -> int:
    from cli.following import follow_run

    return follow_run(session, run, job_ref, as_json=as_json)
