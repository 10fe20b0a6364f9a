"""The HTTP application in the test's own event loop, and services that answer from memory.

Litestar's test client runs the application in another loop, where locks and queues of the test's do not work; httpx
calls it here.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
from litestar import Litestar
from litestar.types import Receive, Scope, Send

from runtime.api.access import PEER_KEY
from runtime.auth.codes import normalise_user_code
from runtime.auth.peers import Peer
from runtime.dispatch.accounts import Session, StartedLogin
from runtime.dispatch.approvals import WaitingLogin
from runtime.dispatch.hooks import CreatedHook, HookView
from runtime.dispatch.intervals import Backfilled, IntervalsView
from runtime.dispatch.jobs import JobView, Triggered, TriggerInput
from runtime.dispatch.keys import Rotation
from runtime.dispatch.manifests import Deployed, ManifestInput
from runtime.dispatch.runs import Cancelled, RunView
from runtime.dispatch.schedules import ScheduleView
from runtime.dispatch.services import Services
from runtime.dispatch.signing_in import SignedIn, Visitor
from runtime.dispatch.starting import Started
from runtime.domain.identities import Organization, Principal, Role, User, Workspace
from runtime.domain.interval_store import IntervalSpan
from runtime.domain.intervals import declared_interval
from runtime.domain.logs import LogLine
from runtime.domain.packages import Configuration, Deployment, PackageFile
from runtime.domain.reconcile import Plan
from runtime.domain.runs import Run
from runtime.domain.schedules import parse_override
from runtime.domain.starting import Skip
from runtime.errors import NotFoundError, RefusedError, UnauthenticatedError
from runtime.settings import LimitSettings, Settings
from runtime.store.hooks import HookToken
from runtime.store.logs import MOST_LINES
from runtime.store.paging import Page
from runtime.store.runs import RunFilter
from runtime.store.schedules import Schedule
from runtime.store.workspaces import Counts
from tests.factories import (
    NOW,
    make_configuration,
    make_definition,
    make_deployment,
    make_file,
    make_job,
    make_run,
    make_user,
)
from tests.insight_fakes import FakeFeed, FakeHealth, FakeMembers, FakePublishing, FakeStatistics, FakeSummaries
from tests.shared_app import app_of_a_test

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

    async def start_login(self, address: str | None = None, client: str | None = None) -> StartedLogin:
        return StartedLogin("device-secret", "BCDF-2345", 2)

    async def knows_device_code(self, device_code: str) -> bool:
        return device_code == "device-secret"

    async def knows_refresh_token(self, refresh_token: str) -> bool:
        return refresh_token.startswith("refresh-secret")

    async def finish_login(self, device_code: str) -> Session:
        if device_code != "device-secret":
            raise RefusedError("this login waits for its approval", code="authorization_pending")
        return Session(OWNER.user, "an.access.token", "refresh-secret")

    async def refresh(self, refresh_token: str) -> Session:
        return Session(OWNER.user, "another.access.token", f"{refresh_token}-2")

    async def logout(self, refresh_token: str, *, everywhere: bool = False) -> None:
        """Nothing to end."""


SESSION = "5e" * 32
"""The secret of a browser that the owner is signed in with."""


class FakeSignIn:
    """The owner, with a password."""

    async def set_password(self, principal: Principal, email: str, password: str) -> User:
        return OWNER.user

    async def change_password(self, principal: Principal, old: str, new: str, visitor: Visitor) -> None:
        """It was the right one."""

    async def with_password(self, email: str, password: str, visitor: Visitor) -> SignedIn:
        if password != "correct horse battery":
            raise UnauthenticatedError("email and password do not fit", code="sign_in")
        return SignedIn(OWNER.user, SESSION, "b0" * 32)

    async def knows_browser(self, browser_secret: str) -> bool:
        return browser_secret == "b0" * 32

    async def current(self, session_secret: str | None) -> User | None:
        return OWNER.user if session_secret == SESSION else None

    async def sign_out(self, session_secret: str) -> None:
        """Nothing to end."""


class FakeApprovals:
    """One login that waits; remembers what was decided."""

    def __init__(self) -> None:
        self.decided: list[tuple[str, str]] = []

    async def look(self, user: User, user_code: str) -> WaitingLogin:
        if normalise_user_code(user_code) != "BCDF-2345":
            raise NotFoundError("no login is waiting with this code")
        return WaitingLogin("BCDF-2345", 42.0, "192.0.2.7", "<script>alert(1)</script>")

    async def approve(self, user: User, user_code: str) -> None:
        self.decided.append(("approve", user_code))

    async def deny(self, user: User, user_code: str) -> None:
        self.decided.append(("deny", user_code))


class FakeWorkspaces:
    """One workspace with an owner and a viewer."""

    def organization_role(self, principal: Principal) -> str:
        return "owner" if principal.is_admin else "member"

    async def organization(self) -> Organization:
        return ORGANIZATION

    async def update_organization(self, principal: Principal, changes: Mapping[str, str | None]) -> Organization:
        return ORGANIZATION.model_copy(update=dict(changes))

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

    async def update(self, principal: Principal, workspace_id: UUID, changes: Mapping[str, str | None]) -> Workspace:
        return WORKSPACE.model_copy(update=dict(changes))

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
        self,
        principal: Principal,
        workspace_id: UUID,
        job_or_secret: str,
        trigger: str,
        request: TriggerInput,
        *,
        when_not_running: bool = False,
    ) -> Triggered:
        self.asked.append(request)
        if when_not_running and not self.run.is_final:
            return Triggered(self.job, self.run.trigger, (trigger,), "triggered", self.run)
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

    async def logs(self, run_id: UUID) -> AsyncIterator[Sequence[LogLine]]:
        return (batch async for batch in self.follow(run_id))

    async def follow(
        self, run_id: UUID, from_line: int = 0, reader: Principal | None = None
    ) -> AsyncIterator[Sequence[LogLine]]:
        for place in range(0, len(self.lines), MOST_LINES):
            yield self.lines[place : place + MOST_LINES]


class FakeSchedules:
    """One paused schedule, and a graph of one job."""

    async def get(self, workspace_id: UUID, id_or_ref: str) -> ScheduleView:
        return ScheduleView(JOB, Schedule(paused_at=NOW, override="every:5m"), "paused", (NOW,), False, "it is paused")

    async def pause(self, principal: Principal, workspace_id: UUID, id_or_ref: str) -> ScheduleView:
        return await self.get(workspace_id, id_or_ref)

    resume = revert = pause

    async def override(self, principal: Principal, workspace_id: UUID, id_or_ref: str, trigger: str) -> ScheduleView:
        parse_override(trigger)
        return await self.get(workspace_id, id_or_ref)

    async def graph(self, workspace_id: UUID, form: str) -> str:
        return f"{form}: {JOB.job_ref}"


class FakeIntervals:
    """An interval that is done, and backfills that start nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[datetime, datetime | None, int | None]] = []

    async def spans(self, workspace_id: UUID, id_or_ref: str) -> IntervalsView:
        definition = make_definition(triggers=["every:1h"], interval={"start": "2026-03-01"})
        interval = declared_interval(definition)
        assert interval is not None
        return IntervalsView(JOB, interval, (IntervalSpan(state="done", start=interval.start, end=NOW),))

    async def backfill(
        self,
        principal: Principal,
        workspace_id: UUID,
        id_or_ref: str,
        start: datetime,
        end: datetime | None,
        parallel: int | None,
    ) -> Backfilled:
        self.asked.append((start, end, parallel))
        return Backfilled(JOB, (start, end or NOW), (make_run(JOB),))


class FakeHooks:
    """One hook, `orders/new` of the workspace, which the token `open sesame` opens; remembers its calls."""

    SECRET = "open-sesame"

    def __init__(self, skip: Skip | None = None) -> None:
        self.calls: list[tuple[list[tuple[str, str]], bytes]] = []
        self.skip = skip
        token = HookToken(id=UUID(int=9), job_id=JOB.id, digest=b"", created_by=OWNER.user.id, created_at=NOW)
        self.view = HookView(JOB, token, ("orders/new",))

    async def create(self, principal: Principal, workspace_id: UUID, id_or_ref: str) -> CreatedHook:
        return CreatedHook(self.view, self.SECRET)

    async def list(self, workspace_id: UUID, id_or_ref: str) -> Sequence[HookView]:
        return [self.view]

    async def revoke(self, principal: Principal, workspace_id: UUID, id_or_ref: str, token_id: UUID) -> None:
        """Nothing to end."""

    async def authenticate(self, workspace: str, path: str, secret: str) -> None:
        if (workspace, path.strip("/"), secret) != (WORKSPACE.name, "orders/new", self.SECRET):
            raise UnauthenticatedError("no hook opens with this token here")

    async def call(
        self, workspace: str, path: str, secret: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> Started:
        self.calls.append(([*headers], body))
        return Started(JOB, None if self.skip else make_run(JOB), self.skip)


class FakeKeys:
    """A key that is always new."""

    async def rotate(self, principal: Principal) -> Rotation:
        return Rotation("0123456789abcdef", 2, 1)


def fake_services(**changes: Any) -> Services:
    """Services that answer from memory; `changes` replaces some of them."""
    jobs = FakeJobs()
    fakes = {
        "accounts": FakeAccounts(),
        "sign_in": FakeSignIn(),
        "approvals": FakeApprovals(),
        "workspaces": FakeWorkspaces(),
        "deployments": FakeDeployments(),
        "configurations": FakeConfigurations(),
        "manifests": FakeManifests(),
        "jobs": jobs,
        "apps": None,
        "visits": None,
        "runs": FakeRuns(jobs),
        "log_pages": None,
        "schedules": FakeSchedules(),
        "intervals": FakeIntervals(),
        "hooks": FakeHooks(),
        "keys": FakeKeys(),
        "members": FakeMembers(),
        "publishing": FakePublishing(),
        "summaries": FakeSummaries(),
        "insight": None,
        "statistics": FakeStatistics(),
        "feed": FakeFeed(),
        "health": FakeHealth(),
        "operations": None,
        "code_files": None,
        "redeployment": None,
        "machine": None,
        "environments": None,
    }
    return Services(**cast("dict[str, Any]", {**fakes, **changes}))


def make_app(tmp_path: Path, services: Services | None = None, **limits: int) -> Litestar:
    """The application over fakes, with its state below `tmp_path`."""
    settings = Settings(state_dir=tmp_path, socket=tmp_path / "api.sock", limits=LimitSettings(**limits))
    return app_of_a_test(services or fake_services(), settings)


def client_for(
    app: Litestar, *, token: str | None = None, peer: Peer | None = None, address: str = "127.0.0.1"
) -> httpx.AsyncClient:
    """A client that comes with an access token, or through the Unix socket as `peer`, or as nobody."""

    async def with_peer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {PEER_KEY: peer} if peer else {}
        await app(scope, receive, send)

    transport = httpx.ASGITransport(app=cast("Any", with_peer), raise_app_exceptions=False, client=(address, 123))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=transport, base_url="http://runtime.test", headers=headers)
