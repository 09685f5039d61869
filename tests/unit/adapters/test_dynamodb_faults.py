"""What AWS may do to a call, done to calls of a real table: refused, lost, or done and untold."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from app.adapters.aws_json import NO_ANSWER, AwsFault, JsonClient
from app.adapters.dynamodb_table import LONGEST_WAIT, REFUSED, DynamoDbTable
from app.common.clock import Clock
from app.common.errors import StoreUnavailable
from app.storage.table import (
    Absent,
    Check,
    Condition,
    ConditionFailed,
    Delete,
    Exists,
    FieldIs,
    InvalidWrite,
    Json,
    Key,
    Put,
    Update,
    VersionIs,
    Write,
)
from tests.dynamodb_local import calls, client, create_table, dynamodb_local

Call = Callable[[], Any]
Fault = Callable[[Call], Any]
KEY, OTHER = Key("p", "item"), Key("p", "other")


def refused(code: str, status: int = 400, **more: Any) -> Fault:
    """Answered with an error; nothing is done."""

    def fault(_: Call) -> Any:
        raise AwsFault(code, status=status, answer=more)

    return fault


def cancelled(*reasons: str) -> Fault:
    told = [{"Code": reason} for reason in reasons]
    return refused("TransactionCanceledException", CancellationReasons=told)


def dropped(_: Call) -> Any:
    """The request never arrives."""
    raise AwsFault(NO_ANSWER)


def untold(call: Call) -> Any:
    """The request is done, its answer lost, whatever it says."""
    with suppress(AwsFault):
        call()
    raise AwsFault(NO_ANSWER)


def broken_after(call: Call) -> Any:
    """The request is done and answered with an error."""
    call()
    return refused("InternalServerError", 500)(call)


def untold_and_then(other: Call) -> Fault:
    """As `untold`, and another writer is faster than our second try."""

    def fault(call: Call) -> Any:
        call()
        other()
        raise AwsFault(NO_ANSWER)

    return fault


@dataclass(kw_only=True)
class Faulty:
    """The calls of a real table, the next of which meet the faults in turn."""

    real: JsonClient
    faults: deque[Fault] = field(default_factory=deque)
    calls: list[str] = field(default_factory=list)

    def call(self, operation: str, request: Mapping[str, Any]) -> Any:
        self.calls.append(operation)

        def real() -> Any:
            return self.real.call(operation, request)

        return self.faults.popleft()(real) if self.faults else real()


@dataclass(kw_only=True)
class Bench:
    """A table that meets faults, the same table without them, and how long the first waited."""

    faulty: Faulty
    table: DynamoDbTable
    calm: DynamoDbTable
    waits: list[float]

    def meets(self, *faults: Fault) -> None:
        self.faulty.faults.extend(faults)
        self.faulty.calls.clear()

    def body(self, key: Key = KEY) -> Any:
        item = self.calm.get(key)
        return None if item is None else item.body


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with dynamodb_local() as opened:
        yield opened


@pytest.fixture
def new_table(endpoint: str) -> Iterator[Callable[[], str]]:
    with closing(client(endpoint)) as maker:
        yield lambda: create_table(maker)


@pytest.fixture
def bench(endpoint: str, new_table: Callable[[], str]) -> Iterator[Bench]:
    name, waits = new_table(), list[float]()
    with closing(calls(endpoint)) as real:
        yield _bench(real, name, waits)


def _bench(real: JsonClient, name: str, waits: list[float]) -> Bench:
    faulty = Faulty(real=real)
    table = DynamoDbTable(
        name=name,
        call=faulty.call,
        clock=Clock(),
        sleep=waits.append,
        budget_seconds=0.3,
    )
    calm = DynamoDbTable(name=name, call=real.call, clock=Clock())
    return Bench(faulty=faulty, table=table, calm=calm, waits=waits)


BEFORE: dict[str, Json] = {"n": 1, "text": "before"}
# Each write does something that a second time would show, or is forbidden a second time.
COMMITS: dict[str, tuple[Write, ...]] = {
    "put": (Put(key=KEY, body={"n": 2}),),
    "put absent": (Put(key=OTHER, body={"n": 2}, when=(Absent(),)),),
    "put on a version": (Put(key=KEY, body={"n": 2}, when=(VersionIs(1),)),),
    "put on existence": (Put(key=KEY, body={"n": 2}, when=(Exists(),)),),
    "add": (Update(key=KEY, add={"n": 1}),),
    "add on a version": (Update(key=KEY, add={"n": 1}, when=(VersionIs(1),)),),
    "add on the same field": (Update(key=KEY, add={"n": 1}, when=(FieldIs("n", 1),)),),
    "set on the same field": (
        Update(key=KEY, set={"text": "after"}, add={"n": 1}, when=(FieldIs("text", "before"),)),
    ),
    "add on another field": (Update(key=KEY, add={"n": 1}, when=(FieldIs("text", "before"),)),),
    "delete": (Delete(key=KEY),),
    "delete what exists": (Delete(key=KEY, when=(Exists(),)),),
    "check": (Check(key=KEY, when=(Exists(),)),),
    "several": (
        Put(key=OTHER, body={}, when=(Absent(),)),
        Update(key=KEY, add={"n": 1}, when=(VersionIs(1),)),
    ),
}
FAULTS: dict[str, tuple[Fault, ...]] = {
    "the request was dropped": (dropped,),
    "the answer was lost": (untold,),
    "the answer was lost twice": (untold, untold),
    "the answer was lost after a drop and a throttle": (
        dropped,
        refused("ThrottlingException"),
        untold,
    ),
    "an error of the server after it was done": (broken_after,),
    "an unknown error of the server": (refused("SomethingNew", 503),),
    **{code: (refused(code), refused(code)) for code in sorted(REFUSED)},
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("commit", COMMITS)
def test_whatever_befalls_a_commit_it_is_done_once(
    bench: Bench, new_table: Callable[[], str], commit: str, fault: str
) -> None:
    bench.calm.commit(Put(key=KEY, body=BEFORE))
    undisturbed = replace(bench.calm, name=new_table())
    undisturbed.commit(Put(key=KEY, body=BEFORE))
    undisturbed.commit(*COMMITS[commit])

    bench.meets(*FAULTS[fault])
    bench.table.commit(*COMMITS[commit])
    assert len(bench.faulty.calls) == len(FAULTS[fault]) + 1
    for key in (KEY, OTHER):
        assert bench.calm.get(key) == undisturbed.get(key)


@pytest.mark.parametrize("fault", [dropped, refused("ThrottlingException"), refused("Odd", 500)])
def test_a_read_is_asked_again(bench: Bench, fault: Fault) -> None:
    bench.calm.commit(Put(key=KEY, body=BEFORE))
    bench.meets(fault)
    assert bench.table.get(KEY) == bench.calm.get(KEY)
    bench.meets(fault)
    assert list(bench.table.get_many([KEY, OTHER])) == [KEY]
    bench.meets(fault)
    assert [item.key for item in bench.table.query("p", limit=5).items] == [KEY]


def test_an_addition_is_counted_once_though_another_writer_came_between(bench: Bench) -> None:
    bench.calm.commit(Put(key=KEY, body=BEFORE))
    another = Update(key=KEY, add={"n": 10})
    bench.meets(untold_and_then(lambda: bench.calm.commit(another)))
    bench.table.commit(Update(key=KEY, add={"n": 1}))
    assert bench.body()["n"] == 12


@pytest.mark.parametrize(
    "condition",
    [VersionIs(1), FieldIs("n", 1)],
    ids=["version", "field"],
)
def test_what_nobody_can_tell_is_not_called_lost(bench: Bench, condition: Condition) -> None:
    """Done and untold, then changed by another: neither a success nor a lost race is certain."""
    bench.calm.commit(Put(key=KEY, body=BEFORE))
    another = Update(key=KEY, add={"n": 10}, when=(VersionIs(2),))
    bench.meets(untold_and_then(lambda: bench.calm.commit(another)))
    with pytest.raises(StoreUnavailable):
        bench.table.commit(Update(key=KEY, add={"n": 1}, when=(condition,)))
    assert bench.body()["n"] == 12


def test_a_lost_answer_is_known_by_its_mark_though_a_transaction_followed(bench: Bench) -> None:
    bench.calm.commit(Put(key=KEY, body=BEFORE))
    another = Update(key=KEY, add={"n": 10})
    bench.meets(untold_and_then(lambda: bench.calm.commit(another, Put(key=OTHER, body={}))))
    bench.table.commit(Update(key=KEY, add={"n": 1}, when=(VersionIs(1),)))
    assert bench.body()["n"] == 12


def test_a_race_lost_before_our_first_try_is_a_lost_race(bench: Bench) -> None:
    bench.calm.commit(Put(key=KEY, body=BEFORE))
    bench.meets(refused("ThrottlingException"))
    lost = Put(key=KEY, body={}, when=(Absent(),))
    with pytest.raises(ConditionFailed) as caught:
        bench.table.commit(lost)
    assert caught.value.write is lost


def test_a_conflict_of_transactions_is_tried_again(bench: Bench) -> None:
    bench.meets(
        cancelled("None", "TransactionConflict"),
        cancelled("ThrottlingError", "None"),
        cancelled("ProvisionedThroughputExceeded", "TransactionConflict"),
    )
    bench.table.commit(Put(key=KEY, body={}), Put(key=OTHER, body={}))
    assert len(bench.waits) == 3
    assert bench.body(OTHER) == {}


def test_of_a_cancelled_transaction_the_first_write_that_lost_is_named(bench: Bench) -> None:
    first, second, third = (
        Put(key=Key("p", sk), body={}, when=(Absent(),)) for sk in ("one", "two", "three")
    )
    reasons = ("TransactionConflict", "ConditionalCheckFailed", "ConditionalCheckFailed")
    bench.meets(cancelled(*reasons))
    with pytest.raises(ConditionFailed) as caught:
        bench.table.commit(first, second, third)
    assert caught.value.write is second


def test_a_transaction_refused_for_what_it_says_is_not_tried_again(bench: Bench) -> None:
    bench.meets(cancelled("None", "ValidationError"))
    with pytest.raises(InvalidWrite):
        bench.table.commit(Put(key=KEY, body={}), Put(key=OTHER, body={}))
    assert len(bench.faulty.calls) == 1


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ResourceNotFoundException", "UnrecognizedClientException"]
)
def test_a_table_that_refuses_us_is_not_asked_again(bench: Bench, code: str) -> None:
    asked: tuple[Call, ...] = (
        lambda: bench.table.get(KEY),
        lambda: bench.table.commit(Put(key=KEY, body={})),
        lambda: bench.table.commit(Put(key=KEY, body={}), Delete(key=OTHER)),
    )
    for call in asked:
        bench.meets(refused(code))
        with pytest.raises(StoreUnavailable):
            call()
        assert len(bench.faulty.calls) == 1


def test_without_credentials_the_store_is_unavailable(bench: Bench) -> None:
    def penniless(_: Call) -> Any:
        raise AwsFault("NoCredentialsError")

    bench.meets(penniless)
    with pytest.raises(StoreUnavailable):
        bench.table.get(KEY)
    assert len(bench.faulty.calls) == 1


def test_tries_end_with_their_budget_and_wait_at_random(bench: Bench) -> None:
    def sleep(seconds: float) -> None:
        bench.waits.append(seconds)
        time.sleep(0.001)

    table = replace(bench.table, sleep=sleep)
    for commit in COMMITS.values():
        bench.waits.clear()
        bench.meets(*([refused("ThrottlingException")] * 2000))
        with pytest.raises(StoreUnavailable):
            table.commit(*commit)
        bench.faulty.faults.clear()
        assert len(set(bench.waits)) == len(bench.waits) > 5
        assert 0 <= min(bench.waits) < max(bench.waits) <= LONGEST_WAIT


def test_keys_that_a_read_left_out_are_asked_for_again(bench: Bench) -> None:
    bench.calm.commit(Put(key=KEY, body={"n": 1}), Put(key=OTHER, body={"n": 2}))
    keys = {bench.table.name: {"Keys": [{"pk": {"S": "p"}, "sk": {"S": "other"}}]}}

    def half(_: Call) -> Any:
        request = {"Keys": [{"pk": {"S": "p"}, "sk": {"S": "item"}}], "ConsistentRead": True}
        answer = bench.faulty.real.call(
            "BatchGetItem", {"RequestItems": {bench.table.name: request}}
        )
        return {**answer, "UnprocessedKeys": keys}

    bench.meets(half, lambda _: {"Responses": {}, "UnprocessedKeys": keys})
    assert set(bench.table.get_many([KEY, OTHER])) == {KEY, OTHER}
    assert bench.faulty.calls == ["BatchGetItem"] * 3
    assert len(bench.waits) == 2
