"""Looking at everything a runtime leans on: by the daemon for whoever asks it, or here without one.

The daemon's own answer counts where it runs: it has the user, the limits and the view of the system that jobs get.
"""

import asyncio
import ctypes
import grp
import os
import pwd
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import aiosqlite
import uv
from cryptography import x509

from runtime.dispatch.delivery import unknown_targets
from runtime.dispatch.keys import MISSING_KEY_HINT, KeyService
from runtime.dispatch.soundness import Soundness
from runtime.domain.checks import Check, clock_check, disk_check, fail, inodes_check, ok, warn
from runtime.environments.pythons import Pythons
from runtime.errors import JobRuntimeError
from runtime.restoring import require_whole
from runtime.sandbox.probing import limits_check, machine_checks
from runtime.settings import Settings
from runtime.store.database import migrations
from runtime.store.integrity import check_log_is_there, check_pages, restore_command
from runtime.wire.addresses import is_loopback, is_there

_CHECK_SECONDS = 2.0
_TIMEX_BYTES, _STATUS_OFFSET = 512, 40
_EXPIRY_WARNING_DAYS = 14
_AHEAD_SECONDS = 300
_MICROS = 1_000_000


async def examine(
    settings: Settings,
    shortcomings: Sequence[str] | None = None,
    soundness: Soundness | None = None,
    keys: KeyService | None = None,
) -> list[Check]:
    """Look at everything; takes a second or two.

    Args:
        shortcomings: Of the limits, as the daemon knows them; None without a daemon.
        soundness: Of the database, likewise.
        keys: Says what they do not open, likewise.
    """
    pythons, database, machine = await asyncio.gather(
        _pythons(settings),
        _database(settings.state_dir / "runtime.db", soundness),
        asyncio.to_thread(machine_checks, settings.runs.network),
    )
    return [
        *machine,
        *([limits_check(list(shortcomings))] if shortcomings is not None else []),
        _uv(),
        *pythons,
        *await asyncio.to_thread(_places, settings),
        await asyncio.to_thread(_clock),
        *database,
        *([await _configurations(keys)] if keys is not None else []),
        _listener(settings),
        *([await asyncio.to_thread(_targets, settings)] if settings.notify.targets else []),
        *([_certificate(settings.tls.cert)] if settings.tls.cert else []),
    ]


def _uv() -> Check:
    try:
        return ok("uv", uv.find_uv_bin())
    except FileNotFoundError:
        return fail("uv", "the program `uv` is missing", "install this program again: uv is a part of it")


async def _pythons(settings: Settings) -> list[Check]:
    found = await Pythons(settings.environments.python_search_paths).all(refresh=True)
    if not found:
        remedy = "sudo apt install python3, or name its directory in `environments.python_search_paths`"
        return [fail("Pythons for jobs", "there is none that this user can run", remedy)]
    versions = ", ".join(sorted({one.version for one in found}))
    return [ok("Pythons for jobs", versions)]


def _places(settings: Settings) -> list[Check]:
    state = settings.state_dir
    if not state.is_dir():
        return [warn("state directory", f"`{state}` is not there yet", "the daemon makes it when it starts first")]
    status = os.statvfs(state)
    block, reserve = status.f_frsize, settings.retention.free_bytes
    checks = [
        disk_check("the state directory", status.f_bavail * block, status.f_blocks * block, reserve),
        inodes_check("the state directory", status.f_favail, status.f_files),
        _owner(state),
    ]
    if (keys := _keys(state)) is not None:
        checks.append(keys)
    if is_there(settings.socket):
        checks.append(_socket(settings.socket, settings.auth.admin_group))
    return checks


def _owner(state: Path) -> Check:
    name, found = "state directory", state.stat()
    if found.st_uid != os.geteuid():
        return warn(name, f"`{state}` belongs to another user than this one; it is the daemon's that counts")
    if found.st_mode & 0o077:
        return fail(name, f"`{state}` is open to other users", f"chmod 700 {state}")
    return ok(name, f"`{state}` is the daemon's alone")


def _keys(state: Path) -> Check | None:
    try:
        keys = sorted((state / "keys").glob("*.key"))
        opened = [key for key in keys if key.lstat().st_mode & 0o077]
    except PermissionError:
        return None
    if opened:
        return fail("keys", f"`{opened[0]}` is open to other users", f"chmod 600 {opened[0]}")
    return ok("keys", f"{len(keys)} files, the daemon's alone") if keys else None


def _socket(path: Path, group: str) -> Check:
    try:
        found = path.stat()
    except PermissionError:
        remedy = f"sudo usermod -aG {group} $USER, and log in again"
        return warn("socket", f"`{path}` is closed to you: you are no member of `{group}`", remedy)
    try:
        name = grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        name = str(found.st_gid)
    if stat.S_IMODE(found.st_mode) & 0o007:
        return fail("socket", f"`{path}` is open to everybody: they are administrators", f"chmod 660 {path}")
    if name != group:
        remedy = f"{_joining(group, found.st_uid)}, or set `auth.admin_group`"
        return warn("socket", f"`{path}` belongs to the group `{name}`, not to `{group}`", remedy)
    return ok("socket", f"`{path}`, for members of `{group}`")


def _joining(group: str, owner: int) -> str:
    """What gives the socket to the group: its owner has to be a member for that."""
    try:
        grp.getgrnam(group)
    except KeyError:
        return f"sudo groupadd {group} && sudo systemctl restart dlt-runtime"
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    return f"sudo usermod -aG {group} {name}, log in again and start the daemon again"


def _clock() -> Check:
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    status = int.from_bytes(buffer.raw[_STATUS_OFFSET : _STATUS_OFFSET + 4], sys.byteorder) if state >= 0 else None
    return clock_check(status, _timedatectl() if status is None else None, datetime.now(UTC))


def _timedatectl() -> str | None:
    """What it says of the clock; None if it cannot."""
    try:
        argv = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
        done = subprocess.run(argv, capture_output=True, timeout=_CHECK_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip()


async def _database(path: Path, soundness: Soundness | None) -> list[Check]:
    name = "database"
    if not os.access(path, os.R_OK):
        is_there = path.parent.is_dir() and os.access(path.parent, os.X_OK) and path.exists()
        return [warn(name, f"`{path}` cannot be read by this user") if is_there else ok(name, "there is none yet")]
    try:
        require_whole(path.parent)
        check_log_is_there(path)
        # One that is closed has no log beside it, and gets none by being looked at.
        mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
        async with aiosqlite.connect(f"{path.absolute().as_uri()}?{mode}", uri=True) as connection:
            is_whole = await check_pages(connection, path, _CHECK_SECONDS)
            schema = next(iter(await connection.execute_fetchall("PRAGMA user_version")))[0]
            last = next(
                iter(
                    await connection.execute_fetchall(
                        "SELECT max(at) FROM changes WHERE seq = (SELECT max(seq) FROM changes)"
                    )
                )
            )[0]
        if soundness is not None and soundness.fault is not None:
            raise soundness.fault
    except JobRuntimeError as error:
        return [fail(name, error.message, error.hint)]
    except aiosqlite.Error as error:
        return [fail(name, f"it cannot be read: {error}", restore_command(path))]
    size = f"{path.stat().st_size / 1024**2:,.0f} MiB, schema {schema}"
    if is_whole or (soundness is not None and soundness.is_known):
        checks = [ok(name, f"sound, {size}")]
    else:
        checks = [_checked_in_part(path, size, is_looked_at=soundness is not None)]
    newest = migrations()[-1][0]
    if schema > newest:
        checks = [
            fail(name, f"it has schema {schema}, this program knows up to {newest}", "install the newer version again")
        ]
    if last and last / _MICROS > time.time() + _AHEAD_SECONDS:
        checks.append(warn("time of the database", "its newest entries lie in the future: the clock was set back"))
    return checks


async def _configurations(keys: KeyService) -> Check:
    name = "sealed configurations"
    try:
        closed = await keys.closed_workspaces()
    except JobRuntimeError as error:
        return fail(name, error.message, error.hint)
    if closed:
        of = ", ".join(f"`{workspace}`" for workspace in closed)
        return fail(name, f"no key at hand opens those of {of}: runs fail", MISSING_KEY_HINT)
    return ok(name, "the keys open those of every workspace")


def _checked_in_part(path: Path, size: str, *, is_looked_at: bool) -> Check:
    looked = f"checked in part: no damage found within {_CHECK_SECONDS:g} seconds; {size}"
    if is_looked_at:
        return warn("database", f"{looked}; the daemon is looking at the rest", "ask again in some minutes")
    return warn("database", looked, f"sqlite3 {path} 'PRAGMA quick_check'")


def _listener(settings: Settings) -> Check:
    host = settings.listen_address[0]
    if is_loopback(host):
        return ok("listener", f"{settings.listen}, for this machine alone")
    if settings.tls.insecure:
        remedy = "take `insecure` out of `[tls]`, unless something in front encrypts"
        return warn("listener", f"{settings.listen} can be reached by others, without TLS", remedy)
    return ok("listener", f"{settings.listen}, with TLS")


def _targets(settings: Settings) -> Check:
    name = "targets of messages"
    if unknown := unknown_targets(settings.notify):
        tables = ", ".join(f"`[notify.targets.{target}]`" for target in unknown)
        return fail(name, f"{tables}: the address is none that apprise knows", "see `url` there")
    return ok(name, f"{len(settings.notify.targets)}; `dlt-runtime notify test NAME` sends a message")


def _certificate(path: Path) -> Check:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        return fail("certificate", f"`{path}` cannot be read: {error}", "see `[tls] cert`")
    left = (certificate.not_valid_after_utc - datetime.now(UTC)).days
    if left < 0:
        return fail("certificate", f"`{path}` has expired", "renew it")
    if left < _EXPIRY_WARNING_DAYS:
        return warn("certificate", f"`{path}` expires in {left} days", "renew it")
    return ok("certificate", f"valid for {left} days")
