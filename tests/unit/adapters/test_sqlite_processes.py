"""One SQLite file and several processes: starting, counting, dying, holding it up."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.adapters.sqlite_table import SqliteTable, open_table
from app.common.errors import CannotStart, StoreUnavailable
from app.storage.table import Exists, Key, Put
from tests.contract.ground import Hour, living, race
from tests.unit.adapters import sqlite_worker
from tests.unit.adapters.sqlite_worker import (
    COUNTER,
    SIDES,
    STREAM,
    THREADS,
    TURNS,
    worker,
    workers,
)

KEY = Key("p", "item")
BUSY_SECONDS = 0.2


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "passerine.db")


@pytest.fixture
def hour() -> Hour:
    return Hour()


@pytest.fixture
def table(path: str, hour: Hour) -> Iterator[SqliteTable]:
    with closing(open_table(path, clock=hour.clock())) as opened:
        yield opened


@pytest.fixture
def hasty(path: str, hour: Hour) -> Iterator[SqliteTable]:
    """A table that waits only a moment for other processes."""
    with closing(open_table(path, clock=hour.clock(), busy_seconds=BUSY_SECONDS)) as opened:
        yield opened


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_that_open_a_fresh_file_at_once_all_succeed(
    path: str, hour: Hour, processes: int
) -> None:
    with workers(processes, sqlite_worker.open_and_put, path) as others:
        for other in others:
            other.go()
        assert [other.hear() for other in others] == ["put"] * processes
    with closing(open_table(path, clock=hour.clock())) as table:
        assert len(table.query("processes", limit=10).items) == processes


@pytest.mark.parametrize("turn", range(5))
def test_threads_that_open_a_fresh_file_at_once_all_succeed(
    path: str, hour: Hour, turn: int
) -> None:
    def run(me: int) -> None:
        with closing(open_table(path, clock=hour.clock())) as table:
            table.commit(Put(key=Key("p", f"{me}"), body={"turn": turn}))

    race(8, run)
    with closing(open_table(path, clock=hour.clock())) as table:
        assert len(table.query("p", limit=10).items) == 8


@pytest.mark.parametrize(
    ("task", "member"),
    [(sqlite_worker.add, "blind"), (sqlite_worker.read_and_add, "read")],
    ids=["blindly", "on what was read"],
)
def test_processes_that_count_together_lose_nothing(
    table: SqliteTable, path: str, task: sqlite_worker.Task, member: str
) -> None:
    table.commit(Put(key=COUNTER, body={member: 0}))
    with workers(2, task, path) as others:
        for other in others:
            other.go()
        assert [other.hear() for other in others] == ["done"] * 2
    assert living(table, COUNTER).body == {member: 2 * THREADS * TURNS}


def test_what_a_killed_process_was_told_is_committed_is_there(path: str, hour: Hour) -> None:
    open_table(path, clock=hour.clock()).close()
    acknowledged: list[str] = []
    for _ in range(3):
        with worker(sqlite_worker.stream, path) as other:
            assert other.hear() == "ready"
            other.go()
            acknowledged += [other.hear() for _ in range(60)]
            other.process.kill()  # SIGKILL
            acknowledged += other.hear_rest()
        with closing(open_table(path, clock=hour.clock())) as table:
            left, right = (
                [item.key.sk for item in table.query(side, limit=STREAM).items] for side in SIDES
            )
        assert left == right, "half a commit"
        told = [f"{int(number):06}" for number in acknowledged]
        assert left[: len(told)] == told
        # One commit may have been done and not told; the next process counts on from it.
        acknowledged = [str(int(sk)) for sk in left]
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_commit_of_another_process_is_seen_at_once(table: SqliteTable, path: str) -> None:
    assert table.get(Key("processes", "0")) is None
    with workers(1, sqlite_worker.open_and_put, path) as (other,):
        other.go()
        assert other.hear() == "put"
        assert table.get(Key("processes", "0")) is not None


def test_a_table_held_up_by_another_process_refuses_writes_and_answers_reads(
    hasty: SqliteTable, path: str
) -> None:
    hasty.commit(Put(key=KEY, body={"n": 1}))
    with worker(sqlite_worker.hold, path) as other:
        assert other.hear() == "holding"
        with pytest.raises(StoreUnavailable) as refusal:
            hasty.commit(Put(key=KEY, body={"n": 2}, when=(Exists(),)))
        assert refusal.value.retry_after == 1
        with pytest.raises(StoreUnavailable):
            hasty.sweep()
        assert living(hasty, KEY).body == {"n": 1}
        assert len(hasty.query("p", limit=1).items) == 1
        other.go()
        assert other.hear() == "released"
    hasty.commit(Put(key=KEY, body={"n": 3}))
    assert living(hasty, KEY).body == {"n": 3}


def test_writers_that_queue_behind_a_held_up_one_are_refused_in_the_same_time(
    hasty: SqliteTable, path: str
) -> None:
    def run(me: int) -> float:
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            hasty.commit(Put(key=Key("p", f"{me}"), body={}))
        return time.monotonic() - begun

    with worker(sqlite_worker.hold, path) as other:
        assert other.hear() == "holding"
        assert max(race(16, run)) < BUSY_SECONDS * 10
    assert hasty.query("p", limit=1).items == []


def test_a_process_starts_while_another_one_writes(path: str, hour: Hour) -> None:
    open_table(path, clock=hour.clock()).close()
    with worker(sqlite_worker.hold, path) as other:
        assert other.hear() == "holding"
        begun = time.monotonic()
        with closing(open_table(path, clock=hour.clock())) as table:
            assert table.get(KEY) is None
        assert time.monotonic() - begun < 3


def test_a_fresh_file_that_another_program_holds_cannot_be_opened(path: str, hour: Hour) -> None:
    with worker(sqlite_worker.hold, path) as other:
        assert other.hear() == "holding"
        with pytest.raises(CannotStart, match="locked"):
            open_table(path, clock=hour.clock(), busy_seconds=BUSY_SECONDS)
        other.go()
        assert other.hear() == "released"
    open_table(path, clock=hour.clock()).close()


def test_a_write_that_the_disk_does_not_take_is_refused_and_harms_nothing(path: str) -> None:
    with worker(sqlite_worker.meet_a_full_disk, path) as other:
        assert other.hear_rest() == [
            "write 0 was refused",
            "write 1 was refused",
            "write 2 was refused",
            "['before']",
            "['after', 'before']",
        ]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
