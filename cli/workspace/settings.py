"""The `[runtime]` table of a workspace's `.dlt/config.toml`, which the SDK's own client reads too."""

import tomllib
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from cli.files import write_atomically
from runtime.errors import InvalidError

_HOSTED = ("dlthub.app", "dlthub.com")
"""The managed service: its address in the settings is the SDK's default and names no daemon of ours."""


@dataclass(frozen=True)
class RuntimeTable:
    """What a workspace says about the runtime it is deployed to."""

    api_base_url: str | None = None
    auth_base_url: str | None = None
    workspace_id: UUID | None = None

    @property
    def own_api_base_url(self) -> str | None:
        """The API's address unless it is the managed service's."""
        try:
            host = urlsplit(self.api_base_url or "").hostname or ""
        except ValueError:
            host = ""  # no address at all, which whoever uses it will say
        hosted = any(host == domain or host.endswith(f".{domain}") for domain in _HOSTED)
        return None if hosted else self.api_base_url


def config_file(root: Path) -> Path:
    """Where a workspace keeps its settings."""
    return root / ".dlt" / "config.toml"


def read_runtime_table(root: Path) -> RuntimeTable:
    """Read the table; absent values are None.

    Raises:
        InvalidError: the file is not TOML, or a value is not what it should be.
    """
    file = config_file(root)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("runtime", {})
    except FileNotFoundError:
        return RuntimeTable()
    except (OSError, ValueError) as error:
        raise InvalidError(f"`{file}` cannot be read: {error}", code="workspace_settings") from error
    table = table if isinstance(table, dict) else {}
    return RuntimeTable(
        _text(table.get("api_base_url")), _text(table.get("auth_base_url")), _workspace_id(table.get("workspace_id"))
    )


def write_runtime_table(root: Path, values: dict[str, str]) -> None:
    """Set values of the table, leaving the rest of the file as it is written, comments and order included."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    file = config_file(root)
    try:
        document = tomlkit.parse(file.read_text(encoding="utf-8")) if file.exists() else tomlkit.document()
    except (OSError, ValueError, TOMLKitError) as error:
        raise InvalidError(f"`{file}` cannot be read: {error}", code="workspace_settings") from error
    table: Any = document.get("runtime")
    if table is None:
        table = document["runtime"] = tomlkit.table()
    if not isinstance(table, MutableMapping):
        raise InvalidError(f"`runtime` in `{file}` is no table", code="workspace_settings", hint="write `[runtime]`")
    for key, value in values.items():
        table[key] = value
    write_atomically(file, tomlkit.dumps(document))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _workspace_id(value: object) -> UUID | None:
    if not value:
        return None
    try:
        return UUID(str(value))
    except ValueError:
        raise InvalidError(
            f"`[runtime] workspace_id` in `.dlt/config.toml` is `{value}`, which is not a workspace's id",
            code="workspace_settings",
            hint="remove it and run `dlt-runtime login`",
        ) from None
