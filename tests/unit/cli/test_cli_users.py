"""`user`: letting people in with all they need, and taking them out."""

import httpx

from tests.scripted_daemon import AT, ORGANIZATION_ID, ScriptedDaemon, me, refusal, uuid
from tests.unit.cli.conftest import Run

USERS = "/api/api/v1/admin/users"
ANN = {"id": uuid(1), "email": "ann@example.org", "local": False, "disabled": False, "date_added": AT}
MEMBER = f"DELETE /api/api/v1/organizations/{ORGANIZATION_ID}/members"


def test_a_password_comes_with_its_user_or_there_is_none(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.does(f"POST {USERS}", lambda _: refusal(400, "a password has at least 12 characters", code="password"))
    done = run("user", "add", "ann@example.org", "--password", stdin="short\n")
    assert daemon.body(f"POST {USERS}") == {"email": "ann@example.org", "password": "short"}
    assert (done.code, len(daemon.asked)) == (1, 1)
    assert "added" not in done.err


def test_a_person_is_taken_out(run: Run, daemon: ScriptedDaemon) -> None:
    gone = {**ANN, "id": uuid(2), "disabled": True}
    daemon.answers(f"GET {USERS}", {"items": [gone, ANN]})
    daemon.answers("GET /api/api/v1/me", me())
    daemon.does(f"{MEMBER}/{uuid(1)}", lambda _: httpx.Response(204))
    done = run("user", "remove", "ANN@example.org")
    assert (done.code, done.err.split()[0]) == (0, "ann@example.org")
    assert len(daemon.requests(f"{MEMBER}/{uuid(1)}")) == 1


def test_who_is_not_there_is_not_taken_out(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.answers(f"GET {USERS}", {"items": [{**ANN, "disabled": True}]})
    done = run("user", "remove", "ann@example.org")
    assert (done.code, "user list" in done.err) == (3, True)
