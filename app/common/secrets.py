"""Secrets: made from the system's randomness, stored as digests, compared in constant time."""

import base64
import hashlib
import hmac
import secrets
from typing import Protocol

TOKEN_BYTES = 32


class Secret(str):
    """A secret in clear on its way to its owner; its `repr` never shows it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(…)"


def encode(raw: bytes) -> str:
    """Base64url without padding (RFC 4648 section 5), fit for URLs and headers."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes of a base64url text.

    Raises:
        ValueError: the text is not exactly what `encode` writes for some bytes.
    """
    try:
        # It passes over what is not base64url, and takes the other alphabet too; neither is what
        # `encode` writes, which is compared below.
        raw = base64.urlsafe_b64decode(text + "==")
    except ValueError:
        raise ValueError("not base64url") from None
    if encode(raw) != text:
        raise ValueError("not canonical base64url")
    return raw


def new_token() -> Secret:
    """A bearer secret of 256 random bits (OWASP ASVS 5.0, 7.2.3 asks for 128)."""
    return Secret(encode(secrets.token_bytes(TOKEN_BYTES)))


def digest(secret: str) -> str:
    """What is stored of a bearer secret: SHA-256, enough for a secret of full entropy."""
    return encode(hashlib.sha256(secret.encode()).digest())


def mac(key: bytes, *parts: str) -> bytes:
    """HMAC-SHA-256 over the parts; none of them may hold a newline, which separates them."""
    return hmac.new(key, "\n".join(parts).encode(), hashlib.sha256).digest()


def same(one: str | bytes, other: str | bytes) -> bool:
    """Compare secrets in a time that does not depend on where they differ."""
    left = one.encode() if isinstance(one, str) else one
    right = other.encode() if isinstance(other, str) else other
    return hmac.compare_digest(left, right)


class Sealer(Protocol):
    """Authenticated encryption under a key that never lies beside the data."""

    def seal(self, plain: bytes, *, context: str) -> str:
        """Encrypt; `context` must be given again, unchanged, to open."""
        ...

    def open(self, sealed: str, *, context: str) -> bytes:
        """Decrypt.

        Raises:
            SealBroken: the text was changed, or sealed under another key or context.
        """
        ...


class SealBroken(Exception):
    """A sealed text does not open: it was tampered with, or the key is not the one it needs."""
