"""Members look into the code that was deployed, and owners deploy it again, over the API."""

from pathlib import Path

import httpx
import pytest

from runtime.domain.code import MOST_TEXT_BYTES
from runtime.wire.addresses import API_PREFIX
from tests.house import House
from tests.package_factory import package
from tests.tenants import Estate, Tenant, add_tenant, build_estate


@pytest.fixture
async def estate(house: House, tmp_path: Path) -> Estate:
    return await build_estate(house, tmp_path)


async def with_code(estate: Estate, files: dict[str, bytes]) -> Tenant:
    """Anna, whose second version is these files."""
    tenant = await add_tenant(estate, "anna")
    async with estate.client(tenant.token) as client:
        parts = {
            "files": ("workspace.tar.gz", package(files), "application/x-tar"),
            "requirements": (
                "requirements.json",
                b'{"engine_version": 1, "python_version": "3.11"}',
                "application/json",
            ),
        }
        answer = await client.post(at(tenant), files=parts)
        assert answer.status_code == 201, answer.text
    return tenant


def at(tenant: Tenant, rest: str = "") -> str:
    return f"{API_PREFIX}/v1/workspaces/{tenant.workspace_id}/deployments{rest}"


async def content(client: httpx.AsyncClient, tenant: Tenant, path: str) -> httpx.Response:
    return await client.get(at(tenant, "/2/content"), params={"path": path})


async def test_a_viewer_reads_text_and_is_told_what_is_none(estate: Estate) -> None:
    large = b"x" * (MOST_TEXT_BYTES + 1)
    tenant = await with_code(
        estate, {"shop.py": "print('Äpfel')\n".encode(), "a.bin": b"\xff\xfe", "b.bin": b"a\0b", "large.txt": large}
    )
    async with estate.client(tenant.viewer_token) as client:
        told = {
            path: (await content(client, tenant, path)).json() for path in ("shop.py", "a.bin", "b.bin", "large.txt")
        }
    assert told["shop.py"]["text"] == "print('Äpfel')\n"
    assert {path: one["kind"] for path, one in told.items()} == {
        "shop.py": "text",
        "a.bin": "binary",
        "b.bin": "binary",
        "large.txt": "large",
    }
    assert not any("text" in told[path] for path in ("a.bin", "b.bin", "large.txt"))


@pytest.mark.parametrize("path", ["/etc/passwd", "../runtime.db", "./shop.py", "shop.py/", "", "shop", "\0", "SHOP.PY"])
async def test_only_a_path_as_listed_names_a_file(estate: Estate, path: str) -> None:
    """Paths are looked up in the version's own list; nothing is opened by them."""
    tenant = await with_code(estate, {"shop.py": b"print(1)\n"})
    async with estate.client(tenant.token) as client:
        answer = await content(client, tenant, path)
    assert answer.status_code == 404, answer.text


async def test_settings_and_secrets_have_no_such_address(estate: Estate) -> None:
    """Neither by the address of configurations, nor through a deployment's."""
    tenant = await with_code(estate, {"shop.py": b"print(1)\n"})
    async with estate.client(tenant.token) as client:
        there = f"{API_PREFIX}/v1/workspaces/{tenant.workspace_id}/configurations/1/content"
        assert (await client.get(there, params={"path": "anna.secrets.toml"})).status_code == 404
        assert (await content(client, tenant, "anna.secrets.toml")).status_code == 404


async def test_an_owner_deploys_again_and_a_viewer_does_not(estate: Estate) -> None:
    tenant = await with_code(estate, {"shop.py": b"print(1)\n"})
    async with estate.client(tenant.viewer_token) as client:
        assert (await client.post(at(tenant, "/1/redeploy"), json={})).status_code == 403
    async with estate.client(tenant.token) as client:
        planned = (await client.post(at(tenant, "/1/redeploy"), json={"dry_run": True})).json()
        assert "deployment" not in planned
        assert len(planned["modules"][0]["unchanged"]) == 2
        done = (await client.post(at(tenant, "/1/redeploy"), json={})).json()
        assert done["deployment"]["version"] == 3
        assert done["deployment"]["created_by_email"] == "anna@example.org"
        versions = (await client.get(at(tenant))).json()["items"]
    assert [one["version"] for one in versions] == [3, 2, 1]
    assert versions[0]["content_hash"] == versions[2]["content_hash"]


async def test_the_machine_tells_a_viewer_numbers_and_sizes_and_no_place(estate: Estate) -> None:
    tenant = await add_tenant(estate, "anna")
    async with estate.client(tenant.viewer_token) as client:
        answer = await client.get(f"{API_PREFIX}/v1/machine")
    machine = answer.json()
    assert 0 < machine["memory_available_bytes"] <= machine["memory_bytes"]
    assert 0 < machine["disk_free_bytes"] <= machine["disk_bytes"]
    assert 0 < machine["daemon_memory_bytes"] < machine["memory_bytes"]
    assert [size["name"] for size in machine["sizes"]] == ["default"]
    assert str(estate.settings.state_dir) not in answer.text
    async with estate.client() as client:
        assert (await client.get(f"{API_PREFIX}/v1/machine")).status_code == 401


async def test_lineage_leads_from_the_job_to_its_pipeline(estate: Estate) -> None:
    """As its loads have told."""
    tenant = await add_tenant(estate, "anna")
    async with estate.client(tenant.viewer_token) as client:
        told = (await client.get(f"{API_PREFIX}/v1/workspaces/{tenant.workspace_id}/lineage")).json()
    assert {(node["kind"], node["name"]) for node in told["nodes"]} == {
        ("job", "jobs.anna.load"),
        ("job", "jobs.anna.app"),
        ("pipeline", "pipeline_anna"),
    }
    assert told["links"] == [{"kind": "runs", "source": "job/jobs.anna.load", "target": "pipeline/prod/pipeline_anna"}]
