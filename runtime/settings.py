"""Settings of the daemon: defaults < `config.toml` < `DLT_RUNTIME_*` < flags.

A nested value is spelled `DLT_RUNTIME_RUNS__MAX_RUNNING=8` in the environment and `[runs] max_running = 8` in the
file. Sizes are bytes, or written as `"512MiB"`; durations are seconds. An unknown key is an error, since a misspelt
setting that is silently ignored is worse than a daemon that does not start.
"""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.domain.apps import AppAddresses
from runtime.domain.logs import LogAllowance
from runtime.domain.machines import DEFAULT_MACHINE, Machine
from runtime.listeners import format_address
from runtime.sizes import parse_bytes
from runtime.wire.addresses import DEFAULT_LISTEN, default_socket, default_state_dir, is_loopback

ENVIRONMENT_PREFIX = "DLT_RUNTIME_"
MIB = 1024 * 1024
_LAST_PORT = 65535
DEFAULT_TASKS = 1024
DEFAULT_DISK_BYTES = 20 * 1024 * MIB
_GITHUB_NAME = r"[A-Za-z0-9_.-]+"


def _check_listen(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("write it as HOST:PORT, for example 127.0.0.1:8470")
    return value


def _check_origin(value: str | None) -> str | None:
    if value is not None and not _is_origin(value):
        raise ValueError("write it as https://HOST or https://HOST:PORT")
    return value


def _is_origin(value: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:  # no address at all, as `http://[`, or a port that there is not
        return False
    is_root = parts.path in ("", "/") and not parts.query and not parts.fragment and not parts.username
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_root


def _size_in_bytes(value: Any) -> Any:
    return parse_bytes(value) if isinstance(value, str) else value


Bytes = Annotated[int, BeforeValidator(_size_in_bytes)]
"""A size, as a number of bytes or as `"512MiB"`."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
"""Hosts of listeners that take every address of the machine."""


class LimitSettings(_Section):
    """What an upload may cost."""

    package_bytes: Bytes = Field(512 * MIB, gt=0, description="largest deployment archive, and largest unpacked tree")
    configuration_bytes: Bytes = Field(16 * MIB, gt=0, description="largest configuration archive")
    package_files: int = Field(50_000, gt=0, description="most entries in one archive")


class MachineSettings(_Section):
    """What a run on a machine of this size may use; what is not said is as for the size `default`, 0 is no limit."""

    memory: int | None = Field(None, ge=0, description="of all its processes, `512MiB`")
    cpus: float | None = Field(None, ge=0, description="processors' worth of time")
    tasks: int | None = Field(None, ge=0, description="processes and threads at a time")
    disk: int | None = Field(None, ge=0, description="files of the run, and growth of its data, `10GiB`")

    @field_validator("memory", "disk", mode="before")
    @classmethod
    def _size(cls, value: Any) -> Any:
        return _size_in_bytes(value)


class RunSettings(_Section):
    """How many runs there may be, and what they get."""

    max_running: int = Field(16, gt=0, description="runs at a time on this machine; others wait (semantics D6)")
    network: Literal["isolated", "host"] = Field(
        "isolated", description="`host` shares the machine's network with jobs, for machines without pasta"
    )
    cloud_metadata: bool = Field(
        False, description="jobs reach the cloud's metadata service, and so the credentials of the machine"
    )
    log_bytes: Bytes = Field(128 * MIB, gt=0, description="stored of one run's output; then it is cut")
    log_lines_per_second: int = Field(20_000, gt=0, description="of one run's output while it runs; the rest waits")
    mask_secrets: bool = Field(True, description="values of secrets files are masked in logs")

    @property
    def log_allowance(self) -> LogAllowance:
        """How much of a run's output is stored."""
        return LogAllowance(bytes=self.log_bytes, lines_per_second=self.log_lines_per_second)


class AppSettings(_Section):
    """Interactive jobs: where browsers reach them, and how long they live."""

    listen: str | None = Field(
        None, description="where apps are reached, apart from the API; default its host and the port after its own"
    )
    public_url: str | None = Field(None, description="how browsers reach that listener; default `listen`")
    domain: str | None = Field(None, description="below it each app has a host of its own, `<slug>.<domain>`")
    max_running: int = Field(16, gt=0, description="apps at a time, besides other runs; others wait")
    ready_seconds: float = Field(120, gt=0, description="how long an app may take until it answers")
    idle_seconds: float = Field(300, gt=0, description="unused for so long it is ended (semantics S4)")
    answer_seconds: float = Field(300, gt=0, description="how long an app may take until it begins an answer")
    wait_seconds: float = Field(60, ge=0, description="how long a program's request waits for an app that starts")
    most_open: int = Field(200, gt=0, description="requests and WebSockets to one app at a time")
    most_open_by_link: int = Field(100, gt=0, description="of these, by its public link")
    copy_bytes: Bytes = Field(
        5 * 1024 * MIB, ge=0, description="last whole copies of data, for apps that begin during a load; 0 keeps none"
    )

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        return None if value is None else _check_listen(value)

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        return _check_origin(value)

    @field_validator("domain")
    @classmethod
    def _host(cls, value: str | None) -> str | None:
        label = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
        if value is not None and not re.fullmatch(rf"{label}(\.{label})*", value):
            raise ValueError("write it as a host, for example apps.example.com")
        return value


class EnvironmentSettings(_Section):
    """How virtualenvs are built."""

    index_url: str | None = Field(None, description="package index instead of PyPI")
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = Field(
        (), description="directories or pages with wheels; directories are shown to builds"
    )
    python_search_paths: tuple[Path, ...] = Field((), description="more directories with interpreters, besides PATH")
    build_timeout_seconds: float = Field(1800, gt=0)
    machine: str = Field(DEFAULT_MACHINE, description="size of `[machines]` that a build may use")


class GitHubSettings(_Section):
    """Signing in with GitHub: on where `client_id` and `client_secret` are set."""

    client_id: str | None = None
    client_secret: SecretStr | None = None
    allowed_users: tuple[str, ...] = Field((), description="logins of accounts that may sign in")
    allowed_organizations: tuple[str, ...] = Field((), description="whose active members may")
    allowed_teams: tuple[str, ...] = Field((), description="whose active members may, as `organization/team`")
    url: str = Field("https://github.com", description="a GitHub of one's own")
    api_url: str = Field("https://api.github.com", description="its API")

    @property
    def is_on(self) -> bool:
        """Whether people can sign in with GitHub."""
        return self.client_id is not None

    @field_validator("allowed_users", "allowed_organizations", "allowed_teams")
    @classmethod
    def _names(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        pattern = rf"{_GITHUB_NAME}/{_GITHUB_NAME}" if info.field_name == "allowed_teams" else _GITHUB_NAME
        for name in value:
            if not re.fullmatch(pattern, name):
                raise ValueError(f"`{name}` is no name at GitHub")
        return value

    @field_validator("url", "api_url")
    @classmethod
    def _secure(cls, value: str) -> str:
        parts = urlsplit(value)
        is_private = parts.scheme == "http" and is_loopback(parts.hostname or "")
        if not parts.hostname or not (parts.scheme == "https" or is_private):
            raise ValueError("write it as https://HOST")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.client_id is None) != (self.client_secret is None):
            raise ValueError("`client_id` and `client_secret` belong together")
        if self.is_on and not (self.allowed_users or self.allowed_organizations or self.allowed_teams):
            raise ValueError("say who may sign in: `allowed_users`, `allowed_organizations` or `allowed_teams`")
        return self


class AuthSettings(_Section):
    """How long credentials live, and how people sign in."""

    access_token_seconds: int = Field(3600, gt=0)
    refresh_token_seconds: int = Field(30 * 86400, gt=0)
    device_code_seconds: int = Field(900, gt=0)
    browser_session_seconds: int = Field(12 * 3600, gt=0, description="how long a browser stays signed in at most")
    browser_idle_seconds: int = Field(1800, gt=0, description="and how long without being used")
    password_length: int = Field(12, ge=8, le=128, description="fewest characters of a password")
    admin_group: str = Field("dlt-runtime", description="members reach the Unix socket and are administrators")
    github: GitHubSettings = GitHubSettings()


Days = Annotated[float, Field(allow_inf_nan=False)]


class RetentionSettings(_Section):
    """How long things are kept, and how much of them; 0 is without end."""

    every_seconds: int = Field(3600, ge=1, description="how often it is looked after")
    run_days: Days = Field(365, ge=0, description="runs, counted from their end")
    keep_runs: int = Field(100, ge=1, description="newest runs of each job, which are kept however old")
    log_days: Days = Field(90, ge=0, description="logs of runs; a line in their place says that they are gone")
    log_bytes: Bytes = Field(10 * 1024 * MIB, ge=0, description="all logs together, compressed; the oldest go first")
    package_versions: int = Field(20, ge=1, description="newest deployments and configurations of each workspace")
    environment_days: Days = Field(30, ge=0, description="virtualenvs that no run has used; built again if one does")
    environment_bytes: Bytes = Field(20 * 1024 * MIB, ge=0, description="all virtualenvs together")
    cache_bytes: Bytes = Field(
        10 * 1024 * MIB, ge=0, description="what builds have downloaded, all workspaces together"
    )
    audit_days: Days = Field(730, ge=0, description="entries of the audit log")
    free_bytes: Bytes = Field(256 * MIB, ge=0, description="room on the disk below which nothing new begins")


class NotifyTarget(_Section):
    """Somebody who is told of what happens, and of what of it."""

    url: SecretStr = Field(description="where to, as apprise writes it: `mailto://...`, `slack://...`, `json://...`")
    events: tuple[Literal["failed", "recovered", "late", "skipped"], ...] = ("failed", "recovered", "late", "skipped")
    workspaces: tuple[str, ...] = Field((), description="names or ids; none: all")
    tags: tuple[str, ...] = Field((), description="tags of jobs, any of which must be there; none: all jobs")


class NotifySettings(_Section):
    """Who is told when a job fails, is well again, is late or skips for hours."""

    targets: dict[str, NotifyTarget] = Field({}, description="`[notify.targets.NAME]`")
    late_seconds: int = Field(900, ge=60, description="how long after its tick a run may begin")
    skipped_seconds: int = Field(4 * 3600, ge=600, description="how long a job may skip without a run in between")
    repeat_seconds: int = Field(6 * 3600, ge=0, description="when the same is told again, if it goes on")
    expire_seconds: int = Field(86400, gt=0, description="how long delivery is tried")


class MetricsSettings(_Section):
    """Who may read `/metrics` besides administrators, and where."""

    token: SecretStr | None = Field(None, description="bearer token that opens it over the network")
    listen: str | None = Field(
        None, description="`HOST:PORT` that serves it alone; on loopback and without `token` to whoever connects"
    )

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.listen is not None:
            host, _ = _split(_check_listen(self.listen))
            if self.token is None and not is_loopback(host):
                raise ValueError("`listen` beyond loopback needs a `token`")
        return self

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of the listener of its own, if there is to be one; port 0 lets the system choose."""
        return None if self.listen is None else _split(self.listen)


class TlsSettings(_Section):
    """How the TCP listener is encrypted."""

    cert: Path | None = Field(None, description="PEM file with the certificate and what leads to its authority")
    key: Path | None = Field(None, description="PEM file with its private key")
    self_signed: Literal["auto", "always", "never"] = Field(
        "auto", description="whether a certificate is made where none is given; `auto`: if others can connect"
    )
    insecure: bool = Field(False, description="listen without TLS, even where others can connect")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("`cert` and `key` belong together")
        if self.insecure and (self.cert is not None or self.self_signed == "always"):
            raise ValueError("`insecure` and a certificate exclude each other")
        return self


class Settings(BaseSettings):
    """Everything the daemon is told; frozen once read."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    state_dir: Path = Field(default_factory=default_state_dir)
    socket: Path = Field(default_factory=default_socket)
    listen: str = DEFAULT_LISTEN
    public_url: str | None = Field(None, description="how clients reach the listener, for links; default `listen`")
    trusted_proxies: tuple[str, ...] = Field(
        (), description="addresses and networks whose word on who connected to them is taken"
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"
    limits: LimitSettings = LimitSettings()
    machines: dict[str, MachineSettings] = Field(default_factory=dict)
    runs: RunSettings = RunSettings()
    apps: AppSettings = AppSettings()
    environments: EnvironmentSettings = EnvironmentSettings()
    auth: AuthSettings = AuthSettings()
    tls: TlsSettings = TlsSettings()
    metrics: MetricsSettings = MetricsSettings()
    retention: RetentionSettings = RetentionSettings()
    notify: NotifySettings = NotifySettings()

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        return _check_listen(value)

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        return _check_origin(value)

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in value:
            ip_network(proxy)  # a ValueError that names it
        return value

    @field_validator("environments")
    @classmethod
    def _known_machine(cls, value: EnvironmentSettings, info: ValidationInfo) -> EnvironmentSettings:
        if value.machine not in (DEFAULT_MACHINE, *info.data.get("machines", {})):
            raise ValueError(f"`machine`: there is no table `[machines.{value.machine}]`")
        return value

    def machine_sizes(self, total_memory: int) -> dict[str, Machine]:
        """Every size there is by its name, `default` among them.

        Args:
            total_memory: Bytes of this machine's memory; a run gets three quarters of it where nothing else is said.
        """
        ours = {"memory": total_memory * 3 // 4, "cpus": 0, "tasks": DEFAULT_TASKS, "disk": DEFAULT_DISK_BYTES}
        default = ours | self.machines.get(DEFAULT_MACHINE, MachineSettings()).model_dump(exclude_none=True)
        sizes = {}
        for name, given in {DEFAULT_MACHINE: MachineSettings(), **self.machines}.items():
            limits = default | given.model_dump(exclude_none=True)
            without_end = {key: value or None for key, value in limits.items()}
            sizes[name] = Machine.model_validate({"name": name, **without_end})
        return sizes

    @property
    def base_url(self) -> str:
        """How clients reach the listener, as far as this machine knows; without a slash at the end."""
        scheme = "https" if self.tls.cert is not None else "http"
        return (self.public_url or f"{scheme}://{self.listen}").rstrip("/")

    @property
    def app_addresses(self) -> AppAddresses:
        """How browsers reach apps, as far as this machine knows."""
        scheme = "https" if self.tls.cert is not None else "http"
        base = self.apps.public_url or f"{scheme}://{format_address(*self.apps_address)}"
        return AppAddresses(base_url=base.rstrip("/"), domain=self.apps.domain)

    def seen_by(self, host: str | None) -> Self:
        """These settings as they are for somebody who has reached this machine by a name or address of it.

        A listener that takes every address of the machine has none to tell of by itself.

        Args:
            host: Without brackets and port; None where it is not known, which changes nothing. That of the public URL
                goes before it.
        """
        host = urlsplit(self.public_url).hostname if self.public_url else host
        changes: dict[str, Any] = {}
        (listens_on, port), (apps_on, apps_port) = self.listen_address, self.apps_address
        if host and listens_on in WILDCARDS:
            changes["listen"] = format_address(host, port)
        if host and apps_on in WILDCARDS:
            changes["apps"] = self.apps.model_copy(update={"listen": format_address(host, apps_port)})
        return self.model_copy(update=changes) if changes else self

    @property
    def listen_address(self) -> tuple[str, int]:
        """Host and port of the TCP listener; port 0 lets the system choose."""
        return _split(self.listen)

    def bound_to(self, listen: str, apps_listen: str) -> Self:
        """These settings once the system has given the listeners their addresses."""
        return self.model_copy(update={"listen": listen, "apps": self.apps.model_copy(update={"listen": apps_listen})})

    @property
    def apps_address(self) -> tuple[str, int]:
        """Host and port of the apps' listener; port 0 lets the system choose."""
        if self.apps.listen is not None:
            return _split(self.apps.listen)
        host, port = self.listen_address
        return host, port + 1 if 0 < port < _LAST_PORT else 0


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
