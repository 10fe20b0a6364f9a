"""The public client's own code reads what every operation answers, successes and refusals alike."""

import json
import subprocess
from pathlib import Path
from typing import Any

from runtime.store.database import Database
from tests.contract import operations
from tests.every_operation import ask_everything
from tests.house import build_house
from tests.processes import plain_environment
from tests.tenants import Estate, Tenant, add_tenant, build_estate

SCRIPT = Path(__file__).parents[1] / "resources/parse_answers.py"
STREAM = "/logs/stream"  # read line by line, by code of its own


async def test_the_client_reads_every_answer(virtualenv: Path, database: Database, tmp_path: Path) -> None:
    estate = await build_estate(await build_house(database, tmp_path), tmp_path)
    tenant = await add_tenant(estate, "anna")
    answers = [
        {"module": operation.module, "status": answer.status_code, "body": answer.text}
        async for operation, answer in ask_everything(estate, tenant)
        if not operation.path.endswith(STREAM)
    ]
    answers += await refusals(estate, tenant)
    assert len(answers) > 2 * (len(operations()) - 10)
    assert parse(virtualenv, answers) == ""


async def refusals(estate: Estate, tenant: Tenant) -> list[dict[str, Any]]:
    """What each operation answers to nobody, and to a body that makes no sense."""
    found = []
    async with estate.client() as nobody, estate.client(tenant.token) as owner:
        for operation in operations():
            if operation.path.endswith((STREAM, "/ping", "/logout", "/logout-all-devices", "/code")):
                continue
            for client in (nobody, owner):
                path = operation.path.format_map({**tenant.ids, "run_id": tenant.ids["user_id"]})
                answer = await client.request(operation.method, path, json=[])
                if answer.status_code in operation.errors:
                    found.append({"module": operation.module, "status": answer.status_code, "body": answer.text})
    return found


def parse(virtualenv: Path, answers: list[dict[str, Any]]) -> str:
    """What the client could not read."""
    done = subprocess.run(
        [virtualenv / "bin/python", SCRIPT],
        input=json.dumps(answers),
        capture_output=True,
        text=True,
        check=False,
        env=plain_environment(),
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
