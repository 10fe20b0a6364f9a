"""The tokens of one daemon, and what a client needs of the place where they are kept."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class TokenPair:
    """An access token and the refresh token that renews it once; a machine token has none."""

    access: str
    refresh: str | None = None


class TokenKeeper(Protocol):
    """Where the tokens of one daemon are kept between commands."""

    def load(self) -> TokenPair | None:
        """The tokens at present, None when logged out."""

    def save(self, pair: TokenPair) -> None:
        """Replace them."""

    def clear(self) -> None:
        """Forget them: the daemon does not take them any more."""

    def lock(self) -> AbstractContextManager[None]:
        """Held while tokens are renewed: a refresh token is spent by its first use, whichever process that is."""
