"""Stores with many jobs and many runs, written in bulk past the store's own functions: those take one at a time."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from runtime.store.columns import to_micros
from runtime.store.database import Database
from tests.factories import make_raw_definition
from tests.house import REQUIREMENTS

Values = tuple[Any, ...]
_DAY = timedelta(days=1)


def fill_store(
    path: Path,
    triggers: Sequence[str],
    *,
    runs: int = 0,
    taken_at: datetime | None = None,
    into: UUID | None = None,
    **fields: Any,
) -> list[UUID]:
    """Make a database with one workspace and one job for each trigger; returns the jobs' identifiers.

    Args:
        triggers: One for each job; each may have any number of runs active at a time.
        runs: Completed runs, spread evenly over the jobs and over the last year.
        taken_at: The newest tick of every trigger that was dispatched; None for triggers just deployed.
        into: A workspace that is there, with code and settings, and gets the jobs in the place of a new one.
        fields: Further keys of every job's definition.
    """
    asyncio.run(_make_schema(path))
    now = to_micros(datetime.now(UTC))
    user, workspace, deployment, configuration = (uuid4().bytes for _ in range(4))
    jobs = [(uuid4(), uuid4().bytes, trigger) for trigger in triggers]
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    _insert(connection, "users", "id, email, created_at", [(user, "crowd@example.org", now)])
    if into is None:
        _insert(connection, "workspaces", "id, name, created_at, updated_at", [(workspace, "crowd", now, now)])
        package = "id, workspace_id, version, content_hash, file_count, size_bytes, created_by, created_at"
        version = (workspace, 1, "none", 0, 0, user, now)
        _insert(
            connection, "deployments", f"{package}, requirements", [(deployment, *version, json.dumps(REQUIREMENTS))]
        )
        _insert(connection, "configurations", f"{package}, profiles", [(configuration, *version, "[]")])
    else:
        workspace = into.bytes
        (deployment,) = connection.execute("SELECT id FROM deployments WHERE workspace_id = ?", (workspace,)).fetchone()
        (configuration,) = connection.execute(
            "SELECT id FROM configurations WHERE workspace_id = ?", (workspace,)
        ).fetchone()
    _insert(
        connection,
        "jobs",
        "id, workspace_id, job_ref, version_id, created_by, created_at, updated_at",
        [(job.bytes, workspace, _ref(number), first, user, now, now) for number, (job, first, _) in enumerate(jobs)],
    )
    _insert(
        connection,
        "job_versions",
        "id, job_id, version, engine_version, definition, definition_hash, created_by, created_at",
        [
            (first, job.bytes, 1, 1, _definition(number, trigger, fields), "none", user, now)
            for number, (job, first, trigger) in enumerate(jobs)
        ],
    )
    _insert(
        connection,
        "job_timers",
        "job_id, trigger, since, last_tick_at",
        [(job.bytes, trigger, now, taken_at and to_micros(taken_at)) for job, _, trigger in jobs],
    )
    _insert(
        connection,
        "runs",
        """workspace_id, deployment_id, configuration_id, status, profile, exit_code, id, job_id, job_version_id,
           trigger, number, created_at, updated_at, started_at, ended_at, interval_start, interval_end, scheduled_at""",
        ((workspace, deployment, configuration, "completed", "prod", 0, *rest) for rest in _runs(jobs, runs)),
    )
    connection.execute("COMMIT")
    connection.close()
    return [job for job, _, _ in jobs]


async def _make_schema(path: Path) -> None:
    database = await Database.open(path)
    await database.close()


def _runs(jobs: Sequence[tuple[UUID, bytes, str]], count: int) -> Iterator[Values]:
    began = datetime.now(UTC) - 365 * _DAY
    for number in range(count):
        job, version, trigger = jobs[number % len(jobs)]
        at = to_micros(began + 364 * _DAY * (number / count))
        yield uuid4().bytes, job.bytes, version, trigger, number // len(jobs) + 1, at, at, at, at, at, at, at


def _insert(connection: sqlite3.Connection, table: str, columns: str, rows: "Iterator[Values] | list[Values]") -> None:
    marks = ", ".join("?" * (columns.count(",") + 1))
    connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)


def _ref(number: int) -> str:
    return f"jobs.crowd.job_{number:05}"


def _definition(number: int, trigger: str, fields: dict[str, Any]) -> str:
    return json.dumps(make_raw_definition(_ref(number), triggers=[trigger], execute={"concurrency": None}, **fields))
