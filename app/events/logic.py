"""Delivery: at least once, in order for one subject, never held up by somebody else's fault."""

import logging
from dataclasses import dataclass

from app.common.clock import Clock
from app.events.ports import Consumer
from app.events.store import Outbox
from app.events.types import Delivery, Undeliverable

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 12  # with the waits below, a little over an hour and a half
LONGEST_WAIT_SECONDS = 1800


@dataclass(frozen=True, kw_only=True)
class Dispatcher:
    """Hands what lies in the outbox to the consumers.

    One at a time may run over one store: whoever runs it sees to that.
    """

    outbox: Outbox
    consumers: tuple[Consumer, ...]
    clock: Clock

    def run_once(self) -> int:
        """Deliver what is due; how many events were delivered."""
        return sum(self._run_shard(shard) for shard in self.outbox.shards())

    def _run_shard(self, shard: int) -> int:
        waiting: set[str] = set()  # subjects whose earlier event is not through yet
        silent: list[Delivery] = []
        delivered = 0
        for delivery in self.outbox.pending(shard):
            if delivery.subject in waiting:
                continue
            if delivery.not_before > self.clock.seconds() or not self._deliver(delivery):
                waiting.add(delivery.subject)
                continue
            delivered += 1
            if delivery.sealed is None:
                silent.append(delivery)
            else:
                # A message is ticked off at once: little time to be killed in between.
                self.outbox.finish([delivery])
        if silent:
            self.outbox.finish(silent)
        return delivered

    def _deliver(self, delivery: Delivery) -> bool:
        """Whether the event is through; if not, it was put off or buried here."""
        try:
            confidential = self.outbox.open(delivery)
            for consumer in self.consumers:
                consumer.take(delivery.event, confidential)
        except Undeliverable as refused:
            log.error("event %s is undeliverable: %s", delivery.event.id, refused)  # noqa: TRY400 - a trace would tell no more
            self.outbox.bury(delivery, reason=str(refused))
        except Exception as fault:  # noqa: BLE001 - whatever a consumer throws must not stop the others
            self._put_off(delivery, fault)
        else:
            return True
        return False

    def _put_off(self, delivery: Delivery, fault: Exception) -> None:
        event = delivery.event
        kind = type(fault).__name__  # the text of a fault may quote an address or a link
        if delivery.attempts + 1 >= MAX_ATTEMPTS:
            log.error("event %s was given up after %d tries: %s", event.id, MAX_ATTEMPTS, kind)
            self.outbox.bury(delivery, reason=f"given up: {kind}")
            return
        wait = min(2**delivery.attempts, LONGEST_WAIT_SECONDS)
        log.warning("event %s is tried again in %d s: %s", event.id, wait, kind)
        self.outbox.defer(delivery, seconds=wait)
