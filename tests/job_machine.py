"""A runner with everything a run needs around it, for tests that run jobs for real."""

import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from runtime.runner.launch import KeptData, Launch, LiveProcess, ReleaseOrder
from runtime.runner.runner import PreparedRun, Runner
from runtime.sandbox.network import NetworkHolders

LAUNCHERS = "dlt._workspace.deployment.launchers"


@dataclass
class JobMachine:
    """Runs the files it is given as jobs, in the machine's own network.

    `state` is the daemon's state directory, `venv` a virtualenv with dlt.
    """

    state: Path
    venv: Path
    runner: Runner
    workspace_id: UUID

    @classmethod
    def on(cls, state: Path, venv: Path, workspace_id: UUID | None = None) -> "JobMachine":
        return cls(state, venv, Runner(state, NetworkHolders(state, "host")), workspace_id or uuid4())

    def launch(self, files: dict[str, str], *, launcher: str = "module", **changes: Any) -> Launch:
        """A launch of a new run whose working copy holds `files`."""
        run_id = uuid4()
        working_copy = self.state / "runs" / str(run_id) / "workspace"
        persistent = self.state / "data" / "var", self.state / "data" / "local"
        for directory in (working_copy / ".dlt", *persistent):
            directory.mkdir(parents=True, exist_ok=True)
        (working_copy / ".dlt" / ".workspace").touch()
        for name, text in files.items():
            (working_copy / name).parent.mkdir(parents=True, exist_ok=True)
            (working_copy / name).write_text(text)
        launch = Launch(
            run_id=run_id,
            workspace_id=self.workspace_id,
            environment=self.venv,
            base_prefix=Path(sys.base_prefix),
            working_copy=working_copy,
            data=KeptData(var=persistent[0], local=persistent[1]),
            profile="prod",
            launcher=f"{LAUNCHERS}.{launcher}",
            variables={"RUNTIME__DLTHUB_TELEMETRY": "false"},
        )
        return launch.model_copy(update=changes)

    async def start(self, launch: Launch, **entry_point: Any) -> LiveProcess:
        """Prepare and release; the module is `job.py` unless said otherwise."""
        return await self.release(await self.runner.prepare(launch), launch, **entry_point)

    async def release(self, prepared: PreparedRun, launch: Launch, **entry_point: Any) -> LiveProcess:
        order = {"module": "job", "function": None, "job_type": "batch", "launcher": launch.launcher, **entry_point}
        return await self.runner.release(
            prepared, ReleaseOrder(run_id=launch.run_id, trigger="manual:jobs.job", entry_point=order)
        )

    async def run(
        self, files: dict[str, str], *, launcher: str = "module", **entry_point: Any
    ) -> tuple[int | None, str]:
        """Run to the end: the exit code and everything the job wrote."""
        launch = self.launch(files, launcher=launcher)
        code = await self.runner.wait(await self.start(launch, **entry_point))
        return code, self.log(launch.run_id)

    async def run_script(self, script: str) -> tuple[int | None, str]:
        """Run a plain script to the end."""
        return await self.run({"job.py": script})

    def log(self, run_id: UUID) -> str:
        return self.runner.log_file(run_id).read_text()

    def end_all(self) -> None:
        """Whatever a failed test has left running: sandboxes that show something of this machine's state."""
        for status in self.runner.live_dir.glob("*.status"):
            for pid in re.findall(r'"child-pid": (\d+)', status.read_text()):
                if str(self.state) in command_line(int(pid)):
                    os.kill(int(pid), signal.SIGKILL)


def command_line(pid: int) -> str:
    """Empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
