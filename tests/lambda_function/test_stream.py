"""The table's stream: every effect once, and only what failed is reported.

AWS's emulators pay no attention to what a batch's answer reports, so the batches are made here.
"""

import json
import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from app.common.errors import StoreUnavailable
from app.events.logic import Dispatcher
from app.events.types import Confidential, Event, Operation, Undeliverable
from app.lambda_handler import Handler
from app.storage import keys
from app.storage.table import Key
from infra.bundle import ROOT
from tests.api.world import World

LEASE = 45


@dataclass(kw_only=True)
class Receiver:
    """Takes events, and fails at those of the users it is told to fail at."""

    taken: list[str] = field(default_factory=list)
    faults: dict[str | None, Exception] = field(default_factory=dict)

    def take(self, event: Event, confidential: Confidential | None) -> None:
        if event.user_id in self.faults:
            raise self.faults[event.user_id]
        self.taken.append(event.id)


@dataclass(kw_only=True)
class Stream:
    """An outbox with events in it, and the records that a table's stream makes of them."""

    world: World
    handler: Handler
    receiver: Receiver
    application: str
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1000, 9999)))

    def happened(self, users: int, *, letter: bool = False) -> list[tuple[Event, dict[str, Any]]]:
        """One event for each user, and its record."""
        outbox = self.handler.services.dispatcher.outbox
        made: list[tuple[Event, dict[str, Any]]] = []
        for number in range(users):
            write = outbox.record(
                Operation.USER_UPDATED,
                self.application,  # type: ignore[arg-type] # an id, as the API answers it
                user_id=f"user{number}",  # type: ignore[arg-type]
                confidential={"to": "ada@example.com"} if letter else None,
            )
            self.world.services.table.commit(write)
            waiting = self.waiting()
            event = next(one for one in waiting if one.id == write.key.sk)
            made.append((event, self.record(write.key)))
        return made

    def record(self, key: Key, name: str = "INSERT") -> dict[str, Any]:
        return {
            "eventID": "1",
            "eventName": name,
            "eventSource": "aws:dynamodb",
            "eventVersion": "1.1",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "Keys": {"pk": {"S": key.pk}, "sk": {"S": key.sk}},
                "SequenceNumber": str(next(self.numbers)),
                "StreamViewType": "KEYS_ONLY",
            },
        }

    def bring(self, *records: dict[str, Any]) -> list[str]:
        """Hand a batch over; the sequence numbers that it reports."""
        answer = self.handler({"Records": list(records)}, None)
        assert answer.keys() == {"batchItemFailures"}
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def waiting(self) -> list[Event]:
        outbox = self.handler.services.dispatcher.outbox
        return [one.event for shard in outbox.shards() for one in outbox.pending(shard)]

    def dead(self) -> list[str]:
        page = self.world.services.table.query(keys.DEAD_LETTERS, limit=100)
        return [item.key.sk for item in page.items]


@pytest.fixture
def stream(world: World) -> Iterator[Stream]:
    application = world.tenant().id
    world.deliver()
    receiver = Receiver()
    dispatcher = Dispatcher(
        outbox=world.services.dispatcher.outbox,
        consumers=(receiver,),
        clock=world.services.dispatcher.clock,
        lease_seconds=LEASE,
    )
    services = replace(world.services, dispatcher=dispatcher)
    with closing(Handler(services=services)) as handler:
        yield Stream(world=world, handler=handler, receiver=receiver, application=application)


def number(record: dict[str, Any]) -> str:
    found: str = record["dynamodb"]["SequenceNumber"]
    return found


def test_a_batch_is_delivered_and_nothing_is_reported(stream: Stream) -> None:
    made = stream.happened(40)
    assert stream.bring(*(record for _, record in made)) == []
    assert set(stream.receiver.taken) >= {event.id for event, _ in made}
    assert stream.waiting() == []


@pytest.mark.parametrize("letter", [False, True])
def test_a_batch_that_comes_again_does_nothing(stream: Stream, letter: bool) -> None:
    records = [record for _, record in stream.happened(20, letter=letter)]
    stream.bring(*records)
    taken = list(stream.receiver.taken)
    assert stream.bring(*records) == []
    assert stream.bring(*records, *records) == []
    assert stream.receiver.taken == taken


def test_a_record_that_comes_twice_in_a_batch_has_one_effect(stream: Stream) -> None:
    (event, record), *_ = stream.happened(1, letter=True)
    assert stream.bring(record, record, record) == []
    assert stream.receiver.taken.count(event.id) == 1


def test_a_shuffled_batch_is_delivered_in_order(stream: Stream) -> None:
    made = [pair for _ in range(5) for pair in stream.happened(6)]
    records = [record for _, record in made]
    random.Random(7).shuffle(records)
    assert stream.bring(*records) == []
    for user in range(6):
        expected = [event.id for event, _ in made if event.user_id == f"user{user}"]
        assert [one for one in stream.receiver.taken if one in expected] == expected


def test_only_what_failed_is_reported_and_the_rest_is_done(stream: Stream) -> None:
    made = stream.happened(30)
    stream.receiver.faults = {"user3": RuntimeError("down"), "user17": RuntimeError("down")}
    failed = [record for event, record in made if event.user_id in stream.receiver.faults]
    assert stream.bring(*(record for _, record in made)) == [number(one) for one in failed]
    assert {event.user_id for event in stream.waiting()} == {"user3", "user17"}

    stream.receiver.faults.clear()
    stream.world.advance(2)
    assert stream.bring(*failed) == []
    assert stream.waiting() == []
    assert len(stream.receiver.taken) == len(set(stream.receiver.taken))


def test_what_comes_after_a_failure_of_the_same_user_waits_and_is_reported(stream: Stream) -> None:
    stream.receiver.faults = {"user0": RuntimeError("down")}
    pairs = [*stream.happened(2), *stream.happened(2)]
    theirs = [number(record) for event, record in pairs if event.user_id == "user0"]
    assert stream.bring(*(record for _, record in pairs)) == theirs


def test_a_record_that_nobody_can_read_is_reported_alone(stream: Stream) -> None:
    made = stream.happened(10)
    poisons: list[dict[str, Any]] = [
        {"Keys": {}},
        {"Keys": None},
        {"Keys": {"pk": {"S": "outbox#99"}, "sk": {"S": "x"}}},
        {"Keys": {"pk": {"N": "1"}, "sk": {"S": "x"}}},
    ]
    for poison in poisons:
        bad = stream.record(Key("x", "y"))
        bad["dynamodb"] = {**poison, "SequenceNumber": "77"}
        assert stream.bring(made[0][1], bad, made[1][1]) == ["77"]
    assert {made[0][0].id, made[1][0].id} <= set(stream.receiver.taken)


def test_what_can_never_be_delivered_is_buried_and_not_reported(stream: Stream) -> None:
    (event, record), (other, another) = stream.happened(2)
    stream.receiver.faults = {"user0": Undeliverable("never")}
    assert stream.bring(record, another) == []
    assert stream.dead() == [event.id]
    assert other.id in stream.receiver.taken


def test_an_event_whose_delivery_always_fails_ends_as_a_dead_letter(stream: Stream) -> None:
    (event, record), *_ = stream.happened(1, letter=True)
    stream.receiver.faults = {"user0": RuntimeError("poison")}
    while stream.bring(record):
        stream.world.advance(3600)
    assert stream.dead() == [event.id]
    assert stream.waiting() == []


def test_a_message_that_another_invocation_is_sending_is_reported_and_not_sent(
    stream: Stream,
) -> None:
    (event, record), *_ = stream.happened(1, letter=True)
    outbox = stream.handler.services.dispatcher.outbox
    delivery = next(
        one for s in outbox.shards() for one in outbox.pending(s) if one.event.id == event.id
    )
    assert outbox.claim(delivery, seconds=LEASE)
    assert not outbox.claim(delivery, seconds=LEASE)
    assert stream.bring(record) == [number(record)]
    assert event.id not in stream.receiver.taken
    stream.world.advance(LEASE)  # that invocation has died
    assert stream.bring(record) == []
    assert stream.receiver.taken.count(event.id) == 1


def test_changes_of_other_items_and_other_kinds_of_change_are_passed_over(stream: Stream) -> None:
    made = stream.happened(1)
    key = Key(made[0][1]["dynamodb"]["Keys"]["pk"]["S"], made[0][0].id)
    assert stream.bring(stream.record(Key("app#x", "application"))) == []
    assert stream.bring(stream.record(key, "REMOVE"), stream.record(key, "MODIFY")) == []
    assert [event.id for event in stream.waiting()].count(made[0][0].id) == 1


def test_a_store_that_does_not_answer_fails_its_part_alone(stream: Stream) -> None:
    made = stream.happened(12)
    down = keys.outbox_shard(made[0][1]["dynamodb"]["Keys"]["pk"]["S"])
    whole = stream.handler.services.dispatcher

    class Broken(Dispatcher):
        def run(self, shards: Any) -> Any:
            if list(shards) == [down]:
                raise StoreUnavailable
            return super().run(shards)

    broken = Broken(outbox=whole.outbox, consumers=whole.consumers, clock=whole.clock)
    theirs = [
        number(record)
        for _, record in made
        if keys.outbox_shard(record["dynamodb"]["Keys"]["pk"]["S"]) == down
    ]
    with closing(Handler(services=replace(stream.handler.services, dispatcher=broken))) as handler:
        answer = handler({"Records": [record for _, record in made]}, None)
    assert [one["itemIdentifier"] for one in answer["batchItemFailures"]] == theirs
    assert len(stream.waiting()) == len(theirs)


def test_the_owner_can_have_everything_delivered_that_waits(stream: Stream) -> None:
    """What `infra/sweep.json` is for, after the stream has given up."""
    made = stream.happened(60)
    sweep = json.loads((ROOT / "infra" / "sweep.json").read_text())
    assert {record["dynamodb"]["Keys"]["pk"]["S"] for record in sweep["Records"]} == {
        keys.outbox_partition(shard) for shard in range(keys.OUTBOX_SHARDS)
    }
    assert stream.handler(sweep, None) == {"batchItemFailures": []}
    assert set(stream.receiver.taken) == {event.id for event, _ in made}
    assert stream.waiting() == []
