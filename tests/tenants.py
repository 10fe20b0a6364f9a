"""The application over a real store in which several tenants live, each with one of everything there is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar import Litestar

from runtime.api.app import create_app
from runtime.auth.passwords import Passwords
from runtime.auth.tokens import AccessToken, TokenSigner
from runtime.dispatch.accounts import AccountService
from runtime.dispatch.app_usage import RunningApps
from runtime.dispatch.approvals import ApprovalService
from runtime.dispatch.apps import AppService
from runtime.dispatch.backup import BackupService
from runtime.dispatch.code_files import CodeFiles
from runtime.dispatch.configurations import ConfigurationService
from runtime.dispatch.deployments import DeploymentService
from runtime.dispatch.health import HealthService
from runtime.dispatch.keys import KeyService
from runtime.dispatch.log_pages import LogPages
from runtime.dispatch.log_writer import LogWriter
from runtime.dispatch.machine import MachineService
from runtime.dispatch.notifications import Notifier
from runtime.dispatch.operations import Examine, Operations
from runtime.dispatch.run_environments import RunEnvironments
from runtime.dispatch.services import Services
from runtime.dispatch.signing_in import SignInService
from runtime.dispatch.soundness import Soundness
from runtime.dispatch.space import Space
from runtime.dispatch.visits import VisitService
from runtime.dispatch.workspaces import WorkspaceService
from runtime.doctor import examine
from runtime.domain.identities import Principal, User
from runtime.domain.pipelines import Load, PipelineReport
from runtime.packages.key_files import SealingKeyFiles
from runtime.sandbox.memory import total_memory
from runtime.settings import Settings
from runtime.store import identities, logs, members, workspaces
from tests.api_client import ROOT, client_for
from tests.factories import NOW, make_raw_definition, make_user, make_workspace
from tests.house import House


@dataclass(frozen=True)
class Tenant:
    """A workspace with an owner and a viewer, and the identifiers of what is in it.

    `ids` are values for the parameters of paths; `marks` are texts that nobody outside may ever read.
    """

    owner: User
    viewer: User
    workspace_id: UUID
    token: str
    viewer_token: str
    machine_token: str
    hook_secret: str
    ids: Mapping[str, str]
    marks: frozenset[str]


@dataclass
class Estate:
    """The application and its tenants."""

    house: House
    services: Services
    settings: Settings
    signer: TokenSigner
    app: Litestar
    tenants: dict[str, Tenant] = field(default_factory=dict)

    def client(
        self, token: str | None = None, *, is_admin: bool = False, address: str = "127.0.0.1"
    ) -> httpx.AsyncClient:
        """A client that comes with a token, through the socket as root, or as nobody."""
        return client_for(self.app, token=token, peer=ROOT if is_admin else None, address=address)

    def token_for(self, user: User) -> str:
        """An access token, as a login leaves it."""
        return self.signer.sign(
            AccessToken(
                id=uuid4(),
                kind="session",
                user_id=user.id,
                email=user.email,
                issued_at=NOW,
                expires_at=NOW + timedelta(days=36500),
            )
        )


async def build_estate(
    house: House,
    folder: Path,
    *,
    checks: Examine | None = None,
    machine: MachineService | None = None,
    **changes: Any,
) -> Estate:
    """The application over a house; `changes` are settings, the others stand for what this machine would say."""
    database, clock = house.database, house.clock
    settings = Settings(state_dir=folder, socket=folder / "api.sock", **changes)
    signer = TokenSigner(Ed25519PrivateKey.generate())
    key_files = SealingKeyFiles(folder / "sealing.key", "sealing.key")
    key_files.load()
    accounts = AccountService(database, signer, settings.auth, clock)
    space = Space(house.folder, 0)
    (folder / "tmp").mkdir(exist_ok=True)
    operations = Operations(
        backups=BackupService(database, folder, "0", space, clock),
        notifier=Notifier(database, house.changes, settings.notify, settings.base_url, clock),
        examine=checks or partial(examine, settings),
    )
    services = Services(
        accounts=accounts,
        sign_in=SignInService(database, settings.auth, Passwords(), clock),
        approvals=ApprovalService(database, clock),
        workspaces=WorkspaceService(database, clock),
        deployments=DeploymentService(database, house.folder / "scratch", settings.limits, clock),
        code_files=CodeFiles(database),
        redeployment=house.redeployment,
        configurations=ConfigurationService(database, house.folder / "scratch", settings.limits, house.sealer, clock),
        manifests=house.manifests,
        jobs=house.jobs,
        apps=AppService(database, house.changes, RunningApps(clock), LogWriter(database, house.changes, clock), clock),
        visits=VisitService(database, house.changes, accounts, settings.auth, clock),
        runs=house.runs,
        log_pages=LogPages(database),
        environments=RunEnvironments(database),
        schedules=house.schedules,
        intervals=house.intervals,
        hooks=house.hooks,
        keys=KeyService(database, house.sealer, key_files, clock),
        members=house.members,
        publishing=house.publishing,
        summaries=house.summaries,
        insight=house.insight,
        statistics=house.statistics,
        feed=house.feed,
        health=HealthService(database, space, Soundness(database)),
        machine=machine or MachineService(space, settings.machine_sizes(total_memory())),
        operations=operations,
    )
    return Estate(house, services, settings, signer, create_app(services, settings))


async def add_tenant(estate: Estate, name: str) -> Tenant:
    """A tenant with one of everything; what is theirs carries their name."""
    owner, viewer = make_user(f"{name}@example.org"), make_user(f"viewer-{name}@example.org")
    workspace = make_workspace(f"workspace-{name}", description=f"description-{name}")
    async with estate.house.database.transaction() as connection:
        await identities.add_user(connection, owner)
        await identities.add_user(connection, viewer)
        await workspaces.add_workspace(connection, workspace)
        await members.save_member(connection, workspace.id, owner.id, "owner", NOW)
        await members.save_member(connection, workspace.id, viewer.id, "viewer", NOW)
    estate.tenants[name] = await _Move(estate, Principal(user=owner), workspace.id, name).in_(owner, viewer)
    return estate.tenants[name]


class _Move:
    """Fills a workspace through the services, as its owner would."""

    def __init__(self, estate: Estate, principal: Principal, workspace_id: UUID, name: str) -> None:
        self._estate = estate
        self._services = estate.services
        self._principal = principal
        self._workspace_id = workspace_id
        self._name = name
        self._house = as_tenant(estate.house, principal, workspace_id)

    async def in_(self, owner: User, viewer: User) -> Tenant:
        """Deploy, run, publish, hook."""
        name, workspace_id = self._name, self._workspace_id
        job_ref, app_ref = f"jobs.{name}.load", f"jobs.{name}.app"
        await self._house.upload_code({f"{name}.py": f"print('{name}')\n".encode()})
        await self._house.upload_settings({"config.toml": b"", f"{name}.secrets.toml": f"t = '{name}'\n".encode()})
        await self._house.deploy(*_definitions(name))
        run = await self._house.launch(job_ref)
        async with self._house.database.transaction() as connection:
            await logs.append_lines(connection, run.id, "program", NOW, [f"line of {name}", "another"])
        run = await self._house.end(run, "failed", reason=f"reason of {name}", exit_code=1)
        async with self._house.database.transaction() as connection:
            await self._services.insight.save(connection, run, [_report(name)])
        await self._services.publishing.publish(self._principal, workspace_id, app_ref)
        hook = await self._services.hooks.create(self._principal, workspace_id, job_ref)
        machine, machine_text = await self._services.accounts.create_machine_token(
            self._principal, owner.email, str(workspace_id), 30
        )
        job, app = [await self._services.jobs.get(workspace_id, ref) for ref in (job_ref, app_ref)]
        deployment = await self._services.deployments.latest(workspace_id)
        configuration = await self._services.configurations.latest(workspace_id)
        organization = await self._services.workspaces.organization()
        ids = {
            "workspace_id": workspace_id,
            "workspace": workspace_id,
            "organization_id": organization.id,
            "user_id": viewer.id,
            "pipeline_name": f"pipeline_{name}",
            "run_id": run.id,
            "job_run_id": run.id,
            "name": run.id,
            "script_id_or_ref": job.job.id,
            "script_version_id_or_version": job.job.version.id,
            "deployment_id_or_version": deployment.id,
            "configuration_id_or_version": configuration.id,
            "hook_id": hook.hook.token.id,
            "hook_path": f"hook-{name}",
            "target": f"target-{name}",
            "token_id": machine.id,
        }
        secrets = {owner.id, app.public_secret, app.job.id, job.job.version.id} | set(ids.values())
        marks = {name, deployment.content_hash} | {str(one) for one in secrets if one != organization.id}
        return Tenant(
            owner=owner,
            viewer=viewer,
            workspace_id=workspace_id,
            token=self._estate.token_for(owner),
            viewer_token=self._estate.token_for(viewer),
            machine_token=machine_text,
            hook_secret=hook.secret,
            ids={key: str(value) for key, value in ids.items()},
            marks=frozenset(marks),
        )


def _report(name: str) -> PipelineReport:
    load = Load(transaction_id=f"transaction-{name}", status="succeeded", started_at=NOW, rows={f"table_{name}": 3})
    return PipelineReport(pipeline_name=f"pipeline_{name}", loads=(load,))


def _definitions(name: str) -> list[dict[str, Any]]:
    load = make_raw_definition(
        f"jobs.{name}.load",
        triggers=[f"webhook:hook-{name}", "schedule:0 8 * * *"],
        interval={"start": "2026-03-01T00:00:00+00:00"},
        expose={"display_name": f"Load {name}", "tags": [name]},
    )
    app = make_raw_definition(f"jobs.{name}.app", job_type="interactive", triggers=["http:"])
    return [load, app]


def as_tenant(house: House, principal: Principal, workspace_id: UUID) -> House:
    """The same house, whose helpers act for a tenant."""
    other = object.__new__(House)
    other.__dict__.update(house.__dict__, principal=principal, workspace_id=workspace_id)
    return other
