"""Passwords: which are good enough, and argon2id hashes of them.

A hash takes 64 MiB and some 50 ms on purpose. Whoever asks for many must not take the machine with them: hashes are
made in two lanes, one at a time each, one for browsers that are known and one for everybody else. So an attack keeps
at most one core and 64 MiB busy, and people whose browsers are known do not queue behind it. A lane does twenty a
second: to fill the other one for long, an attacker needs more networks than `runtime.auth.throttling` lets through.
"""

import asyncio
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from runtime.errors import InvalidError, UnavailableError

LONGEST_PASSWORD = 1024
_FEWEST_DIFFERENT = 5
_MOST_WAITING = 16


def check_password(password: str, email: str, shortest: int) -> str:
    """A new password, if it is good enough; length is what counts, there are no rules about kinds of characters.

    Raises:
        InvalidError: too short, too long, a few characters over and over, or made of the email address.
    """
    plain = _normalise(password)
    if len(plain) < shortest:
        raise InvalidError(f"a password has at least {shortest} characters", code="password")
    if len(plain) > LONGEST_PASSWORD:
        raise InvalidError(f"a password has at most {LONGEST_PASSWORD} characters", code="password")
    if len(set(plain)) < _FEWEST_DIFFERENT:
        raise InvalidError("the password is a few characters over and over", code="password")
    name = email.partition("@")[0].lower()
    rest = plain.lower().replace(email.lower(), "").replace(name, "")
    if len(rest) < shortest // 2:
        raise InvalidError("the password is little more than the email address", code="password")
    return plain


class Passwords:
    """Hashes passwords and compares them with hashes."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._lanes = {is_known: asyncio.Semaphore(1) for is_known in (True, False)}
        self._waiting = dict.fromkeys(self._lanes, 0)
        # What a password is compared with where there is none to compare: the same work as for one that is wrong.
        self._nobodys = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """The hash of a password, with its parameters and salt (PHC string)."""
        return await asyncio.to_thread(self._hasher.hash, _encoded(password))

    async def is_right(self, password: str, hashed: str | None, *, is_known: bool) -> bool:
        """Whether a password fits a hash. None fits nothing, in the same time.

        Args:
            is_known: Which lane: that of browsers known to their account, or that of all others.

        Raises:
            UnavailableError: too many wait in this lane.
        """
        if self._waiting[is_known] >= _MOST_WAITING:
            raise UnavailableError("too many people sign in at this moment", hint="try again in a few seconds")
        self._waiting[is_known] += 1
        try:
            async with self._lanes[is_known]:
                fits = await asyncio.to_thread(self._fits, password[: LONGEST_PASSWORD + 1], hashed or self._nobodys)
        finally:
            self._waiting[is_known] -= 1
        return fits and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Whether the hash was made with parameters of an earlier time."""
        return self._hasher.check_needs_rehash(hashed)

    def _fits(self, password: str, hashed: str) -> bool:
        try:
            return self._hasher.verify(hashed, _encoded(password))
        except (VerificationError, InvalidHashError):
            return False


def _encoded(password: str) -> bytes:
    return _normalise(password).encode("utf-8", "surrogatepass")  # JSON can hold what UTF-8 cannot


def _normalise(password: str) -> str:
    """One spelling for what different keyboards send for the same characters."""
    return unicodedata.normalize("NFKC", password)
