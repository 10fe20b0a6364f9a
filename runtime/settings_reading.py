"""Reading the settings from file, environment and flags, and saying what is wrong with them in a person's words."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, TomlConfigSettingsSource

from runtime.errors import InvalidError
from runtime.settings import ENVIRONMENT_PREFIX, Settings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SYSTEM_CONFIG_FILE = Path("/etc/dlt-runtime/config.toml")
_NO_SETTINGS = ("URL", "TOKEN", "CA_FILE", "PAYLOAD")
"""Variables of that prefix which the command line and jobs read."""


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
        _check_environment(os.environ)
        return FromFile(**given)
    except (ValueError, OSError) as error:  # of pydantic, of TOML and of UTF-8
        raise InvalidError(
            f"settings: {_explain(error, file)}", code="settings", hint=f"see `{file}` and DLT_RUNTIME_*"
        ) from error


def _check_environment(environment: Mapping[str, str]) -> None:
    """Find what the sources of the settings pass over in silence, or say in words of their own.

    Raises:
        ValueError: a variable is no setting, or what it holds is not JSON where that is asked for.
    """
    for name, value in environment.items():
        setting = name.upper().removeprefix(ENVIRONMENT_PREFIX)
        if setting == name.upper() or setting in _NO_SETTINGS:
            continue
        parts = setting.lower().split("__")
        if parts[0] not in Settings.model_fields:
            near = _nearest(parts[0], Settings.model_fields)
            raise ValueError(f"`{name}`: {_no_such(f'{ENVIRONMENT_PREFIX}{near.upper()}' if near else None)}")
        kind = _kind_of(parts)
        if get_origin(kind) in (tuple, dict) or _is_section(kind):
            try:
                json.loads(value)
            except ValueError:
                what, example = (
                    ("lists are", '["/srv/wheels"]')
                    if get_origin(kind) is tuple
                    else ("tables are", '{"key": "value"}')
                )
                raise ValueError(f"`{name}`: {what} JSON in the environment, for example '{example}'") from None


def _explain(error: Exception, file: Path) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(
            f"`{'.'.join(str(part) for part in each['loc'])}`: {_complaint(each)}"
            for each in error.errors(include_input=False, include_url=False)
        )
    if isinstance(error, UnicodeDecodeError):
        return f"`{file}` is not UTF-8"
    return str(error)


def _complaint(error: "ErrorDetails") -> str:
    """What is wrong with a setting, in the words of a settings file."""
    path = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        section = _kind_of(path[:-1])
        near = _nearest(path[-1], section.model_fields) if _is_section(section) else None
        return _no_such(near)
    if error["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return f"write it as a table `[{'.'.join(path)}]`"
    if error["type"] in ("tuple_type", "list_type"):
        return 'write it as a list, `["..."]`'
    return error["msg"].removeprefix("Value error, ")


def _no_such(near: str | None) -> str:
    return "there is no such setting" + (f"; did you mean `{near}`?" if near else "")


def _nearest(name: str, known: Iterable[str]) -> str | None:
    return next(iter(get_close_matches(name, known, n=1)), None)


def _kind_of(path: Sequence[str]) -> Any:
    """The type of a setting, or of a table of settings, by its path; None where there is none."""
    kind: Any = Settings
    for part in path:
        if _is_section(kind) and part in kind.model_fields:
            kind = kind.model_fields[part].annotation
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            return None
    return kind


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
