"""Tokens by hand, signed with the keys that the store holds sealed and the key file opens."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key

from app.adapters.local_keys import LocalSealer, key_file
from app.adapters.platform import KEY_FILE
from app.common.secrets import decode
from tests.api.world import Tenant, World

Members = dict[str, Any]


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def part(members: Any) -> str:
    return b64(json.dumps(members).encode())


def header(token: str) -> Members:
    return dict(jwt.get_unverified_header(token))


def claims(token: str) -> Members:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def opened(world: World) -> dict[str, bytes]:
    """Every private key in the store by its `kid`, in DER."""
    sealer = LocalSealer(key=key_file(world.folder / KEY_FILE))
    found = {}
    for partition, sort_key, text in world.rows():
        if sort_key == "keys":
            app = partition.removeprefix("app#")
            for key in json.loads(text)["keys"]:
                if key["sealed"] is not None:
                    context = f"{app}/signing-key/{key['kid']}"
                    found[key["kid"]] = decode(sealer.open(key["sealed"], context=context).decode())
    return found


@dataclass(frozen=True, kw_only=True)
class Signer:
    """An application's own key: what is refused under it is refused for what it says."""

    kid: str
    algorithm: str
    private: Any = field(repr=False)

    def head(self, **changes: Any) -> Members:
        """The header that the service writes, changed; `...` leaves a member out."""
        found = {"typ": "at+jwt", "kid": self.kid, "alg": self.algorithm, **changes}
        return {name: value for name, value in found.items() if value is not ...}

    def tag(self, text: str) -> bytes:
        """The signature of a text (RFC 7518 sections 3.3 and 3.4, RFC 8037)."""
        match self.private:
            case RSAPrivateKey() as rsa:
                return rsa.sign(text.encode(), PKCS1v15(), SHA256())
            case EllipticCurvePrivateKey() as curve:
                r, s = decode_dss_signature(curve.sign(text.encode(), ECDSA(SHA256())))
                return r.to_bytes(32, "big") + s.to_bytes(32, "big")
            case Ed25519PrivateKey() as edwards:
                return edwards.sign(text.encode())
            case other:
                raise TypeError(type(other).__name__)

    def over(self, head: str, payload: str) -> str:
        """A token of two parts that are encoded already."""
        return f"{head}.{payload}.{b64(self.tag(f'{head}.{payload}'))}"

    def sign(self, members: Members, **changes: Any) -> str:
        """A token; `...` leaves a claim or a header out."""
        kept = {name: value for name, value in members.items() if value is not ...}
        return self.over(part(self.head(**changes)), part(kept))


def signer(tenant: Tenant) -> Signer:
    """The key that signs for an application now."""
    (current,) = [
        key for key in tenant.admin("GET", "/keys").json()["items"] if key["state"] == "current"
    ]
    der = opened(tenant.world)[current["kid"]]
    private = load_der_private_key(der, None)
    return Signer(kid=current["kid"], algorithm=current["algorithm"], private=private)
