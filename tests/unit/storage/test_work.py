"""A commit that loses becomes a refusal, or is run again."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from app.adapters.sqlite_table import IN_MEMORY, open_table
from app.common.errors import Kind, Refusal, StoreUnavailable
from app.storage.table import Absent, Exists, InvalidWrite, Key, Put, Table, Update, VersionIs
from app.storage.work import ATTEMPTS, Stale, Work
from tests.contract.ground import Hour, living, race

KEY = Key("p", "item")
OTHER = Key("p", "other")


class NameTaken(Refusal):
    kind = Kind.CONFLICT
    code = "name_taken"
    detail = "The name is taken."


class OtherTaken(NameTaken):
    code = "other_taken"


@pytest.fixture
def table() -> Iterator[Table]:
    with closing(open_table(IN_MEMORY, clock=Hour().clock())) as opened:
        yield opened


@pytest.fixture
def work(table: Table) -> Work:
    return Work(table=table)


def test_a_commit_that_wins_is_done(table: Table, work: Work) -> None:
    work.commit(Put(key=KEY, body={"n": 1}), Put(key=OTHER, body={"n": 2}, when=(Absent(),)))
    assert living(table, KEY).body == {"n": 1}
    assert living(table, OTHER).body == {"n": 2}


def test_the_losing_write_says_what_is_refused(table: Table, work: Work) -> None:
    work.commit(Put(key=KEY, body={"n": 1}))
    with pytest.raises(NameTaken) as refusal:
        work.commit(
            Put(key=OTHER, body={}, when=(Absent(),), lost=OtherTaken),
            Put(key=KEY, body={}, when=(Absent(),), lost=NameTaken),
        )
    assert type(refusal.value) is NameTaken
    assert refusal.value.__suppress_context__, "what the table said is no part of the answer"
    assert table.get(OTHER) is None


def test_a_losing_write_that_says_nothing_is_stale(table: Table, work: Work) -> None:
    work.commit(Put(key=KEY, body={"n": 1}))
    with pytest.raises(Stale):
        work.commit(
            Put(key=OTHER, body={}, when=(Absent(),), lost=OtherTaken),
            Update(key=KEY, set={"n": 2}, when=(VersionIs(7),)),
        )
    assert table.get(OTHER) is None


def test_a_write_that_no_driver_keeps_is_not_hidden(work: Work) -> None:
    with pytest.raises(InvalidWrite):
        work.commit(Put(key=KEY, body={}), Put(key=KEY, body={}))


def test_a_stale_use_case_is_run_again_from_its_first_read(table: Table, work: Work) -> None:
    work.commit(Put(key=KEY, body={"n": 0}))
    read: list[int] = []

    def use_case() -> str:
        found = living(table, KEY)
        read.append(found.version)
        if len(read) < 4:  # another is faster
            work.commit(Update(key=KEY, add={"n": 10}))
        work.commit(Update(key=KEY, add={"n": 1}, when=(VersionIs(found.version),)))
        return "done"

    assert work.retried(use_case) == "done"
    assert read == [1, 2, 3, 4]
    assert living(table, KEY).body == {"n": 31}


def test_a_use_case_that_is_always_stale_finds_the_store_unavailable(work: Work) -> None:
    runs: list[int] = []

    def use_case() -> None:
        runs.append(len(runs))
        work.commit(Update(key=KEY, when=(Exists(),)))

    with pytest.raises(StoreUnavailable) as refusal:
        work.retried(use_case)
    assert len(runs) == ATTEMPTS
    assert refusal.value.retry_after == 1


@pytest.mark.parametrize("refusal", [NameTaken, StoreUnavailable, InvalidWrite])
def test_a_refusal_is_not_tried_again(work: Work, refusal: type[Exception]) -> None:
    runs: list[int] = []

    def use_case() -> None:
        runs.append(len(runs))
        raise refusal

    with pytest.raises(refusal):
        work.retried(use_case)
    assert len(runs) == 1


def test_use_cases_that_meet_again_and_again_all_come_through(table: Table, work: Work) -> None:
    """Losers that came back at once would all meet again, until the attempts are used up."""
    work.commit(Put(key=KEY, body={"n": 0}))

    def count() -> None:
        found = living(table, KEY)
        time.sleep(0.001)  # what a use case does between its read and its commit
        work.commit(Update(key=KEY, add={"n": 1}, when=(VersionIs(found.version),)))

    race(6, lambda _: [work.retried(count) for _turn in range(3)])
    assert living(table, KEY).body == {"n": 18}
