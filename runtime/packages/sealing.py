"""Sealing the contents of configurations: secrets lie in the database as ciphertext, the key lies outside of it.

A sealed content is `version (1 byte) | key id (8) | nonce (12) | ChaCha20-Poly1305 ciphertext and tag`. Everything
before the ciphertext is authenticated with it, and so is the caller's context: a content moved to another place
does not open. The key id says which key of a ring sealed it, so that keys can be replaced while contents are in use.
"""

import hashlib
import secrets
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from runtime.errors import StoreError

_VERSION = b"\x01"
_KEY_ID_BYTES = 8
_NONCE_BYTES = 12
_HEADER_BYTES = len(_VERSION) + _KEY_ID_BYTES


class Sealer:
    """Seals with one key and unseals with every key of its ring; safe to use from several threads.

    A key that has been replaced stays in the ring for as long as the process lives: somebody may have read a content
    before it was sealed anew, and open it after.
    """

    def __init__(self, key: bytes, older: Iterable[bytes] = ()) -> None:
        self._ring = {_header(each): ChaCha20Poly1305(each) for each in (*older, key)}
        self._current = _header(key)

    @property
    def header(self) -> bytes:
        """What every content begins with that is sealed from now on."""
        return self._current

    @property
    def key_id(self) -> str:
        """Names the key that seals, and tells nothing of it."""
        return self._current[len(_VERSION) :].hex()

    @property
    def header_bytes(self) -> int:
        """How many bytes of a sealed content say what opens it."""
        return _HEADER_BYTES

    def knows(self, header: bytes) -> bool:
        """Whether a content that begins with these bytes was sealed with a key of the ring."""
        return header in self._ring

    def use(self, key: bytes) -> None:
        """Seal with this key from now on."""
        header = _header(key)
        self._ring = {**self._ring, header: ChaCha20Poly1305(key)}
        self._current = header

    def seal(self, content: bytes, context: bytes) -> bytes:
        """`content` under a fresh nonce, bound to `context`; sealing twice gives different bytes."""
        header = self._current
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return header + nonce + self._ring[header].encrypt(nonce, content, header + context)

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        """The content that `seal` was given with the same `context`.

        Raises:
            StoreError: sealed with a key that is not in the ring, or the bytes or the context are not those of then.
        """
        header, rest = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        if header[:1] != _VERSION or len(rest) < _NONCE_BYTES:
            raise StoreError("a sealed content is damaged", code="sealed_content")
        cipher = self._ring.get(header)
        if cipher is None:
            raise StoreError(
                "a sealed content was sealed with another key",
                code="sealing_key",
                hint="put back the sealing key this database was used with",
            )
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], header + context)
        except InvalidTag as error:
            raise StoreError("a sealed content is damaged or was moved", code="sealed_content") from error

    def reseal(self, sealed: bytes, context: bytes) -> bytes:
        """The same content under the key that seals now; raises as `unseal`."""
        return self.seal(self.unseal(sealed, context), context)


def _header(key: bytes) -> bytes:
    return _VERSION + hashlib.blake2b(key, digest_size=_KEY_ID_BYTES, person=b"sealing key id").digest()
