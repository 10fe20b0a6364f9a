"""Uploads from hostile clients: refused in words, in bounded memory, and with nothing left behind.

`TESTS_FUZZ_CASES` says how many are tried, ten thousand by `./install.sh --test`; they are the same in every run.
"""

import gc
import os
import resource
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.settings import LimitSettings
from tests.hostile_uploads import Upload, make_upload
from tests.house import House
from tests.tenants import Estate, Tenant, add_tenant, build_estate

CASES = int(os.environ.get("TESTS_FUZZ_CASES", "500"))
PARTS = 4
LIMITS = LimitSettings(package_bytes=1_000_000, configuration_bytes=200_000, package_files=2000)
MOST_GROWTH_KIB = 64 * 1024
TABLES = ("deployments", "deployment_files", "configurations", "configuration_files", "blobs", "audit_log", "changes")


@pytest.fixture
async def estate(house: House, tmp_path: Path) -> Estate:
    estate = await build_estate(house, tmp_path, limits=LIMITS)
    await add_tenant(estate, "anna")
    return estate


async def send(estate: Estate, tenant: Tenant, upload: Upload) -> tuple[int, str]:
    async def body() -> AsyncIterator[bytes]:
        for piece in upload.pieces:
            yield piece

    async with estate.client(tenant.token) as client:
        url = f"/api/api/v1/workspaces/{tenant.workspace_id}/{upload.kind}"
        answer = await client.post(url, content=body(), headers=upload.headers)
    return answer.status_code, answer.text


async def stored(estate: Estate) -> list[int]:
    async with estate.house.database.read() as connection:
        return [await connection.value(f"SELECT count(*) FROM {table}") for table in TABLES]


@pytest.mark.parametrize("part", range(PARTS))
async def test_hostile_uploads_are_refused_and_leave_nothing(estate: Estate, tmp_path: Path, part: int) -> None:
    tenant = estate.tenants["anna"]
    statuses: Counter[int] = Counter()
    before = await stored(estate)
    gc.collect()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(part, CASES, PARTS):
        status, text = await send(estate, tenant, make_upload(number))
        statuses[status] += 1
        assert status in (201, 400, 413), f"upload {number}: {status} {text}"
        after = await stored(estate)
        if status != 201:
            assert after == before, f"upload {number} left something behind: {TABLES} {before} {after}"
        before = after
        for folder in ("tmp", "scratch"):
            assert not (tmp_path / folder).exists() or not list((tmp_path / folder).iterdir()), f"upload {number}"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert grown < MOST_GROWTH_KIB, f"{grown} KiB"
    assert min(statuses[201], statuses[400], statuses[413]) >= CASES // PARTS // 100, statuses


async def test_what_was_taken_from_among_them_is_whole(estate: Estate) -> None:
    """Every version that a hostile stream of uploads has made can be read back, with contents for all its files."""
    tenant = estate.tenants["anna"]
    for number in range(250):
        await send(estate, tenant, make_upload(number))
    async with estate.house.database.read() as connection:
        missing = await connection.value(
            """SELECT count(*) FROM deployment_files LEFT JOIN blobs USING (sha3_256)
               WHERE linkname IS NULL AND blobs.sha3_256 IS NULL"""
        )
        counts = await connection.all(
            """SELECT file_count, (SELECT count(*) FROM deployment_files WHERE deployment_id = id) AS files
               FROM deployments"""
        )
    assert missing == 0
    assert len(counts) > 1
    assert all(row["file_count"] == row["files"] for row in counts)
