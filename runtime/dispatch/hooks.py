"""Webhooks: who may call them, and the run that a call starts (semantics T7).

A token opens one job's hooks. Whoever calls with anything else learns nothing: not whether the workspace, the path or
the job exists.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from runtime.auth.codes import digest, is_same_digest, new_secret
from runtime.dispatch.changes import PENDING_RUNS, Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.jobs import find_job, find_startable
from runtime.dispatch.lookup import uuid_or_text
from runtime.dispatch.starting import Started, start_job
from runtime.domain.identities import Principal
from runtime.domain.jobs import Job
from runtime.domain.starting import StartRequest
from runtime.domain.triggers import parse_trigger
from runtime.errors import ConflictError, NotFoundError, UnauthenticatedError
from runtime.store import audit
from runtime.store import hooks as store
from runtime.store import jobs as job_store
from runtime.store.database import Connection, Database
from runtime.store.hooks import HookToken, Payload

_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-hook-token"})
MOST_TOKENS = 100
"""Live ones of one job."""


@dataclass(frozen=True)
class HookView:
    """A token with its job and the paths that it opens below `/hooks/<workspace>/`."""

    job: Job
    token: HookToken
    paths: tuple[str, ...]


@dataclass(frozen=True)
class CreatedHook:
    """A new token: `secret` is known here and now only."""

    hook: HookView
    secret: str


class HookService:
    """Makes and revokes hook tokens, and takes calls."""

    def __init__(self, database: Database, changes: Changes, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock

    async def create(self, principal: Principal, workspace_id: UUID, id_or_ref: str) -> CreatedHook:
        """A new token for the webhooks of a job.

        Raises:
            ConflictError: the job is archived, has no `webhook:` trigger, or too many tokens.
        """
        secret, now = new_secret(), self._clock()
        async with self._database.transaction() as connection:
            job = await find_startable(connection, workspace_id, id_or_ref)
            paths = hook_paths(job)
            if not paths:
                raise ConflictError(
                    f"`{job.job_ref}` has no `webhook:` trigger",
                    code="hook_none",
                    hint='declare one, such as `trigger="webhook:orders"`, and deploy',
                )
            live = [token for token in await store.tokens_of(connection, job.id) if token.revoked_at is None]
            if len(live) >= MOST_TOKENS:
                raise ConflictError(
                    f"`{job.job_ref}` has {len(live)} tokens already", code="hook_tokens", hint="revoke some"
                )
            token = HookToken(
                id=uuid4(), job_id=job.id, digest=digest(secret), created_by=principal.user.id, created_at=now
            )
            await store.add_token(connection, token)
            await self._audit(connection, principal, job, "hook.create", token.id)
        return CreatedHook(HookView(job, token, paths), secret)

    async def list(self, workspace_id: UUID, id_or_ref: str) -> Sequence[HookView]:
        """The tokens of a job, newest first, revoked ones too."""
        async with self._database.read() as connection:
            job = await find_job(connection, workspace_id, id_or_ref)
            return [HookView(job, token, hook_paths(job)) for token in await store.tokens_of(connection, job.id)]

    async def revoke(self, principal: Principal, workspace_id: UUID, id_or_ref: str, token_id: UUID) -> None:
        """End a token; twice changes nothing.

        Raises:
            NotFoundError: the job has no such token.
        """
        async with self._database.transaction() as connection:
            job = await find_job(connection, workspace_id, id_or_ref)
            token = next((one for one in await store.tokens_of(connection, job.id) if one.id == token_id), None)
            if token is None:
                raise NotFoundError(f"`{job.job_ref}` has no hook token `{token_id}`", code="hook_not_found")
            if token.revoked_at is None:
                await store.revoke(connection, token.id, self._clock())
                await self._audit(connection, principal, job, "hook.revoke", token.id)

    async def authenticate(self, workspace: str, path: str, secret: str) -> None:
        """Whether a call may be taken, before its body is read.

        Raises:
            UnauthenticatedError: the token does not open this hook, or there is none.
            ConflictError: the hook's job is archived.
        """
        async with self._database.read() as connection:
            await _open(connection, workspace, path, secret)

    async def call(
        self, workspace: str, path: str, secret: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> Started:
        """Start the job of a hook with what was posted; a start that is skipped is a row of the run list.

        Args:
            workspace: Identifier or name.
            headers: As they came; those that carry secrets are not kept.

        Raises:
            UnauthenticatedError: the token does not open this hook, or there is none.
            ConflictError: the hook's job is archived, or nothing has been deployed.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            job, trigger, token = await _open(connection, workspace, path, secret)
            started = await start_job(connection, job, StartRequest(trigger=trigger), now)
            if started.run is not None and started.skip is None:
                payload = Payload(headers=_without_secrets(headers), body=body)
                await store.add_payload(connection, started.run.id, payload)
            await store.mark_used(connection, token.id, now)
        self._changes.announce(job.workspace_id, PENDING_RUNS)
        return started

    async def _audit(self, connection: Connection, principal: Principal, job: Job, action: str, token_id: UUID) -> None:
        await audit.record(
            connection,
            at=self._clock(),
            user_id=principal.user.id,
            workspace_id=job.workspace_id,
            action=action,
            subject=job.job_ref,
            detail={"token": token_id},
        )


def hook_paths(job: Job) -> tuple[str, ...]:
    """The paths at which a job is called: those of its `webhook:` triggers, its reference for one without."""
    return tuple(_webhooks(job))


def _webhooks(job: Job) -> dict[str, str]:
    """Path to trigger."""
    triggers = map(parse_trigger, job.version.definition.declared_triggers)
    return {
        trigger.expression.strip("/") or job.job_ref: trigger.text for trigger in triggers if trigger.type == "webhook"
    }


async def _open(connection: Connection, workspace: str, path: str, secret: str) -> tuple[Job, str, HookToken]:
    """The job that a secret opens at a path, the trigger of that path, and the token."""
    given = digest(secret)
    tokens = await store.live_tokens(connection, uuid_or_text(workspace))
    # All are compared, so that the time does not tell which was nearest.
    matching = [token for token in tokens if is_same_digest(token.digest, given)]
    found = await job_store.jobs_by_id(connection, [token.job_id for token in matching])
    for token in matching:
        job = found[token.job_id]
        trigger = _webhooks(job).get(path.strip("/"))
        if trigger is None:
            continue
        if job.archived_at is not None:
            raise ConflictError(f"job `{job.job_ref}` is archived", code="job_archived")
        return job, trigger, token
    raise UnauthenticatedError("no hook opens with this token here", code="hook_token")


def _without_secrets(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower not in _SECRET_HEADERS:
            kept[lower] = f"{kept[lower]}, {value}" if lower in kept else value
    return kept
