"""Every operation of the contract, asked once of a tenant's workspace where each has something to answer."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx

from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX
from tests.api_client import ROOT
from tests.contract import Operation, operations
from tests.factories import make_raw_definition
from tests.package_factory import package
from tests.tenants import Estate, Tenant

_PERIOD = {"start": "2026-03-09T00:00:00", "end": "2026-03-12T00:00:00", "tz": "Europe/Berlin", "bucket": "1d"}
_REQUIREMENTS = b'{"engine_version": 1, "python_version": "3.11", "default_groups": ["main"], "groups": {"main": []}}'
_TAR = "application/x-tar"


async def ask_everything(estate: Estate, tenant: Tenant) -> AsyncIterator[tuple[Operation, httpx.Response]]:
    """Ask for each operation; what ends something comes after what needs it."""
    logins = await _logins(estate, tenant)
    started = ""
    async with estate.client(tenant.token) as owner, estate.client(is_admin=True) as admin:
        for operation in sorted(operations(), key=_when):
            client = admin if operation.name in _BY_ADMINISTRATORS else owner
            request = REQUESTS[operation.name](tenant) if operation.name in REQUESTS else {}
            if operation.name in logins:
                request = {"json": logins[operation.name]}
            more_ids = _IDS.get(operation.name)
            ids = {**tenant.ids, **(more_ids(tenant) if more_ids else {})}
            if operation.name == f"POST {_W}/runs/{{run_id}}/cancel":
                ids["run_id"] = started
            answer = await client.request(operation.method, operation.path.format_map(ids), **request)
            if operation.name == f"POST {_W}/runs":
                started = answer.json()["run_id"]
            yield operation, answer


def _when(operation: Operation) -> tuple[bool, ...]:
    path = operation.path
    return (
        operation.method == "DELETE",
        "logout" in path,
        path.endswith("/cancel"),
        "{organization_id}/members/" in path,
    )


async def _logins(estate: Estate, tenant: Tenant) -> Mapping[str, dict[str, str]]:
    """A device login that has been approved, and refresh tokens to spend and to end."""
    accounts = estate.services.accounts
    principal = await accounts.local_principal(ROOT)
    device = await accounts.start_login()
    await accounts.approve_login(principal, device.user_code, tenant.owner.email)
    tokens = []
    for _ in range(3):
        started = await accounts.start_login()
        await accounts.approve_login(principal, started.user_code, tenant.owner.email)
        tokens.append((await accounts.finish_login(started.device_code)).refresh_token)
    return {
        f"POST {AUTH_PREFIX}/v1/workos/device-flow/token": {"device_code": device.device_code},
        f"POST {AUTH_PREFIX}/v1/auth/refresh": {"refresh_token": tokens[0]},
        f"POST {AUTH_PREFIX}/v1/auth/logout": {"refresh_token": tokens[1]},
        f"POST {AUTH_PREFIX}/v1/auth/logout-all-devices": {"refresh_token": tokens[2]},
    }


def _name(tenant: Tenant) -> str:
    return tenant.owner.email.partition("@")[0]


def _job(tenant: Tenant) -> str:
    return f"jobs.{_name(tenant)}.load"


def _app(tenant: Tenant) -> str:
    return f"jobs.{_name(tenant)}.app"


def _manifest(tenant: Tenant) -> dict[str, Any]:
    jobs = [make_raw_definition(_job(tenant)), make_raw_definition(f"jobs.{_name(tenant)}.more")]
    return {
        "job_definition_engine_version": 1,
        "job_definition_hash": "hash",
        "jobs": jobs,
        "deployment_module": None,
        "description": None,
        "dry_run": True,
    }


def _script(tenant: Tenant) -> dict[str, Any]:
    ref = f"jobs.{_name(tenant)}.single"
    return {
        "job_ref": ref,
        "script_type": "batch",
        "job_definition": make_raw_definition(ref),
        "job_definition_engine_version": 1,
        "job_definition_hash": "hash",
        "description": "one by itself",
        "name": "Single",
    }


_W = f"{API_PREFIX}/v1/workspaces/{{workspace_id}}"
_O = f"{API_PREFIX}/v1/organizations"
_BY_ADMINISTRATORS = frozenset(
    {
        f"POST {_O}",
        f"PATCH {_O}/{{organization_id}}",
        f"POST {_O}/{{organization_id}}/members",
        f"DELETE {_O}/{{organization_id}}/members/{{user_id}}",
    }
)
_IDS: dict[str, Callable[[Tenant], dict[str, str]]] = {
    f"GET {_W}/deployments/{{deployment_id_or_version}}": lambda _: {"deployment_id_or_version": "1"},
    f"GET {_W}/configurations/{{configuration_id_or_version}}": lambda _: {"configuration_id_or_version": "1"},
    f"GET {_W}/scripts/{{script_id_or_ref}}": lambda tenant: {"script_id_or_ref": _job(tenant)},
    f"POST {_W}/scripts/{{script_id_or_ref}}/public-url": lambda tenant: {"script_id_or_ref": _app(tenant)},
    f"DELETE {_W}/scripts/{{script_id_or_ref}}/public-url": lambda tenant: {"script_id_or_ref": _app(tenant)},
}
REQUESTS: dict[str, Callable[[Tenant], dict[str, Any]]] = {
    f"PUT {API_PREFIX}/v1/internal/job-run-pipeline-summaries/{{workspace_id}}/{{job_run_id}}": lambda _: {
        "json": {"pipeline_name": "fruits", "dataset_name": None, "total_rows": 7, "started_at": "2026-03-10T12:00:00Z"}
    },
    f"POST {_O}": lambda _: {"json": {"name": "second"}},
    f"PATCH {_O}/{{organization_id}}": lambda _: {"json": {"description": "ours"}},
    f"POST {_O}/{{organization_id}}/members": lambda _: {"json": {"role": "member", "email": "new@example.org"}},
    f"POST {AUTH_PREFIX}/v1/workos/token-exchange": lambda _: {"json": {"access_token": "theirs"}},
    f"GET {_O}/{{organization_id}}/stats": lambda _: {"params": _PERIOD},
    f"POST {_O}/{{organization_id}}/workspaces": lambda _: {"json": {"name": "another", "description": None}},
    f"PATCH {_W}": lambda _: {"json": {"description": None}},
    f"POST {_W}/configurations": lambda _: {
        "files": {"file": ("configurations.tar.gz", package({"config.toml": b"[a]\n"}), _TAR)}
    },
    f"PUT {_W}/deployment_manifest": lambda tenant: {"json": _manifest(tenant)},
    f"POST {_W}/deployments": lambda _: {
        "files": {
            "files": ("workspace.tar.gz", package({"more.py": b"\n"}), _TAR),
            "requirements": ("requirements.json", _REQUIREMENTS, "application/json"),
        }
    },
    f"POST {_W}/members": lambda tenant: {"json": {"role": "viewer", "email": tenant.viewer.email}},
    f"GET {_W}/runs": lambda _: {"params": {"tz": "UTC", "include_system_runs": "false", "limit": 100, "offset": 0}},
    f"POST {_W}/runs": lambda tenant: {
        "json": {"script_id_or_ref_or_secret": _app(tenant), "trigger": "http:", "mode": "when_not_running"}
    },
    f"POST {_W}/runs/cancel": lambda tenant: {"json": {"job_refs": [_job(tenant), _app(tenant)], "dry_run": True}},
    f"POST {_W}/scripts": lambda tenant: {"json": _script(tenant)},
    f"POST {_W}/scripts/trigger": lambda tenant: {"json": {"job_refs": [_job(tenant)], "profile": None}},
    f"GET {_W}/stats": lambda _: {"params": _PERIOD},
}
