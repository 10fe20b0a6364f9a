"""The public client, `dlt runtime`: dlt 1.26.0 and dlt-runtime 0.26.1 as the registry has them, at home alone."""

import fcntl
import hashlib
import os
import shutil
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tomlkit
from uv import find_uv_bin

from runtime.wire.admin_client import AdminClient
from tests.processes import DaemonProcess, Ended, plain_environment, run, wait_for

PACKAGES = ("dlt-runtime==0.26.1", "dlt[workspace]==1.26.0", "duckdb")
CACHE_VARIABLE = "TESTS_CACHE"
BUILD_SECONDS = 300.0


def client_virtualenv(scratch: Path, packages: tuple[str, ...] = PACKAGES) -> Path:
    """A virtualenv with the client, or with other packages that describe workspaces.

    Built once for all who share the directory that `TESTS_CACHE` names.
    """
    cache = Path(os.environ.get(CACHE_VARIABLE) or scratch)
    digest = hashlib.sha256(repr((packages, sys.version)).encode()).hexdigest()[:12]
    made = cache / f"official-client-{digest}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run beside each other
        return made if made.exists() else _build(made, packages, scratch)


def _build(made: Path, packages: tuple[str, ...], scratch: Path) -> Path:
    cache = made.parent
    environment = plain_environment(HOME=str(scratch), UV_CACHE_DIR=str(cache / "uv"))
    # Built in its place, since scripts hold the path; complete once the mark is there.
    building = made.with_suffix(".building")
    shutil.rmtree(building, ignore_errors=True)
    for arguments in (
        ("venv", "--quiet", "--relocatable", "--python", sys.executable, str(building)),
        ("pip", "install", "--quiet", "--compile-bytecode", "--python", f"{building}/bin/python", *packages),
    ):
        run([find_uv_bin(), *arguments], cwd=scratch, environment=environment, seconds=BUILD_SECONDS).expect()
    return building.rename(made)


@dataclass(frozen=True)
class OfficialClient:
    """One person with a home directory, in one workspace directory.

    `token_file` is where the client keeps what it got by logging in.
    """

    virtualenv: Path
    home: Path
    directory: Path
    daemon: DaemonProcess

    @property
    def token_file(self) -> Path:
        return self.home / ".dlt" / "secrets.toml"

    def __call__(self, *arguments: str, seconds: float = 120.0) -> Ended:
        """Run `dlt runtime ARGUMENTS` to its end, without a terminal."""
        return run(self.argv(*arguments), cwd=self.directory, environment=self.environment, seconds=seconds)

    def argv(self, *arguments: str) -> list[str]:
        return [f"{self.virtualenv}/bin/python", f"{self.virtualenv}/bin/dlt", "runtime", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        variables = plain_environment(
            HOME=str(self.home),
            PATH=f"{self.virtualenv}/bin:/usr/bin:/bin",
            RUNTIME__API_BASE_URL=f"{self.daemon.url}/api/api",
            RUNTIME__AUTH_BASE_URL=f"{self.daemon.url}/api/auth",
            RUNTIME__DLTHUB_TELEMETRY="false",
            NO_COLOR="1",
            COLUMNS="200",
        )
        del variables["PYTHONPATH"]  # it is on its own: nothing of this repository
        return variables

    def log_in(self, email: str) -> None:
        """Tokens as a login leaves them; the login itself is another test's subject."""
        admin = AdminClient(self.daemon.client.connection)
        flow = self.daemon.client.start_device_login()
        admin.approve_device(flow.user_code, email)
        answer = wait_for(lambda: self.daemon.client.poll_device_login(flow.device_code), "the login is approved")
        self.write_tokens(answer.jwt, answer.refresh_token)

    def tokens(self) -> tuple[str, str]:
        """Access token and refresh token as stored."""
        table = tomllib.loads(self.token_file.read_text())["runtime"]
        return table["auth_token"], table["refresh_token"]

    def write_tokens(self, access: str, refresh: str) -> None:
        self.token_file.parent.mkdir(parents=True, exist_ok=True)
        self.token_file.write_text(tomlkit.dumps({"runtime": {"auth_token": access, "refresh_token": refresh}}))


def copy_workspace(source: Path, target: Path, leave_out: Sequence[str] = (".venv", "_local", ".var")) -> Path:
    """A workspace of its own to change and connect."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*leave_out, "__pycache__"))
    return target
