"""What a version of the code changed, as text, and deploying one again."""

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cli.output.code_diff import counts_text, diff_lines, file_changes
from runtime.wire.code import CodeFileResponse
from runtime.wire.packages import PackageFileItem
from tests.scripted_daemon import AT, USER_ID, WORKSPACE_ID, ScriptedDaemon

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run


def digest(content: str) -> str:
    return base64.b64encode(hashlib.sha3_256(content.encode()).digest()).decode()


def version(number: int) -> dict[str, Any]:
    return {
        "id": str(WORKSPACE_ID),
        "workspace_id": str(WORKSPACE_ID),
        "version": number,
        "content_hash": f"hash {number}",
        "file_count": 1,
        "size": 10,
        "requirements_size": 2,
        "created_by": str(USER_ID),
        "created_by_email": "ada@example.org",
        "date_added": AT,
        "date_updated": AT,
    }


def with_versions(daemon: ScriptedDaemon, *trees: dict[str, str] | None) -> None:
    """Versions 1, 2, ... of these files; those of None need not be kept any more."""
    kept = [(number, tree) for number, tree in enumerate(trees, start=1) if tree is not None]
    daemon.lists("/deployments", *(version(number) for number, _ in reversed(kept)))
    for number, tree in kept:
        files = [{"relative_path": p, "size_in_bytes": len(t), "sha3_256": digest(t)} for p, t in tree.items()]
        daemon.answers(f"GET /deployments/{number}", version(number))
        daemon.answers(f"GET /deployments/{number}/files", {"engine_version": 1, "files": files})

        def content(request: httpx.Request, tree: dict[str, str] = tree) -> httpx.Response:
            path = request.url.params["path"]
            return httpx.Response(200, json=shown(path, tree[path]).to_wire())

        daemon.does(f"GET /deployments/{number}/content", content)
    daemon.answers("GET /deployments/latest", version(len(trees)))


def shown(path: str, text: str | None, **fields: Any) -> CodeFileResponse:
    size = len(text or "")
    known = {"size_in_bytes": size, "sha3_256": digest(text or ""), "kind": "text", "text": text}
    return CodeFileResponse.model_validate({"relative_path": path, **known, **fields})


@pytest.mark.usefixtures("workspace")
def test_a_diff_shows_what_the_newest_version_changed(daemon: ScriptedDaemon, run: "Run") -> None:
    """Only files that differ are asked for."""
    same = {"same.py": "print('same')\n"}
    with_versions(daemon, {"shop.py": "a\nb\n", **same}, {"shop.py": "a\nc\n", "new.py": "n\n", **same})
    outcome = run("deployment", "diff")
    assert outcome.out.splitlines() == [
        "--- /dev/null",
        "+++ new.py",
        "@@ -0,0 +1 @@",
        "+n",
        "--- shop.py",
        "+++ shop.py",
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "+c",
    ]
    assert "version 2 since version 1: 1 added, 1 changed" in outcome.err
    assert [one.url.params["path"] for one in daemon.asked if one.url.path.endswith("/content")] == [
        "new.py",
        "shop.py",
        "shop.py",
    ]


@pytest.mark.usefixtures("workspace")
def test_any_two_versions_are_compared_and_for_programs_too(daemon: ScriptedDaemon, run: "Run") -> None:
    with_versions(daemon, {"shop.py": "1\n"}, {"shop.py": "2\n"}, {"shop.py": "3\n"})
    (told,) = json.loads(run("deployment", "3", "diff", "--from", "1", "--json").out)
    assert (told["path"], told["change"], told["diff"][-2:]) == ("shop.py", "changed", ["-1", "+3"])
    assert run("deployment", "1", "diff").out.splitlines()[0] == "--- /dev/null"


@pytest.mark.usefixtures("workspace")
def test_a_version_is_compared_with_the_next_lower_one_that_is_kept(daemon: ScriptedDaemon, run: "Run") -> None:
    """Numbers have gaps once retention has taken versions away; the lowest has nothing before it."""
    with_versions(daemon, None, {"shop.py": "2\n"}, None, None, {"shop.py": "5\n"})
    outcome = run("deployment", "diff")
    assert outcome.out.splitlines()[-2:] == ["-2", "+5"]
    assert "version 5 since version 2: 1 changed" in outcome.err
    outcome = run("deployment", "2", "diff")
    assert outcome.out.splitlines()[0] == "--- /dev/null"
    assert "version 2 is the first that there is: 1 added" in outcome.err


@pytest.mark.usefixtures("workspace")
def test_a_version_is_deployed_again_or_only_planned(daemon: ScriptedDaemon, run: "Run") -> None:
    plan: dict[str, Any] = {"added": [], "updated": [], "archived": [], "unchanged": [], "warnings": []}
    answer = {"modules": [plan], "warnings": ["the jobs of `extra` stay as they are"]}
    daemon.answers("POST /deployments/2/redeploy", answer, {**answer, "deployment": version(4)})
    planned = run("deployment", "2", "redeploy", "--dry-run")
    assert "dry run, nothing changed" in planned.err
    assert "the jobs of `extra` stay" in planned.err
    assert "version 2 of the code is deployed as version 4" in run("deployment", "2", "redeploy").err
    bodies = [json.loads(one.content) for one in daemon.requests("POST /deployments/2/redeploy")]
    assert bodies == [{"dry_run": True}, {"dry_run": False}]


@pytest.mark.usefixtures("workspace")
def test_which_version_is_deployed_again_must_be_said(daemon: ScriptedDaemon, run: "Run") -> None:
    outcome = run("deployment", "redeploy")
    assert (outcome.code, daemon.asked) == (2, [])


@pytest.mark.usefixtures("workspace")
def test_versions_say_who_made_them(daemon: ScriptedDaemon, run: "Run") -> None:
    daemon.lists("/deployments", version(1))
    assert "ada@example.org" in run("deployment", "list").out


def test_what_is_no_text_is_said_instead_of_shown() -> None:
    binary = shown("a.bin", None, kind="binary", size_in_bytes=7)
    assert list(diff_lines("a.bin", None, binary))[1].startswith("not there -> binary, 7 bytes")
    link = shown("l", None, kind="link", linkname="\x1b[2Jx")
    assert list(diff_lines("l", shown("l", "text"), link))[1].endswith(r"-> a link to \x1b[2Jx")


def test_code_cannot_steer_a_terminal_and_only_newlines_end_lines() -> None:
    lines = list(diff_lines("shop.py", shown("shop.py", "a\n"), shown("shop.py", "a\n\x1b]0;x\x07\u2028b")))
    assert lines[-2:] == ["+\\x1b]0;x\\x07\\u2028b", "\\ no newline at end of file"]


def test_files_that_differ_come_first_and_are_counted() -> None:
    def item(path: str, text: str) -> PackageFileItem:
        return PackageFileItem(relative_path=path, size_in_bytes=1, sha3_256=digest(text))

    changes = file_changes([item("a", "1"), item("b", "1"), item("c", "1")], [item("a", "1"), item("c", "2")])
    assert [(change.path, change.fate) for change in changes] == [("b", "removed"), ("c", "changed"), ("a", "same")]
    assert counts_text(changes) == "1 changed, 1 removed"
