"""Making, rotating and revoking signing keys, and getting at both halves of one."""

import secrets
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from app.common.clock import Clock, rfc3339
from app.common.ids import ApplicationId
from app.common.secrets import Sealer, decode, encode
from app.signing.types import (
    Algorithm,
    KeyInUse,
    KeyNotFound,
    KeyState,
    Ring,
    SigningKey,
    TooManyKeys,
)

# A token may have been signed with the longest lifetime an application can choose, whatever it
# has chosen since; a day more of publishing costs nothing.
LONGEST_TOKEN_SECONDS = 86_400
MAX_KEYS = 50
CACHED_KEYS = 256
RSA_BITS = 2048
KID_BYTES = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class KeyRings:
    """What may be done with a ring; whoever asks commits it."""

    sealer: Sealer
    clock: Clock
    _opened: dict[str, Any] = field(default_factory=dict, repr=False)

    def fresh(self, application_id: ApplicationId, algorithm: Algorithm) -> Ring:
        """The first ring of an application: a key that signs and the one after it."""
        return Ring(
            keys=(
                self._make(application_id, algorithm, KeyState.CURRENT),
                self._make(application_id, algorithm, KeyState.NEXT),
            )
        )

    def rotated(self, application_id: ApplicationId, ring: Ring, algorithm: Algorithm) -> Ring:
        """The ring in which the published `next` key signs and a new one is `next`.

        Where the application has chosen another algorithm since, `next` does not fit: then both
        are made anew, and verifiers must fetch the set again, as they do for an unknown kid.

        Raises:
            TooManyKeys: too many retired keys still have living tokens.
        """
        now = self.clock.seconds()
        kept = [self._turned(key, now) for key in ring.published(now)]
        kept = [key for key in kept if key.algorithm is algorithm or key.leaves is not None]
        if len(kept) >= MAX_KEYS:
            raise TooManyKeys
        for state in (KeyState.CURRENT, KeyState.NEXT):
            if not any(key.state is state for key in kept):
                kept.append(self._make(application_id, algorithm, state))
        return Ring(keys=tuple(kept), version=ring.version)

    def without(self, application_id: ApplicationId, ring: Ring, kid: str) -> Ring:
        """The ring without a key: its tokens are refused from then on.

        Raises:
            KeyNotFound: the ring has no such key.
            KeyInUse: it is the one that signs.
        """
        gone = ring.find(kid)
        if gone is None or gone not in ring.published(self.clock.seconds()):
            raise KeyNotFound
        if gone.state is KeyState.CURRENT:
            raise KeyInUse
        kept = [key for key in ring.keys if key.kid != kid]
        if gone.state is KeyState.NEXT:
            kept.append(self._make(application_id, gone.algorithm, KeyState.NEXT))
        return Ring(keys=tuple(kept), version=ring.version)

    def private_key(self, application_id: ApplicationId, key: SigningKey) -> Any:
        """The private half, opened once in this process, as `cryptography` holds it."""
        opened = self._opened.get(key.kid)
        if opened is None:
            # cryptography is imported where it is first needed: it costs a cold start 30 ms.
            from cryptography.hazmat.primitives.serialization import load_der_private_key

            assert key.sealed is not None
            der = decode(
                self.sealer.open(key.sealed, context=_context(application_id, key.kid)).decode()
            )
            # The check of an RSA key takes 30 ms, and this one is ours, under authenticated
            # encryption; a changed one would not have opened.
            opened = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
            while len(self._opened) >= CACHED_KEYS:
                self._opened.pop(next(iter(self._opened)), None)
            self._opened[key.kid] = opened
        return opened

    def _turned(self, key: SigningKey, now: int) -> SigningKey:
        if key.state is KeyState.NEXT:
            return replace(key, state=KeyState.CURRENT)
        if key.state is KeyState.CURRENT:
            # The private half is destroyed with the rotation: nothing can sign with it again.
            leaves = now + LONGEST_TOKEN_SECONDS
            return replace(key, state=KeyState.RETIRED, sealed=None, leaves=leaves)
        return key

    def _make(
        self, application_id: ApplicationId, algorithm: Algorithm, state: KeyState
    ) -> SigningKey:
        kid = encode(secrets.token_bytes(KID_BYTES))
        der, jwk = _generate(algorithm)
        sealed = self.sealer.seal(encode(der).encode(), context=_context(application_id, kid))
        return SigningKey(
            kid=kid,
            algorithm=algorithm,
            state=state,
            created=rfc3339(self.clock.now()),
            jwk={**jwk, "kid": kid, "alg": algorithm.value, "use": "sig"},
            sealed=sealed,
        )


def verifies(key: SigningKey, signed: bytes, signature: bytes) -> bool:
    """Whether a signature of some bytes was made with a key, by its own algorithm."""
    algorithm, public = _public_key(key.algorithm, tuple(key.jwk.items()))
    return bool(algorithm.verify(signed, public, signature))


@lru_cache(maxsize=CACHED_KEYS)
def _public_key(algorithm: Algorithm, jwk: tuple[tuple[str, str], ...]) -> tuple[Any, Any]:
    """The algorithm as PyJWT has it, and the public half as `cryptography` holds it."""
    found = _jwt_algorithm(algorithm)
    return found, found.from_jwk(dict(jwk))


def _jwt_algorithm(algorithm: Algorithm) -> Any:
    # PyJWT and cryptography together cost a cold start more than 100 ms.
    from jwt.algorithms import get_default_algorithms

    return get_default_algorithms()[algorithm.value]


def _generate(algorithm: Algorithm) -> tuple[bytes, dict[str, Any]]:
    """A new key pair: the private half as PKCS #8 DER and the public members of its JWK."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    made: Any
    match algorithm:
        case Algorithm.RS256:
            made = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        case Algorithm.ES256:
            made = ec.generate_private_key(ec.SECP256R1())
        case Algorithm.EDDSA:
            made = ed25519.Ed25519PrivateKey.generate()
    der = made.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    jwk = _jwt_algorithm(algorithm).to_jwk(made.public_key(), as_dict=True)
    jwk.pop("key_ops", None)  # `use` says it; RFC 7517 section 4.3 wants one of the two
    return der, jwk


def _context(application_id: ApplicationId, kid: str) -> str:
    return f"{application_id}/signing-key/{kid}"
