"""A world on either store, whose every row can be looked at as it lies there."""

import json
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.adapters.dynamodb_items import Row, item_of
from app.adapters.platform import DATABASE
from app.storage.keys import API_KEYS
from tests.api.world import World, open_world
from tests.dynamodb_local import client, create_table, dynamodb_local, spoken_to
from tests.flows import invariants


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A world, and every byte that it keeps.

    Attributes:
        raw: each row as one text.
        settings: what another worker of the same store is opened with.
    """

    world: World
    raw: Callable[[], list[str]] = field(repr=False)
    settings: dict[str, Any]

    def rows(self, containing: str) -> list[str]:
        return sorted(row for row in self.raw() if containing in row)

    def lasting(self) -> list[str]:
        """All rows but those of API keys, which note when they were used."""
        return sorted(row for row in self.raw() if not row.startswith(f"{API_KEYS} "))


@contextmanager
def open_store(store: str, folder: Path) -> Iterator[Stored]:
    """A new world, gone with the block."""
    with ExitStack() as stack:
        if store == "sqlite":
            world = stack.enter_context(open_world(folder))
            yield Stored(world=world, raw=lambda: sqlite_rows(folder), settings={})
            return
        endpoint = stack.enter_context(local_dynamodb())
        plain = stack.enter_context(closing(client(endpoint)))
        table = create_table(plain)
        settings: dict[str, Any] = {"store": "dynamodb", "table_name": table}
        world = stack.enter_context(open_world(folder, **settings))
        yield Stored(world=world, raw=lambda: dynamodb_rows(plain, table), settings=settings)


@contextmanager
def local_dynamodb() -> Iterator[str]:
    """DynamoDB Local, which this process's SDK speaks to until the block ends."""
    with dynamodb_local() as endpoint, spoken_to(endpoint):
        yield endpoint


def sqlite_rows(folder: Path) -> list[str]:
    statement = "SELECT pk, sk, body, version, ifnull(expires_at, '') FROM items"
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        return [" ".join(map(str, row)) for row in database.execute(statement)]


def dynamodb_rows(plain: Any, table: str) -> list[str]:
    return [
        f"{row['pk']['S']} {row['sk']['S']} {json.dumps(row, sort_keys=True, default=bytes.decode)}"
        for row in scan(plain, table)
    ]


def living_rows(plain: Any, table: str, now: float) -> list[invariants.Row]:
    """The items of a table as the invariants take them."""
    found = [item_of(_on_the_wire(row)) for row in scan(plain, table)]
    return [
        invariants.Row(
            pk=item.key.pk,
            sk=item.key.sk,
            body=dict(item.body),
            expires=item.expires_at is not None,
        )
        for item in sorted(found, key=lambda item: (item.key.pk, item.key.sk))
        if item.expires_at is None or item.expires_at > now
    ]


def _on_the_wire(row: Row) -> Row:
    """A row as DynamoDB sends it: botocore has decoded what is binary."""
    body = {
        name: {"B": b64encode(value["B"]).decode()} if "B" in value else value
        for name, value in row["body"]["M"].items()
    }
    return {**row, "body": {"M": body}}


def scan(plain: Any, table: str) -> Iterator[Row]:
    pages = plain.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    for page in pages:
        yield from page["Items"]
