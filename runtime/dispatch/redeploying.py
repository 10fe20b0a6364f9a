"""Deploying an older version of the code again (semantics J2, J3).

The older version's files become the newest version, and each deployment module gets the jobs that it had then, through
the same reconciliation as any deploy. Settings and secrets stay as they are, and so do jobs of modules that the older
version did not know, and jobs that were deployed one by one.
"""

from dataclasses import dataclass
from uuid import UUID, uuid4

from runtime.dispatch.clock import Clock
from runtime.dispatch.contents import ContentGate
from runtime.dispatch.lookup import require, version_or_id
from runtime.dispatch.manifests import Deployed, ManifestInput, ManifestService, read_definitions
from runtime.domain.identities import Principal
from runtime.domain.packages import Deployment
from runtime.errors import ConflictError
from runtime.store import audit
from runtime.store import packages as store
from runtime.store.database import Connection, Database
from runtime.store.manifests import StoredManifest, manifests_at


@dataclass(frozen=True)
class Redeployed:
    """What it did, or would do: the newest version, and by module what became of the jobs.

    `deployment` is None where nothing was changed and a new version would be made.
    """

    deployment: Deployment | None
    modules: dict[str, Deployed]
    warnings: tuple[str, ...]


class Redeployment:
    """Makes an older version the newest."""

    def __init__(self, database: Database, manifests: ManifestService, contents: ContentGate, clock: Clock) -> None:
        self._database = database
        self._manifests = manifests
        self._contents = contents
        self._clock = clock

    async def redeploy(self, principal: Principal, workspace_id: UUID, which: str, *, dry_run: bool) -> Redeployed:
        """Deploy a version again, all of it or nothing.

        A version whose files and requirements are those of the newest makes no new version (semantics J2).

        Raises:
            NotFoundError: there is no such version.
            ConflictError: it is not known which jobs it came with.
            InvalidError: its jobs are not acceptable any more, a machine size is gone for one.
        """
        if dry_run:
            async with self._database.read() as connection:
                return await self._plan(connection, principal, workspace_id, which)
        async with self._contents.uploading(), self._database.transaction() as connection:
            redeployed = await self._redeploy(connection, principal, workspace_id, which)
        self._manifests.announce(workspace_id)
        return redeployed

    async def _plan(self, connection: Connection, principal: Principal, workspace_id: UUID, which: str) -> Redeployed:
        older, newest, kept, warnings = await self._look(connection, workspace_id, which)
        modules = {
            manifest.deployment_module or "": await self._manifests.plan(
                connection, principal, workspace_id, manifest, read_definitions(manifest), older.requirements
            )
            for manifest in map(_as_input, kept)
        }
        return Redeployed(newest if _is_same(older, newest) else None, modules, warnings)

    async def _redeploy(
        self, connection: Connection, principal: Principal, workspace_id: UUID, which: str
    ) -> Redeployed:
        older, newest, kept, warnings = await self._look(connection, workspace_id, which)
        if not _is_same(older, newest):
            newest = older.model_copy(
                update={
                    "id": uuid4(),
                    "version": newest.version + 1,
                    "created_by": principal.user.id,
                    "author": principal.user.email,
                    "created_at": self._clock(),
                }
            )
            if await store.copy_deployment(connection, older, newest) != older.file_count:
                raise ConflictError(
                    f"version {older.version} of the code is being cleared away",
                    code="deployment_incomplete",
                    hint="`dlt-runtime deployment list` shows what is kept",
                )
        await audit.record(
            connection,
            at=self._clock(),
            user_id=principal.user.id,
            workspace_id=workspace_id,
            action="deployment.redeploy",
            subject=str(newest.id),
            detail={"version": newest.version, "of_version": older.version},
        )
        modules = {
            manifest.deployment_module or "": await self._manifests.deploy_in(
                connection, principal, workspace_id, manifest, read_definitions(manifest)
            )
            for manifest in map(_as_input, kept)
        }
        return Redeployed(newest, modules, warnings)

    async def _look(
        self, connection: Connection, workspace_id: UUID, which: str
    ) -> tuple[Deployment, Deployment, list[StoredManifest], tuple[str, ...]]:
        missing = f"there is no deployment `{which}`"
        listed = "`dlt-runtime deployment list` shows what is kept"
        older = require(await store.find_deployment(connection, workspace_id, version_or_id(which)), missing, listed)
        newest = require(await store.latest_deployment(connection, workspace_id), missing, listed)
        kept = await manifests_at(connection, workspace_id, older.version)
        if not kept:
            raise ConflictError(
                f"it is not known which jobs version {older.version} of the code came with",
                code="manifest_unknown",
                hint="check that version out and run `dlt-runtime deploy`",
            )
        then = {manifest.module for manifest in kept}
        later = [one.module for one in await manifests_at(connection, workspace_id, newest.version)]
        warnings = tuple(
            f"the jobs of `{module}` stay as they are: version {older.version} came before that module"
            for module in later
            if module not in then
        )
        return older, newest, kept, warnings


def _as_input(kept: StoredManifest) -> ManifestInput:
    return ManifestInput(kept.engine_version, kept.jobs, kept.module, kept.description)


def _is_same(older: Deployment, newest: Deployment) -> bool:
    return (older.content_hash, older.requirements) == (newest.content_hash, newest.requirements)
