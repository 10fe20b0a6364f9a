"""Deploying a manifest: reconciling a workspace's jobs with it, in one transaction (semantics J3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_hex
from typing import Any
from uuid import UUID, uuid4

from runtime.dispatch.app_succession import retire_outdated
from runtime.dispatch.changes import PENDING_RUNS, TIMERS, Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.starting import start_batch
from runtime.domain.apps import is_app, make_slug
from runtime.domain.identities import Principal
from runtime.domain.jobs import Job, JobDefinition, JobVersion, check_engine, hash_definition, normalise_definition
from runtime.domain.machines import Machine
from runtime.domain.reconcile import Plan, reconcile
from runtime.domain.requirements import WorkspaceRequirements
from runtime.domain.schedules import clock_of, clock_triggers, override_survives
from runtime.domain.starting import StartRequest
from runtime.store import apps, audit, schedules, workspaces
from runtime.store import jobs as store
from runtime.store.database import Connection, Database
from runtime.store.manifests import StoredManifest, save_manifest
from runtime.store.packages import latest_configuration, latest_deployment

WORKSPACE_MODULE = "__deployment__"
"""The deployment module whose description is the workspace's."""


@dataclass(frozen=True)
class ManifestInput:
    """A deployment manifest as sent; `deployment_module` None marks an ad-hoc deploy.

    `owning_module` is the module that the jobs of an ad-hoc deploy say they belong to.
    """

    engine_version: int
    jobs: Sequence[Mapping[str, Any]]
    deployment_module: str | None = None
    description: str | None = None
    owning_module: str | None = None


@dataclass(frozen=True)
class Deployed:
    """What a deploy did, or would do: the plan, every job it names, and the versions it replaced."""

    plan: Plan
    jobs: dict[str, Job]
    previous: dict[str, JobVersion] = field(default_factory=dict)


class ManifestService:
    """Reconciles manifests."""

    def __init__(self, database: Database, changes: Changes, machines: Mapping[str, Machine], clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._machines = machines
        self._clock = clock

    async def deploy(
        self, principal: Principal, workspace_id: UUID, manifest: ManifestInput, *, dry_run: bool
    ) -> Deployed:
        """Bring the workspace's jobs in line with a manifest, or say what that would change.

        Raises:
            InvalidError: the manifest is not usable; nothing changes.
        """
        wanted = read_definitions(manifest)
        if dry_run:
            async with self._database.read() as connection:
                return await self.plan(connection, principal, workspace_id, manifest, wanted)
        async with self._database.transaction() as connection:
            deployed = await self.deploy_in(connection, principal, workspace_id, manifest, wanted)
        self.announce(workspace_id)
        return deployed

    async def deploy_in(
        self,
        connection: Connection,
        principal: Principal,
        workspace_id: UUID,
        manifest: ManifestInput,
        wanted: list[JobDefinition],
    ) -> Deployed:
        """As `deploy`, inside a transaction of the caller's, who announces it afterwards."""
        deployed = await self.plan(connection, principal, workspace_id, manifest, wanted)
        await self._apply(connection, principal, workspace_id, manifest, deployed)
        return deployed

    def announce(self, workspace_id: UUID) -> None:
        """Let everybody know that a deploy has been committed."""
        self._changes.announce(workspace_id, TIMERS, PENDING_RUNS)

    async def plan(
        self,
        connection: Connection,
        principal: Principal,
        workspace_id: UUID,
        manifest: ManifestInput,
        wanted: list[JobDefinition],
        requirements: WorkspaceRequirements | None = None,
    ) -> Deployed:
        """What a deploy would do.

        Args:
            wanted: The definitions of the manifest, as `read_definitions` has them.
            requirements: Those of the code that the jobs will run with; None for the newest version's.
        """
        actual = {job.job_ref: job for job in await store.all_jobs(connection, workspace_id)}
        if requirements is None:
            deployment = await latest_deployment(connection, workspace_id)
            requirements = deployment.requirements if deployment else None
        plan = reconcile(
            wanted, actual, manifest.deployment_module, requirements, self._machines, manifest.owning_module
        )
        now = self._clock()
        jobs = {ref: actual[ref] for ref in plan.unchanged}
        for definition in (*plan.added, *plan.updated):
            present = actual.get(definition.job_ref)
            jobs[definition.job_ref] = _succeed(present, definition, principal.user.id, workspace_id, manifest, now)
        for ref in plan.archived:
            jobs[ref] = actual[ref].model_copy(update={"archived_at": now, "updated_at": now})
        previous = {definition.job_ref: actual[definition.job_ref].version for definition in plan.updated}
        dropped = await _dropped_overrides(connection, plan, actual)
        return Deployed(plan.model_copy(update={"warnings": (*plan.warnings, *dropped)}), jobs, previous)

    async def _apply(
        self,
        connection: Connection,
        principal: Principal,
        workspace_id: UUID,
        manifest: ManifestInput,
        deployed: Deployed,
    ) -> None:
        plan, jobs = deployed.plan, deployed.jobs
        for definition in plan.added:
            await store.add_job(connection, jobs[definition.job_ref])
        for definition in plan.updated:
            await store.update_job(connection, jobs[definition.job_ref])
        for ref in plan.archived:
            await store.set_archived(connection, jobs[ref])
        await self._set_apps(connection, workspace_id, deployed)
        await self._set_schedules(connection, deployed)
        await self._start_deployment_jobs(connection, principal, workspace_id, manifest, deployed)
        await self._remember(connection, workspace_id, manifest)
        if manifest.deployment_module == WORKSPACE_MODULE and manifest.description:
            await workspaces.set_description(connection, workspace_id, manifest.description, self._clock())
        await audit.record(
            connection,
            at=self._clock(),
            user_id=principal.user.id,
            workspace_id=workspace_id,
            action="manifest.deploy",
            subject=manifest.deployment_module,
            detail={
                "added": [definition.job_ref for definition in plan.added],
                "updated": [definition.job_ref for definition in plan.updated],
                "archived": list(plan.archived),
            },
        )

    async def _remember(self, connection: Connection, workspace_id: UUID, manifest: ManifestInput) -> None:
        """Keep what a module says with the version of the code, for whoever deploys that version again."""
        deployment = await latest_deployment(connection, workspace_id)
        if manifest.deployment_module is None or deployment is None:
            return
        kept = StoredManifest(
            module=manifest.deployment_module,
            engine_version=manifest.engine_version,
            description=manifest.description,
            jobs=tuple(dict(job) for job in manifest.jobs),
        )
        await save_manifest(connection, workspace_id, deployment.version, kept)

    async def _set_apps(self, connection: Connection, workspace_id: UUID, deployed: Deployed) -> None:
        """Names for new apps; those that run and show something older make room for what was deployed."""
        for definition in (*deployed.plan.added, *deployed.plan.updated):
            if is_app(definition):
                slug = make_slug(definition.job_ref, token_hex(4))
                await apps.add_app(connection, deployed.jobs[definition.job_ref].id, slug)
        job_ids = [job.id for job in deployed.jobs.values()]
        await retire_outdated(connection, workspace_id, job_ids, self._clock())

    async def _set_schedules(self, connection: Connection, deployed: Deployed) -> None:
        """Timers for what a clock starts; code that changes a job's triggers ends an operator's override (T8)."""
        now = self._clock()
        for definition in (*deployed.plan.added, *deployed.plan.updated):
            job = deployed.jobs[definition.job_ref]
            for trigger in clock_triggers(definition, None):
                await schedules.add_timer(connection, job.id, trigger, now)
            previous = deployed.previous.get(definition.job_ref)
            if previous and not override_survives(previous.definition, definition):
                schedule = await schedules.find_schedule(connection, job.id)
                await schedules.save_schedule(connection, job.id, schedule.model_copy(update={"override": None}))
                declared = clock_of(definition.declared_triggers)
                if schedule.override is not None and declared is not None:
                    await schedules.restart_timer(connection, job.id, declared.text, now)

    async def _start_deployment_jobs(
        self,
        connection: Connection,
        principal: Principal,
        workspace_id: UUID,
        manifest: ManifestInput,
        deployed: Deployed,
    ) -> None:
        """Start jobs with a `deployment:` trigger where the code or the job itself has changed (semantics T6)."""
        deployment = await latest_deployment(connection, workspace_id)
        if deployment is None or await latest_configuration(connection, workspace_id) is None:
            return
        module = manifest.deployment_module or ""
        is_new_code = await schedules.note_manifest_deployment(connection, workspace_id, module, deployment.id)
        changed = {definition.job_ref for definition in (*deployed.plan.added, *deployed.plan.updated)}
        requests = [
            (job, StartRequest(trigger=trigger, triggered_by=principal.user.id))
            for ref, job in deployed.jobs.items()
            if job.archived_at is None and (is_new_code or ref in changed)
            for trigger in job.version.definition.declared_triggers
            if trigger.startswith("deployment:")
        ]
        if requests:
            await start_batch(connection, workspace_id, requests, self._clock())


def read_definitions(manifest: ManifestInput) -> list[JobDefinition]:
    """The definitions of a manifest.

    Raises:
        InvalidError: it is not usable.
    """
    check_engine(manifest.engine_version)  # also where there is no job to read
    return [normalise_definition(raw, manifest.engine_version) for raw in manifest.jobs]


async def _dropped_overrides(connection: Connection, plan: Plan, actual: Mapping[str, Job]) -> list[str]:
    """What the deploy will say of operators' schedules that it ends (semantics T8)."""
    warnings: list[str] = []
    for definition in plan.updated:
        job = actual[definition.job_ref]
        override = (await schedules.find_schedule(connection, job.id)).override
        if override and not override_survives(job.version.definition, definition):
            warnings.append(
                f"job `{job.job_ref}`: its triggers change, which ends the schedule set by hand, `{override}`"
            )
    return warnings


def _succeed(
    present: Job | None,
    definition: JobDefinition,
    user_id: UUID,
    workspace_id: UUID,
    manifest: ManifestInput,
    now: datetime,
) -> Job:
    """The job with its new version; an ad-hoc deploy leaves a job with the module that owns it."""
    job_id = present.id if present else uuid4()
    version = JobVersion(
        id=uuid4(),
        job_id=job_id,
        version=present.version.version + 1 if present else 1,
        engine_version=manifest.engine_version,
        definition=definition,
        definition_hash=hash_definition(definition.raw),
        deployment_module=manifest.deployment_module
        or manifest.owning_module
        or (present.version.deployment_module if present else None),
        created_by=user_id,
        created_at=now,
    )
    if present:
        return present.model_copy(update={"version": version, "archived_at": None, "updated_at": now})
    return Job(
        id=job_id,
        workspace_id=workspace_id,
        job_ref=definition.job_ref,
        archived_at=None,
        created_by=user_id,
        created_at=now,
        updated_at=now,
        version=version,
    )
