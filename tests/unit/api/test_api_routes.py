"""The contract's endpoints: they exist, answer with the very status the client accepts, and hold what it reads."""

from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.domain.logs import LogLine
from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX
from tests.api_client import (
    JOB,
    ORGANIZATION,
    OWNER,
    ROOT,
    WORKSPACE,
    FakeDeployments,
    FakeJobs,
    FakeManifests,
    FakeRuns,
    client_for,
    fake_services,
    make_app,
)
from tests.factories import NOW, make_definition, make_job, make_raw_definition, make_run

W = f"/v1/workspaces/{WORKSPACE.id}"
ORG = f"/v1/organizations/{ORGANIZATION.id}"
JOB_URL = f"{W}/scripts/{JOB.job_ref}"
MANIFEST = {
    "job_definition_engine_version": 1,
    "job_definition_hash": "hash",
    "jobs": [make_raw_definition()],
    "deployment_module": None,
    "description": None,
    "dry_run": True,
}


SUCCESSES: list[tuple[str, str, Any, int]] = [
    ("GET", "/v1/ping", None, 200),
    ("GET", "/v1/me", None, 200),
    ("GET", "/v1/organizations", None, 200),
    ("GET", ORG, None, 200),
    ("GET", f"{ORG}/me", None, 200),
    ("GET", f"{ORG}/workspaces", None, 200),
    ("POST", f"{ORG}/workspaces", {"name": "new", "description": None}, 201),
    ("GET", W, None, 200),
    ("PATCH", W, {"description": "fruit"}, 200),
    ("GET", f"{W}/me", None, 200),
    ("GET", f"{W}/deployments", None, 200),
    ("GET", f"{W}/deployments/latest", None, 200),
    ("GET", f"{W}/deployments/latest/files", None, 200),
    ("GET", f"{W}/deployments/1", None, 200),
    ("GET", f"{W}/deployments/1/files", None, 200),
    ("GET", f"{W}/configurations", None, 200),
    ("GET", f"{W}/configurations/latest", None, 200),
    ("GET", f"{W}/configurations/latest/files", None, 200),
    ("GET", f"{W}/configurations/1", None, 200),
    ("GET", f"{W}/configurations/1/files", None, 200),
    ("PUT", f"{W}/deployment_manifest", MANIFEST, 200),
    ("GET", f"{W}/scripts?archived=all&script_type=batch", None, 200),
    ("GET", JOB_URL, None, 200),
    ("GET", f"{W}/scripts/{JOB.id}", None, 200),
    ("PUT", f"{JOB_URL}/archive", None, 200),
    ("DELETE", f"{JOB_URL}/archive", None, 200),
    ("GET", f"{JOB_URL}/versions", None, 200),
    ("GET", f"{JOB_URL}/versions/latest", None, 200),
    ("GET", f"{JOB_URL}/versions/1", None, 200),
    ("POST", f"{W}/scripts/trigger", {"selectors": ["batch"], "profile": None, "dry_run": False}, 201),
    ("GET", f"{W}/runs?tz=UTC&include_system_runs=false&limit=100&offset=0", None, 200),
    ("GET", f"{W}/runs/latest", None, 200),
    ("POST", f"{W}/runs/cancel", {"job_refs": [JOB.job_ref], "dry_run": True}, 201),
    ("POST", f"{W}/runs", {"script_id_or_ref_or_secret": JOB.job_ref, "trigger": "manual:"}, 201),
]


async def test_the_success_status_is_the_contracts(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path), token="owner") as owner:
        for method, path, body, status in SUCCESSES:
            answer = await owner.request(method, API_PREFIX + path, json=body)
            assert answer.status_code == status, f"{method} {path}: {answer.text}"
            assert "null" not in answer.text, f"{method} {path}: {answer.text}"


async def test_me_names_a_connectable_workspace(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path), token="owner") as owner:
        me = (await owner.get(f"{API_PREFIX}/v1/me")).json()
    assert me["email"] == OWNER.user.email
    assert UUID(me["identity_id"])
    assert me["primary_organization"]["id"] == str(ORGANIZATION.id)
    assert [(item["role"], item["workspace"]["id"]) for item in me["workspaces"]] == [("owner", str(WORKSPACE.id))]
    assert "predefined_profiles" not in me["last_workspace"]


async def test_a_login_goes_from_code_to_tokens(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path)) as client:
        started = await client.post(f"{AUTH_PREFIX}/v1/workos/device-flow/code")
        pending = await client.post(f"{AUTH_PREFIX}/v1/workos/device-flow/token", json={"device_code": "other"})
        login = await client.post(
            f"{AUTH_PREFIX}/v1/workos/device-flow/token", json={"device_code": started.json()["device_code"]}
        )
        fresh = await client.post(f"{AUTH_PREFIX}/v1/auth/refresh", json=login.json())
        ended = await client.post(f"{AUTH_PREFIX}/v1/auth/logout", json=fresh.json())
        everywhere = await client.post(f"{AUTH_PREFIX}/v1/auth/logout-all-devices", json=fresh.json())
    assert (started.status_code, pending.status_code, login.status_code) == (201, 403, 201)
    assert started.json() == {
        "device_code": "device-secret",
        "interval": 2,
        "user_code": "BCDF-2345",
        "verification_uri": "http://runtime.test/activate",
        "verification_uri_complete": "http://runtime.test/activate?user_code=BCDF-2345",
    }
    assert login.json()["id"] == str(OWNER.user.id)
    assert (fresh.status_code, fresh.json()) == (
        200,
        {"jwt": "another.access.token", "refresh_token": "refresh-secret-2"},
    )
    assert (ended.status_code, ended.content, everywhere.status_code) == (204, b"", 204)


async def test_one_address_cannot_begin_logins_without_end(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path)) as client:
        statuses = {(await client.post(f"{AUTH_PREFIX}/v1/workos/device-flow/code")).status_code for _ in range(300)}
    assert statuses == {201, 429}


async def test_a_job_holds_its_label_and_expanded_triggers(tmp_path: Path) -> None:
    definition = make_definition(
        triggers=["schedule:0 8 * * *"],
        default_trigger="schedule:0 8 * * *",
        expose={"tags": ["daily"], "display_name": "Load"},
        deliver={"pipeline_name": "fruits"},
        interval={"start": "2026-01-01T00:00:00"},
        require={"timezone": "Europe/Berlin", "profile": "night"},
    )
    jobs = FakeJobs()
    jobs.job = make_job(definition, workspace_id=WORKSPACE.id)
    async with client_for(make_app(tmp_path, fake_services(jobs=jobs)), token="owner") as owner:
        script = (await owner.get(f"{API_PREFIX}{W}/scripts/{jobs.job.job_ref}")).json()
        version = (await owner.get(f"{API_PREFIX}{W}/scripts/{jobs.job.job_ref}/versions/1")).json()
    assert script["name"] == version["name"] == "Load (fruits)"
    assert script["triggers"] == [
        "schedule:0 8 * * *",
        "tag:daily",
        "manual:jobs.shop.load",
        "pipeline_name:fruits",
    ]
    assert script["job_definition"] == definition.raw
    assert script["interval_start"] == "2026-01-01T00:00:00+01:00"
    assert script["last_run"]["status"] == "completed"
    assert (version["max_run_time_seconds"], version["profile"]) == (7200, "night")


async def test_a_module_job_keeps_its_null_function(tmp_path: Path) -> None:
    raw = make_raw_definition()
    raw["entry_point"]["function"] = None
    jobs = FakeJobs()
    jobs.job = make_job(make_definition(entry_point=raw["entry_point"]), workspace_id=WORKSPACE.id)
    async with client_for(make_app(tmp_path, fake_services(jobs=jobs)), token="owner") as owner:
        script = (await owner.get(f"{API_PREFIX}{JOB_URL}")).json()
    assert script["job_definition"]["entry_point"]["function"] is None


async def test_a_run_holds_its_reason_and_whole_seconds(tmp_path: Path) -> None:
    jobs = FakeJobs()
    jobs.run = make_run(
        JOB,
        status="failed",
        started_at=NOW,
        ended_at=NOW.replace(second=3, microsecond=900_000),
        reason="exit code 1: KeyError",
        exit_code=1,
    )
    services = fake_services(jobs=jobs, runs=FakeRuns(jobs))
    async with client_for(make_app(tmp_path, services), token="owner") as owner:
        run = (await owner.get(f"{API_PREFIX}{W}/runs/{jobs.run.id}")).json()
        other = await owner.get(f"{API_PREFIX}{W}/runs/{jobs.run.id}?script_id={jobs.run.id}")
    assert (run["duration"], run["reason"], run["exit_code"]) == (3, "exit code 1: KeyError", 1)
    assert (run["job_name"], run["job_ref"]) == ("load (shop)", "jobs.shop.load")
    assert run["script"]["name"] == "load (shop)"
    assert other.status_code == 404


async def test_the_run_filter_reads_local_times(tmp_path: Path) -> None:
    jobs = FakeJobs()
    runs = FakeRuns(jobs)
    async with client_for(make_app(tmp_path, fake_services(runs=runs)), token="owner") as owner:
        await owner.get(f"{API_PREFIX}{W}/runs?start=2026-03-10T13:00:00&tz=Europe/Berlin&status_filter=other")
        await owner.get(f"{API_PREFIX}{W}/runs?start=2026-03-10T12:00:00Z&tz=Europe/Berlin")
        refused = await owner.get(f"{API_PREFIX}{W}/runs?start=2026-03-10T12:00:00&tz=Nowhere")
    assert [wanted.start for wanted in runs.asked] == [NOW, NOW]
    assert runs.asked[0].status_filter == "other"
    assert refused.status_code == 400


async def test_an_active_run_is_returned_when_not_running_is_asked_for(tmp_path: Path) -> None:
    jobs = FakeJobs()
    jobs.run = make_run(JOB, status="running")
    body = {"script_id_or_ref_or_secret": JOB.job_ref, "trigger": "manual:", "mode": "when_not_running"}
    async with client_for(make_app(tmp_path, fake_services(jobs=jobs)), token="owner") as owner:
        answer = (await owner.post(f"{API_PREFIX}{W}/runs", json=body)).json()
        started = (await owner.post(f"{API_PREFIX}{W}/runs", json={**body, "mode": "always"})).json()
    assert answer["run_id"] == str(jobs.run.id)
    assert (started["status"], started["reason"]) == ("skipped_concurrency_limit", "1 run is active")


async def test_a_manifest_reaches_the_service_as_it_was_sent(tmp_path: Path) -> None:
    manifests = FakeManifests()
    async with client_for(make_app(tmp_path, fake_services(manifests=manifests)), token="owner") as owner:
        answer = (await owner.put(f"{API_PREFIX}{W}/deployment_manifest", json=MANIFEST)).json()
    [(manifest, dry_run)] = manifests.asked
    assert (list(manifest.jobs), manifest.deployment_module, dry_run) == (MANIFEST["jobs"], None, True)
    assert answer.keys() == {"added", "updated", "archived", "unchanged", "warnings"}
    assert answer["warnings"] == ["mind the gap"]


async def test_files_are_listed_as_they_were_uploaded(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path), token="owner") as owner:
        files = (await owner.get(f"{API_PREFIX}{W}/deployments/latest/files")).json()["files"]
        configuration = (await owner.get(f"{API_PREFIX}{W}/configurations/latest")).json()
    assert files[0]["linkname"] == "shop.py"
    assert files[1].keys() == {"relative_path", "size_in_bytes", "sha3_256"}
    assert configuration["profiles"] == "access,prod"


async def test_nothing_deployed_is_a_404_with_a_body(tmp_path: Path) -> None:
    deployments = FakeDeployments()
    deployments.latest_deployment = None
    async with client_for(make_app(tmp_path, fake_services(deployments=deployments)), token="owner") as owner:
        answer = await owner.get(f"{API_PREFIX}{W}/deployments/latest")
    assert (answer.status_code, answer.json()["detail"]) == (404, "nothing has been deployed yet")


async def test_a_bulk_cancel_tells_the_status_before(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path), token="owner") as owner:
        answer = (await owner.post(f"{API_PREFIX}{W}/runs/cancel", json={"job_refs": ["jobs.shop.load"]})).json()
    assert answer["cancelled"][0]["previous_status"] == "running"
    assert answer["not_running"] == ["jobs.shop.other"]


async def test_stored_logs_are_one_document(tmp_path: Path) -> None:
    jobs = FakeJobs()
    runs = FakeRuns(jobs)
    services = fake_services(jobs=jobs, runs=runs)
    url = f"{API_PREFIX}{W}/runs/{jobs.run.id}/logs"
    async with client_for(make_app(tmp_path, services), token="owner") as owner:
        empty = (await owner.get(url)).json()
        runs.lines = [
            LogLine(line_num=number, phase="program", reported_at=NOW, content=f'line "{number}" \u2028')
            for number in range(4321)
        ]
        answer = await owner.get(url)
    assert empty["logs"] == []
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["run"]["script"]["name"] == "load (shop)"
    assert [line["line_num"] for line in answer.json()["logs"]] == list(range(4321))
    assert answer.json()["logs"][7] == {
        "phase": "program",
        "line_num": 7,
        "reported_at": "2026-03-10T12:00:00+00:00",
        "content": 'line "7" \u2028',
    }


async def test_the_schema_is_served_as_documents_only(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path), peer=ROOT) as root:
        schema = (await root.get("/schema")).json()
        yaml = await root.get("/schema/openapi.yaml")
        page = await root.get("/schema/swagger")
    assert f"{API_PREFIX}/v1/me" in schema["paths"]
    assert f"{API_PREFIX}/v1/admin/status" in schema["paths"]
    assert schema["components"]["schemas"]["RunResponse"]["properties"]["date_added"]["format"] == "date-time"
    assert (yaml.status_code, page.status_code) == (200, 404)
