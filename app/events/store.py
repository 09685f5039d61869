"""The outbox over the table."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.common.clock import Clock, rfc3339
from app.common.ids import ApplicationId, EventId, Ids, UserId
from app.common.secrets import Sealer
from app.events.types import Confidential, Delivery, Event, Operation
from app.storage import keys
from app.storage.table import (
    MAX_WRITES,
    Body,
    ConditionFailed,
    Delete,
    FieldIs,
    Item,
    Json,
    Key,
    Put,
    Table,
    Update,
    Write,
)

PAGE = 100


def _shard(subject: str) -> int:
    return hashlib.sha256(subject.encode()).digest()[0] % keys.OUTBOX_SHARDS


@dataclass(frozen=True, kw_only=True, eq=False)
class Outbox:
    """Records events as members of a commit, and keeps them until they are delivered."""

    table: Table
    sealer: Sealer
    clock: Clock
    ids: Ids

    def record(
        self,
        operation: Operation,
        application_id: ApplicationId,
        *,
        event_id: EventId | None = None,
        user_id: UserId | None = None,
        subject: str | None = None,
        data: Mapping[str, Json] | None = None,
        confidential: Mapping[str, str | None] | None = None,
    ) -> Write:
        """The write that lays an event down.

        Args:
            operation: what happened.
            application_id: where.
            event_id: its id, if it has one already.
            user_id: to whom.
            subject: whose order it keeps, if it is not the user's or the application's.
            data: what consumers may know.
            confidential: what the message to a person is made of; sealed at rest.
        """
        event = event_id or EventId(self.ids.new())
        ordered_by = user_id or subject or application_id
        sealed = None
        if confidential is not None:
            plain = json.dumps(dict(confidential)).encode()
            sealed = self.sealer.seal(plain, context=_context(application_id, event))
        body: dict[str, Json] = {
            "operation": operation.value,
            "applicationId": application_id,
            "userId": user_id,
            "time": rfc3339(self.clock.now()),
            "data": dict(data or {}),
            "subject": ordered_by,
            "sealed": sealed,
            "attempts": 0,
            "notBefore": 0,
        }
        return Put(key=keys.outbox(_shard(ordered_by), event), body=body)

    def shards(self) -> range:
        """The parts of the outbox; events of one subject lie in one of them."""
        return range(keys.OUTBOX_SHARDS)

    def pending(self, shard: int) -> Iterator[Delivery]:
        """Everything undelivered of a shard, oldest first."""
        after = None
        while True:
            page = self.table.query(keys.outbox_partition(shard), limit=PAGE, after=after)
            for item in page.items:
                yield _delivery(shard, item)
            if not page.more:
                return
            after = page.items[-1].key.sk

    def open(self, delivery: Delivery) -> Confidential | None:
        """What only the sender of a message may read.

        Raises:
            SealBroken: it was changed, or sealed under another key.
        """
        if delivery.sealed is None:
            return None
        context = _context(delivery.event.application_id, delivery.event.id)
        opened: Confidential = json.loads(self.sealer.open(delivery.sealed, context=context))
        return opened

    def claim(self, delivery: Delivery, *, seconds: int) -> bool:
        """Whether an event is ours for so long, where several dispatchers may be at work."""
        when = (FieldIs("notBefore", delivery.not_before),)
        until: Body = {"notBefore": self.clock.seconds() + seconds}
        try:
            self.table.commit(Update(key=_key(delivery), set=until, when=when))
        except ConditionFailed:
            return False
        return True

    def finish(self, deliveries: list[Delivery]) -> None:
        """Forget events that were delivered."""
        for start in range(0, len(deliveries), MAX_WRITES):
            batch = deliveries[start : start + MAX_WRITES]
            self.table.commit(*(Delete(key=_key(delivery)) for delivery in batch))

    def defer(self, delivery: Delivery, *, seconds: int) -> None:
        """Keep an event that failed for a later try."""
        again: Body = {"notBefore": self.clock.seconds() + seconds}
        self.table.commit(Update(key=_key(delivery), set=again, add={"attempts": 1}))

    def bury(self, delivery: Delivery, *, reason: str) -> None:
        """Move an event that nobody will ever take to the dead letters, without its secret."""
        body: Body = {**delivery.event.body(), "reason": reason}
        self.table.commit(
            Put(key=keys.dead_letter(delivery.event.id), body=body), Delete(key=_key(delivery))
        )


def _delivery(shard: int, item: Item) -> Delivery:
    body = item.body
    event = Event(
        id=EventId(item.key.sk),
        operation=Operation(str(body["operation"])),
        application_id=ApplicationId(str(body["applicationId"])),
        user_id=None if body["userId"] is None else UserId(str(body["userId"])),
        time=str(body["time"]),
        data=body["data"] if isinstance(body["data"], dict) else {},
    )
    return Delivery(
        event=event,
        shard=shard,
        subject=str(body["subject"]),
        sealed=None if body["sealed"] is None else str(body["sealed"]),
        attempts=int(str(body["attempts"])),
        not_before=int(str(body["notBefore"])),
    )


def _key(delivery: Delivery) -> Key:
    return keys.outbox(delivery.shard, delivery.event.id)


def _context(application_id: ApplicationId, event: EventId) -> str:
    return f"{application_id}/message/{event}"
