"""What the runner is told of a run: the launch before it, the order that releases it."""

from typing import Any

from runtime.dispatch.app_life import Site
from runtime.dispatch.insight import REPORT_PLACE
from runtime.dispatch.preparation import PreparedFiles
from runtime.domain.apps import is_app
from runtime.domain.jobs import JobDefinition
from runtime.domain.machines import Machine
from runtime.domain.runs import Run
from runtime.runner.launch import Launch, LiveProcess, ReleaseOrder
from runtime.sandbox.policy import Mount
from runtime.store.runs import LiveRun

PAYLOAD_PLACE = "/run/payload"
"""Where a job finds what its webhook was called with: `body`, and `headers.json` beside it (semantics T7)."""
PAYLOAD_VARIABLE = "DLT_RUNTIME_PAYLOAD"


def launch_of(run: Run, definition: JobDefinition, files: PreparedFiles, machine: Machine) -> Launch:
    """The sandbox a run gets, on a machine of this size."""
    return Launch(
        run_id=run.id,
        workspace_id=run.workspace_id,
        environment=files.environment.path,
        base_prefix=files.environment.base_prefix,
        working_copy=files.working_copy,
        data=files.data,
        scratch_dir=files.scratch,
        profile=run.profile,
        launcher=definition.entry_point.launcher,
        own_network=is_app(definition),
        machine=machine,
        extra_mounts=_mounts_of(files),
        variables={PAYLOAD_VARIABLE: f"{PAYLOAD_PLACE}/body"} if files.payload else {},
    )


def _mounts_of(files: PreparedFiles) -> tuple[Mount, ...]:
    payload = [Mount(source=files.payload, target=PAYLOAD_PLACE)] if files.payload else []
    report = [Mount(source=files.report, target=REPORT_PLACE, writable=True)] if files.report else []
    return (*payload, *report)


def order_of(run: Run, definition: JobDefinition, site: Site | None = None) -> ReleaseOrder:
    """The SDK's `TRuntimeEntryPoint` of a run: window in UTC beside the zone it is meant in (semantics W4).

    An app is told its port and the prefix of its paths in browsers.

    An environment's dlt may be newer or older than the one that wrote the manifest, so the order speaks to both:
    launchers before dlt 1.30.1 read `allow_external_schedulers`, those from then on `incremental_mode`.
    """
    entry_point: dict[str, Any] = {
        **definition.raw["entry_point"],
        "job_ref": definition.job_ref,
        "profile": run.profile,
        "refresh": run.refresh,
        "intercept_signals": definition.intercept_signals,
        "interval_timezone": definition.timezone,
        "allow_external_schedulers": definition.allow_external_schedulers,
    }
    if definition.allow_external_schedulers:
        entry_point["incremental_mode"] = "interval"
    entry_point |= {key: definition.raw[key] for key in _PASSED_ON if definition.raw.get(key)}
    if site is not None:
        entry_point["run_args"] = {"port": site.port, "base_path": site.prefix}
        if site.host is not None:
            entry_point["run_args"]["host"] = site.host
    if run.interval_start and run.interval_end:
        entry_point |= {
            "interval_start": run.interval_start.isoformat(),
            "interval_end": run.interval_end.isoformat(),
        }
    return ReleaseOrder(run_id=run.id, trigger=run.trigger, entry_point=entry_point)


_PASSED_ON = ("incremental_mode", "auto_refresh_pipeline_mode")
"""Fields of manifest engine 2 that concern the job's own process only."""


def process_of(row: LiveRun) -> LiveProcess:
    """The process that a live row names; it names one."""
    return LiveProcess.model_validate(row.model_dump(include={"run_id", "pid", "pid_started", "boot_id"}))
