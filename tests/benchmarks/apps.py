"""What an app costs that nobody uses, and how fast one is behind the real daemon, with a visit's cookie.

Both with a real daemon and real apps in their sandboxes.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import uvloop

from runtime.sandbox.identity import children_of
from runtime.sandbox.memory import processes_of
from runtime.sandbox.network import HolderRecord
from tests.benchmarks.figures import percentile, say
from tests.benchmarks.proxy import ROUNDS, ask
from tests.deployed_workspace import SDK, WORKSPACES, DeployedWorkspace, files_of
from tests.factories import make_raw_definition
from tests.processes import DaemonProcess, wait_for

SOURCE = WORKSPACES / "idle"
LAUNCHERS = "dlt._workspace.deployment.launchers"
IDLE = {"a server in a function": "plain", "marimo": "notebook", "Streamlit": "screen"}
REQUIREMENTS = (SDK, "marimo", "streamlit", "uvicorn")
_BUILD_SECONDS = 600.0
_COUNTED: tuple[str, ...] = ("Pss:", "SwapPss:")
_OWN: tuple[str, ...] = ("RssAnon:", "RssShmem:", "VmSwap:")


@contextmanager
def _workspace() -> Iterator[DeployedWorkspace]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        daemon = DaemonProcess(Path(folder), {"APPS__LISTEN": "127.0.0.1:0"}).start()
        try:
            workspace = DeployedWorkspace.create(daemon, "idle")
            definitions = [
                _app("kinds", "plain", "job"),
                _app("kinds", "quick", "job"),
                _app("notebook", None, "marimo"),
                _app("screen", None, "streamlit"),
            ]
            workspace.deploy(files_of(SOURCE), *definitions, requirements=REQUIREMENTS)
            yield workspace
        finally:
            daemon.close()


def _app(module: str, function: str | None, launcher: str) -> dict[str, object]:
    entry_point = {
        "module": module,
        "function": function,
        "job_type": "interactive",
        "launcher": f"{LAUNCHERS}.{launcher}",
    }
    return make_raw_definition(f"jobs.{function or module}", entry_point=entry_point, triggers=["http:"])


def _serve(workspace: DeployedWorkspace, name: str) -> UUID:
    run_id = workspace.start(f"jobs.{name}")

    def runs() -> bool:
        run = workspace.run(run_id)
        assert run.status not in ("failed", "completed", "cancelled"), run.reason
        return run.status == "running"

    wait_for(runs, f"{name} answers", _BUILD_SECONDS)
    return run_id


def idle_app() -> None:
    """Memory of an app that has answered once and is left alone: the app itself, and what the runtime adds to it."""
    with _workspace() as workspace:
        for label, name in IDLE.items():
            run_id = _serve(workspace, name)
            parts = _parts(workspace.daemon, run_id)
            memory = {part: sum(map(_memory, pids)) / 1024 / 1024 for part, pids in parts.items()}
            shares = ", ".join(f"{part} {mebibytes:.1f}" for part, mebibytes in memory.items())
            say(f"an idle app, {label}", f"{sum(memory.values()):.0f} MiB", shares)
            workspace.daemon.client.cancel_run(workspace.id, run_id)
            workspace.wait_for_end(run_id)


def _parts(daemon: DaemonProcess, run_id: UUID) -> dict[str, list[int]]:
    """The processes of an app: its own, those of its sandbox, and those of its network."""
    record = HolderRecord.model_validate_json((daemon.state / "network" / f"{run_id}.json").read_bytes())
    sandbox = processes_of(next(_processes(f"{daemon.state}/runs/{run_id}")))
    return {
        "app": [pid for pid in sandbox if _name(pid) != "bwrap"],
        "bubblewrap": [pid for pid in sandbox if _name(pid) == "bwrap"],
        "network": [record.relay.pid, record.sleeper.pid],
        "door": [pid for pid in children_of(daemon.pid) if "/sandbox/door.py" in _words(pid)],
    }


def _processes(word: str) -> Iterator[int]:
    """The outermost processes of bubblewrap that were given this word."""
    for directory in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        pid = int(directory.name)
        if word in _words(pid) and _name(pid) == "bwrap":
            yield pid


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _memory(pid: int) -> int:
    """Bytes, what is shared by several processes in equal parts; of what the kernel hides, what is its own alone."""
    try:
        lines, counted = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines(), _COUNTED
    except PermissionError:
        lines, counted = Path(f"/proc/{pid}/status").read_text().splitlines(), _OWN
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(counted))


def proxy_of_the_daemon() -> None:
    """Requests per second through the daemon to a real app, by a visitor with a cookie that is looked up each time."""
    with _workspace() as workspace:
        _serve(workspace, "quick")
        link = workspace.daemon.client.publish(workspace.id, "jobs.quick").public_url
        assert link is not None
        with httpx.Client(headers={"Accept": "text/html"}, follow_redirects=True, trust_env=False) as browser:
            shown = browser.get(link)
            assert shown.status_code == 200, shown.text
            cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        address = urlsplit(str(shown.url))
        waits: list[float] = []
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rates = [
                runner.run(ask(address.port or 80, address.path.rstrip("/"), waits, cookie)) for _ in range(ROUNDS)
            ]
    say("requests through the daemon, a real app", f"{max(rates):.0f}/s", f"p99 {percentile(waits, 99) * 1000:.1f} ms")
