"""Keys and rings."""

from dataclasses import dataclass, field
from enum import StrEnum

from app.common.errors import Kind, Refusal
from app.storage.table import Json


class Algorithm(StrEnum):
    """How a key signs (RFC 7518 section 3.1, RFC 8037); never symmetric, never `none`."""

    RS256 = "RS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"


class KeyState(StrEnum):
    """Where a key is in its life.

    `next` is published and does not sign yet: gateways cache the set for up to 2 hours.
    """

    NEXT = "next"
    CURRENT = "current"
    RETIRED = "retired"


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """One key of a ring.

    Attributes:
        jwk: the public half (RFC 7517) with `kid`, `alg` and `use`.
        sealed: the private half, PKCS #8 DER under the sealer; a retired key has none.
        leaves: seconds since 1970 when a retired key leaves the published set.
    """

    kid: str
    algorithm: Algorithm
    state: KeyState
    created: str
    jwk: dict[str, Json]
    sealed: str | None = field(repr=False)
    leaves: int | None = None


@dataclass(frozen=True, kw_only=True)
class Ring:
    """The keys of an application: one `next`, one `current`, and the retired ones.

    Attributes:
        version: of the stored item, 0 before it is stored.
    """

    keys: tuple[SigningKey, ...]
    version: int = 0

    @property
    def current(self) -> SigningKey:
        return next(key for key in self.keys if key.state is KeyState.CURRENT)

    def find(self, kid: str) -> SigningKey | None:
        return next((key for key in self.keys if key.kid == kid), None)

    def published(self, now: int) -> list[SigningKey]:
        """The keys a verifier may meet at `now`: retired ones until their tokens are over."""
        return [key for key in self.keys if key.leaves is None or key.leaves > now]


class KeyNotFound(Refusal):
    kind = Kind.NOT_FOUND
    code = "key_not_found"
    detail = "This application has no key of that kid."


class KeyInUse(Refusal):
    kind = Kind.CONFLICT
    code = "key_in_use"
    detail = "This key signs now. Rotate first, then revoke it."


class TooManyKeys(Refusal):
    kind = Kind.CONFLICT
    code = "too_many_keys"
    detail = "The ring is full of retired keys. Wait until they expire, or revoke some."
