"""Delivery: at least once, in order for one subject, never held up by somebody else's fault."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from app.common.clock import Clock
from app.common.ids import EventId
from app.events.ports import Consumer
from app.events.store import Outbox
from app.events.types import Delivery, Undeliverable

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 12  # with the waits below, a little over an hour and a half
LONGEST_WAIT_SECONDS = 1800


@dataclass(frozen=True, kw_only=True, eq=False)
class Dispatcher:
    """Hands what lies in the outbox to the consumers.

    Attributes:
        lease_seconds: how long a message is kept from other dispatchers while it is being sent;
            0 where whoever runs this one sees to it that it is alone.
    """

    outbox: Outbox
    consumers: tuple[Consumer, ...]
    clock: Clock
    lease_seconds: int = 0

    def run_once(self) -> None:
        """Deliver all that is due."""
        self.run(self.outbox.shards())

    def run(self, shards: Iterable[int]) -> set[EventId]:
        """Deliver what is due in some shards; the events of these that still wait."""
        left: set[EventId] = set()
        for shard in shards:
            left |= self._run_shard(shard)
        return left

    def _run_shard(self, shard: int) -> set[EventId]:
        left: set[EventId] = set()
        waiting: set[str] = set()  # subjects whose earlier event is not through yet
        silent: list[Delivery] = []
        for delivery in self.outbox.pending(shard):
            if delivery.subject in waiting or not self._deliver(delivery):
                waiting.add(delivery.subject)
                left.add(delivery.event.id)
            elif delivery.sealed is None:
                silent.append(delivery)
        self.outbox.finish(silent)
        return left

    def _deliver(self, delivery: Delivery) -> bool:
        """Whether the event is through, or never will be; else it waits for another time."""
        if delivery.not_before > self.clock.seconds():
            return False
        leased = self.lease_seconds and delivery.sealed is not None
        if leased and not self.outbox.claim(delivery, seconds=self.lease_seconds):
            return False
        try:
            confidential = self.outbox.open(delivery)
            for consumer in self.consumers:
                consumer.take(delivery.event, confidential)
        except Undeliverable as refused:
            log.error("event %s is undeliverable: %s", delivery.event.id, refused)  # noqa: TRY400 - a trace would tell no more
            self.outbox.bury(delivery, reason=str(refused))
            return True
        except Exception as fault:  # noqa: BLE001 - whatever a consumer throws must not stop the others
            return self._put_off(delivery, fault)
        if delivery.sealed is not None:
            # A message is ticked off at once: little time to be killed in between.
            self.outbox.finish([delivery])
        return True

    def _put_off(self, delivery: Delivery, fault: Exception) -> bool:
        """Keep it for later, or give it up; whether it was given up."""
        event = delivery.event
        kind = type(fault).__name__  # the text of a fault may quote an address or a link
        if delivery.attempts + 1 >= MAX_ATTEMPTS:
            log.error("event %s was given up after %d tries: %s", event.id, MAX_ATTEMPTS, kind)
            self.outbox.bury(delivery, reason=f"given up: {kind}")
            return True
        wait = min(2**delivery.attempts, LONGEST_WAIT_SECONDS)
        log.warning("event %s is tried again in %d s: %s", event.id, wait, kind)
        self.outbox.defer(delivery, seconds=wait)
        return False
