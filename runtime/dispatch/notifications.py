"""Telling people: from what happened to runs, to messages in a queue, to delivery by apprise.

Nothing a run does waits for it. What happened is noted by the store, in the transaction in which it happens; from there
on everything is tried until it works or has grown old.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from runtime.dispatch.changes import PENDING_RUNS, Changes
from runtime.dispatch.clock import Clock
from runtime.dispatch.delivery import Attempt, Sender, send, unknown_targets
from runtime.domain.notices import TROUBLED_SKIPS, Filters, Notice, Noticed, is_news, is_worth_telling, notice_of
from runtime.domain.runs import Run
from runtime.errors import DiskFullError, NotFoundError, StoreError, UnavailableError
from runtime.settings import NotifySettings, NotifyTarget
from runtime.store import jobs, workspaces
from runtime.store import notifications as store
from runtime.store import runs as run_store
from runtime.store.database import Connection, Database
from runtime.store.notifications import Event, Waiting

log = structlog.get_logger()

_LOOK_SECONDS = 30.0
_AGAIN_SECONDS = 30.0
_EVENTS_AT_ONCE = 100
_FIRST_RETRY_SECONDS = 30.0
_LAST_RETRY_SECONDS = 3600.0
_SEND_SECONDS = 30.0
TEST_NOTICE = Notice(title="dlt-runtime: a test", body="Messages of this runtime reach you here.")


@dataclass(frozen=True)
class TargetView:
    """A target as it is shown: without its address."""

    name: str
    kind: str
    filters: Filters
    waiting: int


@dataclass
class UnderWay:
    """A message and the attempt to deliver it; `is_overdue` once it has been said that there was no answer in time."""

    message: Waiting
    attempt: Attempt
    is_overdue: bool = False


class Notifier:
    """Takes events, queues messages, delivers them."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        settings: NotifySettings,
        base_url: str,
        clock: Clock,
        sender: Sender = send,
    ) -> None:
        self._database = database
        self._changes = changes
        self._settings = settings
        self._late = timedelta(seconds=settings.late_seconds)
        self._base_url = base_url
        self._clock = clock
        self._sender = sender
        self._filters = {name: _filters(target) for name, target in settings.targets.items()}
        # One of each a target: whoever does not answer takes no more threads than these, and none from the others.
        self._under_way: dict[str, UnderWay] = {}
        self._tests: dict[str, Attempt] = {}
        self._queued = {name: asyncio.Event() for name in settings.targets}

    async def run(self) -> None:
        """Take and deliver, for ever; first say which targets nothing can be delivered to."""
        for name in await asyncio.to_thread(unknown_targets, self._settings):
            log.warning(
                "the address of a target is none that apprise knows: it hears of nothing",
                action="notify.unknown",
                target=name,
                hint=f"see `[notify.targets.{name}] url`; `dlt-runtime notify test {name}` sends a message",
            )
        while True:
            try:
                await self._serve()
            except Exception:
                log.exception("messages could not be dealt with", action="notify.error")
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _serve(self) -> None:
        async with self._database.transaction() as connection:
            await store.drop_for_others(connection, list(self._filters))
        async with asyncio.TaskGroup() as group:
            for name in self._filters:
                group.create_task(self._deliver_all(name))
            group.create_task(self._take_all())

    async def take(self) -> int:
        """Deal with what has happened; returns how many messages have been queued."""
        now = self._clock()
        queued = 0
        async with self._database.read() as connection:
            found = await store.events(connection, _EVENTS_AT_ONCE)
            has_late = bool(self._filters) and await store.any_late(connection, now - self._late)
        if has_late:
            async with self._database.transaction() as connection:
                await store.note_late(connection, now - self._late, now)
                found = await store.events(connection, _EVENTS_AT_ONCE)
        while found:
            async with self._database.transaction() as connection:
                for event in found:
                    queued += await self._take_one(connection, event)
                    await store.forget_event(connection, event)
                found = await store.events(connection, _EVENTS_AT_ONCE) if len(found) == _EVENTS_AT_ONCE else []
            for waiting in self._queued.values() if queued else ():
                waiting.set()
        return queued

    async def targets(self) -> Sequence[TargetView]:
        """Who is told of what."""
        async with self._database.read() as connection:
            waiting = await store.waiting_by_target(connection)
        return [
            TargetView(name, _scheme(target), self._filters[name], waiting.get(name, 0))
            for name, target in sorted(self._settings.targets.items())
        ]

    async def test(self, name: str) -> None:
        """Deliver a test message at once.

        Raises:
            NotFoundError: there is no such target.
            UnavailableError: it was not accepted.
        """
        if name not in self._settings.targets:
            known = ", ".join(sorted(self._settings.targets))
            others = f"there are: {known}" if known else "there is none yet"
            raise NotFoundError(
                f"there is no target `{name}`",
                code="notify_target",
                hint=f"`[notify.targets.{name}]` in the settings makes one; {others}",
            )
        attempt = self._tests.get(name)
        if attempt is not None and not attempt.is_over:
            fault: str | None = "the last test has had no answer yet"
        else:
            attempt = self._tests[name] = self._attempt(name, TEST_NOTICE)
            fault = attempt.fault if await attempt.ends_within(_SEND_SECONDS) else _no_answer()
        if fault is not None:
            raise UnavailableError(f"the message to `{name}` was not delivered: {fault}", code="notify_failed")

    async def _take_all(self) -> None:
        while True:
            event = self._changes.event(PENDING_RUNS)
            try:
                await self.take()
            except (StoreError, DiskFullError) as error:
                log.warning("notifications wait", action="notify.wait", error=error.message)
                await asyncio.sleep(_LOOK_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await event.wait()

    async def _take_one(self, connection: Connection, event: Event) -> int:
        run = await run_store.find_run(connection, event.run_id)
        if run is None:
            return 0
        if event.kind == "recovered":
            told = {name for name in self._filters if (await store.told_at(connection, name, "failed", run.job_id))[0]}
            await store.forget_told(connection, run.job_id)
        job = await jobs.find_job(connection, run.workspace_id, run.job_id)
        workspace = await workspaces.find_workspace(connection, run.workspace_id)
        if job is None or workspace is None or not self._filters:
            return 0
        noticed = Noticed(
            kind=event.kind,
            run=run,
            workspace_name=workspace.name,
            tags=job.version.definition.tags,
            display_name=job.version.definition.label,
            skipping=await store.skipping(connection, run) if _is_troubled_skip(event, run) else None,
        )
        now = self._clock()
        if not is_worth_telling(
            noticed,
            late=self._late,
            skipped=timedelta(seconds=self._settings.skipped_seconds),
            now=now,
        ):
            return 0
        queued = 0
        for name, filters in self._filters.items():
            if not filters.concern(noticed):
                continue
            if event.kind == "recovered" and name not in told and "failed" in filters.events:
                continue  # it was never told of the failure
            queued += await self._queue(connection, name, noticed)
        return queued

    async def _queue(self, connection: Connection, name: str, noticed: Noticed) -> int:
        now, run, kind = self._clock(), noticed.run, noticed.kind
        at, told_run = await store.told_at(connection, name, kind, run.job_id)
        repeat = timedelta(seconds=self._settings.repeat_seconds)
        if kind == "late" and told_run == run.id:
            return 0
        was_well = told_run is not None and await self._was_well(connection, noticed, told_run)
        if not is_news(kind, at, was_well=was_well, repeat=repeat, now=now):
            return 0
        if kind != "recovered":
            await store.note_told(connection, name, kind, run.job_id, run.id, now)
        notice = notice_of(noticed, f"{self._base_url}/w/{run.workspace_id}", now=now)
        expires_at = now + timedelta(seconds=self._settings.expire_seconds)
        await store.queue(connection, name, kind, notice, now, expires_at)
        return 1

    async def _was_well(self, connection: Connection, noticed: Noticed, told_run: UUID) -> bool:
        """Whether the job was neither late nor skipping for a while since people were told that it was.

        A job that fails is well again when a run completes: then what was told is forgotten.
        """
        told = await store.number_of(connection, told_run)
        if noticed.skipping is not None:
            return noticed.skipping.first_number > told
        if noticed.kind == "late":
            return await store.has_begun_in_time(connection, noticed.run, told, self._late)
        return False

    async def _deliver_all(self, name: str) -> None:
        while True:
            self._queued[name].clear()
            try:
                while await self.deliver(name):
                    pass
            except (StoreError, DiskFullError) as error:
                log.warning("notifications wait", action="notify.wait", error=error.message)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._queued[name].wait()

    async def deliver(self, name: str) -> bool:
        """Try the next message that is due for a target; False if there is none, or if it has to wait.

        An attempt without an answer goes on: it is waited for again the next time, and counts however it ends. Until
        then there is no other.
        """
        await self._drop_old(name)
        if name not in self._under_way:
            async with self._database.read() as connection:
                message = await store.due(connection, name, self._clock())
            if message is None:
                return False
            self._under_way[name] = UnderWay(message, self._attempt(name, message.notice))
        one = self._under_way[name]
        if not await one.attempt.ends_within(_SEND_SECONDS):
            if not one.is_overdue:
                log.warning("a message is not delivered yet", action="notify.slow", target=name, reason=_no_answer())
            one.is_overdue = True
            return False
        async with self._database.transaction() as connection:
            if one.attempt.fault is None:
                await store.drop(connection, one.message)
            else:
                seconds = min(_LAST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2**one.message.attempts)
                await store.postpone(connection, one.message, self._clock() + timedelta(seconds=seconds))
        del self._under_way[name]  # not before its outcome is stored: it is not made again for want of room there
        if one.attempt.fault is not None:
            log.warning("a message was not delivered", action="notify.retry", target=name, reason=one.attempt.fault)
        return one.attempt.fault is None

    async def _drop_old(self, name: str) -> None:
        under_way = self._under_way.get(name)
        async with self._database.read() as connection:
            old = await store.expired(connection, name, self._clock())
        # The one that is being tried stays until that has ended: its outcome is stored by its number, which would be a
        # newer one's by then.
        old = [message for message in old if under_way is None or message.id != under_way.message.id]
        if old:
            async with self._database.transaction() as connection:
                for message in old:
                    await store.drop(connection, message)
        for message in old:
            log.warning("a message has grown old", action="notify.expired", target=name, title=message.notice.title)

    def _attempt(self, name: str, notice: Notice) -> Attempt:
        return Attempt(self._sender, self._settings.targets[name].url.get_secret_value(), notice)


def _no_answer() -> str:
    return f"no answer within {_SEND_SECONDS:g} seconds"


def _is_troubled_skip(event: Event, run: Run) -> bool:
    return event.kind == "skipped" and run.outcome in TROUBLED_SKIPS


def _filters(target: NotifyTarget) -> Filters:
    return Filters(events=target.events, workspaces=target.workspaces, tags=target.tags)


def _scheme(target: NotifyTarget) -> str:
    """The kind of address, which is no secret; what does not look like an address may be one."""
    kind, is_address, _ = target.url.get_secret_value().partition("://")
    return kind if is_address else "unknown"
