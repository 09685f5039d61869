"""What every driver refuses, so that no store is written that only one of them could keep."""

import pytest

from app.storage.table import (
    MAX_ITEM_BYTES,
    MAX_MEMBERS,
    MAX_PK_BYTES,
    MAX_SK_BYTES,
    MAX_WRITES,
    Absent,
    Check,
    Delete,
    Exists,
    InvalidWrite,
    Item,
    Json,
    Key,
    Put,
    Table,
    Update,
    Write,
)
from tests.contract.ground import Place, living


def refuses(table: Table, *writes: Write) -> None:
    with pytest.raises(InvalidWrite):
        table.commit(*writes)


def test_a_commit_of_nothing_is_refused(table: Table) -> None:
    refuses(table)


def test_a_commit_takes_a_hundred_writes_and_no_more(table: Table, place: Place) -> None:
    puts = [Put(key=place.key(f"{number:03}"), body={}) for number in range(MAX_WRITES + 1)]
    refuses(table, *puts)
    assert table.query(place.partition(), limit=1).items == []
    table.commit(*puts[:MAX_WRITES])
    assert len(table.query(place.partition(), limit=MAX_WRITES).items) == MAX_WRITES


def test_a_commit_writes_each_key_once(table: Table, place: Place) -> None:
    key = place.key()
    put = Put(key=key, body={})
    for other in (
        put,
        Put(key=Key(key.pk, key.sk), body={"n": 2}),
        Update(key=key),
        Delete(key=key),
        Check(key=key, when=(Absent(),)),
    ):
        refuses(table, put, Put(key=place.key("other"), body={}), other)
    assert table.query(place.partition(), limit=1).items == []


@pytest.mark.parametrize(
    "key",
    [
        Key("", "item"),
        Key("p", ""),
        Key("", ""),
        Key("p" * (MAX_PK_BYTES + 1), "item"),
        Key("p", "s" * (MAX_SK_BYTES + 1)),
        Key("é" * (MAX_PK_BYTES // 2) + "p", "item"),
        Key("p", "\U0001f600" * (MAX_SK_BYTES // 4) + "s"),
        Key("\ud83d", "item"),
        Key("p", "\ude00"),
    ],
    ids=lambda key: ascii((key.pk[:1], key.sk[:1], len(key.pk), len(key.sk))),
)
def test_a_write_to_a_key_that_no_item_can_have_is_refused(
    table: Table, place: Place, key: Key
) -> None:
    fine = Put(key=place.key(), body={})
    refuses(table, fine, Put(key=key, body={}))
    refuses(table, fine, Update(key=key))
    refuses(table, fine, Delete(key=key))
    refuses(table, fine, Check(key=key, when=(Absent(),)))
    assert table.get(place.key()) is None


def test_the_longest_keys_are_kept(table: Table, place: Place) -> None:
    pk = place.partition().ljust(MAX_PK_BYTES, "p")
    keys = [
        Key(pk, "s" * MAX_SK_BYTES),
        Key(pk, "é" * (MAX_SK_BYTES // 2)),
        Key(pk, "\U0001f600" * (MAX_SK_BYTES // 4)),
    ]
    table.commit(*(Put(key=key, body={}) for key in keys))
    assert set(table.get_many(keys)) == set(keys)
    assert [item.key for item in table.query(pk, limit=3).items] == keys


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600"], ids=ascii)
def test_an_item_is_at_most_400_kb(table: Table, place: Place, letter: str) -> None:
    key = place.key()
    fits = letter * ((MAX_ITEM_BYTES - 4096) // len(letter.encode()))
    table.commit(Put(key=key, body={"text": fits}))
    assert living(table, key).body == {"text": fits}
    refuses(table, Put(key=key, body={"text": letter * (MAX_ITEM_BYTES // len(letter.encode()))}))
    assert living(table, key).version == 1


def test_many_small_members_count_as_one_large(table: Table, place: Place) -> None:
    members: dict[str, Json] = {f"member{number:06}": "x" * 100 for number in range(4000)}
    refuses(table, Put(key=place.key(), body=members))
    refuses(table, Put(key=place.key(), body={"all": members}))
    refuses(table, Put(key=place.key(), body={"all": list(members.values()), "again": members}))


def test_an_update_does_not_grow_an_item_beyond_400_kb(table: Table, place: Place) -> None:
    key = place.key()
    table.commit(Put(key=key, body={"one": "x" * 300_000, "n": 1}))
    refuses(table, Update(key=key, set={"two": "y" * 150_000}, add={"n": 1}))
    assert table.get(key) == Item(key=key, body={"one": "x" * 300_000, "n": 1}, version=1)
    table.commit(Update(key=key, set={"one": "z", "two": "y" * 150_000}))
    assert living(table, key).version == 2


def test_an_update_cannot_ask_for_absence(table: Table, place: Place) -> None:
    refuses(table, Update(key=place.key(), when=(Absent(),)))
    refuses(table, Update(key=place.key(), when=(Exists(), Absent())))


def test_an_update_cannot_set_what_it_adds_to(table: Table, place: Place) -> None:
    table.commit(Put(key=place.key(), body={"n": 1}))
    refuses(table, Update(key=place.key(), set={"n": 5}, add={"n": 1}))
    assert living(table, place.key()).body == {"n": 1}


def test_an_update_names_64_members_and_no_more(table: Table, place: Place) -> None:
    table.commit(Put(key=place.key(), body={}))
    adds = {f"a long name of member {number}": 1 for number in range(MAX_MEMBERS + 1)}
    refuses(table, Update(key=place.key(), add=adds))
    refuses(table, Update(key=place.key(), set={"one": 1}, add=dict(list(adds.items())[1:])))
    table.commit(Update(key=place.key(), add=dict(list(adds.items())[1:])))
    assert len(living(table, place.key()).body) == MAX_MEMBERS


def test_a_check_without_a_condition_is_refused(table: Table, place: Place) -> None:
    refuses(table, Check(key=place.key()))
    refuses(table, Put(key=place.key(), body={}), Check(key=place.key("other")))
    assert table.get(place.key()) is None


def test_a_write_of_no_kind_is_refused(table: Table, place: Place) -> None:
    refuses(table, Put(key=place.key(), body={}), Write(key=place.key("other")))
    assert table.get(place.key()) is None


@pytest.mark.parametrize(
    "body",
    [
        {"n": float("nan")},
        {"n": float("inf")},
        {"deep": [{"n": float("-inf")}]},
        {"text": "\ud83d"},
        {"\ude00": 1},
        {"deep": [{"text": "a\udfffb"}]},
    ],
    ids=ascii,
)
def test_a_body_that_is_no_json_is_refused(
    table: Table, place: Place, body: dict[str, Json]
) -> None:
    table.commit(Put(key=place.key("there"), body={"n": 1}))
    refuses(table, Put(key=place.key(), body=body))
    refuses(table, Put(key=place.key(), body={}), Update(key=place.key("there"), set=body))
    assert table.get(place.key()) is None
    assert table.get(place.key("there")) == Item(key=place.key("there"), body={"n": 1}, version=1)
