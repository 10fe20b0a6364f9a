"""The HTTP application in the test's own event loop, and services that answer from memory.

Litestar's test client runs the application in another loop, where locks and queues of the test's do not work; httpx
calls it here.
"""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
from litestar import Litestar
from litestar.types import Receive, Scope, Send

from runtime.api.access import PEER_KEY
from runtime.api.app import create_app
from runtime.auth.peers import Peer
from runtime.dispatch.accounts import Session, StartedLogin
from runtime.dispatch.jobs import JobView, Triggered, TriggerInput
from runtime.dispatch.manifests import Deployed, ManifestInput
from runtime.dispatch.runs import Cancelled, RunView
from runtime.dispatch.services import Services
from runtime.domain.identities import Organization, Principal, Role, Workspace
from runtime.domain.logs import LogLine
from runtime.domain.packages import Configuration, Deployment, PackageFile
from runtime.domain.reconcile import Plan
from runtime.domain.runs import Run
from runtime.errors import NotFoundError, RefusedError, UnauthenticatedError
from runtime.settings import LimitSettings, Settings
from runtime.store.paging import Page
from runtime.store.runs import RunFilter
from runtime.store.workspaces import Counts
from tests.factories import NOW, make_configuration, make_deployment, make_file, make_job, make_run, make_user

WORKSPACE = Workspace(id=UUID(int=1), name="fruitshop", description=None, created_at=NOW, updated_at=NOW)
ORGANIZATION = Organization(id=UUID(int=2), name="default", description=None, created_at=NOW, updated_at=NOW)
ROOT = Peer(pid=1, uid=0, gid=0)
STRANGER = Peer(pid=2, uid=4242, gid=4242)
OWNER = Principal(user=make_user("owner@example.org"))
VIEWER = Principal(user=make_user("viewer@example.org"))
OUTSIDER = Principal(user=make_user("outsider@example.org"))
ADMIN = Principal(user=make_user("root@localhost", local_uid=0), is_admin=True)
TOKENS = {"owner": OWNER, "viewer": VIEWER, "outsider": OUTSIDER}


class FakeAccounts:
    """Knows the tokens of `TOKENS`, and root."""

    async def authenticate(self, token_text: str) -> Principal:
        if token_text not in TOKENS:
            raise UnauthenticatedError("the access token is not valid")
        return TOKENS[token_text]

    async def local_principal(self, peer: Peer) -> Principal:
        if peer != ROOT:
            raise RefusedError("the account does not administer this runtime")
        return ADMIN

    async def start_login(self) -> StartedLogin:
        return StartedLogin("device-secret", "BCDF-2345", 2)

    async def finish_login(self, device_code: str) -> Session:
        if device_code != "device-secret":
            raise RefusedError("this login waits for its approval", code="authorization_pending")
        return Session(OWNER.user, "an.access.token", "refresh-secret")

    async def refresh(self, refresh_token: str) -> Session:
        return Session(OWNER.user, "another.access.token", f"{refresh_token}-2")

    async def logout(self, refresh_token: str, *, everywhere: bool = False) -> None:
        """Nothing to end."""


class FakeWorkspaces:
    """One workspace with an owner and a viewer."""

    def organization_role(self, principal: Principal) -> str:
        return "owner" if principal.is_admin else "member"

    async def organization(self) -> Organization:
        return ORGANIZATION

    async def update_organization(
        self, principal: Principal, *, name: str | None, description: str | None
    ) -> Organization:
        return ORGANIZATION.model_copy(update={"name": name, "description": description})

    async def role(self, principal: Principal, workspace_id: UUID) -> Role | None:
        if workspace_id != WORKSPACE.id:
            return None
        if principal.is_admin or principal == OWNER:
            return "owner"
        return "viewer" if principal == VIEWER else None

    async def visible(self, principal: Principal) -> list[tuple[Workspace, Role]]:
        role = await self.role(principal, WORKSPACE.id)
        return [(WORKSPACE, role)] if role else []

    async def home(self, principal: Principal) -> list[tuple[Workspace, Role]]:
        return await self.visible(principal)

    async def get(self, workspace_id: UUID) -> Workspace:
        return WORKSPACE

    async def create(self, principal: Principal, name: str, description: str | None) -> Workspace:
        return WORKSPACE.model_copy(update={"name": name, "description": description})

    async def update(
        self, principal: Principal, workspace_id: UUID, *, name: str | None, description: str | None
    ) -> Workspace:
        return WORKSPACE.model_copy(update={"name": name or WORKSPACE.name, "description": description})

    async def counts(self) -> Counts:
        return Counts(users=1, workspaces=1, jobs=1, active_runs=0)


class FakeDeployments:
    """Remembers what was uploaded."""

    def __init__(self) -> None:
        self.latest_deployment: Deployment | None = make_deployment(workspace_id=WORKSPACE.id)
        self.uploads: list[tuple[bytes, bytes]] = []
        self.archives: list[Path] = []

    async def upload(self, principal: Principal, workspace_id: UUID, archive: Path, requirements: bytes) -> Deployment:
        self.uploads.append((archive.read_bytes(), requirements))
        self.archives.append(archive)
        return make_deployment(workspace_id=workspace_id, created_by=principal.user.id)

    async def latest(self, workspace_id: UUID) -> Deployment:
        if self.latest_deployment is None:
            raise NotFoundError("nothing has been deployed yet")
        return self.latest_deployment

    async def get(self, workspace_id: UUID, id_or_version: str) -> Deployment:
        return await self.latest(workspace_id)

    async def list(self, workspace_id: UUID, limit: int, offset: int) -> Page[Deployment]:
        return Page([await self.latest(workspace_id)], 1)

    async def files(self, workspace_id: UUID, which: str) -> Sequence[PackageFile]:
        link = make_file("link.py", b"", sha3_256=make_file().sha3_256, size_bytes=0, linkname="shop.py")
        return [link, make_file()]


class FakeConfigurations:
    """One configuration with two profiles."""

    async def upload(self, principal: Principal, workspace_id: UUID, archive: Path) -> Configuration:
        return make_configuration(workspace_id=workspace_id)

    async def latest(self, workspace_id: UUID) -> Configuration:
        return make_configuration(workspace_id=workspace_id, profiles=("access", "prod"))

    async def get(self, workspace_id: UUID, id_or_version: str) -> Configuration:
        return await self.latest(workspace_id)

    async def list(self, workspace_id: UUID, limit: int, offset: int) -> Page[Configuration]:
        return Page([await self.latest(workspace_id)], 1)

    async def files(self, workspace_id: UUID, which: str) -> Sequence[PackageFile]:
        return [make_file("prod.config.toml")]


class FakeManifests:
    """Adds nothing but remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[ManifestInput, bool]] = []

    async def deploy(
        self, principal: Principal, workspace_id: UUID, manifest: ManifestInput, *, dry_run: bool
    ) -> Deployed:
        self.asked.append((manifest, dry_run))
        return Deployed(Plan(unchanged=(JOB.job_ref,), warnings=("mind the gap",)), {JOB.job_ref: JOB})


JOB = make_job(id=UUID(int=3), workspace_id=WORKSPACE.id)


class FakeJobs:
    """One batch job, which starts whenever it is triggered."""

    def __init__(self) -> None:
        self.job = JOB
        self.run = make_run(JOB, status="completed", started_at=NOW, ended_at=NOW)
        self.asked: list[TriggerInput] = []

    async def list(
        self, workspace_id: UUID, job_type: str | None, archived: bool | None, limit: int, offset: int
    ) -> Page[JobView]:
        return Page([await self.get(workspace_id, self.job.job_ref)], 1)

    async def get(self, workspace_id: UUID, id_or_ref: str) -> JobView:
        if id_or_ref not in (self.job.job_ref, str(self.job.id)):
            raise NotFoundError(f"there is no job `{id_or_ref}` in this workspace")
        return JobView(self.job, "prod", self.run)

    async def versions(self, workspace_id: UUID, id_or_ref: str, limit: int, offset: int) -> Page[Any]:
        return Page([self.job.version], 1)

    async def version(self, workspace_id: UUID, id_or_ref: str, which: str) -> Any:
        return self.job.version

    async def archive(self, principal: Principal, workspace_id: UUID, id_or_ref: str) -> JobView:
        return JobView(self.job.model_copy(update={"archived_at": NOW}), "prod", None)

    async def unarchive(self, principal: Principal, workspace_id: UUID, id_or_ref: str) -> JobView:
        return JobView(self.job, "prod", None)

    async def trigger(self, principal: Principal, workspace_id: UUID, wanted: TriggerInput) -> Sequence[Triggered]:
        self.asked.append(wanted)
        trigger = f"manual:{self.job.job_ref}"
        return [Triggered(self.job, trigger, (trigger,), "triggered", self.run)]

    async def start(
        self, principal: Principal, workspace_id: UUID, id_or_ref: str, trigger: str, request: TriggerInput
    ) -> Triggered:
        self.asked.append(request)
        return Triggered(self.job, trigger, (trigger,), "skipped_concurrency_limit", reason="1 run is active")


class FakeRuns:
    """The run of `FakeJobs`, with the log lines it is given."""

    def __init__(self, jobs: FakeJobs) -> None:
        self._jobs = jobs
        self.lines: list[LogLine] = []
        self.asked: list[RunFilter] = []

    def _view(self) -> RunView:
        return RunView(self._jobs.run, self._jobs.job, self._jobs.job.version)

    async def list(self, workspace_id: UUID, wanted: RunFilter, limit: int, offset: int) -> Page[RunView]:
        self.asked.append(wanted)
        return Page([self._view()], 1)

    async def get(self, workspace_id: UUID, run_id: UUID) -> RunView:
        if run_id != self._jobs.run.id:
            raise NotFoundError(f"there is no run `{run_id}` in this workspace")
        return self._view()

    async def latest(self, workspace_id: UUID, job_id: UUID | None) -> RunView:
        return self._view()

    async def cancel(self, principal: Principal, workspace_id: UUID, run_id: UUID) -> RunView:
        return self._view()

    async def cancel_jobs(
        self, principal: Principal, workspace_id: UUID, job_refs: Sequence[str], *, dry_run: bool
    ) -> Cancelled:
        before: Run = self._jobs.run.model_copy(update={"status": "running"})
        return Cancelled([before], ["jobs.shop.other"])

    async def logs(self, run_id: UUID, from_line: int = 0) -> Sequence[LogLine]:
        return self.lines

    async def follow(self, run_id: UUID, from_line: int = 0) -> AsyncIterator[Sequence[LogLine]]:
        if self.lines:
            yield self.lines


def fake_services(**changes: Any) -> Services:
    """Services that answer from memory; `changes` replaces some of them."""
    jobs = FakeJobs()
    fakes = {
        "accounts": FakeAccounts(),
        "workspaces": FakeWorkspaces(),
        "deployments": FakeDeployments(),
        "configurations": FakeConfigurations(),
        "manifests": FakeManifests(),
        "jobs": jobs,
        "runs": FakeRuns(jobs),
    }
    return Services(**cast("dict[str, Any]", {**fakes, **changes}))


def make_app(tmp_path: Path, services: Services | None = None, **limits: int) -> Litestar:
    """The application over fakes, with its state below `tmp_path`."""
    settings = Settings(state_dir=tmp_path, socket=tmp_path / "api.sock", limits=LimitSettings(**limits))
    return create_app(services or fake_services(), settings)


def client_for(app: Litestar, *, token: str | None = None, peer: Peer | None = None) -> httpx.AsyncClient:
    """A client that comes with an access token, or through the Unix socket as `peer`, or as nobody."""

    async def with_peer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {PEER_KEY: peer} if peer else {}
        await app(scope, receive, send)

    transport = httpx.ASGITransport(app=cast("Any", with_peer), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=transport, base_url="http://runtime.test", headers=headers)
