"""What a job sees and may touch, asked from inside a job."""

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.runner.launch import KeptData
from runtime.sandbox.identity import parent_of
from runtime.sandbox.policy import Mount
from tests.job_machine import JobMachine

pytest_plugins = ("tests.job_fixtures",)

MARKER = "a-value-only-this-test-knows"


async def ask(machine: JobMachine, expression: str, **changes: Any) -> Any:
    """Evaluate an expression inside a job; `os`, `Path` and `read` are at hand."""
    script = f"""
import json, os, socket, subprocess
from pathlib import Path
def read(path):
    try:
        return Path(path).read_bytes().decode(errors="replace")
    except OSError as error:
        return type(error).__name__
def writable(path):
    try:
        Path(path, "probe").touch()
    except OSError:
        return False
    return True
print(json.dumps({expression}))
"""
    launch = machine.launch({"job.py": script}, **changes)
    code = await machine.runner.wait(await machine.start(launch))
    log = machine.log(launch.run_id)
    assert code == 0, log
    return json.loads(log)


async def test_a_job_has_three_descriptors_and_stdin_is_empty(machine: JobMachine) -> None:
    """Design decision 4: the daemon's are not among them; 3 is the listing's own."""
    found = await ask(machine, "{fd: os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')[:3]}")
    assert sorted(found) == ["0", "1", "2"]
    assert found["0"] == "/dev/null"
    assert found["1"] == found["2"]
    assert found["1"].endswith(".log")
    assert await ask(machine, "sorted(os.listdir('/proc/self/fd'))") == ["0", "1", "2", "3"]


async def test_nothing_of_the_daemons_environment_but_locale_timezone_and_proxies(
    machine: JobMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_DAEMON", MARKER)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    environment = await ask(machine, "dict(os.environ)")
    assert MARKER not in str(environment)
    assert environment["TZ"] == "Europe/Berlin"
    assert environment["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert environment["WORKSPACE__PROFILE"] == "prod"


async def test_the_environment_of_a_job_is_in_no_command_line(machine: JobMachine) -> None:
    """Command lines may be read by every user of the machine."""
    launch = machine.launch({"job.py": "print('never')"}, variables={"MARKED": MARKER})
    prepared = await machine.runner.prepare(launch)
    monitor = parent_of(prepared.live.pid)
    for pid in (monitor, prepared.live.pid):
        assert MARKER not in Path(f"/proc/{pid}/cmdline").read_text()
    assert MARKER in Path(f"/proc/{monitor}/environ").read_text()
    await machine.runner.discard(prepared)


async def test_the_daemons_database_keys_and_other_runs_are_not_there(machine: JobMachine) -> None:
    for name in ("runtime.db", "keys/sealing.key", "runs/other/workspace/.dlt/secrets.toml", "live/other.log"):
        (machine.state / name).parent.mkdir(parents=True, exist_ok=True)
        (machine.state / name).write_text(MARKER)
    assert await ask(machine, f"[os.path.exists({str(machine.state)!r}), sorted(os.listdir('/tmp'))]") == [False, []]
    found = await ask(
        machine,
        f"subprocess.run(['grep', '-rlsI', {MARKER!r}, '/workspace', '/home', '/tmp', '/etc', '/opt', '/var'],"
        " capture_output=True, text=True).stdout",
    )
    assert found in ("", "/workspace/job.py\n")


async def test_another_profiles_persistent_data_is_not_there(machine: JobMachine) -> None:
    """Semantics J6."""
    launch = machine.launch({})
    assert isinstance(launch.data, KeptData)
    (launch.data.var.parent / "other-profile").mkdir()
    for place in (".dlt/.var", "_local"):
        assert await ask(machine, f"os.listdir('/workspace/{place}')") == ["prod"]


async def test_no_process_of_the_machine_is_there(machine: JobMachine) -> None:
    processes = await ask(machine, "{p: read(f'/proc/{p}/comm').strip() for p in os.listdir('/proc') if p.isdigit()}")
    assert sorted(processes.values()) == ["bwrap", "python"]
    assert await ask(machine, "[os.getpid() < 10, read('/proc/1/environ') == read('/proc/self/environ')]")


async def test_a_job_writes_in_its_own_places_only(machine: JobMachine) -> None:
    own = ["/workspace", "/workspace/.dlt/.var/prod", "/workspace/_local/prod", "/tmp", "/home/job", "/dev/shm"]
    others = ["/", "/etc", "/home", "/opt", "/opt/dlt-runtime/launchers", "/proc/sys/kernel", "/usr", "/var", "/venv"]
    assert await ask(machine, f"[writable(path) for path in {own}]") == [True] * len(own)
    assert await ask(machine, f"[writable(path) for path in {others}]") == [False] * len(others)


async def test_a_job_is_nobody_special(machine: JobMachine) -> None:
    who = await ask(machine, "[os.getuid(), os.getgid(), socket.gethostname(), os.path.expanduser('~'), os.getcwd()]")
    assert who == [1000, 1000, "job", "/home/job", "/workspace"]
    status = await ask(machine, "dict(line.split(':\\t', 1) for line in read('/proc/self/status').splitlines())")
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"


async def test_a_job_gets_no_privileges_by_a_user_namespace_of_its_own(machine: JobMachine) -> None:
    tried = "subprocess.run(['unshare', '--user', '--map-root-user', 'true'], capture_output=True).returncode"
    assert await ask(machine, tried) != 0


async def test_private_keys_of_the_machine_are_not_there_but_certificates_are(machine: JobMachine) -> None:
    assert await ask(machine, "[os.path.exists('/etc/ssl/private'), os.path.isdir('/etc/ssl/certs')]") == [False, True]
    assert await ask(machine, "[os.path.exists('/etc/shadow'), '/root' in os.listdir('/')]") == [False, False]


async def test_a_scratch_directory_takes_the_place_of_tmp_in_memory(machine: JobMachine, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert await ask(machine, "writable('/tmp')", scratch_dir=scratch)
    assert (scratch / "probe").exists()


async def test_extra_files_are_shown_read_only(machine: JobMachine, tmp_path: Path) -> None:
    payload = tmp_path / "payload.json"
    payload.write_text("{}")
    extra = (Mount(source=payload, target="/run/payload.json"),)
    seen = await ask(
        machine, "[read('/run/payload.json'), os.access('/run/payload.json', os.W_OK)]", extra_mounts=extra
    )
    assert seen == ["{}", False]
