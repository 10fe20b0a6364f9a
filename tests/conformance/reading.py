"""Looking at jobs, runs and logs, in every spelling."""

from tests.conformance.play import Step
from tests.conformance.running import GREET, shows

JOBS = (
    Step("job", says=("Say hello", "orchard::greet", "batch", "interactive")),
    Step("job list", says=("Say hello", "Job name")),
    Step("jobs", says=("Say hello",)),
    Step("jobs list", says=("Say hello",)),
    Step("jobs tag:quick tag:long list", says=("orchard::greet", "orchard::rest"), never=("orchard::harvest",)),
    Step("job batch list", says=("orchard::harvest",), never=("stand::stand",)),
    Step("job greet info", says=("Say hello", "orchard::greet")),
    Step("jobs orchard.greet info", says=("orchard::greet",)),
    Step("job info", status=255, says=("job name is required",)),
    Step("job nosuch info", status=255, says=("no job `nosuch`",)),
    Step("job nosuch info", options="--debug", status=1, says=("Traceback",)),
    Step("jobs batch", status=2, says=("invalid choice",)),
)

RUNS = (
    Step("job-run", says=("press (orchard)", "Say hello", "completed", "cancelled")),
    Step("job-run list", says=("Run #", "Say hello")),
    Step("job-runs", says=("Say hello",)),
    Step("job-runs list", says=("Say hello",)),
    Step("job-run greet list", says=("Say hello",), never=("press (orchard)",)),
    Step("job-runs tag:long list", says=("cancelled",), never=("Say hello",)),
    Step("job-run greet info", says=("completed",), effect=shows(GREET, lambda run: run.number)),
    Step("job-run greet 1 info", says=("completed", "prod")),
    Step("job-runs greet 1 info", says=("completed",)),
    Step("job-run greet 99 info", status=255, says=("99",)),
    Step("job-run info greet", status=2, says=("invalid choice",)),
    Step("--timestamps job-run greet list", says=(".000 s", "+00:00")),
    Step("job-run list --timestamps", status=2, says=("unrecognized arguments",)),
)

LOGS = (
    Step("logs greet", says=("Run logs for Run #", "hello from", "End of run logs")),
    Step("logs greet 1", says=("Run # 1 of job", "hello from prod")),
    Step("logs greet 1 --follow", says=("Run # 1 of job", "hello from prod")),
    Step("logs greet 99", status=255, says=("99",)),
    Step("job-run greet logs", says=("hello from",)),
    Step("job-run greet 1 logs -f", says=("hello from prod",)),
    Step("job-run greet 1 logs --follow", says=("hello from prod",)),
    Step("job-runs greet logs -f", says=("hello from",)),
    Step("job-runs greet logs --follow", says=("hello from",)),
    Step("--timestamps logs greet 1", says=("+00:00 [program] hello from prod",)),
)

OVERVIEW = (
    Step("info", says=("User: {email}", "# registered jobs: 8", "Latest job run:", "Unchanged jobs:")),
    Step("info", options="--disable-telemetry", says=("Latest job run:",)),
    Step("info", options="--enable-telemetry", says=("Latest job run:",)),
    Step("info", options="--no-pwd", says=("Latest job run:",)),
)

STEPS = (*JOBS, *RUNS, *LOGS, *OVERVIEW)
