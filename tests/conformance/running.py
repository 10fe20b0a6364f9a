"""Starting runs, following them, and ending them."""

from collections.abc import Callable

from runtime.wire.run_details import DetailedRunResponse
from tests.conformance.play import Act, Answer, Look, Person, Step

GREET, HARVEST, PRESS, REST = (f"jobs.orchard.{name}" for name in ("greet", "harvest", "press", "rest"))


def runs(person: Person, job_ref: str) -> list[DetailedRunResponse]:
    """The runs of a job, newest first."""
    client = person.workspace.daemon.client
    return list(client.runs(person.workspace.id, job_id=client.job(person.workspace.id, job_ref).id))


def newest_completes(job_ref: str, **fields: object) -> Look:
    """The job's newest run is, or will be, completed, and it has these fields."""

    def look(person: Person, said: str) -> None:
        run = person.workspace.wait_for_end(runs(person, job_ref)[0].id)
        assert run.status == "completed", run.reason
        assert {name: getattr(run, name) for name in fields} == fields

    return look


def newest_is(job_ref: str, status: str) -> Look:
    def look(person: Person, said: str) -> None:
        assert person.workspace.wait_for_end(runs(person, job_ref)[0].id).status == status

    return look


def prints(job_ref: str, line: str) -> Look:
    """The newest run completes and has printed this."""

    def look(person: Person, said: str) -> None:
        run = runs(person, job_ref)[0]
        newest_completes(job_ref)(person, said)
        assert line in person.workspace.lines(run.id)

    return look


def remember_count(job_ref: str) -> Act:
    def act(person: Person) -> None:
        person.names["count"] = str(len(runs(person, job_ref)))

    return act


def no_run_was_added(job_ref: str) -> Look:
    def look(person: Person, said: str) -> None:
        assert str(len(runs(person, job_ref))) == person.names["count"]

    return look


def start_resting(person: Person) -> None:
    """A run of the job that never ends, once it is under way; `{resting}` is its number."""
    run_id = person.workspace.start(REST)
    person.workspace.wait_for_line(run_id, "resting")
    person.names["resting"] = str(person.workspace.run(run_id).number)


def still_rests(person: Person, said: str) -> None:
    assert runs(person, REST)[0].status == "running"


def end_resting(person: Person, shown: str) -> None:
    person.workspace.daemon.client.cancel_run(person.workspace.id, runs(person, REST)[0].id)


def all_of(*looks: Look) -> Look:
    def look(person: Person, said: str) -> None:
        for one in looks:
            one(person, said)

    return look


def shows(job_ref: str, attribute: Callable[[DetailedRunResponse], object]) -> Look:
    """What is said names this of the newest run."""

    def look(person: Person, said: str) -> None:
        assert str(attribute(runs(person, job_ref)[0])) in said

    return look


LAUNCHING = (
    Step(
        "launch harvest -f",
        says=("triggered (trigger: ", "Run status: starting", "[setup]", "harvested 3 trees", "End of run logs"),
        effect=newest_completes(HARVEST, exit_code=0, profile="prod"),
    ),
    Step(
        "launch greet --follow",
        says=("Run status: starting", "hello from prod"),
        effect=newest_completes(GREET, exit_code=0),
    ),
    Step("launch jobs.orchard.greet", says=("Run #:", "To follow logs:"), effect=newest_completes(GREET)),
    Step("launch tag:quick", says=("Job jobs.orchard.greet triggered",), effect=newest_completes(GREET)),
    Step("launch harvest --refresh -f", says=("harvested 3 trees, refresh True",), effect=newest_completes(HARVEST)),
    Step("trigger tag:press", says=("1 job(s) triggered",), effect=prints(PRESS, "pressed, refresh True")),
    Step("launch", status=255, says=("jobs.orchard.greet", "jobs.orchard.rest")),
    Step("launch nosuch", status=255, says=("nosuch",)),
    Step("launch stand", status=255, says=("interactive (not allowed here)",)),
    Step("launch market.py -f", says=("the market is open",), effect=newest_completes("jobs.market")),
    Step("launch --file market.py --follow", says=("the market is open",), effect=newest_completes("jobs.market")),
    Step("launch missing.py", status=255, says=("File not found",)),
    Step("launch market.py --file market.py", status=255, says=("Cannot pass both",)),
)

TRIGGERING = (
    Step(
        "trigger tag:quick --dry-run",
        before=remember_count(GREET),
        says=("[DRY RUN] Triggered (1):", "jobs.orchard.greet: tag:quick"),
        effect=no_run_was_added(GREET),
    ),
    Step(
        "trigger tag:quick --profile dev",
        says=("1 job(s) triggered, 0 skipped",),
        effect=all_of(newest_completes(GREET, profile="dev", trigger="tag:quick"), prints(GREET, "hello from dev")),
    ),
    Step("trigger greet tag:press", says=("2 job(s) triggered",), effect=newest_completes(PRESS)),
    Step(
        "trigger harvest --refresh",
        says=("1 job(s) triggered",),
        effect=prints(HARVEST, "harvested 3 trees, refresh True"),
    ),
    Step("trigger tag:nothing", says=("No jobs matched",)),
    Step("run-pipeline orchard", says=("Job jobs.orchard.harvest triggered",), effect=newest_completes(HARVEST)),
    Step("run-pipeline orchard --follow", says=("harvested 3 trees, refresh False",), effect=newest_completes(HARVEST)),
    Step("run-pipeline orchard -f --refresh", says=("refresh True",), effect=newest_completes(HARVEST)),
    Step("run-pipeline any --job-ref greet -f", says=("hello from prod",), effect=newest_completes(GREET)),
    Step("run-pipeline nosuch", status=255, says=("nosuch",)),
)

ENDING = (
    Step("logs rest", before=start_resting, says=("Run logs for run (status: running)", "resting"), effect=still_rests),
    Step("launch rest", says=("An instance of this job is already running",), effect=still_rests),
    Step("trigger rest", says=("0 job(s) triggered, 1 skipped",), effect=still_rests),
    Step("cancel rest --dry-run", says=("Would cancel run # {resting}",), effect=still_rests),
    Step("logs rest -f", talk=(Answer("resting", act=end_resting),), says=("End of log stream",)),
    Step(
        "job-run rest cancel",
        before=start_resting,
        says=("cancellation of run # {resting}",),
        effect=newest_is(REST, "cancelled"),
    ),
    Step("job-run rest cancel", status=255, says=("already in a terminal state",)),
    Step(
        "job-runs rest {resting} cancel",
        before=start_resting,
        says=("run # {resting}",),
        effect=newest_is(REST, "cancelled"),
    ),
    Step(
        "cancel tag:long greet",
        before=start_resting,
        says=("Cancelled run # {resting}", "1 run(s) cancelled"),
        effect=newest_is(REST, "cancelled"),
    ),
    Step("cancel rest", says=("jobs.orchard.rest: no active run",)),
    Step("cancel tag:nothing", status=255, says=("No jobs matched",)),
)

STEPS = (*LAUNCHING, *TRIGGERING, *ENDING)
