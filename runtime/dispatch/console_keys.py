"""Keys with which pages of the console ask the API: one for each browser session that looks at it, in memory only.

A key stands for whoever is signed in with the session, for as long as they are, and opens nothing anywhere but on the
console's own socket. So it is worth no more than the session, ends with it, and is not to be found in the database.
"""

from runtime.auth.codes import digest, new_secret
from runtime.dispatch.signing_in import SignInService
from runtime.domain.identities import Principal
from runtime.errors import UnauthenticatedError


class ConsoleKeys:
    """The keys there are."""

    def __init__(self, sign_in: SignInService) -> None:
        self._sign_in = sign_in
        self._sessions: dict[bytes, str] = {}

    def issue(self, session_secret: str) -> str:
        """A new key for a session."""
        key = new_secret()
        self._sessions[digest(key)] = session_secret
        return key

    def revoke(self, key: str) -> None:
        """Take a key back; one that is not there is no error."""
        self._sessions.pop(digest(key), None)

    async def principal(self, key: str) -> Principal:
        """Who a key stands for; never an administrator, whoever it is.

        Raises:
            UnauthenticatedError: it is no key, or the session has ended.
        """
        user = await self._sign_in.current(self._sessions.get(digest(key)))
        if user is None:
            raise UnauthenticatedError("you are signed out", code="signed_out", hint="load the page again")
        return Principal(user=user)
