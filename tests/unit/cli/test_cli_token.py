"""`token create` and `token list`: what a token does to memberships, and what becomes of it without one."""

from tests.scripted_daemon import WORKSPACE_ID, ScriptedDaemon, uuid
from tests.unit.cli.conftest import Run

TOKEN = {
    "id": uuid(5),
    "email": "ann@example.org",
    "workspace_id": str(WORKSPACE_ID),
    "workspace_name": "shop",
    "date_added": "2026-01-02T00:00:00Z",
    "date_expires": "2999-01-02T00:00:00Z",
}


def test_whom_a_token_makes_a_member_is_said(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.answers("POST /api/api/v1/admin/tokens", {**TOKEN, "token": "s3cret", "joined_as": "viewer"}, status=201)
    done = run("token", "create", "--email", "ann@example.org", "--workspace", "shop", "--role", "viewer")
    assert daemon.body("POST /api/api/v1/admin/tokens")["role"] == "viewer"
    assert done.out == "s3cret\n"
    assert done.err.splitlines()[0] == "ann@example.org was no member of `shop`, and is its viewer from now on"


def test_a_token_of_who_is_no_member_any_more_is_not_called_active(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.answers("GET /api/api/v1/admin/tokens", {"items": [TOKEN, {**TOKEN, "member": False}]})
    assert [row.split("\t")[3] for row in run("token", "list").out.splitlines()] == ["active", "no member"]
