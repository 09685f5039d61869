"""All or nothing."""

import pytest

from app.storage.table import (
    MAX_WRITES,
    Absent,
    Check,
    ConditionFailed,
    Delete,
    Exists,
    FieldIs,
    InvalidWrite,
    Item,
    Key,
    Put,
    Table,
    Update,
    VersionIs,
    Write,
)
from tests.contract.ground import Hour, Place, living

MEMBERS = 12


class AddressTaken(Exception):
    """What a losing write may name."""


def lay_ground(table: Table, place: Place) -> list[Write]:
    """Items, and sound writes of every kind over them."""
    writes: list[Write] = []
    ground: list[Write] = []
    for number in range(0, MEMBERS, 4):
        updated, deleted, checked = place.keys(
            *(f"{kind}{number}" for kind in ("updated", "deleted", "checked"))
        )
        ground += [Put(key=key, body={"n": number}) for key in (updated, deleted, checked)]
        writes += [
            Put(key=place.key(f"put{number}"), body={"n": number}, when=(Absent(),)),
            Update(key=updated, add={"n": 1}, when=(VersionIs(1),)),
            Delete(key=deleted, when=(Exists(),)),
            Check(key=checked, when=(FieldIs("n", number),)),
        ]
    table.commit(*ground)
    return writes


def all_of(table: Table, place: Place) -> list[Item]:
    return table.query(place.partition(), limit=200).items


def losing_writes(taken: Key, missing: Key) -> list[Write]:
    return [
        Put(key=taken, body={"n": -1}, when=(Absent(),)),
        Put(key=missing, body={"n": -1}, when=(Exists(),)),
        Update(key=missing, set={"n": -1}),
        Delete(key=missing, when=(Exists(),)),
        Delete(key=taken, when=(VersionIs(2),)),
        Check(key=taken, when=(FieldIs("n", 8),)),
    ]


def test_a_commit_does_all_of_its_writes(table: Table, place: Place) -> None:
    writes = lay_ground(table, place)
    table.commit(*writes)
    assert {item.key.sk: (item.body["n"], item.version) for item in all_of(table, place)} == {
        "checked0": (0, 1),
        "checked4": (4, 1),
        "checked8": (8, 1),
        "put0": (0, 1),
        "put4": (4, 1),
        "put8": (8, 1),
        "updated0": (1, 2),
        "updated4": (5, 2),
        "updated8": (9, 2),
    }


@pytest.mark.parametrize("position", range(MEMBERS + 1))
def test_one_losing_write_at_any_position_undoes_all_others(
    table: Table, place: Place, position: int
) -> None:
    sound = lay_ground(table, place)
    taken, missing = place.keys("taken", "missing")
    table.commit(Put(key=taken, body={"n": 7}))
    before = all_of(table, place)
    for losing in losing_writes(taken, missing):
        writes = [*sound[:position], losing, *sound[position:]]
        with pytest.raises(ConditionFailed) as failed:
            table.commit(*writes)
        assert failed.value.write is losing
        assert all_of(table, place) == before
    table.commit(*sound)


@pytest.mark.parametrize("position", [0, MAX_WRITES // 2, MAX_WRITES - 1])
def test_a_hundred_writes_are_all_or_nothing_too(table: Table, place: Place, position: int) -> None:
    keys = place.keys(*(f"{number:03}" for number in range(MAX_WRITES)))
    taken = keys[position]
    table.commit(Put(key=taken, body={"first": True}))
    writes = [Put(key=key, body={}, when=(Absent(),)) for key in keys]
    with pytest.raises(ConditionFailed) as failed:
        table.commit(*writes)
    assert failed.value.write is writes[position]
    assert [item.key for item in all_of(table, place)] == [taken]
    table.commit(Delete(key=taken))
    table.commit(*writes)
    assert [item.key for item in all_of(table, place)] == keys


def test_the_first_of_several_losing_writes_is_named(table: Table, place: Place) -> None:
    sound = lay_ground(table, place)
    losing = losing_writes(place.key("updated0"), place.key("missing"))
    for first in losing:
        second = Check(key=place.key("none"), when=(Exists(),))
        with pytest.raises(ConditionFailed) as failed:
            table.commit(sound[0], first, sound[2], second, sound[3])
        assert failed.value.write is first


def test_a_losing_write_brings_its_refusal_along(table: Table, place: Place) -> None:
    table.commit(Put(key=place.key(), body={}))
    losing = Put(key=place.key(), body={}, when=(Absent(),), lost=AddressTaken)
    with pytest.raises(ConditionFailed) as failed:
        table.commit(Put(key=place.key("other"), body={}), losing)
    assert failed.value.write.lost is AddressTaken


def test_conditions_are_asked_of_what_lay_there_before_the_commit(
    table: Table, place: Place
) -> None:
    one, other = place.keys("one", "other")
    table.commit(Put(key=one, body={"n": 1}))
    with pytest.raises(ConditionFailed) as failed:
        table.commit(Delete(key=one), Update(key=other, set={"n": 1}))
    assert failed.value.write.key == other
    assert living(table, one).body == {"n": 1}


def test_a_commit_may_span_partitions(table: Table, place: Place) -> None:
    keys = [place.key(partition=f"p{number}") for number in range(10)]
    table.commit(*(Put(key=key, body={}) for key in keys))
    assert set(table.get_many(keys)) == set(keys)
    missing = Check(key=place.key("none", partition="p9"), when=(Exists(),))
    with pytest.raises(ConditionFailed):
        table.commit(*(Delete(key=key) for key in keys), missing)
    assert set(table.get_many(keys)) == set(keys)


def test_a_write_that_cannot_be_done_undoes_all_others(table: Table, place: Place) -> None:
    sound = lay_ground(table, place)
    text = place.key("text")
    table.commit(Put(key=text, body={"n": "text"}))
    before = all_of(table, place)
    for bad in (
        Update(key=text, add={"n": 1}),
        Put(key=text, body={"n": "x" * 500_000}),
        Update(key=text, set={"more": "x" * 500_000}),
    ):
        for position in (0, MEMBERS // 2, MEMBERS):
            with pytest.raises(InvalidWrite):
                table.commit(*sound[:position], bad, *sound[position:])
            assert all_of(table, place) == before


def test_a_refused_commit_may_be_tried_again_when_the_cause_is_gone(
    table: Table, place: Place, hour: Hour
) -> None:
    taken, other = place.keys("taken", "other")
    table.commit(Put(key=taken, body={"by": "first"}, expires_at=hour.in_seconds(30)))
    writes = (Put(key=other, body={}), Put(key=taken, body={"by": "second"}, when=(Absent(),)))
    with pytest.raises(ConditionFailed):
        table.commit(*writes)
    hour.advance(30)
    table.commit(*writes)
    assert living(table, taken).body == {"by": "second"}
    assert table.get(other) is not None
