"""What has been kept long enough, found by readers and removed in steps so small that no other write waits for them.

Each function that removes says how much it has removed; less than it was allowed to means that nothing is left.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import zstandard

from runtime.domain.model import Frozen
from runtime.domain.refs import DASHBOARD_JOB_REF
from runtime.store.columns import to_micros
from runtime.store.database import Connection

SLOT_MICROS = 15 * 60 * 1_000_000
"""A quarter of an hour: no time zone's hour begins within one."""
_PAGE = 200


class EndedRun(Frozen):
    """A run by its end; pages of them go on after the last one."""

    ended_at: int
    run_id: UUID


async def old_runs(connection: Connection, before: datetime, keep: int, after: EndedRun | None) -> list[EndedRun]:
    """A page of runs that ended before, oldest first, without the newest `keep` of their job and without active ones.

    The newest run of a job is always kept: the next one's number follows on its own.
    """
    return await _ended(
        connection,
        before,
        after,
        """number <= (SELECT max(newest.number) FROM runs AS newest WHERE newest.job_id = runs.job_id) - :keep""",
        {"keep": max(1, keep)},
    )


async def old_logs(connection: Connection, before: datetime, after: EndedRun | None) -> list[EndedRun]:
    """A page of runs that ended before and still have their log, oldest first."""
    return await _ended(
        connection,
        before,
        after,
        """EXISTS (SELECT 1 FROM log_chunks WHERE log_chunks.run_id = runs.id)
           AND NOT EXISTS (SELECT 1 FROM removed_logs WHERE removed_logs.run_id = runs.id)""",
        {},
    )


async def _ended(
    connection: Connection, before: datetime, after: EndedRun | None, condition: str, parameters: dict[str, int]
) -> list[EndedRun]:
    rows = await connection.all(
        f"""SELECT id, ended_at FROM runs INDEXED BY runs_ended_at
            WHERE ended_at IS NOT NULL AND ended_at < :before AND (ended_at, id) > (:after, :after_id) AND {condition}
            ORDER BY ended_at, id LIMIT {_PAGE}""",
        {
            "before": to_micros(before),
            "after": after.ended_at if after else -1,
            "after_id": after.run_id.bytes if after else b"",
            **parameters,
        },
    )
    return [EndedRun(ended_at=row["ended_at"], run_id=UUID(bytes=row["id"])) for row in rows]


async def remove_lines(connection: Connection, run_id: UUID, most: int) -> int:
    """Remove the first chunks of a log."""
    return await connection.execute(
        """DELETE FROM log_chunks WHERE run_id = :run AND first_line IN (
               SELECT first_line FROM log_chunks WHERE run_id = :run ORDER BY first_line LIMIT :most)""",
        {"run": run_id.bytes, "most": most},
    )


async def note_removed_log(connection: Connection, run_id: UUID, at: datetime, line: str) -> None:
    """Put one line where a log was that has been removed."""
    await connection.execute("INSERT OR IGNORE INTO removed_logs VALUES (?)", (run_id.bytes,))
    await connection.execute(
        "INSERT INTO log_chunks (run_id, first_line, line_count, phase, reported_at, content) "
        "VALUES (?, 0, 1, 'setup', ?, ?)",
        (run_id.bytes, to_micros(at), zstandard.ZstdCompressor(level=1).compress(line.encode())),
    )


async def remove_run(connection: Connection, run_id: UUID) -> bool:
    """Remove an ended run whose log is gone already, and count it for the statistics; False if it is still active."""
    await connection.execute(
        f"""INSERT INTO removed_runs
            SELECT workspace_id, created_at - created_at % {SLOT_MICROS}, status, 1,
                   coalesce((ended_at - started_at) / 1000000, 0)
            FROM runs WHERE id = :run AND ended_at IS NOT NULL
              AND job_id IS NOT (SELECT id FROM jobs AS system
                                 WHERE system.workspace_id = runs.workspace_id AND system.job_ref = :system)
            ON CONFLICT DO UPDATE SET runs = runs + 1, seconds = seconds + excluded.seconds""",
        {"run": run_id.bytes, "system": DASHBOARD_JOB_REF},
    )
    removed = await connection.execute("DELETE FROM runs WHERE id = ? AND ended_at IS NOT NULL", (run_id.bytes,))
    return removed > 0


async def log_bytes(connection: Connection) -> int:
    """How large all stored logs are together, compressed."""
    return int(await connection.value("SELECT bytes FROM log_totals"))


async def old_deployments(connection: Connection, keep: int) -> list[UUID]:
    """Deployments that no run pins and that are not among the newest of their workspace."""
    return await _old_versions(connection, "deployments", "deployment_id", keep)


async def old_configurations(connection: Connection, keep: int) -> list[UUID]:
    """Configurations that no run pins and that are not among the newest of their workspace."""
    return await _old_versions(connection, "configurations", "configuration_id", keep)


async def _old_versions(connection: Connection, table: str, pinned_by: str, keep: int) -> list[UUID]:
    named = "AND id NOT IN (SELECT deployment_id FROM manifest_deployments)" if table == "deployments" else ""
    rows = await connection.all(
        f"""SELECT id FROM {table} AS old
            WHERE (SELECT count(*) FROM {table} AS newer
                   WHERE newer.workspace_id = old.workspace_id AND newer.version > old.version) >= :keep
              AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.{pinned_by} = old.id) {named}
            ORDER BY created_at""",
        {"keep": max(1, keep)},
    )
    return [UUID(bytes=row["id"]) for row in rows]


async def remove_deployment_files(connection: Connection, deployment_id: UUID, most: int) -> int:
    """Remove entries of a deployment that is on its way out, with the contents that nothing else refers to."""
    rows = await connection.all(
        "SELECT relative_path, sha3_256 FROM deployment_files WHERE deployment_id = ? LIMIT ?",
        (deployment_id.bytes, most),
    )
    await connection.executemany(
        "DELETE FROM deployment_files WHERE deployment_id = ? AND relative_path = ?",
        [(deployment_id.bytes, row["relative_path"]) for row in rows],
    )
    await connection.executemany(
        """DELETE FROM blobs WHERE sha3_256 = ?1
           AND NOT EXISTS (SELECT 1 FROM deployment_files WHERE deployment_files.sha3_256 = ?1)""",
        [(row["sha3_256"],) for row in rows],
    )
    return len(rows)


async def remove_deployment(connection: Connection, deployment_id: UUID) -> int:
    """Remove a deployment without entries, unless a run has come to pin it."""
    return await connection.execute(
        "DELETE FROM deployments WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE deployment_id = ?1)",
        (deployment_id.bytes,),
    )


async def remove_configuration(connection: Connection, configuration_id: UUID) -> int:
    """Remove a configuration, unless a run has come to pin it."""
    return await connection.execute(
        "DELETE FROM configurations WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE configuration_id = ?1)",
        (configuration_id.bytes,),
    )


async def remove_audit(connection: Connection, before: datetime, most: int) -> int:
    """Remove the oldest entries of the audit log."""
    return await connection.execute(
        "DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE at < ? ORDER BY at LIMIT ?)",
        (to_micros(before), most),
    )


async def remove_news(connection: Connection, before: datetime, most: int) -> int:
    """Forget what is gone and went before; a workspace's newest change of a kind stays, since numbers only ascend."""
    return await connection.execute(
        """DELETE FROM changes WHERE seq IN (
               SELECT seq FROM changes AS old WHERE is_gone = 1 AND at < ?
                 AND EXISTS (SELECT 1 FROM changes AS newer WHERE newer.workspace_id = old.workspace_id
                             AND newer.kind = old.kind AND newer.seq > old.seq)
               ORDER BY at LIMIT ?)""",
        (to_micros(before), most),
    )


async def used_deployments(connection: Connection) -> set[UUID]:
    """Deployments whose tree somebody may still read: what active runs pin, and each workspace's newest."""
    rows = await connection.all(
        """SELECT deployment_id AS id FROM runs
           WHERE status IN ('pending', 'starting', 'running', 'cancelling')
           UNION SELECT id FROM deployments AS newest WHERE NOT EXISTS (
               SELECT 1 FROM deployments AS newer
               WHERE newer.workspace_id = newest.workspace_id AND newer.version > newest.version)"""
    )
    return {UUID(bytes=row["id"]) for row in rows}


async def free_pages(connection: Connection) -> tuple[int, int]:
    """How many pages of the file are free, and how many there are."""
    return int(await connection.value("PRAGMA freelist_count")), int(await connection.value("PRAGMA page_count"))


async def give_back(connection: Connection, pages: int) -> int:
    """Return free pages to the disk; answers how many are still free."""
    await connection.all(f"PRAGMA incremental_vacuum({int(pages)})")
    return int(await connection.value("PRAGMA freelist_count"))


def place_after(page: Sequence[EndedRun]) -> EndedRun | None:
    """Where the next page begins; None if this one was the last."""
    return page[-1] if len(page) == _PAGE else None
