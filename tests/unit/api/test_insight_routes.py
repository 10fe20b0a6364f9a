"""Members, numbers, events, validators, health and metrics, over services that answer from memory."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar
from pydantic import SecretStr

from runtime.api.app import create_app
from runtime.dispatch.feed import Update
from runtime.dispatch.members import Person
from runtime.dispatch.runs import RunView
from runtime.dispatch.services import Services
from runtime.settings import MetricsSettings, Settings
from runtime.store.changes import Change
from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX
from runtime.wire.events import ChangeEvent
from tests.api_client import JOB, ORGANIZATION, ROOT, WORKSPACE, FakeJobs, FakeManifests, client_for, fake_services
from tests.factories import make_raw_definition, make_run
from tests.insight_fakes import FakeFeed, FakeMembers, FakeSummaries
from tests.shared_app import app_of_a_test

W = f"{API_PREFIX}/v1/workspaces/{WORKSPACE.id}"
ORG = f"{API_PREFIX}/v1/organizations/{ORGANIZATION.id}"
PERIOD = {"start": "2026-03-28T00:00:00", "end": "2026-03-30T00:00:00", "tz": "Europe/Berlin", "bucket": "1d"}
POLLED = [f"{W}/scripts", f"{W}/runs", f"{W}/runs/{{run}}", f"{W}/deployments", f"{W}/configurations"]


class Stand:
    """The application and the fakes that a test looks into."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.jobs, self.members, self.feed = FakeJobs(), FakeMembers(), FakeFeed()
        self.summaries, self.manifests = FakeSummaries(), FakeManifests()
        self.services: Services = fake_services(
            members=self.members, feed=self.feed, summaries=self.summaries, manifests=self.manifests
        )
        settings = Settings(state_dir=folder, socket=folder / "s", **changes)
        # The token for metrics is looked at when the application is built, so that one has to be built.
        self.app: Litestar = create_app(self.services, settings) if changes else app_of_a_test(self.services, settings)


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def run_url(stand: Stand, path: str) -> str:
    return path.format(run=stand.services.runs._jobs.run.id)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", POLLED)
async def test_what_is_polled_is_sent_again_only_after_a_change(stand: Stand, path: str) -> None:
    url = run_url(stand, path)
    async with client_for(stand.app, token="viewer") as viewer:
        first = await viewer.get(url)
        validator = first.headers["etag"]
        assert validator.startswith('W/"7')
        assert first.headers["cache-control"] == "private, no-cache"
        for known in (validator, f'"x", {validator}', validator.removeprefix("W/"), "*"):
            again = await viewer.get(url, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", validator)
        stand.feed.number = 8
        assert (await viewer.get(url, headers={"If-None-Match": validator})).status_code == 200


async def test_a_validator_opens_no_door(stand: Stand) -> None:
    async with client_for(stand.app, token="viewer") as viewer, client_for(stand.app, token="outsider") as outsider:
        validator = (await viewer.get(f"{W}/runs")).headers["etag"]
        refused = await outsider.get(f"{W}/runs", headers={"If-None-Match": validator})
    assert refused.status_code == 404
    assert "etag" not in refused.headers


async def test_a_workspace_that_never_changed_has_no_validator(stand: Stand) -> None:
    stand.feed.number = 0
    async with client_for(stand.app, token="viewer") as viewer:
        answer = await viewer.get(f"{W}/deployments", headers={"If-None-Match": "*"})
    assert (answer.status_code, "etag" in answer.headers) == (200, False)


async def test_writing_wakes_the_followers_of_a_workspace_and_reading_does_not(stand: Stand) -> None:
    async with client_for(stand.app, token="owner") as owner:
        await owner.get(f"{W}/runs")
        assert stand.feed.woken == []
        await owner.patch(W, json={"name": "other"})
    assert stand.feed.woken == [WORKSPACE.id]


async def test_events_say_where_they_begin_and_hold_the_things_themselves(stand: Stand) -> None:
    run = make_run(JOB, status="running")
    gone = UUID(int=77)
    stand.feed.updates = [
        Update(Change(seq=8, kind="run", subject_id=run.id), RunView(run, JOB, JOB.version)),
        Update(Change(seq=9, kind="job", subject_id=gone), None),
    ]
    async with client_for(stand.app, token="viewer") as viewer:
        answer = await viewer.get(f"{W}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    position, first, second, rest = answer.text.split("\n\n")
    assert position.split("\n") == ["retry: 2000", "event: position", "id: 7", "data: {}"]
    assert first.split("\n")[:2] == ["event: run", "id: 8"]
    event = ChangeEvent.model_validate_json(first.split("\n")[2].removeprefix("data: "))
    assert event.run is not None
    assert (event.kind, event.id, event.run.status, event.run.script.job_ref) == (
        "run",
        run.id,
        "running",
        "jobs.shop.load",
    )
    assert json.loads(second.split("data: ")[1]) == {"kind": "script", "id": str(gone), "deleted": True}
    assert rest == ""


@pytest.mark.parametrize(
    ("last_seen", "asked"),
    [(None, 7), ("3", 3), ("0", 0), ("9999", 7), ("x", 7), ("-1", 7), ("1" * 40, 7), ("", 7)],
)
async def test_a_reader_that_comes_back_goes_on_where_it_was(stand: Stand, last_seen: str | None, asked: int) -> None:
    headers = {} if last_seen is None else {"Last-Event-ID": last_seen}
    async with client_for(stand.app, token="viewer") as viewer:
        await viewer.get(f"{W}/events", headers=headers)
    assert stand.feed.asked_after == [asked]


async def test_members_are_named_by_id_or_email(stand: Stand) -> None:
    somebody = UUID(int=5)
    async with client_for(stand.app, token="owner") as owner, client_for(stand.app, peer=ROOT) as root:
        added = await owner.post(f"{W}/members", json={"role": "viewer", "email": "new@example.org"})
        assert added.json().keys() == {"user_id", "email", "role"}
        await owner.post(f"{W}/members", json={"role": "owner", "user_id": str(somebody)})
        unknown = await owner.post(f"{W}/members", json={"role": "boss", "email": "new@example.org"})
        made_owner = await root.post(f"{ORG}/members", json={"role": "owner", "email": "new@example.org"})
        listed = (await owner.get(f"{ORG}/members")).json()
    assert stand.members.asked == [(Person(email="new@example.org"), "viewer"), (Person(user_id=somebody), "owner")]
    assert (unknown.status_code, made_owner.status_code) == (400, 400)
    assert made_owner.json()["extra"]["code"] == "organization_owner"
    assert {item["email"]: item["role"] for item in listed} == {"ada@example.org": "member", "root@localhost": "owner"}


async def test_one_organization_is_enough(stand: Stand) -> None:
    async with client_for(stand.app, peer=ROOT) as root, client_for(stand.app, token="owner") as owner:
        refused = await root.post(f"{API_PREFIX}/v1/organizations", json={"name": "second"})
        plan = (await owner.get(f"{ORG}/plan")).json()
        assert (await owner.post(f"{API_PREFIX}/v1/organizations", json={"name": "second"})).status_code == 403
    assert (refused.status_code, refused.json()["extra"]["code"]) == (400, "one_organization")
    assert (plan["plan"], "trial_days_remaining" in plan) == ("paid", False)


async def test_tokens_of_identity_providers_are_refused_in_words(stand: Stand) -> None:
    async with client_for(stand.app) as nobody:
        answer = await nobody.post(f"{AUTH_PREFIX}/v1/workos/token-exchange", json={"access_token": "theirs"})
    assert (answer.status_code, answer.json()["extra"]["code"]) == (400, "token_exchange")


async def test_statistics_are_local_days_in_utc(stand: Stand) -> None:
    async with client_for(stand.app, token="viewer") as viewer:
        for url in (f"{W}/stats", f"{ORG}/stats"):
            stats = (await viewer.get(url, params=PERIOD)).json()
            assert [bucket["bucket_start"] for bucket in stats["buckets"]] == [
                "2026-03-27T23:00:00Z",
                "2026-03-28T23:00:00Z",
            ]
            assert (stats["period_end"], stats["tz"], stats["bucket_size"]) == (
                "2026-03-29T22:00:00Z",
                "Europe/Berlin",
                "1d",
            )


@pytest.mark.parametrize(
    "changes",
    [
        {"tz": "Nowhere"},
        {"tz": "Europe"},
        {"tz": "../../etc/passwd"},
        {"bucket": "2d"},
        {"start": "yesterday"},
        {"start": "0"},
        {"start": "2026-04-01T00:00:00"},
    ],
)
async def test_a_period_that_makes_no_sense_is_refused(stand: Stand, changes: dict[str, str]) -> None:
    async with client_for(stand.app, token="viewer") as viewer:
        answer = await viewer.get(f"{W}/stats", params={**PERIOD, **changes})
    assert answer.status_code == 400, answer.text


async def test_one_job_is_deployed_with_what_the_request_says_beside_its_definition(stand: Stand) -> None:
    raw = make_raw_definition(JOB.job_ref, description="its own", expose={"tags": ["daily"]})
    body = {
        "job_ref": JOB.job_ref,
        "script_type": "batch",
        "job_definition": raw,
        "job_definition_engine_version": 1,
        "job_definition_hash": "hash",
        "deployment_module": "shop",
        "description": "the request's",
        "name": "Load",
        "profile": "night",
    }
    async with client_for(stand.app, token="owner") as owner:
        assert (await owner.post(f"{W}/scripts", json=body)).status_code == 201
        wrong: list[dict[str, Any]] = [
            {"script_type": "stream"},
            {"job_ref": "jobs.shop.other"},
            {"job_definition": {}},
        ]
        for changes in wrong:
            assert (await owner.post(f"{W}/scripts", json={**body, **changes})).status_code == 400
    ((manifest, dry_run),) = stand.manifests.asked
    assert (manifest.deployment_module, manifest.owning_module, dry_run) == (None, "shop", False)
    assert list(manifest.jobs) == [
        {**raw, "expose": {"display_name": "Load", "tags": ["daily"]}, "require": {"profile": "night"}}
    ]


async def test_a_summary_is_attached_by_owners_only(stand: Stand) -> None:
    url = f"{API_PREFIX}/v1/internal/job-run-pipeline-summaries/{WORKSPACE.id}/{UUID(int=4)}"
    body = {"pipeline_name": "fruits", "total_rows": 7}
    async with client_for(stand.app, token="owner") as owner, client_for(stand.app, token="viewer") as viewer:
        assert (await viewer.put(url, json=body)).status_code == 403
        assert (await owner.put(url, json=body)).json() == body
    assert [summary.pipeline_name for summary in stand.summaries.attached] == ["fruits"]


@pytest.mark.parametrize(
    "field",
    [
        {"started_at": "0001-01-01T00:00:00+14:00"},
        {"finished_at": "9999-12-31T23:59:59-14:00"},
        {"dataset_name": "x" * 1000},
        {"rows_by_table": {f"table_{number}": 1 for number in range(101)}},
        {"schema_changes": {"fruits": ["column"] * 101}},
    ],
)
async def test_a_summary_that_no_list_of_runs_could_show_is_refused(stand: Stand, field: dict[str, Any]) -> None:
    """Else every list with that run in it would fail, or be too long to read."""
    url = f"{API_PREFIX}/v1/internal/job-run-pipeline-summaries/{WORKSPACE.id}/{UUID(int=4)}"
    async with client_for(stand.app, token="owner") as owner:
        answer = await owner.put(url, json={"pipeline_name": "fruits", **field})
    assert answer.status_code == 400, answer.text
    assert next(iter(field)) in answer.text
    assert stand.summaries.attached == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("scripts/trigger", {"selectors": ["tag:a"] * 1001}),
        ("scripts/trigger", {"selectors": ["*a" * 300]}),
        ("scripts/trigger", {"job_refs": ["jobs.shop.load"] * 10_001}),
        ("runs/cancel", {"job_refs": ["x" * 301]}),
    ],
)
async def test_a_request_that_names_more_than_anybody_means_is_refused(
    stand: Stand, path: str, body: dict[str, Any]
) -> None:
    """Each name is held against each job, while all others wait."""
    async with client_for(stand.app, token="owner") as owner:
        answer = await owner.post(f"{W}/{path}", json=body)
    assert answer.status_code == 400, answer.text


async def test_health_is_public_and_metrics_are_not(tmp_path: Path) -> None:
    stand = Stand(tmp_path, metrics=MetricsSettings(token=SecretStr("let-me-see")))
    async with client_for(stand.app) as nobody:
        assert (await nobody.get("/health/live")).json() == {"status": "ok"}
        assert (await nobody.get("/health/ready")).json() == {"status": "ok"}
        assert (await nobody.get("/metrics")).status_code == 401
    for token in ("owner", "let-me-in"):
        async with client_for(stand.app, token=token) as client:
            assert (await client.get("/metrics")).status_code in (401, 403)
    async with client_for(stand.app, token="let-me-see") as prometheus:
        assert (await prometheus.get("/metrics")).status_code == 200
        assert (await prometheus.get(f"{API_PREFIX}/v1/me")).status_code == 401  # it opens nothing else


async def test_metrics_count_what_no_route_takes_as_one_series(tmp_path: Path) -> None:
    stand = Stand(tmp_path, metrics=MetricsSettings())
    async with client_for(stand.app) as nobody, client_for(stand.app, peer=ROOT) as root:
        for path in ("/", "/wp-login.php", "/api/v1/me"):
            assert (await nobody.get(path)).status_code == 404
        await nobody.request("BREW", "/coffee")
        counted = [line for line in (await root.get("/metrics")).text.splitlines() if "unmatched" in line]
    total = "dlt_runtime_http_requests_total"
    assert f'{total}{{method="GET",route="unmatched",status="404"}} 3.0' in counted
    assert f'{total}{{method="other",route="unmatched",status="404"}} 1.0' in counted


async def test_metrics_count_runs_lines_and_requests(tmp_path: Path) -> None:
    stand = Stand(tmp_path, metrics=MetricsSettings())
    async with client_for(stand.app, token="owner") as owner, client_for(stand.app, peer=ROOT) as root:
        await owner.get(W)
        await owner.get(f"{API_PREFIX}/v1/admin/status")
        answer = await root.get("/metrics")
    workspace = str(UUID(int=1))
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = answer.text.splitlines()
    for line in (
        "dlt_runtime_queue_length 4.0",
        "dlt_runtime_log_lines_total 1234.0",
        f'dlt_runtime_runs_active{{status="running",workspace="{workspace}"}} 2.0',
        f'dlt_runtime_runs_ended_total{{status="completed",workspace="{workspace}"}} 4.0',
        f'dlt_runtime_run_duration_seconds_bucket{{le="1",status="completed",workspace="{workspace}"}} 3.0',
        f'dlt_runtime_run_duration_seconds_bucket{{le="+Inf",status="completed",workspace="{workspace}"}} 4.0',
        'dlt_runtime_http_requests_total{method="GET",route="/api/api/v1/workspaces/{workspace_id}",status="200"} 1.0',
        'dlt_runtime_http_requests_total{method="GET",route="/api/api/v1/admin/status",status="403"} 1.0',
    ):
        assert line in lines, line
    assert not [line for line in lines if str(WORKSPACE.id) in line and "http" in line]  # templates, not addresses


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("GET", "/nowhere", b"", 404, "not_found"),
        ("DELETE", f"{API_PREFIX}/v1/me", b"", 405, "method_not_allowed"),
        ("PATCH", W, b"", 400, "invalid"),
        ("PATCH", W, b"{", 400, "request"),
        ("PATCH", W, b'"\xff"', 400, "json"),
        ("PATCH", W, b"[" * 100_000, 400, "json"),
        ("PATCH", W, b'{"x":' * 300 + b"1" + b"}" * 300, 400, "json"),  # could be stored, and never shown again
        ("PATCH", W, b'{"name": 5}', 400, "invalid"),
        ("PATCH", W, b" " * 2_000_000, 413, "too_large"),
        ("GET", f"{W}/runs?limit=-1", b"", 400, "invalid"),
        ("GET", f"{W}/runs?offset=99999999999999999999", b"", 400, "invalid"),
    ],
)
async def test_every_error_has_the_one_shape(
    stand: Stand, method: str, path: str, content: bytes, status: int, code: str
) -> None:
    async with client_for(stand.app, token="owner") as owner:
        answer = await owner.request(method, path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    body = answer.json()
    assert body.keys() == {"status_code", "detail", "extra"}
    assert (body["status_code"], body["extra"]["code"]) == (status, code)
    assert (answer.headers.get("connection") == "close") == (status == 413)
