"""Sealed tokens: what they hold nobody can read, change or make without the library's secret.

All services of a library share that secret, so a token that one made is good for all.
"""

import binascii
import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

from kadr.errors import LibraryError
from kadr.stores import IDS, Store

_SEAL = 16
"""Bytes of a token's seal, which is also what its content is enciphered by."""
_SALT = 7
"""Random bytes in a token: two of one content don't look alike."""
MOST = 64 - _SALT
"""Bytes that a token may hold: the cipher is one SHA-512 long."""


class Seals:
    """Makes and opens tokens for one purpose.

    The seal is the HMAC-SHA256 of the context and the content, and the nonce by which the content
    is enciphered: a synthetic initialization vector (Rogaway and Shrimpton 2006, RFC 5297).
    """

    def __init__(self, secret: bytes, purpose: str) -> None:
        """Take a secret of at least 16 bytes; another purpose has keys of its own."""
        self._sealing = hmac.digest(secret, f"kadr {purpose}: seal".encode(), "sha256")
        self._ciphering = hmac.digest(secret, f"kadr {purpose}: cipher".encode(), "sha256")

    def seal(self, content: bytes, context: bytes = b"") -> str:
        """A token of at most `MOST` bytes; only with the same context it can be opened."""
        salted = secrets.token_bytes(_SALT) + content
        seal = self._seal(salted, context)
        return urlsafe_b64encode(seal + self._cipher(salted, seal)).rstrip(b"=").decode()

    def open(self, token: str, context: bytes = b"") -> bytes | None:
        """The content of a token; None where it wasn't made with this secret and context."""
        sealed = _decoded(token)
        seal, salted = sealed[:_SEAL], self._cipher(sealed[_SEAL:], sealed[:_SEAL])
        if len(salted) < _SALT or not hmac.compare_digest(seal, self._seal(salted, context)):
            return None
        return salted[_SALT:]

    def _seal(self, salted: bytes, context: bytes) -> bytes:
        text = hashlib.sha256(context).digest() + salted
        return hmac.digest(self._sealing, text, "sha256")[:_SEAL]

    def _cipher(self, text: bytes, seal: bytes) -> bytes:
        """Encipher or decipher, by exclusive or."""
        stream = hmac.digest(self._ciphering, seal, "sha512")
        return bytes(a ^ b for a, b in zip(text, stream, strict=False))


def secret_of(store: Store) -> bytes:
    """The secret of a library, which its services share.

    Raises:
        LibraryError: it is gone.
    """
    secret = bytes.fromhex(store.meta(IDS) or "")
    if len(secret) < 16:
        raise LibraryError(f"{store.name}: its secret of ids is gone. Index into a new library.")
    return secret


def _decoded(token: str) -> bytes:
    """The bytes of a token; none where it isn't written as `seal` writes one."""
    try:
        sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return b""
    same = urlsafe_b64encode(sealed).rstrip(b"=").decode() == token
    return sealed if same and len(sealed) <= _SEAL + _SALT + MOST else b""
