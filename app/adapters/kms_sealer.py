"""Authenticated encryption under a key that never leaves AWS KMS."""

import logging
from base64 import b64decode, b64encode
from dataclasses import dataclass

from app.adapters.aws import Aws
from app.adapters.aws_json import AwsFault
from app.adapters.local_keys import LocalSealer
from app.common.errors import StoreUnavailable
from app.common.secrets import SealBroken, decode, encode

log = logging.getLogger(__name__)

VERSION = "k1."
# API reference, Decrypt: the text was changed, or belongs to another context or key.
BROKEN = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


@dataclass(frozen=True, kw_only=True, eq=False)
class KmsSealer:
    """`Sealer` by envelope encryption: a data key of KMS for each text, used once.

    The wrapped data key is authenticated with the text: no part of it can be exchanged.

    KMS notes the encryption context in CloudTrail, and the context holds no secret: the
    application and the purpose, and which item of it.

    Attributes:
        key_id: the KMS key's id or ARN.
    """

    aws: Aws
    key_id: str

    def seal(self, plain: bytes, *, context: str) -> str:
        try:
            made = self.aws.json("kms").call(
                "GenerateDataKey",
                {
                    "KeyId": self.key_id,
                    "KeySpec": "AES_256",
                    "EncryptionContext": encryption_context(context),
                },
            )
        except AwsFault as fault:
            raise _unavailable(fault) from None
        wrapped = encode(b64decode(made["CiphertextBlob"]))
        sealed = LocalSealer(key=b64decode(made["Plaintext"])).seal(
            plain, context=f"{wrapped}.{context}"
        )
        return f"{VERSION}{wrapped}.{sealed}"

    def open(self, sealed: str, *, context: str) -> bytes:
        version, _, rest = sealed.partition(".")
        wrapped, _, text = rest.partition(".")
        try:
            if version + "." != VERSION:
                raise SealBroken
            blob = decode(wrapped)
            answer = self.aws.json("kms").call(
                "Decrypt",
                {
                    "KeyId": self.key_id,
                    "CiphertextBlob": b64encode(blob).decode(),
                    "EncryptionContext": encryption_context(context),
                },
            )
            opener = LocalSealer(key=b64decode(answer["Plaintext"]))
            return opener.open(text, context=f"{wrapped}.{context}")
        except ValueError:
            raise SealBroken from None
        except AwsFault as fault:
            if fault.code in BROKEN:
                raise SealBroken from None
            raise _unavailable(fault) from None


def encryption_context(context: str) -> dict[str, str]:
    """`application/purpose/item` as KMS takes it, so that a key policy can name each part."""
    names = ("application", "purpose", "item")
    return dict(zip(names, context.split("/", 2), strict=False))


def _unavailable(fault: AwsFault) -> StoreUnavailable:
    log.error("KMS does not answer: %s", fault)
    return StoreUnavailable()
