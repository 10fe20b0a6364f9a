"""Settings of the daemon: defaults < `config.toml` < `DLT_RUNTIME_*` < flags.

A nested value is spelled `DLT_RUNTIME_RUNS__MAX_RUNNING=8` in the environment and `[runs] max_running = 8` in the
file. Sizes are bytes, durations seconds. An unknown key is an error, since a misspelt setting that is silently
ignored is worse than a daemon that does not start.
"""

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from runtime.errors import InvalidError
from runtime.wire.addresses import DEFAULT_LISTEN, default_socket, default_state_dir

SYSTEM_CONFIG_FILE = Path("/etc/dlt-runtime/config.toml")
MIB = 1024 * 1024


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


class EnvironmentSettings(_Section):
    """How virtualenvs are built."""

    index_url: str | None = Field(None, description="package index instead of PyPI")
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = Field(
        (), description="directories or pages with wheels; directories are shown to builds"
    )
    python_search_paths: tuple[Path, ...] = Field((), description="more directories with interpreters, besides PATH")
    build_timeout_seconds: float = Field(1800, gt=0)


class AuthSettings(_Section):
    """How long credentials live."""

    access_token_seconds: int = Field(3600, gt=0)
    refresh_token_seconds: int = Field(30 * 86400, gt=0)
    device_code_seconds: int = Field(900, gt=0)
    admin_group: str = Field("dlt-runtime", description="members reach the Unix socket and are administrators")


class Settings(BaseSettings):
    """Everything the daemon is told; frozen once read."""

    model_config = SettingsConfigDict(
        env_prefix="DLT_RUNTIME_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    state_dir: Path = Field(default_factory=default_state_dir)
    socket: Path = Field(default_factory=default_socket)
    listen: str = DEFAULT_LISTEN
    public_url: str | None = Field(
        None, description="how clients reach the listener, for links; default http://<listen>"
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"
    limits: LimitSettings = LimitSettings()
    runs: RunSettings = RunSettings()
    environments: EnvironmentSettings = EnvironmentSettings()
    auth: AuthSettings = AuthSettings()

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if not colon or not host or not port.isdigit() or int(port) > 65535:
            raise ValueError("write it as HOST:PORT, for example 127.0.0.1:8470")
        return value

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
