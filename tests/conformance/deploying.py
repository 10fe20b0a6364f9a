"""Code, configuration and manifest: what is sent, what is only said, and what comes of it."""

import yaml

from tests.conformance.play import Person, Step

JOBS = {
    "jobs.orchard.greet",
    "jobs.orchard.harvest",
    "jobs.orchard.press",
    "jobs.orchard.rest",
    "jobs.stand.stand",
    "jobs.workspace.dashboard",
}
GARDEN = "jobs.garden.water"


def versions(person: Person) -> tuple[list[int], list[int]]:
    """Of code and of configuration, newest first."""
    client, workspace = person.workspace.daemon.client, person.workspace.id
    code = [one.version for one in client.deployments(workspace)]
    return code, [one.version for one in client.configurations(workspace)]


def jobs(person: Person) -> set[str]:
    return {job.job_ref for job in person.workspace.daemon.client.jobs(person.workspace.id)}


def nothing_is_there(person: Person, said: str) -> None:
    assert versions(person) == ([], [])
    assert jobs(person) == set()


def only_code_is_there(person: Person, said: str) -> None:
    assert versions(person) == ([1], [])


def one_version_is_there(person: Person, said: str) -> None:
    assert versions(person) == ([1], [1])


def two_versions_are_there(person: Person, said: str) -> None:
    assert versions(person) == ([2, 1], [1])


def both_have_two_versions(person: Person, said: str) -> None:
    assert versions(person) == ([2, 1], [2, 1])


def is_a_manifest(person: Person, said: str) -> None:
    """YAML with the jobs, none of which are deployed by it."""
    shown = yaml.safe_load(said[said.index("engine_version:") :])
    assert {job["job_ref"] for job in shown["jobs"]} == JOBS
    assert jobs(person) == set()


def garden_is_there(person: Person, said: str) -> None:
    assert GARDEN in jobs(person)


def all_is_there(person: Person, said: str) -> None:
    assert jobs(person) == {*JOBS, GARDEN}


def change_code(person: Person) -> None:
    with (person.client.directory / "orchard.py").open("a") as code:
        code.write("\n# changed\n")


def change_configuration(person: Person) -> None:
    with (person.client.directory / ".dlt" / "prod.config.toml").open("a") as settings:
        settings.write("\n# changed\n")


NOTHING_YET = (
    Step("info", says=("User: {email}", "No jobs have been run", "No deployment has been", "New jobs:", "Dry run")),
    Step("job list", says=("No jobs found",)),
    Step("job-run list", says=("No runs found",)),
    Step("deployment list", says=("No deployments found",)),
    Step("configuration list", says=("No configurations found",)),
    Step("deploy --dry-run", says=("skipping sync due to dry run", "+ ", "Dry run"), effect=nothing_is_there),
    Step("deployment sync --dry-run", says=("would be uploaded", "7 added"), effect=nothing_is_there),
    Step("deployment sync --dry-run -v", says=("+ orchard.py",), effect=nothing_is_there),
    Step("configuration sync --dry-run --verbose", says=("prod.config.toml",), effect=nothing_is_there),
)

SENDING = (
    Step("deployment sync", says=("Files: (7 added, 0 updated, 0 deleted)",), effect=only_code_is_there),
    Step("deployment sync --verbose", says=("No changes detected",), effect=only_code_is_there),
    Step("configuration sync", says=("access,dev,prod",), effect=one_version_is_there),
    Step("configuration sync -v", says=("No changes detected",), effect=one_version_is_there),
    Step(
        "deployment sync -v",
        before=change_code,
        says=("(0 added, 1 updated, 0 deleted)", "~ orchard.py"),
        effect=two_versions_are_there,
    ),
    Step(
        "configuration sync --verbose",
        before=change_configuration,
        says=("~ ", "prod.config.toml"),
        effect=both_have_two_versions,
    ),
    Step("deploy --show-manifest", effect=is_a_manifest),
    Step("deploy --file garden.py", says=("1 added, 0 updated, 0 archived",), effect=garden_is_there),
    Step("deploy", says=("6 added, 0 updated, 0 archived",), effect=all_is_there),
    Step("deploy", says=("0 added, 0 updated, 0 archived",), effect=all_is_there),
)

VERSIONS = (
    Step("deployment", says=("Version #", "2")),
    Step("deployment list", says=("Content hash", "2")),
    Step("deployment info", says=("2",)),
    Step("deployment 1 info", says=("1",)),
    Step("deployment 99 info", status=255, says=("99",)),
    Step("configuration", says=("access,dev,prod",)),
    Step("configuration list", says=("Version #",)),
    Step("configuration info", says=("access,dev,prod",)),
    Step("configuration 1 info", says=("access,dev,prod",)),
    Step("configuration 99 info", status=255, says=("99",)),
    Step("--timestamps deployment list", says=("T",)),
)

STEPS = (*NOTHING_YET, *SENDING, *VERSIONS)
