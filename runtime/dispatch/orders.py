"""What the runner is told of a run: the launch before it, the order that releases it."""

from runtime.dispatch.preparation import PreparedFiles
from runtime.domain.jobs import JobDefinition
from runtime.domain.runs import Run
from runtime.runner.launch import Launch, LiveProcess, ReleaseOrder
from runtime.store.runs import LiveRun


def launch_of(run: Run, definition: JobDefinition, files: PreparedFiles) -> Launch:
    """The sandbox a run gets."""
    return Launch(
        run_id=run.id,
        workspace_id=run.workspace_id,
        environment=files.environment.path,
        base_prefix=files.environment.base_prefix,
        working_copy=files.working_copy,
        var_dir=files.pipeline_state,
        local_dir=files.local_data,
        profile=run.profile,
        launcher=definition.entry_point.launcher,
    )


def order_of(run: Run, definition: JobDefinition) -> ReleaseOrder:
    """The SDK's `TRuntimeEntryPoint` of a run: window in UTC beside the zone it is meant in (semantics W4)."""
    entry_point = {
        **definition.raw["entry_point"],
        "profile": run.profile,
        "refresh": run.refresh,
        "intercept_signals": definition.intercept_signals,
        "allow_external_schedulers": definition.allow_external_schedulers,
    }
    if run.interval_start and run.interval_end:
        entry_point |= {
            "interval_start": run.interval_start.isoformat(),
            "interval_end": run.interval_end.isoformat(),
            "interval_timezone": definition.timezone,
        }
    return ReleaseOrder(run_id=run.id, trigger=run.trigger, entry_point=entry_point)


def process_of(row: LiveRun) -> LiveProcess:
    """The process that a live row names; it names one."""
    return LiveProcess.model_validate(row.model_dump(include={"run_id", "pid", "pid_started", "boot_id"}))
