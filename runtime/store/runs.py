"""Runs, and what the daemon must remember of those that live."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from runtime.domain.apps import AppStop
from runtime.domain.jobs import JobType
from runtime.domain.model import Frozen, Instant
from runtime.domain.refs import DASHBOARD_JOB_REF
from runtime.domain.runs import ACTIVE_STATUSES, FINAL_STATUSES, Run, RunStatus
from runtime.store.columns import from_micros, from_micros_or_none, to_micros, to_micros_or_none, uuid_or_none
from runtime.store.database import Connection, Row
from runtime.store.paging import Page

StatusFilter = Literal["succeeded", "failed", "cancelled", "other"]
STATUS_FILTERS: tuple[StatusFilter, ...] = get_args(StatusFilter)
StopReason = Literal["timeout", "cancel"] | AppStop

_SELECT = "SELECT runs.*, jobs.job_ref FROM runs JOIN jobs ON jobs.id = runs.job_id"
# Word for word the condition of the indexes `runs_active...`: SQLite uses them for no other.
_IS_ACTIVE = "status IN ('pending', 'starting', 'running', 'cancelling')"


@dataclass(frozen=True)
class RunFilter:
    """Which runs a list shows; None filters nothing.

    `start` and `end` bound the creation time, half-open; `prev_run_id` is the run that started them.
    """

    job_id: UUID | None = None
    status: RunStatus | None = None
    status_filter: StatusFilter | None = None
    job_type: JobType | None = None
    start: datetime | None = None
    end: datetime | None = None
    prev_run_id: UUID | None = None
    include_system: bool = False


class LiveRun(Frozen):
    """How to find a run's processes again after a restart, and how far it has got.

    `pid` belongs to the sandbox's outermost process; with `pid_started` (clock ticks since boot) and `boot_id` it
    cannot be mistaken for a later process. `log_offset` counts the bytes of the log file that are stored. Until
    `deadline_at` a batch run has to end and an app to answer, on `app_port` of its network; None once it has.
    """

    run_id: UUID
    pid: int | None = None
    pid_started: int | None = None
    boot_id: str | None = None
    deadline_at: Instant | None = None
    stop_reason: StopReason | None = None
    stop_words: str | None = None
    stop_at: Instant | None = None
    log_offset: int = 0
    next_line: int = 0
    app_port: int | None = None
    app_prefix: str | None = None


async def add_run(connection: Connection, run: Run) -> None:
    """Insert a run; one that is not born final gets its live row with it."""
    await connection.execute(
        """INSERT INTO runs (id, workspace_id, job_id, job_version_id, deployment_id, configuration_id, number, status,
                             trigger, profile, refresh, interval_start, interval_end, prev_run_id, triggered_by, reason,
                             exit_code, created_at, updated_at, started_at, ended_at, scheduled_at, outcome, skip_count)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            run.id.bytes,
            run.workspace_id.bytes,
            run.job_id.bytes,
            run.job_version_id.bytes,
            run.deployment_id.bytes,
            run.configuration_id.bytes,
            run.number,
            run.status,
            run.trigger,
            run.profile,
            run.refresh,
            to_micros_or_none(run.interval_start),
            to_micros_or_none(run.interval_end),
            run.prev_run_id and run.prev_run_id.bytes,
            run.triggered_by and run.triggered_by.bytes,
            run.reason,
            run.exit_code,
            to_micros(run.created_at),
            to_micros(run.updated_at),
            to_micros_or_none(run.started_at),
            to_micros_or_none(run.ended_at),
            to_micros_or_none(run.scheduled_at),
            run.outcome,
            run.skip_count,
        ),
    )
    if not run.is_final:
        await connection.execute("INSERT INTO live_runs (run_id) VALUES (?)", (run.id.bytes,))


async def save_run(connection: Connection, run: Run) -> None:
    """Store what changes in a run's life; the live row goes when the run is final."""
    await connection.execute(
        """UPDATE runs SET status = ?, reason = ?, exit_code = ?, updated_at = ?, started_at = ?, ended_at = ?
           WHERE id = ?""",
        (
            run.status,
            run.reason,
            run.exit_code,
            to_micros(run.updated_at),
            to_micros_or_none(run.started_at),
            to_micros_or_none(run.ended_at),
            run.id.bytes,
        ),
    )
    if run.is_final:
        await connection.execute("DELETE FROM live_runs WHERE run_id = ?", (run.id.bytes,))


async def save_skip(connection: Connection, run: Run) -> None:
    """Store what one more identical skip changes in the row that stands for them (semantics D7)."""
    await connection.execute(
        "UPDATE runs SET reason = ?, updated_at = ?, ended_at = ?, scheduled_at = ?, skip_count = ? WHERE id = ?",
        (
            run.reason,
            to_micros(run.updated_at),
            to_micros_or_none(run.ended_at),
            to_micros_or_none(run.scheduled_at),
            run.skip_count,
            run.id.bytes,
        ),
    )


async def find_run(connection: Connection, run_id: UUID) -> Run | None:
    """One run."""
    row = await connection.one(f"{_SELECT} WHERE runs.id = ?", (run_id.bytes,))
    return _run(row) if row else None


async def latest_run(connection: Connection, workspace_id: UUID, job_id: UUID | None) -> Run | None:
    """The newest run of a workspace, or of one of its jobs."""
    if job_id is None:
        row = await connection.one(
            f"""{_SELECT} WHERE runs.workspace_id = ?
                ORDER BY runs.created_at DESC, runs.number DESC, runs.id DESC LIMIT 1""",
            (workspace_id.bytes,),
        )
    else:
        row = await connection.one(
            f"{_SELECT} WHERE +runs.workspace_id = ? AND runs.job_id = ? ORDER BY runs.number DESC LIMIT 1",
            (workspace_id.bytes, job_id.bytes),
        )
    return _run(row) if row else None


async def latest_begun_runs(connection: Connection, job_id: UUID, limit: int) -> list[Run]:
    """The newest runs of a job that are more than skips, newest first."""
    rows = await connection.all(
        f"{_SELECT} WHERE runs.job_id = ? AND runs.status <> 'skipped' ORDER BY runs.number DESC LIMIT ?",
        (job_id.bytes, limit),
    )
    return [_run(row) for row in rows]


async def latest_runs(connection: Connection, workspace_id: UUID, job_ids: Sequence[UUID]) -> dict[UUID, Run]:
    """The newest run of each of these jobs of a workspace, by job."""
    # From the jobs to their newest runs, by index: a workspace has far more runs than jobs.
    rows = await connection.all(
        f"""SELECT runs.*, jobs.job_ref FROM jobs
            JOIN runs ON runs.job_id = jobs.id
                     AND runs.number = (SELECT max(newest.number) FROM runs AS newest WHERE newest.job_id = jobs.id)
            WHERE jobs.workspace_id = ? AND jobs.id IN ({", ".join("?" * len(job_ids))})""",
        (workspace_id.bytes, *(job_id.bytes for job_id in job_ids)),
    )
    return {run.job_id: run for run in map(_run, rows)}


async def list_runs(
    connection: Connection, workspace_id: UUID, wanted: RunFilter, limit: int, offset: int
) -> Page[Run]:
    """A page of runs, newest first. Runs of the workspace dashboard show only when asked for or when it is the job."""
    where, parameters = _where(workspace_id, wanted)
    rows = await connection.all(
        f"{_SELECT} {where} ORDER BY runs.created_at DESC, runs.number DESC, runs.id DESC LIMIT :limit OFFSET :offset",
        {**parameters, "limit": limit, "offset": offset},
    )
    if wanted == RunFilter():
        # All but the dashboard's, counted by indexes alone: joining would read every run for the sake of a few.
        count = """SELECT (SELECT count(*) FROM runs WHERE workspace_id = :workspace)
                        - (SELECT count(*) FROM runs WHERE job_id = (
                              SELECT id FROM jobs WHERE workspace_id = :workspace AND job_ref = :system))"""
    else:
        count = f"SELECT count(*) FROM runs JOIN jobs ON jobs.id = runs.job_id {where}"
    total = await connection.value(count, parameters)
    return Page([_run(row) for row in rows], total)


async def next_number(connection: Connection, job_id: UUID) -> int:
    """The number of a job's next run; read it inside the transaction that inserts the run."""
    return int(
        await connection.value("SELECT coalesce(max(number), 0) + 1 FROM runs WHERE job_id = ?", (job_id.bytes,))
    )


async def active_runs(connection: Connection, job_id: UUID | None = None) -> list[Run]:
    """Runs that have not ended, oldest first, of one job or of all."""
    index, of_job = ("runs_active", "") if job_id is None else ("runs_active_of_job", "AND runs.job_id = ?")
    rows = await connection.all(
        f"""SELECT runs.*, jobs.job_ref FROM runs INDEXED BY {index} JOIN jobs ON jobs.id = runs.job_id
            WHERE runs.{_IS_ACTIVE} {of_job} ORDER BY runs.created_at, runs.number, runs.id""",
        () if job_id is None else (job_id.bytes,),
    )
    return [_run(row) for row in rows]


async def failed_windows(
    connection: Connection, job_id: UUID, *, since_triggered: bool
) -> list[tuple[datetime, datetime]]:
    """Windows whose newest run failed.

    Args:
        since_triggered: Only those that failed since the job was last started by something other than its own success.
    """
    rows = await connection.all(
        """SELECT runs.interval_start, runs.interval_end FROM runs
           WHERE runs.job_id = :job AND runs.status = 'failed' AND runs.interval_start IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM runs AS newer WHERE newer.job_id = :job AND newer.number > runs.number
                             AND newer.status <> 'skipped' AND newer.interval_start = runs.interval_start)
             AND (NOT :recent OR runs.created_at >= coalesce((
                 SELECT max(root.created_at) FROM runs AS root LEFT JOIN runs AS cause ON cause.id = root.prev_run_id
                 WHERE root.job_id = :job AND root.status <> 'skipped' AND cause.job_id IS NOT :job), 0))
           ORDER BY runs.interval_start""",
        {"job": job_id.bytes, "recent": since_triggered},
    )
    return [(from_micros(row["interval_start"]), from_micros(row["interval_end"])) for row in rows]


async def find_live(connection: Connection, run_id: UUID) -> LiveRun | None:
    """The live row of a run."""
    row = await connection.one("SELECT * FROM live_runs WHERE run_id = ?", (run_id.bytes,))
    return _live(row) if row else None


async def begun_runs(connection: Connection) -> set[UUID]:
    """The live runs of which it is stored which processes they have become."""
    return {UUID(bytes=row[0]) for row in await connection.all("SELECT run_id FROM live_runs WHERE pid IS NOT NULL")}


async def save_process(
    connection: Connection, run_id: UUID, pid: int, pid_started: int, boot_id: str, *, deadline_at: datetime | None
) -> None:
    """Store which processes a run has become, and when its time will be up."""
    await connection.execute(
        "UPDATE live_runs SET pid = ?, pid_started = ?, boot_id = ?, deadline_at = ? WHERE run_id = ?",
        (pid, pid_started, boot_id, to_micros_or_none(deadline_at), run_id.bytes),
    )


async def forget_process(connection: Connection, run_id: UUID) -> None:
    """Store that a run has no process any more and none of its code has run, so that it is prepared anew."""
    await connection.execute(
        """UPDATE live_runs SET pid = NULL, pid_started = NULL, boot_id = NULL, deadline_at = NULL, log_offset = 0
           WHERE run_id = ?""",
        (run_id.bytes,),
    )


async def save_site(connection: Connection, run_id: UUID, port: int, prefix: str) -> None:
    """Store where an app is told to listen, and the prefix of its paths."""
    await connection.execute(
        "UPDATE live_runs SET app_port = ?, app_prefix = ? WHERE run_id = ?", (port, prefix, run_id.bytes)
    )


async def save_ready(connection: Connection, run_id: UUID, at: datetime) -> None:
    """Store that an app has answered, so that it has no deadline any more."""
    await connection.execute("UPDATE live_runs SET deadline_at = NULL WHERE run_id = ?", (run_id.bytes,))
    await connection.execute("UPDATE runs SET answered_at = ? WHERE id = ?", (to_micros(at), run_id.bytes))


async def save_stop(
    connection: Connection, run_id: UUID, reason: StopReason, at: datetime, words: str | None = None
) -> None:
    """Store why a live run is to stop, in words too where they will be the run's reason; the first reason stands."""
    await connection.execute(
        """UPDATE live_runs SET stop_reason = ?, stop_words = ?, stop_at = ?
           WHERE run_id = ? AND stop_reason IS NULL""",
        (reason, words, to_micros(at), run_id.bytes),
    )


def _where(workspace_id: UUID, wanted: RunFilter) -> tuple[str, dict[str, Any]]:
    clauses = ["runs.workspace_id = :workspace"]
    parameters: dict[str, Any] = {"workspace": workspace_id.bytes}
    if wanted.job_id is not None:
        clauses = ["+runs.workspace_id = :workspace", "runs.job_id = :job"]  # the plus: not by the workspace's index
        parameters["job"] = wanted.job_id.bytes
    elif not wanted.include_system:
        clauses.append("jobs.job_ref <> :system")
        parameters["system"] = DASHBOARD_JOB_REF
    if wanted.status is not None:
        clauses.append("runs.status = :status")
        parameters["status"] = wanted.status
        if wanted.status in ACTIVE_STATUSES and wanted.job_id is None:
            # By the index of what has not ended, which is little, and not by the workspace's, which is everything.
            clauses[0] = "+runs.workspace_id = :workspace"
            clauses.append(f"runs.{_IS_ACTIVE}")
    if wanted.prev_run_id is not None:
        clauses[0] = "+runs.workspace_id = :workspace"  # by the index of causes
        clauses.append("runs.prev_run_id = :cause")
        parameters["cause"] = wanted.prev_run_id.bytes
    if wanted.status_filter is not None:
        statuses = _STATUSES_OF_FILTER[wanted.status_filter]
        clauses.append(f"runs.status IN ({', '.join(repr(status) for status in statuses)})")
    if wanted.job_type is not None:
        clauses.append(
            """:type = (SELECT json_extract(definition, '$.entry_point.job_type')
                        FROM job_versions WHERE id = runs.job_version_id)"""
        )
        parameters["type"] = wanted.job_type
    for bound, operator in (("start", ">="), ("end", "<")):
        at: datetime | None = getattr(wanted, bound)
        if at is not None:
            clauses.append(f"runs.created_at {operator} :{bound}")
            parameters[bound] = to_micros(at)
    return "WHERE " + " AND ".join(clauses), parameters


_STATUSES_OF_FILTER: dict[StatusFilter, tuple[RunStatus, ...]] = {
    "succeeded": ("completed",),
    "failed": ("failed",),
    "cancelled": ("cancelled",),
    "other": tuple(sorted((ACTIVE_STATUSES | FINAL_STATUSES) - {"completed", "failed", "cancelled"})),
}


def _run(row: Row) -> Run:
    return Run(
        id=UUID(bytes=row["id"]),
        workspace_id=UUID(bytes=row["workspace_id"]),
        job_id=UUID(bytes=row["job_id"]),
        job_ref=row["job_ref"],
        job_version_id=UUID(bytes=row["job_version_id"]),
        deployment_id=UUID(bytes=row["deployment_id"]),
        configuration_id=UUID(bytes=row["configuration_id"]),
        number=row["number"],
        status=row["status"],
        trigger=row["trigger"],
        profile=row["profile"],
        refresh=bool(row["refresh"]),
        interval_start=from_micros_or_none(row["interval_start"]),
        interval_end=from_micros_or_none(row["interval_end"]),
        prev_run_id=uuid_or_none(row["prev_run_id"]),
        triggered_by=uuid_or_none(row["triggered_by"]),
        reason=row["reason"],
        exit_code=row["exit_code"],
        created_at=from_micros(row["created_at"]),
        updated_at=from_micros(row["updated_at"]),
        started_at=from_micros_or_none(row["started_at"]),
        ended_at=from_micros_or_none(row["ended_at"]),
        answered_at=from_micros_or_none(row["answered_at"]),
        scheduled_at=from_micros_or_none(row["scheduled_at"]),
        outcome=row["outcome"],
        skip_count=row["skip_count"],
    )


def _live(row: Row) -> LiveRun:
    return LiveRun(
        run_id=UUID(bytes=row["run_id"]),
        pid=row["pid"],
        pid_started=row["pid_started"],
        boot_id=row["boot_id"],
        deadline_at=from_micros_or_none(row["deadline_at"]),
        stop_reason=row["stop_reason"],
        stop_words=row["stop_words"],
        stop_at=from_micros_or_none(row["stop_at"]),
        log_offset=row["log_offset"],
        next_line=row["next_line"],
        app_port=row["app_port"],
        app_prefix=row["app_prefix"],
    )
