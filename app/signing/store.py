"""Rings over the table."""

from dataclasses import dataclass, field

from app.common.ids import ApplicationId
from app.signing.types import Algorithm, KeyState, Ring, SigningKey
from app.storage import keys
from app.storage.table import Delete, Item, Json, Put, Table, VersionIs, Write

CACHED_RINGS = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class RingStore:
    """Reads rings, and remembers those whose number has not changed."""

    table: Table
    _cache: dict[ApplicationId, tuple[int, Ring]] = field(default_factory=dict)

    def read(self, application_id: ApplicationId, *, number: int) -> Ring | None:
        """The ring; `number` is the one in the application's record, which each change raises."""
        cached = self._cache.get(application_id)
        if cached is not None and cached[0] == number:
            return cached[1]
        ring = self.read_now(application_id)
        if ring is not None:
            while len(self._cache) >= CACHED_RINGS:
                self._cache.pop(next(iter(self._cache)), None)
            self._cache[application_id] = (number, ring)
        return ring

    def read_now(self, application_id: ApplicationId) -> Ring | None:
        item = self.table.get(keys.key_ring(application_id))
        return None if item is None else _ring(item)

    def save(self, application_id: ApplicationId, ring: Ring) -> Write:
        """The write that lays a ring down in place of the one it was made from."""
        body: dict[str, Json] = {"keys": [_row(key) for key in ring.keys]}
        when = (VersionIs(ring.version),) if ring.version else ()
        return Put(key=keys.key_ring(application_id), body=body, when=when)

    def remove(self, application_id: ApplicationId) -> Write:
        return Delete(key=keys.key_ring(application_id))


def _row(key: SigningKey) -> dict[str, Json]:
    return {
        "kid": key.kid,
        "algorithm": key.algorithm.value,
        "state": key.state.value,
        "created": key.created,
        "jwk": key.jwk,
        "sealed": key.sealed,
        "leaves": key.leaves,
    }


def _ring(item: Item) -> Ring:
    rows = item.body["keys"]
    assert isinstance(rows, list)
    return Ring(keys=tuple(_key(row) for row in rows), version=item.version)


def _key(row: Json) -> SigningKey:
    assert isinstance(row, dict)
    jwk, leaves = row["jwk"], row["leaves"]
    assert isinstance(jwk, dict)
    return SigningKey(
        kid=str(row["kid"]),
        algorithm=Algorithm(str(row["algorithm"])),
        state=KeyState(str(row["state"])),
        created=str(row["created"]),
        jwk=jwk,
        sealed=None if row["sealed"] is None else str(row["sealed"]),
        leaves=leaves if isinstance(leaves, int) else None,
    )
