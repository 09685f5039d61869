"""What every test of the contract stands on: an hour that it sets, a place of its own, races."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from app.common.clock import Clock
from app.storage.table import Item, Key, Table

T = TypeVar("T")
START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@dataclass(kw_only=True)
class Hour:
    """A clock that stands still until a test moves it."""

    now: datetime = START

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def in_seconds(self, seconds: int) -> int:
        """The number of the second that lies so far ahead (or behind)."""
        return self.clock().seconds() + seconds

    def clock(self) -> Clock:
        return Clock(source=lambda: self.now)


@dataclass(frozen=True, kw_only=True)
class Store:
    """One opened driver, shared by all tests of a run."""

    table: Table
    hour: Hour = field(default_factory=Hour)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Partitions that no other test touches."""

    prefix: str

    def partition(self, name: str = "p") -> str:
        return f"{self.prefix}#{name}"

    def key(self, sk: str = "item", *, partition: str = "p") -> Key:
        return Key(self.partition(partition), sk)

    def keys(self, *sks: str) -> list[Key]:
        return [self.key(sk) for sk in sks]


def living(table: Table, key: Key) -> Item:
    item = table.get(key)
    assert item is not None, f"nothing lies at {key.sk}"
    return item


def race(runners: int, run: Callable[[int], T]) -> list[T]:
    """What `run` gives to each of the runners, which all start at the same moment."""
    start = threading.Barrier(runners)

    def runner(number: int) -> T:
        start.wait(timeout=10)
        return run(number)

    with ThreadPoolExecutor(runners) as pool:
        return list(pool.map(runner, range(runners)))
