"""Random secrets, their digests, and the codes that people read out and type."""

import hashlib
import secrets
import string

# No vowels, so no words; nothing that is taken for something else (0 O, 1 I L, U V).
_LETTERS = "BCDFGHJKMNPQRSTVWXZ"
_DIGITS = "23456789"
_HALF = 4
_SECRET_BYTES = 32


def new_secret() -> str:
    """A device code or refresh token: 256 random bits, so neither guessing nor a plain digest is a worry.

    In hexadecimal: clients put a device code on a command line, where a leading dash would make an option of it.
    """
    return secrets.token_hex(_SECRET_BYTES)


def is_secret(text: str) -> bool:
    """Whether a text can be a secret that `new_secret` has made."""
    return len(text) == 2 * _SECRET_BYTES and set(text) <= set(string.hexdigits)


def digest(secret: str) -> bytes:
    """What is stored of a secret: its SHA-256. Fit for random secrets only, not for passwords."""
    return hashlib.sha256(secret.encode()).digest()


def is_same_digest(one: bytes, other: bytes) -> bool:
    """Compare in a time that does not tell how much of them is equal."""
    return secrets.compare_digest(one, other)


def new_user_code() -> str:
    """A code like `BCDF-2345`, for a person to pass on. It opens nothing by itself; an administrator approves it."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_HALF))
    digits = "".join(secrets.choice(_DIGITS) for _ in range(_HALF))
    return f"{letters}-{digits}"


def is_user_code(text: str) -> bool:
    """Whether a code as typed can be one of ours."""
    letters, _, digits = normalise_user_code(text).partition("-")
    return len(letters) == len(digits) == _HALF and set(letters) <= set(_LETTERS) and set(digits) <= set(_DIGITS)


def normalise_user_code(text: str) -> str:
    """A code as typed, in its one spelling: case, spaces and the dash do not matter."""
    plain = "".join(character for character in text.upper() if character.isalnum())
    return f"{plain[:_HALF]}-{plain[_HALF:]}"
