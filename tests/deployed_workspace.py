"""A workspace of a running daemon as a test sees it: deploy to it without the SDK, start jobs, wait for their end."""

import json
import sys
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.wire.admin_client import AdminClient
from runtime.wire.jobs import TriggerJobsRequest
from runtime.wire.manifests import DeployManifestRequest
from runtime.wire.member_client import MemberClient
from runtime.wire.run_details import DetailedRunResponse
from runtime.wire.runs import FINAL_RUN_STATUSES
from tests.factories import JOB_LAUNCHER, make_raw_definition
from tests.package_factory import package
from tests.processes import DaemonProcess, wait_for

SDK = "dlt==1.26.0"
WORKSPACES = Path(__file__).parent / "resources" / "workspaces"
PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def batch_job(module: str, function: str, **fields: Any) -> dict[str, Any]:
    """A definition as the SDK writes it for a decorated function; `fields` are further keys."""
    entry_point = {"module": module, "function": function, "job_type": "batch", "launcher": JOB_LAUNCHER}
    return make_raw_definition(f"jobs.{module}.{function}", **{"entry_point": entry_point, **fields})


def files_of(directory: Path) -> dict[str, bytes]:
    """The workspace's code, without its settings."""
    paths = (path for path in directory.rglob("*") if path.is_file())
    found = {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}
    return {name: content for name, content in found.items() if not name.startswith(".dlt/")}


class DeployedWorkspace:
    """One workspace of one daemon; `local_files` is where its jobs of the profile `prod` find `_local/prod`."""

    def __init__(self, daemon: DaemonProcess, workspace_id: UUID) -> None:
        self.daemon = daemon
        self.id = workspace_id
        self.local_files = daemon.state / "data" / str(workspace_id) / "prod" / "local"

    @classmethod
    def create(cls, daemon: DaemonProcess, name: str) -> "DeployedWorkspace":
        """A new, empty one."""
        me = daemon.client.me()
        return cls(daemon, daemon.client.create_workspace(me.primary_organization.id, name).id)

    def deploy(
        self,
        code: Mapping[str, bytes],
        *jobs: dict[str, Any],
        settings: Mapping[str, bytes] | None = None,
        requirements: tuple[str, ...] = (SDK,),
    ) -> None:
        """Code, settings and a manifest with exactly these jobs."""
        document = {
            "engine_version": 1,
            "python_version": PYTHON_VERSION,
            "default_groups": ["main"],
            "groups": {"main": list(requirements)},
            "launcher_requirements": {},
        }
        client = self.daemon.client
        client.upload_deployment(self.id, BytesIO(package(code)), json.dumps(document).encode(), _ignore)
        client.upload_configuration(self.id, BytesIO(package(settings or {"config.toml": b""})), _ignore)
        manifest = DeployManifestRequest(
            job_definition_engine_version=1,
            job_definition_hash="of no interest",
            jobs=list(jobs),
            deployment_module="__deployment__",
        )
        client.deploy_manifest(self.id, manifest)

    def viewer_token(self, email: str = "grocer@example.org") -> str:
        """A token of somebody who becomes a member of the workspace, may look, and so visits its apps."""
        connection = self.daemon.client.connection
        admin = AdminClient(connection)
        admin.add_user(email)
        MemberClient(connection, self.id).add(email, "viewer")
        return admin.create_token(email, str(self.id), 1).token

    def start(self, job_ref: str, *, profile: str | None = None) -> UUID:
        """Start a job, which must start; returns the run."""
        request = TriggerJobsRequest(job_refs=[job_ref], profile=profile)
        (started,) = self.daemon.client.trigger(self.id, request)
        assert started.run_id is not None, started.reason
        return started.run_id

    def run(self, run_id: UUID) -> DetailedRunResponse:
        """As it is now."""
        return self.daemon.client.run(self.id, run_id)

    def wait_for_end(self, run_id: UUID, seconds: float = 120.0) -> DetailedRunResponse:
        """The run, once it is final."""

        def ended() -> DetailedRunResponse | None:
            run = self.run(run_id)
            return run if run.status in FINAL_RUN_STATUSES else None

        return wait_for(ended, f"run {run_id} ends", seconds)

    def execute(self, job_ref: str, *, profile: str | None = None, seconds: float = 120.0) -> DetailedRunResponse:
        """Start a job and wait for its end."""
        return self.wait_for_end(self.start(job_ref, profile=profile), seconds)

    def lines(self, run_id: UUID, phase: str = "program") -> list[str]:
        """The lines of a run so far."""
        logs = self.daemon.client.logs(self.id, run_id).logs or []
        assert [line.line_num for line in logs] == list(range(len(logs))), "line numbers are dense (semantics S5)"
        return [line.content for line in logs if line.phase == phase]

    def wait_for_line(self, run_id: UUID, text: str, seconds: float = 120.0) -> None:
        """Return once the program has printed a line that holds `text`."""

        def printed() -> bool:
            lines = self.lines(run_id)
            if not any(text in line for line in lines) and (run := self.run(run_id)).status in FINAL_RUN_STATUSES:
                raise AssertionError(f"the run ended as {run.status}, {run.reason}, and printed {lines[-5:]}")
            return any(text in line for line in lines)

        wait_for(printed, f"run {run_id} prints `{text}`", seconds)


def _ignore(sent: int) -> None:
    """Nobody watches the progress."""
