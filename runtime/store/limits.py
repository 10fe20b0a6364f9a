"""What live runs may use and what they were stopped for."""

import json
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from runtime.domain.machines import Machine, Overuse
from runtime.domain.model import Frozen
from runtime.store.database import Connection


class RunLimit(Frozen):
    """One run's: its machine, where its files are, what the kept ones held at its begin (None: not looked at yet)."""

    run_id: UUID
    machine: Machine
    own_places: tuple[Path, ...]
    kept_places: tuple[Path, ...]
    kept_bytes: int | None = None
    overuse: Overuse | None = None


async def save_limit(connection: Connection, limit: RunLimit) -> None:
    """Store it in place of what was stored for the run before."""
    await connection.execute(
        """INSERT OR REPLACE INTO run_limits
               (run_id, machine, own_places, kept_places, kept_bytes, overuse)
           VALUES (?, ?, ?, ?, ?, ?)""",
        (
            limit.run_id.bytes,
            limit.machine.model_dump_json(),
            _paths_json(limit.own_places),
            _paths_json(limit.kept_places),
            limit.kept_bytes,
            limit.overuse.model_dump_json() if limit.overuse else None,
        ),
    )


async def find_limit(connection: Connection, run_id: UUID) -> RunLimit | None:
    """A run's; None where it began before there were limits."""
    row = await connection.one("SELECT * FROM run_limits WHERE run_id = ?", (run_id.bytes,))
    if row is None:
        return None
    return RunLimit(
        run_id=run_id,
        machine=Machine.model_validate_json(row["machine"]),
        own_places=tuple(json.loads(row["own_places"])),
        kept_places=tuple(json.loads(row["kept_places"])),
        kept_bytes=row["kept_bytes"],
        overuse=Overuse.model_validate_json(row["overuse"]) if row["overuse"] else None,
    )


async def save_kept_bytes(connection: Connection, run_id: UUID, amount: int) -> None:
    """Store what the places that stay held when the run began; the first answer stands."""
    await connection.execute(
        "UPDATE run_limits SET kept_bytes = ? WHERE run_id = ? AND kept_bytes IS NULL", (amount, run_id.bytes)
    )


async def save_overuse(connection: Connection, run_id: UUID, overuse: Overuse) -> None:
    """Store why a run is stopped; the first reason stands."""
    await connection.execute(
        "UPDATE run_limits SET overuse = ? WHERE run_id = ? AND overuse IS NULL",
        (overuse.model_dump_json(), run_id.bytes),
    )


def _paths_json(paths: Sequence[Path]) -> str:
    return json.dumps([str(path) for path in paths])
