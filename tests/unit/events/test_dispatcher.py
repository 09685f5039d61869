"""Delivery at least once, in order for one subject, and never held up by another's fault."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from app.adapters.local_keys import LocalSealer
from app.adapters.sqlite_table import IN_MEMORY, SqliteTable, open_table
from app.common.clock import Clock
from app.common.ids import ApplicationId, Ids, UserId
from app.events.logic import MAX_ATTEMPTS, Dispatcher
from app.events.store import Outbox
from app.events.types import Confidential, Event, Operation, Undeliverable
from app.storage import keys
from app.storage.table import Put

APP = ApplicationId("019ca945-0a00-7001-9c76-e6773e9f1b85")
LETTER: Confidential = {"to": "ada@example.com", "token": "a secret token"}


@dataclass(kw_only=True)
class Receiver:
    """Takes events, and fails at those whose user it is told to fail at."""

    taken: list[tuple[str, int]] = field(default_factory=list)
    faults: dict[str, Exception] = field(default_factory=dict)
    secrets: list[Confidential | None] = field(default_factory=list)

    def take(self, event: Event, confidential: Confidential | None) -> None:
        if event.user_id in self.faults:
            raise self.faults[event.user_id]
        number = event.data["number"]
        assert isinstance(number, int)
        self.taken.append((event.user_id or "", number))
        self.secrets.append(confidential)


@dataclass(kw_only=True)
class Post:
    """An outbox, its dispatcher and its receiver, at an hour that the test sets."""

    table: SqliteTable
    outbox: Outbox
    dispatcher: Dispatcher
    receiver: Receiver
    hour: list[datetime]

    def record(self, user: str, number: int, letter: Confidential | None = None) -> None:
        self.table.commit(
            self.outbox.record(
                Operation.USER_UPDATED,
                APP,
                user_id=UserId(user),
                data={"number": number},
                confidential=letter,
            )
        )

    def run(self, *, after: float = 0) -> int:
        self.hour[0] += timedelta(seconds=after)
        before = len(self.receiver.taken)
        self.dispatcher.run_once()
        return len(self.receiver.taken) - before

    def waiting(self) -> int:
        return sum(1 for shard in self.outbox.shards() for _ in self.outbox.pending(shard))

    def dead(self) -> list[dict[str, object]]:
        page = self.table.query(keys.DEAD_LETTERS, limit=100)
        return [dict(item.body) for item in page.items]


@pytest.fixture
def post() -> Iterator[Post]:
    hour = [datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)]
    clock = Clock(source=lambda: hour[0])
    with closing(open_table(IN_MEMORY, clock=clock)) as table:
        sealer = LocalSealer(key=bytes(32))
        outbox = Outbox(table=table, sealer=sealer, clock=clock, ids=Ids(clock=clock))
        receiver = Receiver()
        dispatcher = Dispatcher(outbox=outbox, consumers=(receiver,), clock=clock)
        yield Post(table=table, outbox=outbox, dispatcher=dispatcher, receiver=receiver, hour=hour)


def test_every_event_is_delivered_once_and_forgotten(post: Post) -> None:
    for number in range(250):
        post.record(f"user{number % 7}", number)
    assert post.run() == 250
    assert sorted(number for _, number in post.receiver.taken) == list(range(250))
    assert post.waiting() == 0
    assert post.run() == 0


def test_events_of_one_user_come_in_order(post: Post) -> None:
    for number in range(60):
        post.record(f"user{number % 3}", number)
    post.run()
    for user in ("user0", "user1", "user2"):
        numbers = [number for taken, number in post.receiver.taken if taken == user]
        assert numbers == sorted(numbers)
        assert len(numbers) == 20


def test_a_fault_holds_back_the_later_events_of_that_user_alone(post: Post) -> None:
    post.receiver.faults["ada"] = RuntimeError("down")
    for number in range(3):
        post.record("ada", number)
        for other in range(20):
            post.record(f"other{other}", number)
    assert post.run() == 60
    assert post.waiting() == 3
    post.receiver.faults.clear()
    assert post.run() == 0
    assert post.run(after=1) == 3
    assert [one for one in post.receiver.taken if one[0] == "ada"] == [
        ("ada", 0),
        ("ada", 1),
        ("ada", 2),
    ]


def test_tries_come_at_growing_intervals_and_end_in_a_dead_letter(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.receiver.faults["ada"] = RuntimeError("a secret token of ada@example.com")
    post.record("ada", 1, LETTER)
    waits = []
    post.run()
    while post.waiting():
        waited = 0
        tries = len([line for line in caplog.messages if "tried again" in line])
        while post.waiting() and tries == len(
            [line for line in caplog.messages if "tried again" in line]
        ):
            post.run(after=1)
            waited += 1
        waits.append(waited)
    assert waits == [min(2**n, 1800) for n in range(MAX_ATTEMPTS - 1)]
    (letter,) = post.dead()
    assert letter["reason"] == "given up: RuntimeError"
    assert letter["operation"] == "userUpdated"
    assert "secret" not in repr(letter) + caplog.text
    assert "ada@example.com" not in repr(letter) + caplog.text


def test_what_can_never_be_delivered_is_put_aside_at_once(post: Post) -> None:
    post.receiver.faults["ada"] = Undeliverable("the server refuses the address")
    post.record("ada", 1, LETTER)
    post.record("bob", 2)
    assert post.run() == 1
    assert post.waiting() == 0
    (letter,) = post.dead()
    assert letter["reason"] == "the server refuses the address"
    assert letter.keys() == {
        "id",
        "operation",
        "applicationId",
        "userId",
        "time",
        "data",
        "reason",
    }


def test_only_the_consumer_reads_what_a_message_is_made_of(post: Post) -> None:
    post.record("ada", 1, LETTER)
    partition = keys.outbox_partition
    items = [i for n in post.outbox.shards() for i in post.table.query(partition(n), limit=9).items]
    assert len(items) == 1
    assert "secret" not in repr(items)
    assert "ada@example.com" not in repr(items)
    post.run()
    assert post.receiver.secrets == [LETTER]


def test_a_letter_that_does_not_open_is_tried_again_and_harms_nobody(post: Post) -> None:
    post.record("ada", 1, LETTER)
    post.record("bob", 2)
    (delivery,) = [
        one for n in post.outbox.shards() for one in post.outbox.pending(n) if one.sealed
    ]
    key = keys.outbox(delivery.shard, delivery.event.id)
    item = post.table.get(key)
    assert item is not None
    post.table.commit(Put(key=key, body={**item.body, "sealed": "v1.AAAA"}))
    assert post.run() == 1
    assert post.waiting() == 1


def test_an_event_is_published_without_what_it_does_not_have(post: Post) -> None:
    post.table.commit(post.outbox.record(Operation.APPLICATION_CREATED, APP))
    (delivery,) = [one for n in post.outbox.shards() for one in post.outbox.pending(n)]
    body = delivery.event.body()
    assert body == {
        "id": delivery.event.id,
        "operation": "applicationCreated",
        "applicationId": APP,
        "time": "2026-03-01T12:00:00.000Z",
        "data": {},
    }
    assert delivery.subject == APP


def test_the_operations_are_those_of_the_contract() -> None:
    assert {operation.value for operation in Operation} == {
        "applicationCreated",
        "applicationUpdated",
        "applicationDeleted",
        "applicationKeyRotated",
        "userSignUpRequested",
        "userCreated",
        "userUpdated",
        "userDeleted",
        "userSignedIn",
        "userSignInFailed",
        "userSignedOut",
        "emailVerificationRequested",
        "passwordResetRequested",
        "passwordChanged",
        "refreshTokenReused",
        "userSuspended",
    }
