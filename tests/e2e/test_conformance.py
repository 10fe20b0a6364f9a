"""Every command of the public client, unmodified, in every spelling, at a terminal and without one.

Two people play all steps of `tests.conformance` side by side, each in a workspace of their own on one daemon; the tests
then look at how each step went. A step that relies on what an earlier one has done fails with it.
"""

import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from runtime.wire.admin_client import AdminClient
from tests.conformance.grammar import Grammar, Part
from tests.conformance.matrix import Results
from tests.conformance.play import MODES, Person, Played
from tests.conformance.table import STEPS
from tests.deployed_workspace import WORKSPACES
from tests.official_client import OfficialClient, copy_workspace
from tests.processes import DaemonProcess, needs_jobs

pytestmark = [needs_jobs, pytest.mark.timeout(1800)]  # the first test waits for the whole play

CASES = [(number, mode) for number, (_, step) in enumerate(STEPS) for mode in step.modes()]


def _case_name(case: tuple[int, str]) -> str:
    number, mode = case
    scene, step = STEPS[number]
    return f"{number:03}-{scene}-{step.command}-{mode.strip('-')}"


@pytest.fixture(scope="module")
def people(daemon: DaemonProcess, virtualenv: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Person]]:
    """Two people with an account and a copy of the workspace, who have never logged in."""
    with ExitStack() as processes:
        found = []
        for number, mode in enumerate(MODES):
            folder = tmp_path_factory.mktemp("person")
            directory = copy_workspace(WORKSPACES / "orchard", folder / "orchard")
            (folder / ".dlt").mkdir()
            email = f"person{number}@example.org"
            AdminClient(daemon.client.connection).add_user(email)
            person = Person(mode, OfficialClient(virtualenv, folder, directory, daemon), email)
            processes.callback(person.process.close)
            found.append(person)
        yield found


@pytest.fixture(scope="module")
def played(people: list[Person]) -> Played:
    """How every step went for both of them."""
    everything, steps = Played(), [(number, step) for number, (_, step) in enumerate(STEPS)]
    with ThreadPoolExecutor(len(people)) as pool:
        for one in pool.map(lambda person: Played().play(person, steps), people):
            everything.update(one)
    return everything


@pytest.mark.parametrize("case", CASES, ids=_case_name)
def test_the_client_shows_ends_and_does_what_it_should(
    case: tuple[int, str], played: Played, compatibility: Results
) -> None:
    number, mode = case
    step = STEPS[number][1]
    error = played[number, mode].error
    compatibility.steps[case] = error is None
    if error is not None:
        raise AssertionError(f"`{step.command}` ({mode}): {error}") from error


def test_every_command_alias_option_and_value_of_the_clients_grammar_is_played(
    virtualenv: Path, people: list[Person]
) -> None:
    """The list comes from the client's own parser, so that a new release with a new command fails here."""
    grammar = Grammar.of_client(virtualenv, people[0].client.directory)
    uses = {mode: set[Part]() for mode in MODES}
    for _, step in STEPS:
        if step.status != 2:  # what the parser refuses was no use of anything
            for mode in step.modes():
                uses[mode] |= grammar.used(shlex.split(step.words))
    assert sorted(map(str, grammar.parts() - (uses[MODES[0]] | uses[MODES[1]]))) == []
    for mode in MODES:
        played = {part.command for part in uses[mode]}
        assert sorted(map(" ".join, grammar.commands - played)) == [], mode


def test_the_daemon_has_logged_no_error_through_all_of_this(daemon: DaemonProcess, played: Played) -> None:
    assert [event for event in daemon.events() if event.get("level") in ("error", "critical")] == []
