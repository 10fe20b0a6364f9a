"""Where somebody wanted to go before they had to sign in: one of three kinds of page, never an address.

Because nothing that comes with a request is ever used as an address, there is no open redirect to be had. Of an app a
request names the slug, and a path that is only ever put after the app's own address; of a workspace its identifier,
and what in it.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urlencode
from uuid import UUID

from runtime.auth.codes import is_user_code, normalise_user_code

_APP_NOTE = "app."
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PLACE = re.compile(r"(runs|jobs|pipelines)/[\w.~-]{1,300}", re.ASCII)
_PATH = re.compile(r"/(?![/\\])[\x21-\x7e]{0,1999}|/")


@dataclass(frozen=True)
class Destination:
    """The page of a user code, that of a workspace, an app, or, with none, the one where a code is typed in.

    Attributes:
        to: A path within the app; of a workspace `runs/<id>`, `jobs/<id or reference>`, `pipelines/<name>` or nothing.
    """

    user_code: str = ""
    workspace: str = ""
    app: str = ""
    to: str = ""

    @classmethod
    def read(cls, user_code: str | None, workspace: str | None, app: str | None = None, to: str | None = None) -> Self:
        """From parameters or form fields; what is no code, identifier, slug or path counts as absent."""
        if app and _SLUG.fullmatch(app):
            return cls(app=app, to=to if to and _PATH.fullmatch(to) else "/")
        if user_code and is_user_code(user_code):
            return cls(user_code=normalise_user_code(user_code))
        try:
            return cls(workspace=str(UUID(workspace or "")), to=to if to and _PLACE.fullmatch(to) else "")
        except ValueError:
            return cls()

    @classmethod
    def from_note(cls, note: str) -> Self:
        """From what `note` gave."""
        if note.startswith(_APP_NOTE):
            app, _, to = note.removeprefix(_APP_NOTE).partition(".")
            return cls.read(None, None, app, _decoded(to))
        if is_user_code(note):
            return cls.read(note, None)
        workspace, _, to = note.partition(".")
        return cls.read(None, workspace, None, _decoded(to))

    @property
    def note(self) -> str:
        """As one word without special characters, for the way through another service and back."""
        if self.app:
            return f"{_APP_NOTE}{self.app}.{base64.urlsafe_b64encode(self.to.encode()).decode()}"
        if self.workspace and self.to:
            return f"{self.workspace}.{base64.urlsafe_b64encode(self.to.encode()).decode()}"
        return self.user_code or self.workspace

    @property
    def path(self) -> str:
        """The page itself."""
        if self.app:
            return f"/visit{self._query}"
        if self.workspace:
            return f"/w/{self.workspace}" + (f"/{self.to}" if self.to else "")
        return f"/activate{self._query}"

    @property
    def sign_in_path(self) -> str:
        """The page that signs in and goes on there."""
        return f"/login{self._query}"

    @property
    def _query(self) -> str:
        if self.app:
            return "?" + urlencode({"app": self.app, "to": self.to}, quote_via=quote)
        if self.workspace:
            return f"?workspace={self.workspace}" + (f"&to={quote(self.to, safe='')}" if self.to else "")
        return f"?user_code={self.user_code}" if self.user_code else ""


def _decoded(text: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(text.encode("ascii", "replace")).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return None
