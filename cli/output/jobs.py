"""How jobs and runs are shown."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cli.output.console import Column, Output, status_style

if TYPE_CHECKING:
    from runtime.wire.environments import RunEnvironmentResponse
    from runtime.wire.jobs import DetailedScriptResponse, ScriptResponse
    from runtime.wire.run_details import DetailedRunResponse
    from runtime.wire.runs import PipelineRunSummaryResponse
    from runtime.wire.schedules import ScheduleResponse

_JOB_COLUMNS = (
    Column("Job"),
    Column("Type", spare=2),
    Column("Version", spare=3),
    Column("Trigger", wraps=True, spare=1),
    Column("Next run"),
    Column("Schedule", "yellow"),
    Column("Last run"),
    Column("Status", status_style),
    Column("Label", wraps=True, spare=4),
)
_RUN_COLUMNS = (
    Column("Job"),
    Column("Run"),
    Column("Status", status_style),
    Column("Trigger", wraps=True, spare=2),
    Column("Profile", spare=4),
    Column("Started"),
    Column("Ended", spare=3),
    Column("Duration", spare=1),
    Column("Reason", wraps=True),
)


def job_label(job: "ScriptResponse") -> str:
    """What a person calls a job: the daemon's label, else the last part of its reference."""
    return job.name or job.job_ref.rsplit(".", 1)[-1]


def short_ref(job_ref: str) -> str:
    """The reference without its prefix, which every command takes."""
    return job_ref.removeprefix("jobs.")


def show_jobs(output: Output, jobs: "Sequence[DetailedScriptResponse]", *, as_json: bool) -> None:
    """A list of jobs."""
    if as_json:
        output.json([job.to_wire() for job in jobs])
        return
    if not jobs:
        output.message("no jobs")
        return
    output.table(_JOB_COLUMNS, [_job_row(output, job) for job in jobs])


def show_job(
    output: Output, job: "DetailedScriptResponse", schedule: "ScheduleResponse | None", *, as_json: bool
) -> None:
    """Everything about one job, with its schedule where the daemon tells of it."""
    if as_json:
        output.json(job.to_wire() | ({"schedule": schedule.to_wire()} if schedule else {}))
        return
    from cli.output.schedules import schedule_fields

    run = job.last_run
    output.fields(
        (
            ("Job", job.job_ref),
            ("Label", job_label(job)),
            ("Description", job.description or ""),
            ("Type", job.script_type),
            ("Entry point", entry_point(job.job_definition)),
            ("Version", str(job.version)),
            ("Deployed from", job.deployment_module or "ad hoc"),
            ("Archived", "yes" if job.archived else ""),
            ("Profile", job.profile or ""),
            ("Default trigger", job.default_trigger or ""),
            ("Triggers", ", ".join(job.triggers or ())),
            ("Freshness", ", ".join(job.freshness or ())),
            ("Interval from", output.time(job.interval_start)),
            ("Interval to", output.time(job.interval_end)),
            ("Next run", output.time(job.next_scheduled_run)),
            *(schedule_fields(output, schedule) if schedule else ()),
            ("Last run", f"{run.number} {run.status}" if run else ""),
            ("URL", job.script_url or ""),
            ("Public link", job.public_url or ""),
            ("Changed", output.time(job.date_updated)),
            ("Created", output.time(job.date_added)),
        )
    )


def show_runs(output: Output, runs: "Sequence[DetailedRunResponse]", *, as_json: bool) -> None:
    """A list of runs, the newest last, where the eye is when the command ends."""
    if as_json:
        output.json([run.to_wire() for run in runs])
        return
    if not runs:
        output.message("no runs")
        return
    output.table(_RUN_COLUMNS, [_run_row(output, run) for run in reversed(runs)])


def show_run(
    output: Output, run: "DetailedRunResponse", environment: "RunEnvironmentResponse | None", *, as_json: bool
) -> None:
    """Everything about one run, with its environment where one is known."""
    if as_json:
        output.json(run.to_wire() | ({"environment": environment.to_wire()} if environment else {}))
        return
    output.fields(
        (
            ("Job", run.script.job_ref),
            ("Run", str(run.number)),
            ("Status", run.status),
            ("Reason", _reason(run)),
            ("Outcome", run.outcome or ""),
            ("Exit code", "" if run.exit_code is None else str(run.exit_code)),
            ("Trigger", run.trigger),
            ("Profile", run.profile or ""),
            ("Interval from", output.time(run.interval_start)),
            ("Interval to", output.time(run.interval_end)),
            ("Scheduled for", output.time(run.scheduled_at)),
            ("Created", output.time(run.date_added)),
            ("Started", output.time(run.time_started)),
            ("Ended", output.time(run.time_ended)),
            ("Duration", output.duration(took(run))),
            ("Environment", environment_text(environment)),
            ("Id", str(run.id)),
            *(("Pipeline", pipeline_words(one)) for one in run.pipeline_run_summaries or ()),
        )
    )


def environment_text(environment: "RunEnvironmentResponse | None") -> str:
    """In a line: `Python 3.11.2, 42 packages, key 9f3c...`; nothing where none is known."""
    if environment is None:
        return ""
    count = len(environment.packages)
    return f"Python {environment.python_version}, {count} package{'' if count == 1 else 's'}, key {environment.key}"


def pipeline_words(said: "PipelineRunSummaryResponse") -> str:
    """What a pipeline did in a run, on one line: `shop: succeeded, 90 rows into shop_data of warehouse, 2.1 s`."""
    place = " of ".join(filter(None, (said.dataset_name, said.destination_name)))
    rows = "" if said.total_rows is None else f"{said.total_rows:,} rows" + (f" into {place}" if place else "")
    took = "" if said.duration_ms is None else f"{said.duration_ms / 1000:.1f} s"
    grown = ", ".join(f"{table} ({len(columns)})" for table, columns in (said.schema_changes or {}).items())
    parts = (said.status, rows, took, f"new columns in {grown}" if grown else "")
    return f"{said.pipeline_name}: {', '.join(filter(None, parts))}"


def entry_point(definition: dict[str, Any]) -> str:
    """`module::function`, or the module alone."""
    point = definition.get("entry_point") or {}
    module, function = point.get("module") or "", point.get("function")
    return f"{module}::{function}" if function else module


def _job_row(output: Output, job: "DetailedScriptResponse") -> tuple[str, ...]:
    run = job.last_run
    return (
        short_ref(job.job_ref),
        job.script_type,
        str(job.version),
        _trigger(output, job.schedule_override or job.default_trigger, job.job_ref),
        output.time(job.next_scheduled_run),
        _said(job),
        output.time((run.time_started or run.date_added) if run else None),
        run.status if run else "",
        job_label(job),
    )


def _said(job: "DetailedScriptResponse") -> str:
    """What an operator said of a job's schedule."""
    said = (("paused", job.paused), ("overridden", job.schedule_override))
    return ", ".join(word for word, is_so in said if is_so)


def took(run: "DetailedRunResponse") -> float | None:
    """How long a run took, in seconds; None while it goes on. Of its `duration` the API says whole seconds alone."""
    if run.time_started is None or run.time_ended is None:
        return run.duration
    return (run.time_ended - run.time_started).total_seconds()


def _reason(run: "DetailedRunResponse") -> str:
    """Why a run ended as it did; a skip that stands for several says for how many."""
    times = f"{run.skip_count} times: " if run.skip_count and run.skip_count > 1 else ""
    return times + (run.reason or "")


def _run_row(output: Output, run: "DetailedRunResponse") -> tuple[str, ...]:
    return (
        short_ref(run.script.job_ref),
        str(run.number),
        run.status,
        _trigger(output, run.trigger, run.script.job_ref),
        run.profile or "",
        output.time(run.time_started),
        output.time(run.time_ended),
        output.duration(took(run)),
        _reason(run),
    )


def _trigger(output: Output, trigger: str | None, job_ref: str) -> str:
    """A trigger as it is for programs, without what a person knows: `manual`, `job.success:shop.load`."""
    if not trigger or not output.is_terminal:
        return trigger or ""
    return "manual" if trigger == f"manual:{job_ref}" else trigger.replace(":jobs.", ":")
