"""Whatever a test does in a world, the invariants are checked when it closes; and they can fail."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.adapters.platform import DATABASE
from app.events.types import Operation
from tests.api.world import PASSWORD, Person, open_world

NOTE = "UPDATE items SET body = json_set(body, '$.x', ?) WHERE sk = 'owner' AND pk LIKE ?"


def own(person: Person) -> str:
    return f"app#{person.tenant.id}%"


def sql(person: Person, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(person.tenant.world.folder / DATABASE)) as database:
        assert database.execute(statement, values).rowcount >= 1
        database.commit()


def orphan(person: Person) -> None:
    sql(person, "DELETE FROM items WHERE sk = 'profile' AND pk LIKE ?", own(person))


def written_down(person: Person) -> None:
    sql(person, NOTE, PASSWORD, own(person))


def written_down_in_hex(person: Person) -> None:
    sql(person, NOTE, person.refresh.encode().hex(), own(person))


def touched_bystander(person: Person) -> None:
    bystander = next(iter(person.tenant.world.bystanders))
    statement = "UPDATE items SET version = version + 1, body = ? WHERE pk LIKE ?"
    sql(person, f"{statement} AND sk = 'users'", '{"users":0}', f"app#{bystander}#count#%")


def foreign_token(person: Person) -> None:
    ledger, world = person.tenant.world.ledger, person.tenant.world
    other = world.tenant()
    world.send("GET", other.base + "/jwks.json")
    ledger.keys[other.id] = {
        key["kid"]: key
        for key in world.send("GET", person.tenant.base + "/jwks.json").json()["keys"]
    }
    ledger.access_tokens.append((other.id, person.access))


def fault(person: Person) -> None:
    person.tenant.world.ledger.received("GET", "/x", 500, {"cache-control": "no-store"}, "")


def kept_by_browsers(person: Person) -> None:
    person.tenant.world.ledger.received("GET", "/x", 200, {}, "")


def second_recipient(person: Person) -> None:
    path = next((person.tenant.world.folder / "mailbox").glob("*.json"))
    path.write_text(path.read_text().replace('"to": "', '"to": "mallory@example.com, '))


SPOILERS: list[tuple[str, Callable[[Person], None]]] = [
    ("I3: owner without a user", orphan),
    ("I4: holds", written_down),
    ("I4: holds", written_down_in_hex),
    ("I7: something happened to a bystander", touched_bystander),
    ("I2: is for another", foreign_token),
    ("I1: 500", fault),
    ("I6: not no-store", kept_by_browsers),
    ("I5: which was never sent", second_recipient),
]


@pytest.mark.parametrize(("finding", "spoil"), SPOILERS, ids=[s.__name__ for _, s in SPOILERS])
def test_a_world_in_which_something_is_wrong_does_not_close_quietly(
    tmp_path: Path, finding: str, spoil: Callable[[Person], None]
) -> None:
    opened = open_world(tmp_path)
    world = opened.__enter__()
    world.bystander()
    person = world.tenant().user()
    world.deliver()
    world.check()
    spoil(person)
    with pytest.raises(AssertionError, match=finding.partition(": ")[2]):
        opened.__exit__(None, None, None)


def test_an_orderly_world_closes(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        world.bystander()
        world.tenant().user()
    assert world.events(Operation.USER_CREATED)
