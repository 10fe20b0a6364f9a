"""The tokens a person holds, one pair per daemon, in `$XDG_CONFIG_HOME/dlt-runtime/credentials.toml`, mode 0600.

A machine brings its token in `DLT_RUNTIME_TOKEN` instead; nothing is stored then.
"""

import fcntl
import os
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.files import write_atomically
from runtime.errors import InvalidError
from runtime.wire.tokens import TokenKeeper, TokenPair

TOKEN_VARIABLE = "DLT_RUNTIME_TOKEN"  # noqa: S105 - the variable's name


def credentials_file() -> Path:
    """Where tokens are kept."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "dlt-runtime" / "credentials.toml"


def keeper_for(url: str) -> TokenKeeper:
    """The tokens for a daemon: the machine's if the environment holds one, else the person's."""
    token = os.environ.get(TOKEN_VARIABLE)
    return MachineToken(token) if token else StoredTokens(url)


def is_machine() -> bool:
    """Whether the environment brings a machine's token."""
    return bool(os.environ.get(TOKEN_VARIABLE))


class MachineToken:
    """A token from the environment: it is not renewed and never stored."""

    def __init__(self, token: str) -> None:
        self._pair = TokenPair(token)

    def load(self) -> TokenPair | None:
        """The token."""
        return self._pair

    def save(self, pair: TokenPair) -> None:
        """Nothing to do: the environment is not ours to change."""

    def clear(self) -> None:
        """Nothing to do."""

    @contextmanager
    def lock(self) -> Generator[None, None, None]:
        """Nothing to guard."""
        yield


class StoredTokens:
    """The pair of one daemon in the credentials file."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._file = credentials_file()

    def load(self) -> TokenPair | None:
        """The stored pair, None when logged out. Raises InvalidError if the file cannot be read."""
        entry = self._read().get(self._url)
        if not isinstance(entry, dict) or not isinstance(entry.get("access_token"), str):
            return None
        return TokenPair(entry["access_token"], entry.get("refresh_token"))

    def save(self, pair: TokenPair) -> None:
        """Store the pair beside those of other daemons."""
        entry = {"access_token": pair.access}
        if pair.refresh:
            entry["refresh_token"] = pair.refresh
        self._write({**self._read(), self._url: entry})

    def clear(self) -> None:
        """Forget the pair."""
        self._write({url: entry for url, entry in self._read().items() if url != self._url})

    @contextmanager
    def lock(self) -> Generator[None, None, None]:
        """Keep other commands of this person from renewing at the same time."""
        self._make_directory()
        with self._file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> dict[str, Any]:
        try:
            daemons = tomllib.loads(self._file.read_text()).get("daemons", {})
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise InvalidError(
                f"`{self._file}` cannot be read", code="credentials", hint="remove it and log in again"
            ) from error
        return daemons if isinstance(daemons, dict) else {}

    def _write(self, daemons: dict[str, Any]) -> None:
        import tomlkit

        self._make_directory()
        write_atomically(self._file, tomlkit.dumps({"daemons": daemons}), mode=0o600)

    def _make_directory(self) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
