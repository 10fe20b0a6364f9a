"""Interactive jobs: started, shown in a browser, made public and private again."""

from tests.conformance.play import Answer, Person, Step
from tests.conformance.running import runs

STAND, DASHBOARD = "jobs.stand.stand", "jobs.workspace.dashboard"


def address(person: Person, job_ref: str) -> str:
    """Of the app, as the API has it."""
    job = person.workspace.daemon.client.job(person.workspace.id, job_ref)
    assert job.script_url
    return job.script_url


def public_address(person: Person) -> str:
    return person.workspace.daemon.client.job(person.workspace.id, STAND).public_url or ""


def is_public(person: Person, said: str) -> None:
    """The link is there, it is said, and a later step may name it."""
    person.names["link"] = public_address(person)
    assert person.names["link"]
    assert person.names["link"] in said


def is_private(person: Person, said: str) -> None:
    assert not public_address(person)


def is_served(person: Person, said: str) -> None:
    """The app runs, and its address is said and opened in a browser."""
    assert runs(person, STAND)[0].status == "running"
    assert address(person, STAND) in said
    assert address(person, STAND) in person.visited[-1]


def end_the_stand(person: Person) -> None:
    """So that the next step starts it."""
    for run in runs(person, STAND):
        if not run.time_ended:
            person.workspace.daemon.client.cancel_run(person.workspace.id, run.id)
            person.workspace.wait_for_end(run.id)


def end_it_while_it_is_followed(person: Person, shown: str) -> None:
    end_the_stand(person)


def dashboard_is_opened(person: Person, said: str) -> None:
    assert address(person, DASHBOARD) in said
    assert address(person, DASHBOARD) in person.visited[-1]


STEPS = (
    Step("publish stand", says=("enabled successfully: http",), effect=is_public),
    Step("publish stand.stand", says=("already enabled: {link}",), effect=is_public),
    Step("publish stand --cancel", says=("is deprecated", "disabled successfully"), effect=is_private),
    Step("publish stand", says=("enabled successfully",), effect=is_public),
    Step("unpublish stand", says=("disabled successfully",), effect=is_private),
    Step("unpublish stand", says=("already disabled",), effect=is_private),
    Step("publish nosuch", status=255, says=("nosuch",)),
    Step("serve stand", says=("Run status: running", "Opening http", "To follow logs"), effect=is_served),
    Step("serve stand", says=("triggered",), effect=is_served),
    Step("serve stand.py", says=("Opening http",), effect=is_served),
    Step("serve greet", status=255, says=("batch (not allowed here)",)),
    Step("serve", status=255, says=(STAND, DASHBOARD)),
    Step(
        "serve stand -f",
        before=end_the_stand,
        talk=(Answer("the stand is open", act=end_it_while_it_is_followed),),
        says=("Run status: running", "End of run logs"),
    ),
    Step(
        "serve --file stand.py --follow",
        talk=(Answer("the stand is open", act=end_it_while_it_is_followed),),
        says=("Opening http", "End of run logs"),
    ),
    Step("dashboard", says=("Dashboard is available at http",), effect=dashboard_is_opened),
)
