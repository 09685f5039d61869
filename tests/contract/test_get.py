"""Reading by key."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.storage.table import MAX_GETS, InvalidWrite, Item, Key, Put, Table, Update
from tests.contract.ground import Hour, Place, living


def test_what_was_put_is_read_back(table: Table, place: Place, hour: Hour) -> None:
    key = place.key()
    table.commit(Put(key=key, body={"name": "Ada"}, expires_at=hour.in_seconds(60)))
    assert table.get(key) == Item(
        key=key, body={"name": "Ada"}, version=1, expires_at=hour.in_seconds(60)
    )


def test_an_item_without_an_expiry_has_none(table: Table, place: Place) -> None:
    table.commit(Put(key=place.key(), body={}))
    assert living(table, place.key()).expires_at is None


def test_where_nothing_lies_there_is_no_item(table: Table, place: Place) -> None:
    assert table.get(place.key()) is None


def test_a_key_is_both_of_its_parts(table: Table, place: Place) -> None:
    table.commit(Put(key=place.key("one", partition="here"), body={}))
    assert table.get(place.key("one", partition="there")) is None
    assert table.get(place.key("two", partition="here")) is None


@pytest.mark.parametrize("other", ["ITEM", "item ", " item", "\u0131tem", "item\0", "i\u0308tem"])
def test_keys_are_compared_byte_by_byte(table: Table, place: Place, other: str) -> None:
    table.commit(Put(key=place.key("item"), body={}))
    assert table.get(place.key(other)) is None


def test_composed_and_decomposed_letters_are_different_keys(table: Table, place: Place) -> None:
    table.commit(
        Put(key=place.key("caf\u00e9"), body={"form": "composed"}),
        Put(key=place.key("cafe\u0301"), body={"form": "decomposed"}),
    )
    assert living(table, place.key("caf\u00e9")).body == {"form": "composed"}
    assert living(table, place.key("cafe\u0301")).body == {"form": "decomposed"}


def test_an_item_is_gone_in_the_second_in_which_it_expires(
    table: Table, place: Place, hour: Hour
) -> None:
    table.commit(Put(key=place.key(), body={}, expires_at=hour.in_seconds(10)))
    hour.advance(9.999)
    assert table.get(place.key()) is not None
    hour.advance(0.001)
    assert table.get(place.key()) is None


def test_an_item_laid_down_expired_was_never_there(table: Table, place: Place, hour: Hour) -> None:
    table.commit(
        Put(key=place.key("now"), body={}, expires_at=hour.in_seconds(0)),
        Put(key=place.key("long ago"), body={}, expires_at=0),
    )
    assert table.get_many(place.keys("now", "long ago")) == {}


def test_many_keys_are_read_at_once_and_only_the_living_are_in_the_answer(
    table: Table, place: Place, hour: Hour
) -> None:
    table.commit(
        Put(key=place.key("a", partition="one"), body={"n": 1}),
        Put(key=place.key("b", partition="two"), body={"n": 2}),
        Put(key=place.key("c", partition="two"), body={"n": 3}, expires_at=hour.in_seconds(5)),
    )
    hour.advance(5)
    keys = [
        place.key("a", partition="one"),
        place.key("b", partition="two"),
        place.key("c", partition="two"),
        place.key("d", partition="two"),
    ]
    found = table.get_many(keys)
    assert {key: item.body for key, item in found.items()} == {keys[0]: {"n": 1}, keys[1]: {"n": 2}}
    assert all(key == item.key for key, item in found.items())


def test_one_read_takes_a_hundred_keys(table: Table, place: Place) -> None:
    keys = place.keys(*(f"{number:03}" for number in range(MAX_GETS)))
    table.commit(*(Put(key=key, body={"of": key.sk}) for key in keys))
    found = table.get_many(keys)
    assert {item.body["of"] for item in found.values()} == {key.sk for key in keys}


def test_one_read_gives_a_hundred_large_items_whole(table: Table, place: Place) -> None:
    keys = place.keys(*(f"{number:03}" for number in range(MAX_GETS)))
    for first in range(0, MAX_GETS, 10):
        chunk = keys[first : first + 10]
        table.commit(*(Put(key=key, body={"text": key.sk * 60_000}) for key in chunk))
    found = table.get_many(keys)
    assert len(found) == MAX_GETS
    assert all(item.body == {"text": key.sk * 60_000} for key, item in found.items())


def test_more_than_a_hundred_keys_are_refused(table: Table, place: Place) -> None:
    keys = place.keys(*(f"{number:03}" for number in range(MAX_GETS + 1)))
    with pytest.raises(InvalidWrite):
        table.get_many(keys)


def test_no_keys_give_no_items(table: Table) -> None:
    assert table.get_many([]) == {}


def test_a_key_named_twice_is_one_item(table: Table, place: Place) -> None:
    table.commit(Put(key=place.key(), body={}))
    assert list(table.get_many([place.key(), place.key()])) == [place.key()]


@pytest.mark.parametrize(
    "key",
    [
        Key("", "item"),
        Key("p", ""),
        Key("p" * 2049, "item"),
        Key("p", "s" * 1025),
        Key("p", "é" * 513),
        Key("\ud800", "item"),
        Key("p", "\udfff"),
    ],
    ids=["no pk", "no sk", "long pk", "long sk", "long in bytes", "half a pair", "other half"],
)
def test_a_key_that_no_item_can_have_is_refused(table: Table, key: Key) -> None:
    with pytest.raises(InvalidWrite):
        table.get(key)
    with pytest.raises(InvalidWrite):
        table.get_many([key])


def test_a_body_read_back_is_the_readers_own(table: Table, place: Place) -> None:
    body: dict[str, list[str] | str] = {"names": ["Ada"]}
    table.commit(Put(key=place.key(), body=json.loads(json.dumps(body))))
    first = living(table, place.key())
    first.body["names"] = "changed"
    assert living(table, place.key()).body == body


def test_every_thread_reads_what_another_was_told_is_committed(table: Table, place: Place) -> None:
    table.commit(Put(key=place.key(), body={"n": 0}))
    with ThreadPoolExecutor(1) as writer, ThreadPoolExecutor(4) as readers:
        for number in range(1, 26):
            writer.submit(table.commit, Update(key=place.key(), set={"n": number})).result()
            one = [readers.submit(table.get, place.key()) for _ in range(4)]
            many = [readers.submit(table.get_many, [place.key()]) for _ in range(4)]
            listed = readers.submit(table.query, place.partition(), limit=1).result()
            seen = [item for reading in one if (item := reading.result()) is not None]
            seen += [item for reading in many for item in reading.result().values()]
            seen += listed.items
            assert [item.body["n"] for item in seen] == [number] * 9
