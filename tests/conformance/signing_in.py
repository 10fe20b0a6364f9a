"""Logging in and out, and which workspace a directory belongs to."""

import re

from tests.conformance.play import MACHINE, TERMINAL, Answer, Person, Step
from tests.our_cli import connected_workspace

NOBODY = "00000000-0000-4000-8000-000000000000"


def approve_what_is_shown(person: Person, shown: str) -> None:
    """Approve the code, as a person does in a browser; what a later command needs is remembered."""
    (code,) = re.findall(r"\b[A-Z]{4}-[0-9]{4}\b", shown)
    person.names["device_code"] = "".join(re.findall(r"--resume (\S+)", shown))
    person.admin.approve_device(code, person.email)


def approve_a_login_begun_elsewhere(person: Person) -> None:
    flow = person.client.daemon.client.start_device_login()
    person.admin.approve_device(flow.user_code, person.email)
    person.names["device_code"] = flow.device_code


def is_connected(person: Person, said: str) -> None:
    """Tokens are kept, and the directory knows a workspace of which the person is the owner."""
    assert all(person.client.tokens())
    connected = str(connected_workspace(person.client.directory))
    assert connected in said
    person.names.setdefault("first_id", connected)


def is_in_second(person: Person, said: str) -> None:
    """A second workspace was made for this person, and the directory belongs to it."""
    person.names["second_id"] = str(connected_workspace(person.client.directory))
    assert person.names["second_id"] != person.names["first_id"]
    assert person.names["second_id"] in said


def is_in_first(person: Person, said: str) -> None:
    assert str(connected_workspace(person.client.directory)) == person.names["first_id"]


def is_still_in_second(person: Person, said: str) -> None:
    assert str(connected_workspace(person.client.directory)) == person.names["second_id"]


def is_in_third(person: Person, said: str) -> None:
    """The workspace made in the menu has the name and the description that were typed."""
    made = person.client.daemon.client.workspace(connected_workspace(person.client.directory))
    assert (made.name, made.description) == (f"{person.names['mode']}-third", "for apples")


def has_no_tokens(person: Person, said: str) -> None:
    assert person.client.tokens() == ("", "")


STEPS = (
    Step("", says=("login", "job-run list", "configuration sync")),
    Step("--help-all", says=("deployment sync", "workspace switch")),
    Step("workspace list", status=255, says=("Not logged in. Run `dlt runtime login`",)),
    Step("job list", mode=MACHINE, says=("Not logged in.", "dlt runtime login --resume")),
    Step("login", mode=MACHINE, says=("Please go to",), effect=approve_what_is_shown),
    Step(
        "login --resume {device_code}",
        mode=MACHINE,
        says=("Logged in as {email}", "Connected workspace:"),
        effect=is_connected,
    ),
    Step(
        "login",
        mode=TERMINAL,
        talk=(Answer("Waiting for authentication", act=approve_what_is_shown),),
        says=("Logged in as {email}", "Auto-selected workspace: default", "Connected workspace:   default"),
        effect=is_connected,
    ),
    Step("login", says=("Already logged in as {email}", "{first_id}"), effect=is_connected),
    Step("login --workspace {mode}-second", says=("Created workspace with id",), effect=is_in_second),
    Step("login -w {first_id}", says=("Already logged in as",), effect=is_in_first),
    Step(f"login -w {NOBODY}", status=255, says=("not found among your owned workspaces",), effect=is_in_first),
    Step("workspace list", says=("{first_id}", "{mode}-second", "{second_id}", "owner", "* ")),
    Step("workspace", says=("{first_id}", "{second_id}")),
    Step("workspace switch {mode}-second", says=("Switched to workspace: {mode}-second",), effect=is_still_in_second),
    Step("workspace switch {first_id}", says=("Switched to workspace:", "{first_id}"), effect=is_in_first),
    Step(
        "workspace switch",
        mode=TERMINAL,
        talk=(Answer("Create new workspace"), Answer("Select a workspace", "1")),
        says=("Switched to workspace",),
    ),
    Step(
        "workspace switch",
        mode=TERMINAL,
        talk=(
            Answer("Select a workspace", "0"),
            Answer("Workspace name", "{mode}-third"),
            Answer("Workspace description", "for apples"),
        ),
        says=("Created workspace with id", "Switched to workspace: {mode}-third"),
        effect=is_in_third,
    ),
    Step("workspace switch", mode=MACHINE, status=255, says=("cannot prompt for workspace selection",)),
    Step("logout", says=("Logged out",), effect=has_no_tokens),
    Step("workspace list", status=255, says=("Not logged in.",)),
    Step(
        "login --resume {device_code} -w {first_id}",
        before=approve_a_login_begun_elsewhere,
        says=("Logged in as {email}",),
        effect=is_in_first,
    ),
)
