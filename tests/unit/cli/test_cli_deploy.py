"""`deploy`, `sync`, `launch` and their kin, with what the workspace's dlt would say given."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

import cli.commands.configuration
import cli.syncing
from cli.workspace.packing import read_package
from cli.workspace.python import Description
from cli.workspace.selection import code_files, configuration_files, rules_for
from tests.scripted_daemon import ScriptedDaemon, job, me, package, refusal, run_of, stream, uuid
from tests.scripted_daemon import workspace as workspace_named
from tests.unit.cli.conftest import Run

LOAD, CHECK, APP = job("jobs.shop.load"), job("jobs.shop.check", number=11), job("jobs.shop.app", kind="interactive")
VERSION = "1.26.0"
NEW_PLAN: Mapping[str, Any] = {"added": [LOAD], "updated": [], "archived": [], "unchanged": [], "warnings": []}


class FakePython:
    """A workspace's interpreter that answers at once."""

    name = "`.venv`"

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, bool]] = []
        self.jobs = [LOAD, CHECK, APP]
        self.warnings: tuple[str, ...] = ()

    def dlt_version(self) -> str:
        return VERSION

    def describe(self, module: str | None, *, use_all: bool = True) -> Description:
        self.asked.append((module, use_all))
        manifest = {
            "engine_version": 1,
            "deployment_module": "__deployment__",
            "description": "A shop",
            "jobs": [each["job_definition"] for each in self.jobs],
        }
        return Description(
            dlt_version=VERSION,
            python_version="3.11",
            requirements={"engine_version": 1},
            manifest=manifest if module else None,
            manifest_hash="manifest hash" if module else None,
            warnings=self.warnings,
            triggers={each["job_ref"]: [f"manual:{each['job_ref']}", "tag:x"] for each in self.jobs},
        )


@pytest.fixture(autouse=True)
def python(monkeypatch: pytest.MonkeyPatch) -> FakePython:
    fake = FakePython()
    monkeypatch.setattr(cli.syncing, "workspace_python", lambda _: fake)
    monkeypatch.setattr(cli.commands.configuration, "workspace_python", lambda _: fake)
    return fake


@pytest.fixture(autouse=True)
def files(workspace: Path) -> Path:
    (workspace / "__deployment__.py").write_text("")
    (workspace / "shop.py").write_text("print()")
    (workspace / ".dlt" / "prod.config.toml").write_text("")
    return workspace


@pytest.fixture(autouse=True)
def receiving(daemon: ScriptedDaemon) -> ScriptedDaemon:
    """A daemon that takes whatever comes."""
    daemon.answers("POST /deployments", package("deployment", 1), status=201)
    daemon.answers("POST /configurations", package("configuration", 1), status=201)
    daemon.answers("PUT /deployment_manifest", NEW_PLAN)
    started = {
        "job_ref": "jobs.shop.load",
        "script_id": uuid(10),
        "trigger": "manual:jobs.shop.load",
        "matched_triggers": [],
        "run_id": uuid(1005),
        "run": run_of(LOAD, 5, "pending"),
    }
    daemon.answers("POST /scripts/trigger", {"triggered": [started]}, status=201)
    return daemon


def is_on_the_daemon(daemon: ScriptedDaemon, root: Path) -> None:
    """Make what is in the workspace the newest version there."""
    rules = rules_for(VERSION)
    code = read_package(root, code_files(root, rules), root)
    settings = read_package(root / ".dlt", configuration_files(root, rules), root)
    daemon.answers("GET /deployments/latest", package("deployment", 7, code.content_hash))
    daemon.answers("GET /configurations/latest", package("configuration", 8, settings.content_hash))


def uploaded(request: httpx.Request) -> dict[str, bytes]:
    """The regular files of the archive in an upload."""
    start = request.content.index(b"\x1f\x8b")
    boundary = request.headers["Content-Type"].partition("boundary=")[2].encode()
    archive = request.content[start : request.content.index(b"\r\n--" + boundary, start)]
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]


def test_a_first_deploy_uploads_both_packages_and_shows_the_plan(run: Run, daemon: ScriptedDaemon) -> None:
    done = run("deploy")
    assert done.out == "added\tshop.load\t1\t\n"
    assert done.code == 0
    assert done.err.splitlines() == [
        "code uploaded as version 1: 2 added, 0 updated, 0 deleted",
        "configuration uploaded as version 1: 2 added, 0 updated, 0 deleted",
        "deployed: 1 added, 0 updated, 0 archived, 0 unchanged",
    ]
    code = uploaded(daemon.requests("POST /deployments")[0])
    assert set(code) == {"files/__deployment__.py", "files/shop.py", "manifest.yaml"}
    settings = uploaded(daemon.requests("POST /configurations")[0])
    assert set(settings) == {"files/config.toml", "files/prod.config.toml", "manifest.yaml"}


def test_the_manifest_is_sent_as_the_workspaces_dlt_made_it(
    run: Run, daemon: ScriptedDaemon, python: FakePython
) -> None:
    run("deploy")
    assert daemon.body("PUT /deployment_manifest") == {
        "job_definition_engine_version": 1,
        "job_definition_hash": "manifest hash",
        "jobs": [each["job_definition"] for each in python.jobs],
        "deployment_module": "__deployment__",
        "description": "A shop",
        "dry_run": False,
    }
    assert python.asked == [("__deployment__", True)]


def test_what_did_not_change_is_not_uploaded(run: Run, daemon: ScriptedDaemon, workspace: Path) -> None:
    """(semantics J2)"""
    is_on_the_daemon(daemon, workspace)
    assert run("deploy").err.startswith("code unchanged (version 7)\nconfiguration unchanged (version 8)\n")
    assert daemon.requests("POST /deployments") == daemon.requests("POST /configurations") == []


def test_a_dry_run_says_which_files_differ_and_uploads_nothing(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.answers("GET /deployments/latest", package("deployment", 7, "another"))
    there = [
        {"relative_path": "shop.py", "size_in_bytes": 1, "sha3_256": "another"},
        {"relative_path": "gone.py", "size_in_bytes": 1, "sha3_256": "x"},
    ]
    daemon.answers("GET /deployments/7/files", {"engine_version": 1, "files": there})
    done = run("sync", "--dry-run", "-v")
    assert done.err.splitlines()[:4] == [
        "code would be uploaded: 1 added, 1 updated, 1 deleted",
        "  + __deployment__.py",
        "  ~ shop.py",
        "  - gone.py",
    ]
    assert run("deploy", "--dry-run").err.splitlines()[-1].startswith("dry run, nothing changed: 1 added")
    assert json.loads(daemon.requests("PUT /deployment_manifest")[0].content)["dry_run"] is True
    assert daemon.requests("POST /deployments") == []


def test_a_plan_shows_every_kind_of_change_and_the_warnings(run: Run, daemon: ScriptedDaemon) -> None:
    before = {**LOAD, "version": 3, "script_id": uuid(10), "max_run_time_seconds": 60, "provider": "local"}
    plan = {
        "added": [APP],
        "updated": [{"script": {**LOAD, "version": 4, "default_trigger": "every:5m"}, "previous_version": before}],
        "archived": [CHECK],
        "unchanged": [job("jobs.lonely")],
        "warnings": ["group `x` is not declared"],
    }
    daemon.answers("PUT /deployment_manifest", plan)
    done = run("deploy")
    assert done.out.splitlines() == [
        "added\tshop.app\t1\t",
        "updated\tshop.load\t3 -> 4\tevery:5m",
        "archived\tshop.check\t1\t",
        "unchanged\tlonely\t1\t",
    ]
    assert "warning: group `x` is not declared\n" in done.err
    assert done.err.endswith("deployed: 1 added, 1 updated, 1 archived, 1 unchanged\n")
    document = json.loads(run("deploy", "--json").out)
    assert document["deployment"]["status"] == "created"
    assert document["archived"][0]["job_ref"] == "jobs.shop.check"


def test_the_manifest_is_printed_as_yaml_without_asking_the_daemon(run: Run, daemon: ScriptedDaemon) -> None:
    done = run("deploy", "--show-manifest")
    assert yaml.safe_load(done.out)["jobs"][0]["job_ref"] == "jobs.shop.load"
    assert daemon.asked == []


def test_syncing_needs_no_deployment_module(
    run: Run, daemon: ScriptedDaemon, workspace: Path, python: FakePython
) -> None:
    (workspace / "__deployment__.py").unlink()
    assert run("sync").code == 0
    assert python.asked == [(None, True)]
    assert daemon.requests("PUT /deployment_manifest") == []
    assert run("deployment", "sync").err == "code uploaded as version 1: 1 added, 0 updated, 0 deleted\n"
    assert json.loads(run("configuration", "sync", "--json").out)["added"] == ["config.toml", "prod.config.toml"]


def test_a_workspace_without_a_deployment_module_says_what_to_write(run: Run, workspace: Path) -> None:
    (workspace / "__deployment__.py").unlink()
    done = run("deploy")
    assert (done.code, done.err.splitlines()[0]) == (3, f"error: there is no `__deployment__.py` in `{workspace}`")


def test_a_missing_prod_profile_is_a_warning(run: Run, workspace: Path) -> None:
    """(semantics J6)"""
    (workspace / ".dlt/prod.config.toml").unlink()
    assert run("deploy").err.startswith("warning: there is no `prod` profile in `.dlt`")


def test_a_first_deploy_connects_the_directory(run: Run, daemon: ScriptedDaemon, workspace: Path) -> None:
    (workspace / ".dlt/config.toml").write_text("")
    daemon.answers("GET /api/api/v1/me", me(workspace_named("shop")))
    done = run("deploy")
    assert f"connected `{workspace}` to workspace `shop`" in done.err
    written = (workspace / ".dlt/config.toml").read_bytes()
    assert uploaded(daemon.requests("POST /configurations")[0])["files/config.toml"] == written


def test_links_out_of_the_workspace_are_left_out_aloud(run: Run, workspace: Path) -> None:
    (workspace / "hosts").symlink_to("/etc/hosts")
    assert "warning: the link `hosts` is left out" in run("deploy").err


# --- starting


def test_launching_syncs_deploys_and_triggers_exactly_one_job(run: Run, daemon: ScriptedDaemon) -> None:
    done = run("launch", "load", "--refresh")
    assert daemon.body("POST /scripts/trigger") == {"job_refs": ["jobs.shop.load"], "refresh": True, "dry_run": False}
    assert done.code == 0
    assert done.err.splitlines()[-2:] == [
        "started run 5 of shop.load (manual:jobs.shop.load)",
        "follow it with `dlt-runtime logs shop.load 5 -f`",
    ]


@pytest.mark.parametrize("words", ["launch scripts/once.py", "launch --file scripts/once.py"])
def test_launching_a_file_deploys_it_ad_hoc(
    run: Run, daemon: ScriptedDaemon, workspace: Path, python: FakePython, words: str
) -> None:
    """(semantics J3)"""
    (workspace / "scripts").mkdir()
    (workspace / "scripts/once.py").write_text("")
    python.jobs = [LOAD]
    assert run(*words.split()).code == 0
    assert python.asked == [("scripts/once.py", False)]
    assert "deployment_module" not in daemon.body("PUT /deployment_manifest")


def test_a_file_is_found_from_below_the_workspace(
    run: Run, workspace: Path, python: FakePython, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "scripts").mkdir()
    (workspace / "scripts/once.py").write_text("")
    python.jobs = [LOAD]
    monkeypatch.chdir(workspace / "scripts")
    run("launch", "once.py")
    run("launch", "../shop.py")
    assert [module for module, _ in python.asked] == ["scripts/once.py", "shop.py"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("launch", 1, "say which job: any of jobs.shop.load, jobs.shop.check"),
        ("launch tag:x", 1, "`tag:x` may be any of jobs.shop.load, jobs.shop.check"),
        ("launch app", 1, "jobs.shop.app is interactive"),
        ("serve load", 1, "jobs.shop.load is batch"),
        ("launch nothing", 3, "the workspace declares no job `nothing`"),
        ("launch gone.py", 3, "there is no file `gone.py`"),
        ("launch /etc/passwd.py", 3, "there is no file `/etc/passwd.py`"),
        ("run-pipeline orders", 3, "the workspace declares no job `pipeline_name:orders`"),
        ("launch shop.py --file shop.py", 2, "invalid value: `shop.py` and `--file` both name a file"),
    ],
)
def test_what_cannot_be_started_is_refused_before_anything_is_uploaded(
    run: Run, daemon: ScriptedDaemon, words: str, code: int, message: str
) -> None:
    done = run(*words.split())
    assert (done.code, done.err.splitlines()[0]) == (code, f"error: {message}")
    assert daemon.asked == []


def test_a_file_outside_the_workspace_is_refused(run: Run, workspace: Path) -> None:
    (workspace.parent / "outside.py").write_text("")
    assert "lies outside the workspace" in run("launch", "../outside.py").err


def test_a_job_that_may_not_be_started_by_hand_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakePython, "describe", _without_manual_triggers(FakePython.describe))
    done = run("launch", "load")
    assert (done.code, done.err.splitlines()[0]) == (
        1,
        "error: `load` may not be started by hand: it says `expose.manual` is false",
    )


def _without_manual_triggers(describe: Any) -> Any:
    def described(self: FakePython, module: str | None, *, use_all: bool = True) -> Description:
        full: Description = describe(self, module, use_all=use_all)
        return Description(**{**full.__dict__, "triggers": {"jobs.shop.load": ["every:5m"]}})

    return described


def test_a_pipeline_is_run_by_its_name(run: Run, daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    describe = FakePython.describe

    def described(self: FakePython, module: str | None, *, use_all: bool = True) -> Description:
        full = describe(self, module, use_all=use_all)
        return Description(**{**full.__dict__, "triggers": {"jobs.shop.check": ["pipeline_name:orders"]}})

    monkeypatch.setattr(FakePython, "describe", described)
    assert run("run-pipeline", "orders").code == 0
    assert daemon.body("POST /scripts/trigger")["job_refs"] == ["jobs.shop.check"]


def test_a_job_that_is_skipped_ends_with_1_and_the_reason(run: Run, daemon: ScriptedDaemon) -> None:
    skipped = {
        "job_ref": "jobs.shop.load",
        "script_id": uuid(10),
        "trigger": "manual:jobs.shop.load",
        "matched_triggers": [],
        "status": "skipped_concurrency_limit",
        "reason": "run 4 is active",
    }
    daemon.answers("POST /scripts/trigger", {"triggered": [skipped]}, status=201)
    done = run("launch", "load", "-f")
    assert (done.code, done.err.splitlines()[-1]) == (1, "error: shop.load was not started: run 4 is active")


def test_serving_prints_the_url(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.answers("GET /scripts/jobs.shop.load", {**APP, "script_url": "http://host/app"})
    assert run("serve", "app").out == "http://host/app\n"


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("failed", 1), ("cancelled", 1), ("skipped", 1)])
def test_following_a_launch_ends_with_the_status_of_the_run(
    run: Run, daemon: ScriptedDaemon, status: str, code: int
) -> None:
    daemon.answers(
        f"GET /runs/{uuid(1005)}",
        run_of(LOAD, 5, "starting"),
        run_of(LOAD, 5, status, duration=3, reason="exit code 1: boom" if status == "failed" else None),
    )
    daemon.does(f"GET /runs/{uuid(1005)}/logs/stream", stream((0, "hello")))
    done = run("launch", "load", "-f", "--timestamps")
    assert done.out == "[   1] 2026-01-02T03:04:05.678Z [program] hello\n"
    assert done.code == code
    reason = ": exit code 1: boom" if status == "failed" else ""
    assert done.err.splitlines()[-3:] == [
        "started run 5 of shop.load (manual:jobs.shop.load)",
        "run 5 of shop.load: starting",
        f"run 5 of shop.load: {status} after 3.000 s{reason}",
    ]


def test_how_long_a_run_took_is_said_more_exactly_than_in_whole_seconds(run: Run, daemon: ScriptedDaemon) -> None:
    times = {"time_started": "2026-01-02T03:04:05.250Z", "time_ended": "2026-01-02T03:04:06Z", "duration": 0}
    daemon.answers(f"GET /runs/{uuid(1005)}", run_of(LOAD, 5, "completed", **times))
    daemon.does(f"GET /runs/{uuid(1005)}/logs/stream", stream((0, "hello")))
    assert run("launch", "load", "-f").err.endswith("run 5 of shop.load: completed after 0.750 s\n")


def test_an_interrupt_leaves_the_run_running_and_says_how_to_follow_it(run: Run, daemon: ScriptedDaemon) -> None:
    def interrupt(_: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    daemon.does(f"GET /runs/{uuid(1005)}", interrupt)
    done = run("launch", "load", "-f")
    assert done.code == 130
    assert done.err.endswith("goes on without you; follow it again with `dlt-runtime logs shop.load 5 -f`\n")
    assert not [request for request in daemon.asked if request.url.path.endswith("/cancel")]


def test_logs_are_followed_as_json_lines(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.lists("/scripts", LOAD)
    daemon.lists("/runs", run_of(LOAD, 5, "running"))
    daemon.answers(f"GET /runs/{uuid(1005)}", run_of(LOAD, 5, "completed"))
    daemon.does(f"GET /runs/{uuid(1005)}/logs/stream", stream((0, "a"), (1, "b")))
    done = run("logs", "load", "-f", "--json")
    assert done.code == 0
    assert [json.loads(each)["content"] for each in done.out.splitlines()] == ["a", "b"]


def test_a_refused_upload_is_said_in_the_daemons_words(run: Run, daemon: ScriptedDaemon) -> None:
    daemon.does("POST /deployments", lambda _: refusal(400, "`files/../x` leaves the tree"))
    done = run("deploy")
    assert (done.code, done.err) == (1, "error: `files/../x` leaves the tree\n")
