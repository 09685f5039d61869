"""What a write may ask of the item that it meets."""

from typing import TypeAlias

import pytest

from app.storage.table import (
    Absent,
    Check,
    Condition,
    ConditionFailed,
    Delete,
    Exists,
    FieldIs,
    Item,
    Json,
    Put,
    Table,
    Update,
    VersionIs,
    Write,
)
from tests.contract.ground import Hour, Place, living

Scalar: TypeAlias = str | int | bool
SCALARS: list[Scalar] = ["", "1", "true", "True", "caf\u00e9", "cafe\u0301", 0, 1, -1, True, False]
SCALARS += [2**53, 2**53 + 1, "a\0b", "a"]
NO_SCALARS: list[Json] = [None, [], [1], {}, {"name": "Ada"}]


def holds(table: Table, write: Write) -> bool:
    try:
        table.commit(write)
    except ConditionFailed as failed:
        refused = failed.write
    else:
        return True
    assert refused is write
    return False


def test_a_put_on_absence_wins_where_nothing_lies(table: Table, place: Place) -> None:
    assert holds(table, Put(key=place.key(), body={"n": 1}, when=(Absent(),)))
    assert living(table, place.key()).body == {"n": 1}


def test_a_put_on_absence_loses_to_a_living_item(table: Table, place: Place) -> None:
    table.commit(Put(key=place.key(), body={"n": 1}))
    assert not holds(table, Put(key=place.key(), body={"n": 2}, when=(Absent(),)))
    assert living(table, place.key()).body == {"n": 1}


def test_a_put_on_existence_lays_nothing_where_nothing_lies(table: Table, place: Place) -> None:
    assert not holds(table, Put(key=place.key(), body={}, when=(Exists(),)))
    assert table.get(place.key()) is None
    table.commit(Put(key=place.key(), body={}))
    assert holds(table, Put(key=place.key(), body={"n": 2}, when=(Exists(),)))
    assert living(table, place.key()).body == {"n": 2}


@pytest.mark.parametrize(
    ("condition", "on_nothing", "on_an_item"),
    [
        (Absent(), True, False),
        (Exists(), False, True),
        (VersionIs(1), False, True),
        (VersionIs(0), False, False),
        (VersionIs(2), False, False),
        (FieldIs("name", "Ada"), False, True),
        (FieldIs("name", "Eve"), False, False),
        (FieldIs("other", "Ada"), False, False),
    ],
    ids=str,
)
def test_each_condition_means_the_same_to_every_kind_of_write(
    table: Table, place: Place, condition: Condition, *, on_nothing: bool, on_an_item: bool
) -> None:
    when = (condition,)
    for sk, there, expected in (("a", False, on_nothing), ("b", True, on_an_item)):
        key = place.key(sk)
        writes: list[Write] = [
            Check(key=key, when=when),
            Put(key=key, body={"name": "Ada"}, when=when),
            Delete(key=key, when=when),
        ]
        if not isinstance(condition, Absent):
            writes.append(Update(key=key, set={"name": "Ada"}, when=when))
        for write in writes:
            table.commit(Put(key=key, body={"name": "Ada"}) if there else Delete(key=key))
            assert holds(table, write) == expected, write


def test_all_conditions_of_a_write_must_hold(table: Table, place: Place) -> None:
    key = place.key()
    table.commit(Put(key=key, body={"state": "new", "tries": 0}))
    fits = (Exists(), VersionIs(1), FieldIs("state", "new"), FieldIs("tries", 0))
    misfits: list[Condition] = [
        Absent(),
        VersionIs(2),
        FieldIs("state", "old"),
        FieldIs("tries", 1),
    ]
    for misfit in misfits:
        for position in range(len(fits) + 1):
            when = (*fits[:position], misfit, *fits[position:])
            assert not holds(table, Delete(key=key, when=when))
    assert holds(table, Delete(key=key, when=fits))


@pytest.mark.parametrize("held", SCALARS, ids=repr)
def test_a_field_is_only_what_it_is(table: Table, place: Place, held: Scalar) -> None:
    table.commit(Put(key=place.key(), body={"field": held}))
    matching = [
        asked
        for asked in SCALARS
        if holds(table, Check(key=place.key(), when=(FieldIs("field", asked),)))
    ]
    assert [(type(one), one) for one in matching] == [(type(held), held)]


@pytest.mark.parametrize("held", NO_SCALARS, ids=repr)
def test_a_field_that_is_no_scalar_is_none_that_can_be_asked_for(
    table: Table, place: Place, held: Json
) -> None:
    table.commit(Put(key=place.key(), body={"field": held}))
    asked: list[Scalar] = [*SCALARS, "null", "None", "[]", "{}", "[1]", '{"name":"Ada"}', "Ada"]
    for value in asked:
        assert not holds(table, Check(key=place.key(), when=(FieldIs("field", value),))), value


def test_a_field_that_is_not_there_is_none_that_can_be_asked_for(
    table: Table, place: Place
) -> None:
    table.commit(Put(key=place.key(), body={"other": {"field": 1}}))
    for value in SCALARS:
        assert not holds(table, Check(key=place.key(), when=(FieldIs("field", value),))), value


def test_no_field_can_be_asked_for_where_nothing_lies(table: Table, place: Place) -> None:
    for value in SCALARS:
        assert not holds(table, Check(key=place.key(), when=(FieldIs("field", value),))), value


# Reserved words of DynamoDB, its own signs, and the names of a driver's columns.
NAMES = ["size", "status", "a.b", "a[0]", "#n", ":v", "$.a", '"', "'", "na me", "é", "0"]
NAMES += ["pk", "sk", "body", "version", "expires_at", "ttl", "key", "n\0l", "\U0001f600"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_may_be_a_members(table: Table, place: Place, name: str) -> None:
    key = place.key()
    table.commit(Put(key=key, body={name: "old", "a": {"b": "inner"}, "kept": True}))
    assert not holds(table, Check(key=key, when=(FieldIs(name, "inner"),)))
    assert holds(table, Update(key=key, set={name: 1}, when=(FieldIs(name, "old"),)))
    table.commit(Update(key=key, add={name: 2}))
    assert table.get(key) == Item(
        key=key, body={name: 3, "a": {"b": "inner"}, "kept": True}, version=3
    )


@pytest.mark.parametrize(
    "condition",
    [Exists(), VersionIs(1), FieldIs("name", "Ada")],
    ids=lambda one: type(one).__name__,
)
def test_an_expired_item_fulfils_nothing_but_absence(
    table: Table, place: Place, hour: Hour, condition: Condition
) -> None:
    key = place.key()
    table.commit(Put(key=key, body={"name": "Ada"}, expires_at=hour.in_seconds(10)))
    assert holds(table, Check(key=key, when=(condition,)))
    hour.advance(10)
    assert not holds(table, Check(key=key, when=(condition,)))
    assert not holds(table, Put(key=key, body={}, when=(condition,)))
    assert not holds(table, Update(key=key, when=(condition,)))
    assert not holds(table, Delete(key=key, when=(condition,)))
    assert table.get(key) is None
    assert holds(table, Check(key=key, when=(Absent(),)))
    assert holds(table, Delete(key=key, when=(Absent(),)))
    assert holds(table, Put(key=key, body={"name": "Eve"}, when=(Absent(),)))
    assert table.get(key) == Item(key=key, body={"name": "Eve"}, version=1)


def test_the_second_of_expiry_is_the_same_for_conditions_and_for_reads(
    table: Table, place: Place, hour: Hour
) -> None:
    key = place.key()
    table.commit(Put(key=key, body={}, expires_at=hour.in_seconds(10)))
    hour.advance(9.999)
    assert not holds(table, Check(key=key, when=(Absent(),)))
    hour.advance(0.001)
    assert holds(table, Check(key=key, when=(Absent(),)))
