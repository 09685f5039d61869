"""Tallies over the table."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.common.ids import ApplicationId
from app.limits.types import Rate, Tally, recent
from app.storage import keys
from app.storage.table import Absent, Item, Json, Key, Put, Table, VersionIs, Write

SIGN_INS = "signIns"
SIGN_UPS = "signUps"
MESSAGES = "messages"
REFRESHES = "refreshes"
SENT = "messages"  # the sort key of an address's record


@dataclass(frozen=True, kw_only=True, eq=False)
class TallyStore:
    """Reads and writes what was counted."""

    table: Table

    def of_network(self, application_id: ApplicationId, network: str) -> Tally:
        return tally_of(self.table.get(network_key(application_id, network)))


def tally_of(item: Item | None) -> Tally:
    """What an item says was counted."""
    body = {} if item is None else item.body
    return Tally(item=item, times={name: times_of(value) for name, value in body.items()})


def times_of(value: Json) -> tuple[int, ...]:
    """A list of times as it was stored."""
    return tuple(int(str(time)) for time in value) if isinstance(value, list) else ()


def network_key(application_id: ApplicationId, network: str) -> Key:
    """Where a network's tally lies."""
    return keys.network_tally(application_id, network)


def message_key(application_id: ApplicationId, address_digest: str) -> Key:
    """Where lies what was sent to an address."""
    return keys.sent_messages(application_id, address_digest)


def counted(key: Key, tally: Tally, now: int, **rates: Iterable[Rate]) -> Write:
    """Count one more of each name, if nobody has counted anything since the tally was read.

    Args:
        key: where the tally lies.
        tally: as it was read.
        now: seconds since 1970.
        rates: what each name is limited by; its times are kept as long as they count.
    """
    times: dict[str, Json] = {name: list(held) for name, held in tally.times.items()}
    kept = 0
    for name, limits in rates.items():
        longest = max(rate.seconds for rate in limits)
        times[name] = [*recent(tally.times.get(name, ()), longest, now), now]
        kept = max(kept, longest)
    before = tally.item.expires_at if tally.item is not None else None
    unchanged = Absent() if tally.item is None else VersionIs(tally.item.version)
    return Put(key=key, body=times, when=(unchanged,), expires_at=max(now + kept, before or 0))
