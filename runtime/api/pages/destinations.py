"""Where somebody wanted to go before they had to sign in: one of two kinds of page, never an address.

Because nothing that comes with a request is ever used as an address, there is no open redirect to be had.
"""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

from runtime.auth.codes import is_user_code, normalise_user_code


@dataclass(frozen=True)
class Destination:
    """The page of a user code, that of a workspace, or, with neither, the one where a code is typed in."""

    user_code: str = ""
    workspace: str = ""

    @classmethod
    def read(cls, user_code: str | None, workspace: str | None) -> Self:
        """From parameters or form fields; what is no code or identifier counts as absent."""
        if user_code and is_user_code(user_code):
            return cls(user_code=normalise_user_code(user_code))
        try:
            return cls(workspace=str(UUID(workspace or "")))
        except ValueError:
            return cls()

    @classmethod
    def from_note(cls, note: str) -> Self:
        """From what `note` gave."""
        return cls.read(note, None) if is_user_code(note) else cls.read(None, note)

    @property
    def note(self) -> str:
        """As one word without special characters, for the way through another service and back."""
        return self.user_code or self.workspace

    @property
    def path(self) -> str:
        """The page itself."""
        return f"/w/{self.workspace}" if self.workspace else f"/activate{self._query}"

    @property
    def sign_in_path(self) -> str:
        """The page that signs in and goes on there."""
        return f"/login{self._query}"

    @property
    def _query(self) -> str:
        if self.workspace:
            return f"?workspace={self.workspace}"
        return f"?user_code={self.user_code}" if self.user_code else ""
