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

from cli.files import refusing, write_atomically
from runtime.errors import InvalidError
from runtime.wire.endpoint import Endpoint
from runtime.wire.tokens import TokenKeeper, TokenPair

TOKEN_VARIABLE = "DLT_RUNTIME_TOKEN"  # noqa: S105 - the variable's name


def credentials_file() -> Path:
    """Where tokens are kept."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "dlt-runtime" / "credentials.toml"


def keeper_for(url: str) -> TokenKeeper:
    """The tokens for a daemon: the machine's if the environment holds one, else the person's."""
    return MachineToken(os.environ[TOKEN_VARIABLE]) if is_machine() else StoredTokens(url)


def keeper_at(endpoint: Endpoint) -> TokenKeeper | None:
    """The tokens to send to a daemon; None through its socket, which knows who asks, but for a machine.

    A token says what may be done with it, on the daemon's own machine too: who brings one means that, and not what
    the user may do whom the program runs as.
    """
    return keeper_for(endpoint.url) if endpoint.needs_login or is_machine() else None


def is_machine() -> bool:
    """Whether the environment brings a machine's token."""
    return bool(os.environ.get(TOKEN_VARIABLE, "").strip())


class MachineToken:
    """A token from the environment: it is not renewed and never stored."""

    def __init__(self, token: str) -> None:
        """Take a token, without the line's end that a file it was read from may have left.

        Raises:
            InvalidError: no header can carry it.
        """
        self._pair = TokenPair(token.strip())
        if not _is_sendable(self._pair.access):
            raise InvalidError(
                f"the token in {TOKEN_VARIABLE} has characters that no token has",
                code="token",
                hint="give it as `token create` printed it",
            )

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
        access, refresh = (entry.get("access_token"), entry.get("refresh_token")) if isinstance(entry, dict) else (0, 0)
        if not isinstance(access, str) or not _is_sendable(access):
            return None
        return TokenPair(access, refresh if isinstance(refresh, str) else None)

    def save(self, pair: TokenPair) -> None:
        """Store the pair beside those of other daemons."""
        entry = {"access_token": pair.access}
        if pair.refresh:
            entry["refresh_token"] = pair.refresh
        self._write({**self._read(), self._url: entry})

    def rehearse(self) -> None:
        """Write what is there already; InvalidError if that fails, as it would with new tokens."""
        with self.lock():
            self._write(self._read())

    def clear(self) -> None:
        """Forget the pair."""
        self._write({url: entry for url, entry in self._read().items() if url != self._url})

    @contextmanager
    def lock(self) -> Generator[None, None, None]:
        """Keep other commands of this person from renewing at the same time."""
        self._make_directory()
        with refusing(self._file.with_suffix(".lock")) as path:
            lock = path.open("w")
        with lock:
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
        with refusing(self._file.parent) as directory:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def _is_sendable(token: str) -> bool:
    """Whether a header can carry a token."""
    return token.isascii() and token.isprintable()
