"""The composition root: builds every part in order, serves, and closes them in reverse.

SIGTERM and SIGINT end it in this order: no new connections, requests under way get a moment, runs are let go of (their
processes go on and the next daemon finds them), the last log lines are stored, the database is closed.
"""

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import structlog
import uvloop

from runtime.api.app import create_app
from runtime.api.version import VERSION
from runtime.auth.keys import load_or_create_signing_key
from runtime.auth.passwords import Passwords
from runtime.auth.tokens import TokenSigner
from runtime.console.app import Console
from runtime.console.hosts import CONSOLE_MACHINE, ConsoleHosts
from runtime.dispatch.access_data import AccessData
from runtime.dispatch.accounts import AccountService
from runtime.dispatch.app_life import AppLife
from runtime.dispatch.app_usage import RunningApps
from runtime.dispatch.approvals import ApprovalService
from runtime.dispatch.apps import AppService
from runtime.dispatch.backup import BackupService
from runtime.dispatch.changes import Changes
from runtime.dispatch.clock import system_clock
from runtime.dispatch.code_files import CodeFiles
from runtime.dispatch.configurations import ConfigurationService
from runtime.dispatch.console_keys import ConsoleKeys
from runtime.dispatch.deployments import DeploymentService
from runtime.dispatch.executor import Executor
from runtime.dispatch.feed import FeedService
from runtime.dispatch.health import HealthService
from runtime.dispatch.hooks import HookService
from runtime.dispatch.insight import InsightService
from runtime.dispatch.intervals import IntervalService
from runtime.dispatch.jobs import JobService
from runtime.dispatch.keys import KeyService
from runtime.dispatch.last_whole import LastWhole
from runtime.dispatch.leftovers import sweep_leftovers
from runtime.dispatch.lifecycle import Lifecycle
from runtime.dispatch.log_pages import LogPages
from runtime.dispatch.log_writer import LogWriter
from runtime.dispatch.machine import MachineService
from runtime.dispatch.manifests import ManifestService
from runtime.dispatch.members import MemberService
from runtime.dispatch.notifications import Notifier
from runtime.dispatch.operations import Operations
from runtime.dispatch.preparation import Preparation
from runtime.dispatch.publishing import PublishingService
from runtime.dispatch.redeploying import Redeployment
from runtime.dispatch.retention import Retention
from runtime.dispatch.run_environments import RunEnvironments
from runtime.dispatch.run_limits import RunLimits
from runtime.dispatch.runs import RunService
from runtime.dispatch.schedules import ScheduleService
from runtime.dispatch.services import Services
from runtime.dispatch.settings_files import SettingsFiles
from runtime.dispatch.signing_in import SignInService
from runtime.dispatch.soundness import Soundness
from runtime.dispatch.space import Space
from runtime.dispatch.statistics import StatisticsService
from runtime.dispatch.summaries import SummaryService
from runtime.dispatch.ticking import Ticker
from runtime.dispatch.visits import VisitService
from runtime.dispatch.workspaces import WorkspaceService
from runtime.doctor import examine
from runtime.environments.builder import EnvironmentBuilder
from runtime.errors import JobRuntimeError, PassingError, disk_error, is_full
from runtime.front import Front
from runtime.listeners import format_address, open_private_listener, open_tcp_listener, open_unix_listener
from runtime.log_output import configure_logging
from runtime.packages.key_files import SealingKeyFiles
from runtime.packages.sealing import Sealer
from runtime.proxy.app import AppsProxy
from runtime.proxy.readiness import ask
from runtime.restoring import require_whole
from runtime.runner.logs import LogTail
from runtime.runner.runner import Runner
from runtime.sandbox.cgroups import ControlGroups
from runtime.sandbox.confinement import Confinement
from runtime.sandbox.ledger import DiskLedger
from runtime.sandbox.memory import total_memory
from runtime.sandbox.network import NetworkHolders
from runtime.scheduler import Scheduler
from runtime.server import Server, server_config
from runtime.service_manager import inherited_listeners, notify
from runtime.settings import Settings
from runtime.start_room import StartRoom
from runtime.state_lock import sole_user
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
    except OSError as error:
        if not is_full(error):
            raise
        full = disk_error("the daemon cannot start", error)
        sys.stderr.write(f"error: {full.message}\nhint: {full.hint}\n")
        return 1
    return 0


async def _serve(settings: Settings) -> None:
    async with AsyncExitStack() as parts:
        parts.enter_context(sole_user(settings.state_dir))
        require_whole(settings.state_dir)
        start_room = StartRoom(settings.state_dir, settings.retention.free_bytes)
        start_room.use_if_full()
        unix = parts.enter_context(open_unix_listener(settings.socket, settings.auth.admin_group))
        parts.callback(settings.socket.unlink, missing_ok=True)
        tcp = parts.enter_context(open_tcp_listener(*settings.listen_address))
        apps_tcp = parts.enter_context(open_tcp_listener(*settings.apps_address))
        metrics_tcp = (
            parts.enter_context(open_tcp_listener(*settings.metrics.address)) if settings.metrics.address else None
        )
        inherited = [parts.enter_context(each) for each in inherited_listeners() if each.family != socket.AF_UNIX]
        settings = settings.bound_to(
            format_address(*tcp.getsockname()[:2]), format_address(*apps_tcp.getsockname()[:2])
        )
        tls_settings, own_certificate = await asyncio.to_thread(
            choose_certificate, settings, [each.getsockname()[:2] for each in inherited]
        )
        settings = settings.model_copy(update={"tls": tls_settings})
        tls = await asyncio.to_thread(open_tls, tls_settings, own_certificate, system_clock)
        if tls is not None:
            parts.push_async_callback(_ended, asyncio.create_task(tls.keep_current()))
        changes = Changes()
        services, console_keys, hosts = await parts.enter_async_context(_services(settings, changes))
        proxy = AppsProxy(services.apps, services.runs, services.visits, settings)
        parts.callback(proxy.close)
        metrics_address = metrics_tcp.getsockname()[:2] if metrics_tcp else None
        console_socket = parts.enter_context(open_private_listener(hosts.api_socket))
        parts.callback(hosts.api_socket.unlink, missing_ok=True)
        console = Console(services.sign_in, services.workspaces, hosts, settings)
        parts.push_async_callback(hosts.close)
        api = create_app(services, settings, console_keys)
        front = Front(api, proxy, settings.apps_address, metrics_address, console)
        server = Server(server_config(front, settings), changes, tls, console_socket)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, server.stop)
        certificate = fingerprint_of_file(tls_settings.cert) if tls_settings.cert else None
        where = {
            "socket": str(settings.socket),
            "listen": settings.listen,
            "apps": settings.apps.listen,
            "inherited": [format_address(*each.getsockname()[:2]) for each in inherited] or None,
            "metrics": format_address(*metrics_address) if metrics_address else None,
            "certificate": certificate,
        }
        parts.push_async_callback(_ended, asyncio.create_task(start_room.keep()))
        log.info("serving", action="daemon.ready", **where)
        notify("READY=1")
        await server.serve(sockets=[unix, tcp, apps_tcp, *inherited, *([metrics_tcp] if metrics_tcp else [])])
        notify("STOPPING=1")
    log.info("stopped; live runs go on", action="daemon.stopped")


async def _ended(task: asyncio.Task[None]) -> None:
    """End a task that goes on until it is told to stop."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def _services(settings: Settings, changes: Changes) -> AsyncIterator[tuple[Services, ConsoleKeys, ConsoleHosts]]:
    """Build the parts below the API; close them in reverse."""
    state, clock = settings.state_dir, system_clock
    async with AsyncExitStack() as parts:
        scratch = _empty_directory(state / "tmp")
        database = await Database.open(state / "runtime.db")
        parts.push_async_callback(database.close)
        with suppress(PassingError):  # then they stay until the next start
            async with database.transaction() as connection:
                await delete_orphan_blobs(connection)

        key_files = SealingKeyFiles(state / "keys" / "sealing.key", "sealing.key")
        sealer = Sealer(key_files.load().current)
        keys = KeyService(database, sealer, key_files, clock)
        await keys.finish()
        signer = TokenSigner(load_or_create_signing_key(state / "keys" / "signing.key"))
        network = NetworkHolders(state, settings.runs.network, cloud_metadata=settings.runs.cloud_metadata)
        machines = settings.machine_sizes(total_memory())
        groups, ledger = ControlGroups.open(), DiskLedger()
        runner = Runner(state, network, groups)
        environments = EnvironmentBuilder(
            state,
            settings.environments,
            database,
            system_files=runner.system_files,
            network_entry=network.entry,
            confinement=Confinement(machines[settings.environments.machine], runner.limits, groups, ledger),
            now=clock,
        )
        await sweep_leftovers(database, state, network)  # first: what goes on building would write into what is swept
        await environments.sweep()

        writer = LogWriter(database, changes, clock)
        parts.push_async_callback(writer.close)
        tail = await parts.enter_async_context(LogTail(runner.live_dir))
        whole = LastWhole(state, settings.apps.copy_bytes, settings.retention.free_bytes)
        access_data = AccessData(database, state, whole, clock)
        parts.push_async_callback(access_data.close)
        preparation = Preparation(
            database,
            state,
            environments,
            SettingsFiles(database, sealer),
            access_data,
            masks_secrets=settings.runs.mask_secrets,
        )
        running_apps = RunningApps(clock)
        app_life = AppLife(database, changes, network, running_apps, settings.apps, ask, clock)
        insight = InsightService(database, changes, state, clock)
        limits = RunLimits(database, runner, machines, settings.runs.log_allowance, ledger)
        await limits.sweep()
        for shortcoming in runner.limits.shortcomings:
            log.warning(shortcoming, action="limits")
        lifecycle = Lifecycle(
            database, changes, writer, preparation, runner, tail, app_life, insight, limits, access_data, clock
        )
        space = Space(state, settings.retention.free_bytes)
        executor = Executor(
            database,
            changes,
            lifecycle,
            settings.runs.max_running,
            settings.apps.max_running,
            space,
            running_apps,
        )
        parts.push_async_callback(executor.close)

        jobs, runs = JobService(database, changes, clock), RunService(database, changes, executor, clock)
        deployments = DeploymentService(database, scratch, settings.limits, clock)
        manifests = ManifestService(database, changes, machines, clock)
        retention = Retention(
            database, settings.retention, deployments.contents, environments.collector, preparation.trees, whole, clock
        )
        accounts = AccountService(database, signer, settings.auth, clock)
        notifier = Notifier(database, changes, settings.notify, settings.seen_by(socket.gethostname()).base_url, clock)
        sign_in = SignInService(database, settings.auth, Passwords(), clock)
        console_keys = ConsoleKeys(sign_in)
        hosts = ConsoleHosts(
            console_keys,
            runner.system_files,
            scratch / "console.sock",
            Confinement(CONSOLE_MACHINE, runner.limits, groups),
        )
        soundness = Soundness(database)
        operations = Operations(
            backups=BackupService(database, state, VERSION, space, clock),
            notifier=notifier,
            examine=partial(examine, settings, runner.limits.shortcomings, soundness, keys),
        )
        services = Services(
            accounts=accounts,
            sign_in=sign_in,
            approvals=ApprovalService(database, clock),
            workspaces=WorkspaceService(database, clock),
            deployments=deployments,
            code_files=CodeFiles(database),
            redeployment=Redeployment(database, manifests, deployments.contents, clock),
            configurations=ConfigurationService(database, scratch, settings.limits, sealer, clock),
            manifests=manifests,
            jobs=jobs,
            apps=AppService(database, changes, running_apps, writer, clock),
            visits=VisitService(database, changes, accounts, settings.auth, clock),
            runs=runs,
            log_pages=LogPages(database),
            environments=RunEnvironments(database),
            schedules=ScheduleService(database, changes, clock),
            intervals=IntervalService(database, changes, clock),
            hooks=HookService(database, changes, clock),
            keys=keys,
            members=MemberService(database, clock),
            publishing=PublishingService(database, changes, clock),
            summaries=SummaryService(database, changes),
            insight=insight,
            statistics=StatisticsService(database),
            feed=FeedService(database, changes, jobs, runs, clock),
            health=HealthService(database, space, soundness),
            machine=MachineService(space, machines),
            operations=operations,
        )
        await executor.start()
        parts.push_async_callback(_ended, asyncio.create_task(retention.run()))
        parts.push_async_callback(_ended, asyncio.create_task(soundness.run()))
        parts.push_async_callback(_ended, asyncio.create_task(notifier.run()))
        scheduler = Scheduler(Ticker(database, changes, clock))
        await scheduler.start()
        parts.push_async_callback(scheduler.close)
        yield services, console_keys, hosts


def _empty_directory(path: Path) -> Path:
    """A directory for what does not outlive the daemon; what the last one left is removed, as far as it can be.

    The directory itself stays: a full disk may have no room for another.
    """
    path.mkdir(mode=0o700, exist_ok=True)
    for left in path.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
    return path
