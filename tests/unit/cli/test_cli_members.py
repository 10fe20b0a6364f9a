"""`member`: what it asks the daemon and what it says."""

import json

import httpx
import pytest

from cli.exit_codes import ExitCode
from tests.scripted_daemon import ScriptedDaemon, refusal, uuid
from tests.unit.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("workspace")

ANN = {"user_id": uuid(1), "email": "ann@example.org", "role": "owner"}
BOB = {"user_id": uuid(2), "email": "bob@example.org", "role": "viewer"}


def test_members_are_listed_with_their_roles(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.answers("GET /members", [ANN, BOB])
    assert run("member").out.split() == ["ann@example.org", "owner", "bob@example.org", "viewer"]
    assert json.loads(run("member", "list", "--json").out) == [ANN, BOB]


def test_a_person_becomes_a_viewer_unless_told_otherwise(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.answers("POST /members", BOB, ANN, status=201)
    done = run("member", "add", "bob@example.org")
    assert (done.code, done.err) == (0, "bob@example.org is a viewer of the workspace\n")
    assert run("member", "add", "ann@example.org", "--role", "owner").err.startswith("ann@example.org is an owner")
    bodies = [json.loads(request.content) for request in daemon.requests("POST /members")]
    assert bodies == [
        {"role": "viewer", "email": "bob@example.org"},
        {"role": "owner", "email": "ann@example.org"},
    ]


def test_a_member_is_removed_by_email_whatever_its_case(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.answers("GET /members", [ANN, BOB])
    daemon.does(f"DELETE /members/{BOB['user_id']}", lambda _: httpx.Response(204))
    done = run("member", "remove", "Bob@Example.org")
    assert (done.code, done.err) == (0, "bob@example.org is no member any more\n")
    assert len(daemon.requests(f"DELETE /members/{BOB['user_id']}")) == 1


def test_who_is_no_member_cannot_be_removed(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.answers("GET /members", [ANN])
    done = run("member", "remove", "bob@example.org")
    assert done.code == ExitCode.NOT_FOUND
    assert "`bob@example.org` is no member" in done.err


def test_the_daemons_refusal_is_shown_with_its_hint(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.answers("GET /members", [ANN])
    daemon.does(
        f"DELETE /members/{ANN['user_id']}",
        lambda _: refusal(400, "`ann@example.org` owns this workspace", code="member_owner", hint="make them a viewer"),
    )
    done = run("member", "remove", "ann@example.org")
    assert done.code != 0
    assert "make them a viewer" in done.err
