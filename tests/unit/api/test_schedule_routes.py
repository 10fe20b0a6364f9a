"""This runtime's own endpoints for schedules, intervals, the graph and webhooks."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from runtime.domain.starting import Skip
from runtime.wire.addresses import API_PREFIX
from tests.api_client import (
    JOB,
    ROOT,
    WORKSPACE,
    FakeHooks,
    FakeIntervals,
    FakeJobs,
    client_for,
    fake_services,
    make_app,
)
from tests.factories import NOW, make_run

JOB_URL = f"{API_PREFIX}/v1/workspaces/{WORKSPACE.id}/scripts/{JOB.job_ref}"
HOOK_URL = f"/hooks/{WORKSPACE.name}/orders/new"
MIB = 1024 * 1024
BACKFILL = {"start": "2026-03-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/schedule", None, 200),
        ("PUT", "/schedule", {"trigger": "every:5m"}, 200),
        ("DELETE", "/schedule", None, 200),
        ("PUT", "/pause", None, 200),
        ("DELETE", "/pause", None, 200),
        ("GET", "/intervals", None, 200),
        ("POST", "/backfill", BACKFILL, 201),
        ("GET", "/hooks", None, 200),
        ("POST", "/hooks", None, 201),
        ("DELETE", f"/hooks/{UUID(int=9)}", None, 204),
        ("PUT", "/schedule", {"trigger": "nonsense"}, 400),
        ("PUT", "/schedule", {}, 400),
        ("POST", "/backfill", {**BACKFILL, "parallel": 0}, 400),
        ("POST", "/backfill", {"start": "2026-03-01"}, 400),
    ],
)
async def test_an_owner_gets_an_answer(tmp_path: Path, method: str, path: str, body: Any, status: int) -> None:
    async with client_for(make_app(tmp_path), token="owner") as owner:
        answer = await owner.request(method, JOB_URL + path, json=body)
    assert answer.status_code == status, answer.text
    assert "null" not in answer.text


async def test_the_schedule_says_what_an_operator_did_and_what_comes_next(tmp_path: Path) -> None:
    """Semantics T8."""
    async with client_for(make_app(tmp_path), token="viewer") as viewer:
        answer = (await viewer.get(f"{JOB_URL}/schedule")).json()
    assert answer == {
        "job_ref": JOB.job_ref,
        "timezone": "UTC",
        "in_words": "paused",
        "paused": True,
        "date_paused": "2026-03-10T12:00:00Z",
        "override": "every:5m",
        "next_ticks": ["2026-03-10T12:00:00Z"],
        "would_run": False,
        "explanation": "it is paused",
    }


@pytest.mark.parametrize("form", ["text", "dot", "mermaid"])
async def test_the_graph_comes_in_the_format_asked_for(tmp_path: Path, form: str) -> None:
    url = f"{API_PREFIX}/v1/workspaces/{WORKSPACE.id}/graph"
    async with client_for(make_app(tmp_path), token="viewer") as viewer:
        answer = await viewer.get(url, params={"format": form})
        unknown = await viewer.get(url, params={"format": "png"})
    assert answer.json() == {"format": form, "drawing": f"{form}: {JOB.job_ref}"}
    assert unknown.status_code == 400


async def test_a_backfill_takes_what_it_is_given(tmp_path: Path) -> None:
    intervals = FakeIntervals()
    async with client_for(make_app(tmp_path, fake_services(intervals=intervals)), token="owner") as owner:
        body = {**BACKFILL, "end": "2026-03-02T00:00:00+01:00", "parallel": 4}
        answer = await owner.post(f"{JOB_URL}/backfill", json=body)
    assert [(str(start), str(end), parallel) for start, end, parallel in intervals.asked] == [
        ("2026-03-01 00:00:00+00:00", "2026-03-02 00:00:00+01:00", 4)
    ]
    assert [run["number"] for run in answer.json()["runs"]] == [1]


async def test_a_new_hook_names_its_address_and_shows_its_secret_once(tmp_path: Path) -> None:
    """Semantics T7."""
    async with client_for(make_app(tmp_path), token="owner") as owner:
        created = (await owner.post(f"{JOB_URL}/hooks")).json()
        (listed,) = (await owner.get(f"{JOB_URL}/hooks")).json()["items"]
    assert created["token"] == FakeHooks.SECRET
    assert created["urls"] == [f"http://127.0.0.1:8470/hooks/{WORKSPACE.id}/orders/new"]
    assert "token" not in listed


@pytest.mark.parametrize(
    "headers", [{"Authorization": f"Bearer {FakeHooks.SECRET}"}, {"X-Hook-Token": FakeHooks.SECRET}]
)
async def test_a_call_with_the_token_starts_a_run(tmp_path: Path, headers: dict[str, str]) -> None:
    """Semantics T7."""
    hooks = FakeHooks()
    async with client_for(make_app(tmp_path, fake_services(hooks=hooks))) as world:
        answer = await world.post(HOOK_URL, content=b'{"order": 1}', headers=headers)
    assert answer.status_code == 202
    assert answer.json().items() >= {"job_ref": JOB.job_ref, "status": "triggered", "run_number": 1}.items()
    ((sent, body),) = hooks.calls
    assert body == b'{"order": 1}'
    assert dict(sent)["content-length"] == "12"


async def test_a_call_that_starts_nothing_says_why(tmp_path: Path) -> None:
    """Semantics T7, D5."""
    hooks = FakeHooks(Skip(outcome="skipped_concurrency_limit", profile="prod", reason="1 run still active"))
    async with client_for(make_app(tmp_path, fake_services(hooks=hooks))) as world:
        answer = await world.post(HOOK_URL, headers={"X-Hook-Token": FakeHooks.SECRET})
    assert (answer.status_code, answer.json()) == (
        409,
        {"job_ref": JOB.job_ref, "status": "skipped_concurrency_limit", "reason": "1 run still active"},
    )


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        (HOOK_URL, {}),
        (HOOK_URL, {"X-Hook-Token": "wrong"}),
        (HOOK_URL, {"Authorization": f"Basic {FakeHooks.SECRET}"}),
        (f"{HOOK_URL}/more", {"X-Hook-Token": FakeHooks.SECRET}),
    ],
)
async def test_a_call_without_the_hooks_token_is_refused(tmp_path: Path, url: str, headers: dict[str, str]) -> None:
    """Semantics T7: on the Unix socket too."""
    hooks = FakeHooks()
    async with client_for(make_app(tmp_path, fake_services(hooks=hooks)), peer=ROOT) as world:
        answer = await world.post(url, content=b"x" * 10, headers=headers)
    assert answer.status_code == 401
    assert hooks.calls == []


async def test_a_body_may_be_a_mebibyte_and_no_byte_more(tmp_path: Path) -> None:
    """Semantics T7: whether its length is announced or not."""
    hooks = FakeHooks()

    async def chunks(size: int) -> Any:
        for _ in range(0, size, MIB // 4):
            yield b"x" * (MIB // 4)
        yield b"x" * (size % (MIB // 4))

    async with client_for(make_app(tmp_path, fake_services(hooks=hooks))) as world:
        world.headers["X-Hook-Token"] = FakeHooks.SECRET
        statuses = [
            (await world.post(HOOK_URL, content=content)).status_code
            for content in (b"x" * MIB, b"x" * (MIB + 1), chunks(MIB), chunks(MIB + 1))
        ]
    assert statuses == [202, 413, 202, 413]
    assert [len(body) for _, body in hooks.calls] == [MIB, MIB]


async def test_one_address_cannot_call_webhooks_without_end(tmp_path: Path) -> None:
    """Semantics T7."""
    async with client_for(make_app(tmp_path)) as world:
        statuses = {(await world.post(HOOK_URL)).status_code for _ in range(241)}
    assert statuses == {401, 429}


async def test_a_job_is_shown_with_its_schedule(tmp_path: Path) -> None:
    """Semantics T8."""
    async with client_for(make_app(tmp_path), token="viewer") as viewer:
        shown = (await viewer.get(JOB_URL)).json()
    assert shown["paused"] is False
    assert "schedule_override" not in shown


async def test_a_skipped_run_says_what_it_stands_for(tmp_path: Path) -> None:
    """Semantics D7."""
    jobs = FakeJobs()
    jobs.run = make_run(
        JOB, status="skipped", outcome="skipped_fresh", skip_count=7, scheduled_at=NOW, reason="waiting for jobs.a.b"
    )
    async with client_for(make_app(tmp_path, fake_services(jobs=jobs)), token="viewer") as viewer:
        run = (await viewer.get(JOB_URL)).json()["last_run"]
    assert (run["outcome"], run["skip_count"], run["scheduled_at"]) == ("skipped_fresh", 7, "2026-03-10T12:00:00Z")


async def test_what_is_ours_says_so_in_the_document(tmp_path: Path) -> None:
    document = make_app(tmp_path).openapi_schema.to_schema()
    for path, operations in document["paths"].items():
        if path.endswith(("/schedule", "/pause", "/intervals", "/backfill", "/graph")) or "/hooks" in path:
            for operation in operations.values():
                assert all("this runtime's own" in tag for tag in operation["tags"]), path
