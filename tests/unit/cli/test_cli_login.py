"""Logging in and out, connecting a directory, and the commands of administrators."""

from pathlib import Path
from uuid import UUID

import httpx
import pytest

from cli.credentials import StoredTokens
from runtime.wire.tokens import TokenPair
from tests.scripted_daemon import AT, ORGANIZATION_ID, USER_ID, WORKSPACE_ID, ScriptedDaemon, me, refusal, uuid
from tests.scripted_daemon import workspace as workspace_named
from tests.unit.cli.conftest import Run

URL = "http://host:8470"
JWT = "e30.e30.signature"  # which names no end
START = "POST /api/auth/v1/workos/device-flow/code"
POLL = "POST /api/auth/v1/workos/device-flow/token"
CREATE = f"POST /api/api/v1/organizations/{ORGANIZATION_ID}/workspaces"
OTHER = UUID(uuid(77))


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between polls, none of which is waited for."""
    noted: list[float] = []
    monkeypatch.setattr("cli.commands.login.time.sleep", noted.append)
    return noted


@pytest.fixture
def approving(daemon: ScriptedDaemon) -> ScriptedDaemon:
    """A daemon on which somebody approves the login after two polls."""
    daemon.answers("GET /api/api/v1/me", me(workspace_named("shop")))
    daemon.answers(
        START,
        {
            "device_code": "dc",
            "user_code": "BCDF-2345",
            "interval": 2,
            "verification_uri": f"{URL}/activate",
            "verification_uri_complete": f"{URL}/activate?user_code=BCDF-2345",
        },
        status=201,
    )
    session = {"id": str(USER_ID), "email": "ann@example.org", "jwt": JWT, "refresh_token": "refresh"}
    pending = refusal(403, "not approved yet")
    daemon.does(POLL, lambda _: pending, lambda _: pending, lambda _: httpx.Response(201, json=session))
    return daemon


def test_without_a_terminal_the_way_to_go_on_is_printed(run: Run, approving: ScriptedDaemon, workspace: Path) -> None:
    done = run("login", "--url", URL)
    assert done.code == 0
    assert "`dlt-runtime auth approve BCDF-2345 --email YOURS`" in done.err
    assert "dlt-runtime login --resume dc" in done.err
    assert approving.requests(POLL) == []


def test_a_resumed_login_polls_until_it_is_approved_and_keeps_the_tokens(
    run: Run, approving: ScriptedDaemon, workspace: Path, pauses: list[float]
) -> None:
    done = run("login", "--resume", "dc", "--url", URL)
    assert done.code == 0
    assert done.err.splitlines()[0] == f"logged in to {URL} as ann@example.org"
    assert StoredTokens(URL).load() == TokenPair(JWT, "refresh")
    assert pauses == [5.0, 5.0]
    assert JWT not in done.out + done.err


@pytest.mark.parametrize("words", [(), ("--resume", "dc")])
def test_a_login_is_not_begun_or_taken_where_its_tokens_cannot_be_kept(
    run: Run, approving: ScriptedDaemon, workspace: Path, home: Path, words: tuple[str, ...]
) -> None:
    (home / ".config").mkdir(mode=0o500)
    done = run("login", *words, "--url", URL)
    assert (done.code, done.err) == (1, f"error: `{home}/.config/dlt-runtime` cannot be written: Permission denied\n")
    assert approving.requests(START) == approving.requests(POLL) == []


def test_a_login_is_not_taken_where_the_environment_brings_a_token(
    run: Run, approving: ScriptedDaemon, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLT_RUNTIME_TOKEN", "machine")
    done = run("login", "--resume", "dc", "--url", URL)
    assert (done.code, done.err.splitlines()[0]) == (1, "error: the token comes from DLT_RUNTIME_TOKEN")
    assert approving.requests(POLL) == []


def test_tokens_of_other_daemons_are_still_there_after_a_login(
    run: Run, approving: ScriptedDaemon, workspace: Path
) -> None:
    StoredTokens("http://other").save(TokenPair("other"))
    run("login", "--resume", "dc", "--url", URL)
    assert StoredTokens("http://other").load() == TokenPair("other")


def test_an_address_given_at_login_becomes_the_workspaces(run: Run, approving: ScriptedDaemon, workspace: Path) -> None:
    run("login", "--resume", "dc", "--url", URL)
    assert (workspace / ".dlt/config.toml").read_text() == (
        f'[runtime]\nworkspace_id = "{WORKSPACE_ID}"\napi_base_url = "{URL}/api/api"\n'
        f'auth_base_url = "{URL}/api/auth"\n'
    )


def test_a_login_that_is_refused_ends_with_the_daemons_words(
    run: Run, approving: ScriptedDaemon, workspace: Path
) -> None:
    approving.does(POLL, lambda _: refusal(400, "the code has expired"))
    done = run("login", "--resume", "dc", "--url", URL)
    assert (done.code, done.err) == (1, "error: the code has expired\n")
    assert StoredTokens(URL).load() is None


def test_who_is_logged_in_already_is_only_connected(run: Run, approving: ScriptedDaemon, workspace: Path) -> None:
    StoredTokens(URL).save(TokenPair("e30.e30.x", None))
    assert run("login", "--url", URL).code == 0
    assert approving.requests(START) == []


def test_through_the_socket_a_directory_is_connected_to_the_workspace_of_its_name(
    run: Run, daemon: ScriptedDaemon, workspace: Path
) -> None:
    (workspace / ".dlt/config.toml").write_text("")
    daemon.answers("GET /api/api/v1/me", me({**workspace_named("shop"), "id": str(OTHER)}))
    done = run("login")
    assert done.code == 0
    assert f'workspace_id = "{OTHER}"' in (workspace / ".dlt/config.toml").read_text()
    assert done.err.splitlines()[-1] == f"connected `{workspace}` to workspace `shop`"


def test_a_workspace_that_is_not_there_is_created(run: Run, daemon: ScriptedDaemon, workspace: Path) -> None:
    daemon.answers("GET /api/api/v1/me", me(workspace_named("another")))
    daemon.answers(CREATE, {**workspace_named("new"), "id": str(OTHER)}, status=201)
    assert "created workspace `new`" in run("login", "-w", "new").err
    assert daemon.body(CREATE) == {"name": "new"}
    assert f'workspace_id = "{OTHER}"' in (workspace / ".dlt/config.toml").read_text()


def test_an_id_that_is_no_workspace_is_not_created(run: Run, daemon: ScriptedDaemon, workspace: Path) -> None:
    daemon.answers("GET /api/api/v1/me", me(workspace_named("shop")))
    assert run("workspace", "switch", str(OTHER)).code == 3
    assert daemon.requests(CREATE) == []


def test_an_id_of_another_daemon_is_replaced_with_a_warning(run: Run, daemon: ScriptedDaemon, workspace: Path) -> None:
    daemon.answers("GET /api/api/v1/me", me({**workspace_named("shop"), "id": str(OTHER)}))
    done = run("login")
    assert f"warning: `.dlt/config.toml` names workspace {WORKSPACE_ID}" in done.err
    assert f'workspace_id = "{OTHER}"' in (workspace / ".dlt/config.toml").read_text()


def test_a_machine_takes_the_workspace_of_its_token(
    run: Run, daemon: ScriptedDaemon, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLT_RUNTIME_TOKEN", "machine")
    (workspace / ".dlt/config.toml").write_text("")
    daemon.answers("GET /api/api/v1/me", me({**workspace_named("whatever"), "id": str(OTHER)}))
    assert run("login", "--url", URL).code == 0
    assert f'workspace_id = "{OTHER}"' in (workspace / ".dlt/config.toml").read_text()
    assert {request.headers["Authorization"] for request in daemon.asked} == {"Bearer machine"}


@pytest.mark.parametrize(("token", "way_out"), [("machine", "DLT_RUNTIME_TOKEN"), (None, "dlt-runtime login")])
def test_who_is_not_known_is_told_what_to_do_about_it(
    run: Run, daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch, token: str | None, way_out: str
) -> None:
    if token:
        monkeypatch.setenv("DLT_RUNTIME_TOKEN", token)
    daemon.does("GET /api/api/v1/me", lambda _: refusal(401, "the access token is not valid", code="token_invalid"))
    error, hint = run("workspace", "list", "--url", URL).err.splitlines()
    assert error == "error: the access token is not valid"
    assert way_out in hint


@pytest.mark.parametrize("words", ["workspace list", "login", "info"])
def test_an_empty_name_of_a_workspace_is_no_name(run: Run, daemon: ScriptedDaemon, workspace: Path, words: str) -> None:
    done = run(*words.split(), "-w", "")
    assert (done.code, daemon.asked) == (2, [])
    assert "a workspace has a name" in done.err


@pytest.mark.parametrize("token", ["machine", None])
def test_a_machines_token_counts_through_the_socket_too(
    run: Run, daemon: ScriptedDaemon, workspace: Path, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    if token:
        monkeypatch.setenv("DLT_RUNTIME_TOKEN", token)
    daemon.answers("GET /api/api/v1/me", me(workspace_named("shop")))
    assert run("workspace", "list", "--url", "unix:///run/dlt-runtime/api.sock").code == 0
    sent = {request.headers.get("Authorization") for request in daemon.asked}
    assert sent == {f"Bearer {token}" if token else None}


def test_logging_out_forgets_the_tokens_here_and_there(run: Run, daemon: ScriptedDaemon, workspace: Path) -> None:
    StoredTokens(URL).save(TokenPair("jwt", "refresh"))
    daemon.does("POST /api/auth/v1/auth/logout", lambda _: httpx.Response(204))
    assert run("logout", "--url", URL).err == f"logged out of {URL}\n"
    assert StoredTokens(URL).load() is None
    assert daemon.body("POST /api/auth/v1/auth/logout") == {"refresh_token": "refresh"}
    assert run("logout", "--url", URL).err == "not logged in\n"


def test_logging_out_works_without_the_daemon(run: Run, daemon: ScriptedDaemon, workspace: Path) -> None:
    StoredTokens(URL).save(TokenPair("jwt", "refresh"))
    done = run("logout", "--url", URL)
    assert done.code == 0
    assert done.err.startswith("warning: the daemon could not be told")
    assert StoredTokens(URL).load() is None


def test_workspaces_are_listed_with_the_connected_one_marked(run: Run, daemon: ScriptedDaemon, workspace: Path) -> None:
    daemon.answers("GET /api/api/v1/me", me(workspace_named("shop"), {**workspace_named("x"), "id": str(OTHER)}))
    for words in ("workspace", "workspace list"):
        assert run(*words.split()).out == f"shop\t{WORKSPACE_ID}\towner\tyes\t\nx\t{OTHER}\towner\t\t\n"


def test_a_workspace_that_one_may_only_look_at_is_asked_about_by_name_or_id_and_not_connected(
    run: Run, daemon: ScriptedDaemon, workspace: Path
) -> None:
    viewing = me({**workspace_named("seen"), "id": str(OTHER)})
    viewing["workspaces"][0]["role"] = "viewer"
    daemon.answers("GET /api/api/v1/me", viewing)
    daemon.answers(f"GET /api/api/v1/workspaces/{OTHER}/scripts", {"items": [], "total": 0})
    for name in ("seen", str(OTHER)):
        assert run("job", "list", "-w", name).code == 0
    assert run("workspace", "switch", str(OTHER)).code == 3
    unknown = run("job", "list", "-w", "unseen")
    assert (unknown.code, unknown.err.splitlines()[0]) == (3, "error: you have no workspace `unseen` on this daemon")


def test_of_workspaces_of_one_name_the_one_that_is_owned_is_meant(
    run: Run, daemon: ScriptedDaemon, workspace: Path
) -> None:
    both = me({**workspace_named("twin"), "id": uuid(78)}, {**workspace_named("twin"), "id": str(OTHER)})
    both["workspaces"][0]["role"] = "viewer"
    daemon.answers("GET /api/api/v1/me", both)
    daemon.answers(f"GET /api/api/v1/workspaces/{OTHER}/scripts", {"items": [], "total": 0})
    assert run("job", "list", "-w", "twin").code == 0


def test_switching_needs_a_name_where_nobody_can_choose(run: Run, daemon: ScriptedDaemon, workspace: Path) -> None:
    done = run("workspace", "switch")
    assert (done.code, done.err.splitlines()[0]) == (1, "error: nobody is there to choose a workspace")


def test_a_login_is_approved(run: Run, daemon: ScriptedDaemon) -> None:
    answer = {"user_code": "BCDF-2345", "email": "ann@example.org"}
    daemon.answers("POST /api/api/v1/admin/device-approvals", answer, status=201)
    assert run("auth", "approve", "BCDF-2345", "--email", "ann@example.org").err == "ann@example.org is logged in\n"
    assert daemon.body("POST /api/api/v1/admin/device-approvals") == answer


def test_users_are_added_and_listed(run: Run, daemon: ScriptedDaemon) -> None:
    user = {"id": uuid(1), "email": "ann@example.org", "local": False, "disabled": False, "date_added": AT}
    daemon.answers("POST /api/api/v1/admin/users", user, status=201)
    daemon.answers("GET /api/api/v1/admin/users", {"items": [user, {**user, "local": True, "disabled": True}]})
    assert run("user", "add", "ann@example.org").err == "added ann@example.org\n"
    when = "2026-01-02T03:04:05.678Z"
    assert run("user").out == f"ann@example.org\tnetwork\tactive\t{when}\nann@example.org\tlocal\tdisabled\t{when}\n"


def test_a_password_is_read_from_stdin_and_shown_nowhere(run: Run, daemon: ScriptedDaemon) -> None:
    user = {"id": uuid(1), "email": "ann@example.org", "local": False, "disabled": False, "date_added": AT}
    passwords = "PUT /api/api/v1/admin/passwords"
    daemon.answers("POST /api/api/v1/admin/users", user, status=201)
    daemon.does(passwords, lambda _: httpx.Response(204))
    added = run("user", "add", "ann@example.org", "--password", stdin="correct horse battery\n")
    assert added.err == "added ann@example.org\nann@example.org has a password now\n"
    changed = run("user", "password", "ann@example.org", stdin="staple of another kind\nand more\n")
    sent = [daemon.body(what)["password"] for what in ("POST /api/api/v1/admin/users", passwords)]
    assert sent == ["correct horse battery", "staple of another kind"]
    assert "correct horse" not in added.out + added.err + changed.out + changed.err


def test_who_changes_their_own_password_says_the_present_one_first(run: Run, daemon: ScriptedDaemon) -> None:
    own = "PUT /api/api/v1/me/password"
    daemon.does(own, lambda _: httpx.Response(204))
    done = run("user", "password", stdin="correct horse battery\nstaple of another kind\n")
    assert (done.code, done.out, done.err) == (0, "", "you have another password now\n")
    assert daemon.body(own) == {"present_password": "correct horse battery", "password": "staple of another kind"}
    assert run("user", "password", stdin="only one line\n").code == 1


def test_without_a_password_nobody_is_added(run: Run, daemon: ScriptedDaemon) -> None:
    done = run("user", "add", "ann@example.org", "--password", stdin="")
    assert (done.code, done.err.splitlines()[0]) == (1, "error: no password was given")
    assert daemon.requests("POST /api/api/v1/admin/users") == []


def test_a_token_is_printed_once_and_alone_on_stdout(run: Run, daemon: ScriptedDaemon) -> None:
    token = {
        "id": uuid(5),
        "email": "ann@example.org",
        "workspace_id": str(WORKSPACE_ID),
        "workspace_name": "shop",
        "date_added": AT,
        "date_expires": "2999-01-02T00:00:00Z",
    }
    daemon.answers("POST /api/api/v1/admin/tokens", {**token, "token": "s3cret"}, status=201)
    daemon.answers("GET /api/api/v1/admin/tokens", {"items": [token, {**token, "date_revoked": AT}]})
    daemon.does(f"DELETE /api/api/v1/admin/tokens/{uuid(5)}", lambda _: httpx.Response(204))
    done = run("token", "create", "--email", "ann@example.org", "--workspace", "shop", "--days", "7")
    assert done.out == "s3cret\n"
    assert "s3cret" not in done.err
    assert daemon.body("POST /api/api/v1/admin/tokens") == {"email": "ann@example.org", "workspace": "shop", "days": 7}
    assert [row.split("\t")[3] for row in run("token", "list").out.splitlines()] == ["active", "revoked"]
    assert run("token", "revoke", uuid(5)).err == f"revoked {uuid(5)}\n"
    assert run("token", "revoke", "x").code == 2
