"""The composition root: builds every part in order, serves, and closes them in reverse.

SIGTERM and SIGINT end it in this order: no new connections, requests under way get a moment, runs are let go of (their
processes go on and the next daemon finds them), the last log lines are stored, the database is closed.
"""

import asyncio
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import structlog
import uvloop

from runtime.api.app import create_app
from runtime.auth.keys import load_or_create_signing_key
from runtime.auth.passwords import Passwords
from runtime.auth.tokens import TokenSigner
from runtime.dispatch.accounts import AccountService
from runtime.dispatch.approvals import ApprovalService
from runtime.dispatch.changes import Changes
from runtime.dispatch.clock import system_clock
from runtime.dispatch.configurations import ConfigurationService
from runtime.dispatch.deployments import DeploymentService
from runtime.dispatch.executor import Executor
from runtime.dispatch.feed import FeedService
from runtime.dispatch.health import HealthService
from runtime.dispatch.hooks import HookService
from runtime.dispatch.intervals import IntervalService
from runtime.dispatch.jobs import JobService
from runtime.dispatch.keys import KeyService
from runtime.dispatch.lifecycle import Lifecycle
from runtime.dispatch.log_writer import LogWriter
from runtime.dispatch.manifests import ManifestService
from runtime.dispatch.members import MemberService
from runtime.dispatch.preparation import Preparation
from runtime.dispatch.publishing import PublishingService
from runtime.dispatch.runs import RunService
from runtime.dispatch.schedules import ScheduleService
from runtime.dispatch.services import Services
from runtime.dispatch.settings_files import SettingsFiles
from runtime.dispatch.signing_in import SignInService
from runtime.dispatch.statistics import StatisticsService
from runtime.dispatch.summaries import SummaryService
from runtime.dispatch.ticking import Ticker
from runtime.dispatch.workspaces import WorkspaceService
from runtime.environments.builder import EnvironmentBuilder
from runtime.errors import JobRuntimeError, UnavailableError
from runtime.listeners import format_address, open_tcp_listener, open_unix_listener
from runtime.log_output import configure_logging
from runtime.packages.key_files import SealingKeyFiles
from runtime.packages.sealing import Sealer
from runtime.runner.logs import LogTail
from runtime.runner.runner import Runner
from runtime.sandbox.network import NetworkHolders
from runtime.scheduler import Scheduler
from runtime.server import Server, server_config
from runtime.service_manager import notify
from runtime.settings import Settings
from runtime.store.database import Database
from runtime.store.packages import delete_orphan_blobs
from runtime.tls.choosing import choose_certificate, open_tls
from runtime.wire.certificates import fingerprint_of_file

log = structlog.get_logger()

_PRIVATE_UMASK = 0o077


def run_daemon(settings: Settings) -> int:
    """Serve until a signal ends it; returns the process's exit status.

    An error at the start is one line on stderr, not a traceback.
    """
    os.umask(_PRIVATE_UMASK)
    configure_logging(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings))
    except JobRuntimeError as error:
        hint = f"\nhint: {error.hint}" if error.hint else ""
        sys.stderr.write(f"error: {error.message}{hint}\n")
        return 1
    return 0


async def _serve(settings: Settings) -> None:
    async with AsyncExitStack() as parts:
        parts.enter_context(_sole_daemon(settings.state_dir))
        unix = parts.enter_context(open_unix_listener(settings.socket, settings.auth.admin_group))
        parts.callback(settings.socket.unlink, missing_ok=True)
        tcp = parts.enter_context(open_tcp_listener(*settings.listen_address))
        settings = settings.model_copy(update={"listen": format_address(*tcp.getsockname()[:2])})
        tls_settings, own_certificate = await asyncio.to_thread(choose_certificate, settings)
        settings = settings.model_copy(update={"tls": tls_settings})
        tls = await asyncio.to_thread(open_tls, tls_settings, own_certificate, system_clock)
        if tls is not None:
            parts.push_async_callback(_ended, asyncio.create_task(tls.keep_current()))
        changes = Changes()
        services = await parts.enter_async_context(_services(settings, changes))
        server = Server(server_config(create_app(services, settings), settings), changes, tls)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, server.stop)
        certificate = fingerprint_of_file(tls_settings.cert) if tls_settings.cert else None
        where = {"socket": str(settings.socket), "listen": settings.listen, "certificate": certificate}
        log.info("serving", action="daemon.ready", **where)
        notify("READY=1")
        await server.serve(sockets=[unix, tcp])
        notify("STOPPING=1")
    log.info("stopped; live runs go on", action="daemon.stopped")


async def _ended(task: asyncio.Task[None]) -> None:
    """End a task that goes on until it is told to stop."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def _services(settings: Settings, changes: Changes) -> AsyncIterator[Services]:
    """Build the parts below the API; close them in reverse."""
    state, clock = settings.state_dir, system_clock
    async with AsyncExitStack() as parts:
        scratch = _empty_directory(state / "tmp")
        database = await Database.open(state / "runtime.db")
        parts.push_async_callback(database.close)
        async with database.transaction() as connection:
            await delete_orphan_blobs(connection)

        key_files = SealingKeyFiles(state / "keys" / "sealing.key", "sealing.key")
        sealer = Sealer(key_files.load().current)
        keys = KeyService(database, sealer, key_files, clock)
        await keys.finish()
        signer = TokenSigner(load_or_create_signing_key(state / "keys" / "signing.key"))
        network = NetworkHolders(state, settings.runs.network)
        runner = Runner(state, network)
        environments = EnvironmentBuilder(
            state,
            settings.environments,
            database,
            system_files=runner.system_files,
            network_entry=network.entry,
            now=clock,
        )
        await environments.sweep()

        writer = LogWriter(database, changes, clock)
        parts.push_async_callback(writer.flush)
        tail = await parts.enter_async_context(LogTail(runner.live_dir))
        preparation = Preparation(
            database,
            state,
            environments,
            SettingsFiles(database, sealer),
            masks_secrets=settings.runs.mask_secrets,
        )
        lifecycle = Lifecycle(database, changes, writer, preparation, runner, tail, clock)
        executor = Executor(database, changes, lifecycle, settings.runs.max_running)
        parts.push_async_callback(executor.close)

        jobs, runs = JobService(database, changes, clock), RunService(database, changes, executor, clock)
        services = Services(
            accounts=AccountService(database, signer, settings.auth, clock),
            sign_in=SignInService(database, settings.auth, Passwords(), clock),
            approvals=ApprovalService(database, clock),
            workspaces=WorkspaceService(database, clock),
            deployments=DeploymentService(database, scratch, settings.limits, clock),
            configurations=ConfigurationService(database, scratch, settings.limits, sealer, clock),
            manifests=ManifestService(database, changes, clock),
            jobs=jobs,
            runs=runs,
            schedules=ScheduleService(database, changes, clock),
            intervals=IntervalService(database, changes, clock),
            hooks=HookService(database, changes, clock),
            keys=keys,
            members=MemberService(database, clock),
            publishing=PublishingService(database, changes, clock),
            summaries=SummaryService(database, changes),
            statistics=StatisticsService(database),
            feed=FeedService(database, changes, jobs, runs),
            health=HealthService(database),
        )
        await executor.start()
        scheduler = Scheduler(Ticker(database, changes, clock))
        await scheduler.start()
        parts.push_async_callback(scheduler.close)
        yield services


@contextmanager
def _sole_daemon(state_dir: Path) -> Iterator[None]:
    """Hold the state directory for this process alone.

    Raises:
        UnavailableError: another daemon holds it, or it cannot be made.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (state_dir / "lock").open("w")
    except OSError as error:
        raise UnavailableError(
            f"the state directory `{state_dir}` cannot be used: {error.strerror}", hint="see --state-dir"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UnavailableError(
                f"another daemon uses the state directory `{state_dir}`", hint="stop it, or use --state-dir"
            ) from None
        yield


def _empty_directory(path: Path) -> Path:
    """A directory for what does not outlive the daemon; what the last one left is removed."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    return path
