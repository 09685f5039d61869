"""What only SQLite has: a file with its mode and schema, a sweep, a disk that may be full."""

import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.adapters.sqlite_table import IN_MEMORY, SWEEP_AFTER, SqliteTable, open_table
from app.common.clock import Clock
from app.common.errors import CannotStart, StoreUnavailable
from app.storage.table import Delete, Key, Put, Update
from tests.contract.ground import Hour, living

KEY = Key("p", "item")


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


def rows(path: str, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


# The file.


def test_only_the_owner_may_read_the_file_and_its_log(table: SqliteTable, path: str) -> None:
    table.commit(Put(key=KEY, body={}))
    files = sorted(Path(path).parent.iterdir())
    assert [file.name for file in files] == [
        "passerine.db",
        "passerine.db-shm",
        "passerine.db-wal",
    ]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_what_was_committed_is_there_after_a_restart(path: str, hour: Hour) -> None:
    with closing(open_table(path, clock=hour.clock())) as table:
        table.commit(Put(key=KEY, body={"n": 1}))
    with closing(open_table(path, clock=hour.clock())) as table:
        assert living(table, KEY).body == {"n": 1}


def test_a_commit_returns_when_it_is_on_the_disk(table: SqliteTable, path: str) -> None:
    """Both halves of it: the log, and a sync of the log at each commit."""
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]
    with table._connection() as connection:  # noqa: SLF001 - the setting is the connection's own
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_copy_without_a_log_is_opened_with_one(table: SqliteTable, path: str, hour: Hour) -> None:
    table.commit(Put(key=KEY, body={"n": 1}))
    copy = path + ".copy"
    rows(path, f"VACUUM INTO '{copy}'")
    assert rows(copy, "PRAGMA journal_mode") == [("delete",)]
    with closing(open_table(copy, clock=hour.clock())) as opened:
        assert living(opened, KEY).body == {"n": 1}
        assert rows(copy, "PRAGMA journal_mode") == [("wal",)]


def test_a_store_in_memory_makes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hour: Hour
) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(open_table(IN_MEMORY, clock=hour.clock())) as table:
        table.commit(Put(key=KEY, body={}))
    assert list(tmp_path.iterdir()) == []


def test_two_stores_in_memory_share_nothing(hour: Hour) -> None:
    with (
        closing(open_table(IN_MEMORY, clock=hour.clock())) as one,
        closing(open_table(IN_MEMORY, clock=hour.clock())) as other,
    ):
        one.commit(Put(key=KEY, body={}))
        assert other.get(KEY) is None


# What is refused at the start.


def refused(path: str) -> str:
    """The line that the owner reads; the file must be as it was."""
    before = Path(path).read_bytes()
    with pytest.raises(CannotStart) as refusal:
        open_table(path, clock=Clock())
    assert Path(path).read_bytes() == before
    assert list(Path(path).parent.iterdir()) == [Path(path)]
    return str(refusal.value)


@pytest.mark.parametrize("version", [0, 2, 99])
def test_another_schema_version_is_refused(path: str, version: int) -> None:
    open_table(path, clock=Clock()).close()
    rows(path, f"PRAGMA user_version = {version}")
    assert f"schema version {version}" in refused(path)


def test_another_programs_database_is_refused(path: str) -> None:
    rows(path, "CREATE TABLE bookmarks (url TEXT)")
    assert "another program" in refused(path)


def test_another_programs_database_of_our_schema_version_is_refused(path: str) -> None:
    rows(path, "CREATE TABLE items (pk TEXT, sk TEXT)")
    rows(path, "PRAGMA user_version = 1")
    assert "another program" in refused(path)


@pytest.mark.parametrize("mark", ["application_id", "user_version"])
def test_another_programs_database_without_tables_is_refused(path: str, mark: str) -> None:
    rows(path, f"PRAGMA {mark} = 77")
    assert "another program" in refused(path)


@pytest.mark.parametrize(
    "content",
    [
        b"\x8f\x01\xfe" * 4000,
        b"DATA_DIR=/srv\n" * 300,
        b"SQLite format 3\0" + b"\xff" * 8000,
    ],
    ids=["bytes", "text", "a header and bytes"],
)
def test_a_file_that_is_no_database_is_refused(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    assert path in refused(path)


def test_an_empty_file_becomes_the_database(path: str, hour: Hour) -> None:
    Path(path).touch()
    with closing(open_table(path, clock=hour.clock())) as table:
        table.commit(Put(key=KEY, body={}))


@pytest.mark.parametrize("name", ["missing/passerine.db", ".", "file/passerine.db"])
def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    begun = time.monotonic()
    with pytest.raises(CannotStart, match="cannot be opened"):
        open_table(str(tmp_path / name), clock=Clock())
    assert time.monotonic() - begun < 3


# The sweep.


def swept(table: SqliteTable, path: str) -> tuple[int, list[object]]:
    deleted = table.sweep()
    return deleted, [sk for (sk,) in rows(path, "SELECT sk FROM items ORDER BY sk")]


def test_the_sweep_deletes_only_what_expired_two_days_ago(
    table: SqliteTable, path: str, hour: Hour
) -> None:
    table.commit(
        Put(key=Key("p", "a lasts"), body={}),
        Put(key=Key("p", "b lives"), body={}, expires_at=hour.in_seconds(SWEEP_AFTER * 2)),
        Put(key=Key("p", "c expires"), body={}, expires_at=hour.in_seconds(10)),
        Put(key=Key("q", "d expires later"), body={}, expires_at=hour.in_seconds(20)),
    )
    everything = ["a lasts", "b lives", "c expires", "d expires later"]
    hour.advance(10)
    assert swept(table, path) == (0, everything)
    hour.advance(SWEEP_AFTER - 1)
    assert swept(table, path) == (0, everything)
    hour.advance(2)
    assert swept(table, path) == (1, ["a lasts", "b lives", "d expires later"])
    hour.advance(10)
    assert swept(table, path) == (1, ["a lasts", "b lives"])
    assert swept(table, path) == (0, ["a lasts", "b lives"])


def test_the_sweep_is_bounded(table: SqliteTable, path: str) -> None:
    table.commit(*(Put(key=Key("p", f"{n}"), body={}, expires_at=1 + n) for n in range(25)))
    assert [table.sweep(limit=10) for _ in range(4)] == [10, 10, 5, 0]
    assert rows(path, "SELECT count(*) FROM items") == [(0,)]


def test_the_sweep_finds_its_rows_by_an_index(path: str) -> None:
    open_table(path, clock=Clock()).close()
    plan = rows(
        path,
        "EXPLAIN QUERY PLAN SELECT pk, sk FROM items "
        "WHERE expires_at IS NOT NULL AND expires_at <= 5 LIMIT 5",
    )
    assert "items_by_expiry" in str(plan)


# A full disk.


@dataclass(frozen=True, kw_only=True)
class CrampedTable(SqliteTable):
    """A table whose file may not grow beyond 40 pages."""

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.execute("PRAGMA max_page_count = 40")
        return connection


def test_a_full_disk_refuses_the_commit_and_harms_nothing(path: str, hour: Hour) -> None:
    open_table(path, clock=hour.clock()).close()
    first, second, third = (Key("p", sk) for sk in ("1", "2", "3"))
    big = {"text": "x" * 90_000}
    with closing(CrampedTable(path=path, clock=hour.clock())) as table:
        table.commit(Put(key=first, body=big))
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                table.commit(
                    Update(key=first, set={"touched": True}),
                    Put(key=second, body={}),
                    Put(key=third, body=big),
                )
            found = table.get_many([first, second, third])
            assert {key: item.version for key, item in found.items()} == {first: 1}
        table.commit(Delete(key=first))
        table.commit(Put(key=third, body=big))
    with closing(open_table(path, clock=hour.clock())) as table:
        table.commit(Put(key=first, body=big), Put(key=second, body=big))
        assert [item.key for item in table.query("p", limit=9).items] == [first, second, third]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
