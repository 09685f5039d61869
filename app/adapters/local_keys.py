"""Authenticated encryption under a key file, for a deployment on one machine."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from app.common.errors import CannotStart
from app.common.secrets import SealBroken, decode, encode

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = "v1."


@dataclass(frozen=True, kw_only=True, eq=False)
class LocalSealer:
    """`Sealer` by AES-256-GCM (NIST SP 800-38D) with random nonces.

    One key is good for 2**32 messages; each sealed text names the scheme it was made by.
    """

    key: bytes = field(repr=False)

    def seal(self, plain: bytes, *, context: str) -> str:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(self.key).encrypt(nonce, plain, context.encode())
        return VERSION + encode(nonce + sealed)

    def open(self, sealed: str, *, context: str) -> bytes:
        # cryptography costs a cold start 30 ms; many requests open nothing.
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            if not sealed.startswith(VERSION):
                raise SealBroken
            raw = decode(sealed.removeprefix(VERSION))
            nonce, text = raw[:NONCE_BYTES], raw[NONCE_BYTES:]
            return AESGCM(self.key).decrypt(nonce, text, context.encode())
        except (ValueError, InvalidTag):
            raise SealBroken from None


def key_file(path: Path) -> bytes:
    """The key in a file of mode 600, which is made when there is none.

    Raises:
        CannotStart: the file is no key, or others may read it.
    """
    text, _ = secret_file(path, encode(secrets.token_bytes(KEY_BYTES)))
    try:
        key = decode(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise CannotStart(f"The key file {path} does not hold a key of {KEY_BYTES} bytes.")
    return key


def secret_file(path: Path, fresh: str) -> tuple[str, bool]:
    """The text of a file of mode 600 and whether it was made now, holding `fresh`.

    Of several processes that start together one makes it, whole or not at all.

    Raises:
        CannotStart: others than its owner may read it.
    """
    made = False
    if not path.exists():
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(fresh + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # fails where another process was first
            made = True
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    if path.stat().st_mode & 0o077:
        raise CannotStart(f"Others may read {path}: run `chmod 600 {path}`.")
    return path.read_text().strip(), made
