"""What a job can do that wants to get out: jobs of a real daemon look around, and the tests judge what they found.

Design, "What a job sees". `test_sandbox_inside.py` looks at the sandbox alone, `test_network.py` at the network alone;
here both are as the daemon puts them together.
"""

import json
import os
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from runtime.sandbox.addresses import local_addresses
from tests.deployed_workspace import WORKSPACES, DeployedWorkspace, batch_job, files_of
from tests.processes import DaemonEndedError, DaemonProcess, needs_jobs, wait_for

pytestmark = needs_jobs

HERE = Path(__file__).parent
JOBS = [batch_job("probes", name) for name in ("look_around", "connects", "keeps_a_secret", "leaves_traps")]
NEIGHBOUR, NEIGHBOUR_PORT = "198.51.100.2", 18470
MACHINE_ADDRESSES, MACHINE_PORT = ("127.0.0.1", "198.51.100.1", "203.0.113.1"), 18472
NEW_MACHINE = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--keep-caps", "--mount", "--net")
TESTBED_PROGRAMS = ("ip", "mount", "setpriv", "unshare")
CANNOT = 77
REFUSALS = {"EROFS", "EACCES", "ENOENT", "EPERM"}
SETTINGS = {
    "config.toml": b'note = "canary-in-settings-of-all."\n',
    "secrets.toml": b'password = "canary-in-secrets-of-all."\n',
    "prod.secrets.toml": b'password = "canary-in-secrets-of-prod."\n',
    "dev.config.toml": b'note = "canary-in-settings-of-dev."\n',
    "dev.secrets.toml": b'password = "canary-in-secrets-of-dev."\n',
    "access.secrets.toml": b'password = "canary-in-secrets-of-access."\n',
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(
        tmp_path_factory.mktemp("daemon"), environment={"CANARY": "canary-in-the-environment-of-the-daemon."}
    )
    process.start()
    yield process
    process.close()


@pytest.fixture(scope="module")
def workspace(daemon: DaemonProcess) -> DeployedWorkspace:
    made = DeployedWorkspace.create(daemon, "probes")
    ask(made)
    return made


@pytest.fixture(scope="module")
def other_workspace(daemon: DaemonProcess) -> DeployedWorkspace:
    """One with secrets and data of its own; its jobs never run."""
    made = DeployedWorkspace.create(daemon, "other")
    made.deploy({"shop.py": b"# canary-in-code-of-another-workspace.\n"}, settings={"secrets.toml": b"#canary-in-x.\n"})
    made.local_files.mkdir(parents=True)
    (made.local_files / "warehouse").write_text("canary-in-data-of-another-workspace.")
    return made


@pytest.fixture(scope="module")
def companion(daemon: DaemonProcess, workspace: DeployedWorkspace) -> Iterator[UUID]:
    """A run of the same workspace and profile, which goes on beside and has put secrets where a job may write."""
    run_id = workspace.start("jobs.probes.keeps_a_secret")
    workspace.wait_for_line(run_id, "keeping")
    yield run_id
    (workspace.local_files / "stop").touch()
    workspace.wait_for_end(run_id)


@pytest.fixture(scope="module")
def listeners() -> Iterator[list[tuple[str, int]]]:
    """Addresses of this machine, each with a listener that answers."""
    opened = []
    for address in ("127.0.0.1", "::1", *sorted(local_addresses())):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            listener = socket.create_server((address, 0), family=family)
        except OSError:  # no IPv6 here, or an address that is just going
            continue
        threading.Thread(target=_answer, args=(listener,), daemon=True).start()
        opened.append(listener)
    yield [listener.getsockname()[:2] for listener in opened]
    for listener in opened:
        listener.close()


@pytest.fixture(scope="module")
def abstract_socket() -> Iterator[str]:
    """A listener that no file stands for, as many desktop services have one."""
    with socket.socket(socket.AF_UNIX) as listener:
        name = f"dlt-runtime-test-{os.getpid()}"
        listener.bind(f"\0{name}")
        listener.listen()
        yield f"@{name}"


@pytest.fixture(scope="module")
def forbidden(
    daemon: DaemonProcess, workspace: DeployedWorkspace, other_workspace: DeployedWorkspace, companion: UUID
) -> list[Path]:
    """Files of the machine that a job has no business with; all of them exist."""
    state = daemon.state
    (daemon.folder / "notes").write_text("canary-in-the-home-of-the-daemon.")
    data_of_dev = state / "data" / str(workspace.id) / "dev" / "local"
    data_of_dev.mkdir(parents=True)
    (data_of_dev / "warehouse").write_text("canary-in-data-of-dev.")
    files = [
        state / "runtime.db",
        state / "keys" / "signing.key",
        state / "keys" / "sealing.key",
        state / "live" / f"{companion}.log",
        state / "runs" / str(companion) / "workspace" / "secret",
        data_of_dev / "warehouse",
        other_workspace.local_files / "warehouse",
        daemon.folder / "notes",
        daemon.log_file,
        Path("/etc/shadow"),
        Path(f"/proc/{daemon.pid}/environ"),
        Path(__file__),
    ]
    assert [file for file in files if not file.exists()] == []
    return files


@pytest.fixture(scope="module")
def seen(
    daemon: DaemonProcess,
    workspace: DeployedWorkspace,
    companion: UUID,
    forbidden: list[Path],
    listeners: list[tuple[str, int]],
    abstract_socket: str,
) -> dict[str, Any]:
    """What `look_around` came back with."""
    host, port = daemon.listen.rsplit(":", 1)
    addresses = [*listeners, (host, int(port)), ("0.0.0.0", int(port))]
    assert {_greet(address) for address in listeners} == {"machine"}, "they answer, so silence inside means something"
    ask(
        workspace,
        files=[str(path) for path in (*forbidden, daemon.socket)],
        writes=[str(daemon.state / "probe"), str(daemon.folder / "probe"), str(Path(__file__).parent / "probe")],
        addresses=addresses,
        sockets=[str(daemon.socket), abstract_socket],
    )
    found: dict[str, Any] = told(workspace, "jobs.probes.look_around")
    return found


def ask(workspace: DeployedWorkspace, **asked: Any) -> None:
    """Deploy the probes with these questions."""
    code = {**files_of(WORKSPACES / "probes"), "asked.json": json.dumps(asked).encode()}
    workspace.deploy(code, *JOBS, settings=SETTINGS)


def told(workspace: DeployedWorkspace, job_ref: str) -> Any:
    """Run a probe; what it printed last."""
    run = workspace.execute(job_ref)
    lines = workspace.lines(run.id)
    assert run.status == "completed", (run.reason, lines)
    return json.loads(lines[-1])


def test_a_job_finds_its_own_profiles_settings_and_no_other_secret_in_any_file_it_can_read(
    seen: dict[str, Any],
) -> None:
    """Semantics J6."""
    assert seen["canaries"] == [
        "/workspace/.dlt/config.toml: settings-of-all",
        "/workspace/.dlt/prod.secrets.toml: secrets-of-prod",
        "/workspace/.dlt/secrets.toml: secrets-of-all",
    ]


def test_database_keys_socket_logs_data_and_homes_are_not_there(seen: dict[str, Any]) -> None:
    assert set(seen["files"].values()) == {"ENOENT"}
    assert set(seen["through the root of process 1"].values()) <= {"ENOENT", "EACCES"}


def test_no_process_of_the_machine_nor_of_another_run_can_be_seen(seen: dict[str, Any]) -> None:
    assert len(seen["processes"]) == 2, "the sandbox's own init and the job"
    assert set(seen["processes"].values()) == {"clean"}
    assert seen["privileges"]["kill everybody"] == "ESRCH"


def test_a_job_writes_where_its_data_belongs(seen: dict[str, Any]) -> None:
    assert set(seen["own places"].values()) == {"written"}


def test_a_job_writes_nowhere_else(seen: dict[str, Any], daemon: DaemonProcess) -> None:
    refused = {place: answer for place, answer in seen["other places"].items() if answer not in REFUSALS}
    assert refused == {}
    assert set(seen["asked places"].values()) <= REFUSALS
    assert not (daemon.state / "probe").exists()
    assert not (daemon.folder / "probe").exists()


def test_a_job_has_no_privilege_and_cannot_gain_one(seen: dict[str, Any]) -> None:
    privileges = seen["privileges"]
    assert (privileges["uid"], privileges["no new privileges"]) == ("1000", "1")
    assert int(privileges["capabilities"], 16) == int(privileges["bounding"], 16) == 0
    for attempt in ("mount", "remount", "unmount", "chroot", "hostname", "device"):
        assert privileges[attempt] == "EPERM", attempt
    assert privileges["setuid"] in ("EPERM", "EINVAL")  # root is not even a user there
    assert privileges["user namespace"] in ("EPERM", "ENOSPC")


def test_a_job_lives_in_namespaces_of_its_own(seen: dict[str, Any]) -> None:
    for name, inside in seen["namespaces"].items():
        assert inside != str(Path(f"/proc/self/ns/{name}").readlink()), name


def test_a_job_reaches_neither_the_daemon_nor_any_listener_of_the_machine(
    seen: dict[str, Any], listeners: list[tuple[str, int]]
) -> None:
    answers = seen["addresses"]
    assert len(answers) == len(listeners) + 2
    assert "machine" not in answers.values()
    assert all(answer.startswith("E") or answer in ("timeout", "TimeoutError") for answer in answers.values()), answers


def test_a_job_connects_to_no_unix_socket_of_the_machine_whether_a_file_or_abstract(seen: dict[str, Any]) -> None:
    assert set(seen["sockets"].values()) <= {"ENOENT", "ECONNREFUSED"}


def test_what_a_job_leaves_behind_is_cleared_away_without_following_links_out(
    daemon: DaemonProcess, workspace: DeployedWorkspace, companion: UUID
) -> None:
    precious = daemon.folder / "precious"
    (precious / "of").mkdir(parents=True)
    (precious / "of" / "great").write_text("value")
    ask(workspace, traps=[str(precious), str(precious / "of" / "great"), "/", str(daemon.state)])

    run = workspace.execute("jobs.probes.leaves_traps")

    assert run.status == "completed", run.reason
    wait_for(lambda: not (daemon.state / "runs" / str(run.id)).exists(), "the working copy is cleared away")
    assert (precious / "of" / "great").read_text() == "value"
    assert (daemon.state / "runtime.db").exists()
    # The links among the persistent files are the job's own business; the next run finds them leading nowhere.
    assert workspace.execute("jobs.probes.connects").exit_code == 1  # it was asked nothing, and got that far
    for link in workspace.local_files.glob("trap*"):
        link.unlink()


def test_a_job_reaches_another_machine_and_no_address_of_its_own(
    daemon: DaemonProcess, workspace: DeployedWorkspace, companion: UUID, tmp_path: Path
) -> None:
    """The same state on a machine made of namespaces, with a neighbour: see `network_testbed.sh`."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if missing := [program for program in TESTBED_PROGRAMS if shutil.which(program, path=path) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    (workspace.local_files / "stop").touch()
    workspace.wait_for_end(companion)
    serve = f"{sys.executable} {HERE / 'network_scenario.py'} serve {NEIGHBOUR}"
    machine = DaemonProcess(
        daemon.folder,
        {"LISTEN": f"0.0.0.0:{MACHINE_PORT}"},
        prefix=(*NEW_MACHINE, "bash", str(HERE / "network_testbed.sh")),
        environment={"PATH": path, "NEIGHBOUR": serve, "RESOLV_CONF": str(tmp_path / "resolv.conf")},
    )
    ask(workspace, addresses=[(NEIGHBOUR, NEIGHBOUR_PORT), *((address, MACHINE_PORT) for address in MACHINE_ADDRESSES)])
    daemon.stop()
    daemon.end_what_is_left()
    try:
        machine.start()
    except DaemonEndedError as ended:
        if ended.status == CANNOT or "unshare:" in str(ended):
            pytest.skip(f"no testbed on this machine: {ended}")
        raise
    try:
        answers = told(DeployedWorkspace(machine, workspace.id), "jobs.probes.connects")
    finally:
        machine.close()
        daemon.start()
    assert answers.pop(f"{NEIGHBOUR}@{NEIGHBOUR_PORT}") == "neighbour"
    assert len(answers) == 3
    assert all(answer.startswith("E") for answer in answers.values()), answers


def _greet(address: tuple[str, int]) -> str:
    with socket.create_connection(address, timeout=5) as connection:
        return connection.recv(40).decode()


def _answer(listener: socket.socket) -> None:
    while True:
        try:
            with listener.accept()[0] as connection:
                connection.sendall(b"machine")
        except OSError:  # closed: the tests are over
            return
