"""`launch -f` of the public client polls until it sees `starting`; it shall see it."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from runtime.api.compatibility import StartingOnce
from runtime.wire.addresses import API_PREFIX
from runtime.wire.jobs import TriggerJobsRequest
from tests.api_client import JOB, OWNER, VIEWER, WORKSPACE, FakeJobs, FakeRuns, client_for, fake_services, make_app
from tests.factories import make_definition, make_job, make_run

AGENT = "dlt-runtime-cli/0.26.1"
LAUNCH = {"job_refs": [JOB.job_ref], "dry_run": False, "refresh": False}
TRIGGER = {**LAUNCH, "profile": None}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def remembered(body: dict[str, Any], agent: str = AGENT, **run: Any) -> tuple[StartingOnce, Any, Clock]:
    clock = Clock()
    starting, of_run = StartingOnce(clock), make_run(JOB, **run)
    starting.remember(OWNER, agent, TriggerJobsRequest.model_validate(body), of_run)
    return starting, of_run, clock


@pytest.mark.parametrize("status", ["pending", "starting", "running", "completed"])
def test_the_first_look_at_a_launched_run_shows_starting(status: str) -> None:
    starting, run, _ = remembered(LAUNCH, status=status)
    assert starting.status(OWNER, AGENT, run) == "starting"
    assert starting.status(OWNER, AGENT, run) == status


@pytest.mark.parametrize("status", ["failed", "cancelled", "cancelling"])
def test_the_truth_comes_first_where_it_ends_the_polling(status: str) -> None:
    starting, run, _ = remembered(LAUNCH, status=status)
    assert starting.status(OWNER, AGENT, run) == status


def test_only_who_launched_sees_it() -> None:
    starting, run, _ = remembered(LAUNCH, status="running")
    assert starting.status(VIEWER, AGENT, run) == "running"
    assert starting.status(OWNER, AGENT, make_run(JOB, status="running")) == "running"
    assert starting.status(OWNER, AGENT, run) == "starting"


def test_another_program_of_the_same_person_is_told_the_truth_and_takes_nothing_away() -> None:
    starting, run, _ = remembered(LAUNCH, status="running")
    assert starting.status(OWNER, "dlt-runtime/0.1", run) == "running"
    assert starting.status(OWNER, AGENT, run) == "starting"


def test_it_is_forgotten_after_a_while() -> None:
    starting, run, clock = remembered(LAUNCH, status="running")
    clock.now += 10
    assert starting.status(OWNER, AGENT, run) == "running"


@pytest.mark.parametrize("agent", ["", "dlt-runtime-cli/0.28.7", "python-httpx/0.28", "dlt-runtime/0.1"])
def test_other_clients_are_told_the_truth(agent: str) -> None:
    starting, run, _ = remembered(LAUNCH, agent, status="running")
    assert starting.status(OWNER, AGENT, run) == "running"


@pytest.mark.parametrize("body", [TRIGGER, {"selectors": ["batch"], "profile": None}])
def test_that_clients_trigger_is_told_the_truth(body: dict[str, Any]) -> None:
    starting, run, _ = remembered(body, status="running")
    assert starting.status(OWNER, AGENT, run) == "running"


@pytest.mark.parametrize(("job_type", "shown"), [("batch", "starting"), ("interactive", "completed")])
async def test_a_launch_over_http_sees_starting_once(tmp_path: Path, job_type: Any, shown: str) -> None:
    jobs = FakeJobs()
    jobs.job = make_job(make_definition(job_type=job_type), workspace_id=WORKSPACE.id)
    jobs.run = make_run(jobs.job, status="completed", id=uuid4())
    url = f"{API_PREFIX}/v1/workspaces/{WORKSPACE.id}"
    app = make_app(tmp_path, fake_services(jobs=jobs, runs=FakeRuns(jobs)))
    async with client_for(app, token="owner") as owner:
        owner.headers["User-Agent"] = AGENT
        triggered = (await owner.post(f"{url}/scripts/trigger", json=LAUNCH)).json()["triggered"]
        looks = [(await owner.get(f"{url}/runs/{triggered[0]['run_id']}")).json()["status"] for _ in range(2)]
    assert looks == [shown, "completed"]
