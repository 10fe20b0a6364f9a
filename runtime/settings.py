"""Settings of the daemon: defaults < `config.toml` < `DLT_RUNTIME_*` < flags.

A nested value is spelled `DLT_RUNTIME_RUNS__MAX_RUNNING=8` in the environment and `[runs] max_running = 8` in the
file. Sizes are bytes, durations seconds. An unknown key is an error, since a misspelt setting that is silently
ignored is worse than a daemon that does not start.
"""

import re
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from runtime.errors import InvalidError
from runtime.wire.addresses import DEFAULT_LISTEN, default_socket, default_state_dir, is_loopback

SYSTEM_CONFIG_FILE = Path("/etc/dlt-runtime/config.toml")
MIB = 1024 * 1024
_GITHUB_NAME = r"[A-Za-z0-9_.-]+"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LimitSettings(_Section):
    """What an upload may cost."""

    package_bytes: int = Field(512 * MIB, gt=0, description="largest deployment archive, and largest unpacked tree")
    configuration_bytes: int = Field(16 * MIB, gt=0, description="largest configuration archive")
    package_files: int = Field(50_000, gt=0, description="most entries in one archive")


class RunSettings(_Section):
    """How many runs there may be, and what they get."""

    max_running: int = Field(16, gt=0, description="runs at a time on this machine; others wait (semantics D6)")
    network: Literal["isolated", "host"] = Field(
        "isolated", description="`host` shares the machine's network with jobs, for machines without pasta"
    )
    mask_secrets: bool = Field(True, description="values of secrets files are masked in logs")


class EnvironmentSettings(_Section):
    """How virtualenvs are built."""

    index_url: str | None = Field(None, description="package index instead of PyPI")
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = Field(
        (), description="directories or pages with wheels; directories are shown to builds"
    )
    python_search_paths: tuple[Path, ...] = Field((), description="more directories with interpreters, besides PATH")
    build_timeout_seconds: float = Field(1800, gt=0)


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


class MetricsSettings(_Section):
    """Who may read `/metrics` besides administrators."""

    token: SecretStr | None = Field(None, description="bearer token that opens it over the network")


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
        env_prefix="DLT_RUNTIME_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
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
    runs: RunSettings = RunSettings()
    environments: EnvironmentSettings = EnvironmentSettings()
    auth: AuthSettings = AuthSettings()
    tls: TlsSettings = TlsSettings()
    metrics: MetricsSettings = MetricsSettings()

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if not colon or not host or not port.isdigit() or int(port) > 65535:
            raise ValueError("write it as HOST:PORT, for example 127.0.0.1:8470")
        return value

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                raise ValueError("write it as https://HOST or https://HOST:PORT")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in value:
            ip_network(proxy)  # a ValueError that names it
        return value

    @property
    def base_url(self) -> str:
        """How clients reach the listener, as far as this machine knows; without a slash at the end."""
        scheme = "https" if self.tls.cert is not None else "http"
        return (self.public_url or f"{scheme}://{self.listen}").rstrip("/")

    @property
    def listen_address(self) -> tuple[str, int]:
        """Host and port of the TCP listener; port 0 lets the system choose."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


def load_settings(config_file: Path | None = None, **flags: Any) -> Settings:
    """Read the settings; flags that are None count as not given.

    Args:
        config_file: Read instead of `/etc/dlt-runtime/config.toml`; must exist when given.

    Raises:
        InvalidError: a value is wrong, a key unknown, or the file cannot be read; the message names it.
    """
    if config_file is not None and not config_file.is_file():
        raise InvalidError(f"there is no configuration file `{config_file}`", code="settings")
    file = config_file or SYSTEM_CONFIG_FILE

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class's signature
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)

    given = {key: value for key, value in flags.items() if value is not None}
    try:
        return FromFile(**given)
    except (ValidationError, tomllib.TOMLDecodeError, OSError) as error:
        raise InvalidError(
            f"settings: {_explain(error)}", code="settings", hint=f"see `{file}` and DLT_RUNTIME_*"
        ) from error


def _explain(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return f"`{'.'.join(str(part) for part in first['loc'])}`: {first['msg']}"
    return str(error)
