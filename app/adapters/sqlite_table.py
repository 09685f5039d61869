"""The storage port on one SQLite file, shared by any number of processes of one machine.

Write-ahead logging lets readers go on while one process writes; `synchronous=FULL` makes a
commit return only when it is on the disk (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

import json
import logging
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.adapters.sqlite_schema import prepare
from app.common.clock import Clock
from app.common.errors import CannotStart, StoreUnavailable
from app.storage.table import (
    MAX_GETS,
    MAX_ITEM_BYTES,
    Absent,
    Body,
    Check,
    Condition,
    ConditionFailed,
    Delete,
    Exists,
    FieldIs,
    InvalidWrite,
    Item,
    Key,
    Page,
    Put,
    Update,
    VersionIs,
    Write,
    check_key,
    check_query,
    check_writes,
)

log = logging.getLogger(__name__)


BEFORE_SURROGATES = 0xD7FF
BUSY_SECONDS = 8.0
SWEEP_AFTER = 48 * 3600  # an expired row stays as long as DynamoDB may leave one
IN_MEMORY = ":memory:"

COLUMNS = "SELECT pk, sk, body, version, expires_at FROM items"
LIVING = "(expires_at IS NULL OR expires_at > ?)"
ONE = f"{COLUMNS} WHERE pk = ? AND sk = ? AND {LIVING}"


@dataclass(frozen=True, kw_only=True, eq=False)
class SqliteTable:
    """`Table` over SQLite; use `open_table` to make one."""

    path: str
    clock: Clock
    busy_seconds: float = BUSY_SECONDS
    _idle: deque[sqlite3.Connection] = field(default_factory=deque)
    _all: list[sqlite3.Connection] = field(default_factory=list)
    _one_user: threading.RLock = field(default_factory=threading.RLock)
    _one_writer: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: Key) -> Item | None:
        check_key(key)
        with self._connection() as connection:
            return self._living(connection, key)

    def get_many(self, keys: list[Key]) -> dict[Key, Item]:
        if len(keys) > MAX_GETS:
            raise InvalidWrite(f"one read takes at most {MAX_GETS} keys")
        for key in keys:
            check_key(key)
        with self._connection() as connection:
            found = (self._living(connection, key) for key in keys)
            return {item.key: item for item in found if item is not None}

    def query(
        self,
        partition: str,
        *,
        prefix: str = "",
        limit: int,
        after: str | None = None,
        newest_first: bool = False,
    ) -> Page:
        check_query(partition, limit=limit, prefix=prefix, after=after)
        where = [f"pk = ? AND {LIVING}"]
        values: list[str | int] = [partition, self.clock.seconds()]
        if prefix:
            where.append("sk >= ?")
            values.append(prefix)
        if (end := _behind(prefix)) is not None:
            where.append("sk < ?")
            values.append(end)
        if after is not None:
            where.append("sk < ?" if newest_first else "sk > ?")
            values.append(after)
        order = "DESC" if newest_first else "ASC"
        statement = f"{COLUMNS} WHERE {' AND '.join(where)} ORDER BY sk {order} LIMIT ?"
        with self._connection() as connection:
            rows = connection.execute(statement, [*values, limit + 1]).fetchall()
        return Page(items=[_item(row) for row in rows[:limit]], more=len(rows) > limit)

    def commit(self, *writes: Write) -> None:
        check_writes(writes)
        with self._writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for write in writes:
                    self._apply(connection, write)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def sweep(self, *, limit: int = 500) -> int:
        """Delete up to `limit` rows that expired more than 48 hours ago; how many it deleted."""
        with self._writing() as connection:
            done = connection.execute(
                "DELETE FROM items WHERE (pk, sk) IN (SELECT pk, sk FROM items "
                "WHERE expires_at IS NOT NULL AND expires_at <= ? LIMIT ?)",
                (self.clock.seconds() - SWEEP_AFTER, limit),
            )
            return done.rowcount

    def prepare(self) -> None:
        """Open the first connection, and lay or check the schema over it."""
        first = self._connect()
        prepare(first, self.busy_seconds)
        self._idle.append(first)

    def close(self) -> None:
        for connection in self._all:
            connection.close()
        self._all.clear()
        self._idle.clear()

    def _apply(self, connection: sqlite3.Connection, write: Write) -> None:
        found = self._living(connection, write.key)
        if not all(_holds(condition, found) for condition in write.when):
            raise ConditionFailed(write)
        match write:
            case Put():
                version = found.version if found and _asks_version(write) else 0
                _lay(connection, write.key, write.body, version + 1, write.expires_at)
            case Update() if found is not None:
                body = {**found.body, **write.set}
                for name, amount in write.add.items():
                    body[name] = _integer(body.get(name, 0)) + amount
                expires_at = found.expires_at if write.expires_at is None else write.expires_at
                _lay(connection, write.key, body, found.version + 1, expires_at)
            case Update():
                raise ConditionFailed(write)
            case Delete():
                connection.execute("DELETE FROM items WHERE pk = ? AND sk = ?", _at(write.key))
            case Check():
                pass
            case _:
                raise InvalidWrite(f"{type(write).__name__} is not a write of the port")

    def _living(self, connection: sqlite3.Connection, key: Key) -> Item | None:
        row = connection.execute(ONE, (key.pk, key.sk, self.clock.seconds())).fetchone()
        return None if row is None else _item(row)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """The connection of the one thread that writes; the others wait no longer than for it."""
        if not self._one_writer.acquire(timeout=self.busy_seconds):
            log.warning("SQLite did not answer: too many writers wait")
            raise StoreUnavailable
        try:
            with self._connection() as connection:
                yield connection
        finally:
            self._one_writer.release()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for one operation; SQLite's own faults become `StoreUnavailable`."""
        try:
            if self.path == IN_MEMORY:
                with self._one_user:
                    yield self._all[0]
                return
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            try:
                yield connection
            finally:
                self._idle.append(connection)
        except sqlite3.DatabaseError as error:
            # The text is SQLite's own and holds no values.
            log.warning("SQLite did not answer: %s", error)
            raise StoreUnavailable from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self.busy_seconds, isolation_level=None, check_same_thread=False
        )
        self._all.append(connection)
        connection.execute("PRAGMA synchronous = FULL")
        return connection


def open_table(path: str, *, clock: Clock, busy_seconds: float = BUSY_SECONDS) -> SqliteTable:
    """Open the database at a path, or make it, readable by its owner alone.

    Args:
        path: the file, or `IN_MEMORY`.
        clock: tells what has expired.
        busy_seconds: how long to wait for other writers before `StoreUnavailable`.

    Raises:
        CannotStart: the file is not ours, of another schema version, or cannot be opened.
    """
    table = SqliteTable(path=path, clock=clock, busy_seconds=busy_seconds)
    try:
        if path != IN_MEMORY and not Path(path).exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        table.prepare()
    except (sqlite3.Error, OSError) as error:
        table.close()
        raise CannotStart(f"The database {path} cannot be opened: {error}.") from error
    except CannotStart:
        table.close()
        raise
    return table


def _behind(prefix: str) -> str | None:
    """The least text greater than every text with this prefix; `None`: there is none."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return None
    last = ord(kept[-1])
    # Bytes of UTF-8 are in the order of code points; surrogates are none of them.
    return kept[:-1] + ("\ue000" if last == BEFORE_SURROGATES else chr(last + 1))


def _at(key: Key) -> tuple[str, str]:
    return key.pk, key.sk


def _lay(
    connection: sqlite3.Connection, key: Key, body: Body, version: int, expires_at: int | None
) -> None:
    try:
        text = json.dumps(dict(body), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode()) + len(key.pk.encode()) + len(key.sk.encode())
    except ValueError:  # not a number, infinite, or half of a surrogate pair
        raise InvalidWrite("a body holds what JSON in UTF-8 cannot") from None
    if size > MAX_ITEM_BYTES:
        raise InvalidWrite("an item is larger than 400 KB")
    connection.execute(
        "INSERT OR REPLACE INTO items (pk, sk, body, version, expires_at) VALUES (?, ?, ?, ?, ?)",
        (*_at(key), text, version, expires_at),
    )


def _item(row: tuple[str, str, str, int, int | None]) -> Item:
    pk, sk, body, version, expires_at = row
    return Item(key=Key(pk, sk), body=json.loads(body), version=version, expires_at=expires_at)


def _holds(condition: Condition, found: Item | None) -> bool:
    match condition:
        case Absent():
            return found is None
        case Exists():
            return found is not None
        case VersionIs(version):
            return found is not None and found.version == version
        case FieldIs(name, value):
            # JSON tells true from 1; Python's == does not.
            held = None if found is None else found.body.get(name)
            return type(held) is type(value) and held == value


def _asks_version(write: Put) -> bool:
    return any(isinstance(condition, VersionIs) for condition in write.when)


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidWrite("only an integer can be added to")
    return value
