"""The drivers that keep the contract; a new one is added to `DRIVERS` and nowhere else."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from app.adapters.dynamodb_table import DynamoDbTable
from app.adapters.sqlite_table import IN_MEMORY, open_table
from app.storage.table import Table
from tests.contract.ground import START, Hour, Place, Store
from tests.dynamodb_local import calls, client, create_table, dynamodb_local

Driver: TypeAlias = Callable[[Path], AbstractContextManager[Store]]


@contextmanager
def sqlite_in_memory(_folder: Path) -> Iterator[Store]:
    hour = Hour()
    with closing(open_table(IN_MEMORY, clock=hour.clock())) as table:
        yield Store(table=table, hour=hour)


@contextmanager
def sqlite_in_a_file(folder: Path) -> Iterator[Store]:
    hour = Hour()
    with closing(open_table(str(folder / "passerine.db"), clock=hour.clock())) as table:
        yield Store(table=table, hour=hour)


@contextmanager
def dynamodb(_folder: Path) -> Iterator[Store]:
    hour = Hour()
    with (
        dynamodb_local() as endpoint,
        closing(client(endpoint)) as maker,
        closing(calls(endpoint)) as opened,
    ):
        name = create_table(maker)
        yield Store(table=DynamoDbTable(name=name, call=opened.call, clock=hour.clock()), hour=hour)


DRIVERS: list[Driver] = [sqlite_in_memory, sqlite_in_a_file, dynamodb]


@pytest.fixture(scope="session", params=DRIVERS, ids=lambda driver: driver.__name__)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    driver: Driver = request.param
    with driver(tmp_path_factory.mktemp("store")) as opened:
        yield opened


@pytest.fixture
def table(store: Store) -> Table:
    return store.table


@pytest.fixture
def hour(store: Store) -> Hour:
    """The store's clock, set back to the start for this test."""
    store.hour.now = START
    return store.hour


@pytest.fixture
def place(hour: Hour) -> Place:
    """Partitions of this test alone; it depends on `hour` so that the clock is set back first."""
    assert hour.now == START
    return Place(prefix=f"test-{uuid.uuid4()}")
