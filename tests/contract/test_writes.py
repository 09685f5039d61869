"""What each write does to the item that it meets: bodies, versions, expiry."""

from types import MappingProxyType

import pytest

from app.storage.table import (
    Absent,
    Check,
    ConditionFailed,
    Delete,
    Exists,
    FieldIs,
    InvalidWrite,
    Item,
    Json,
    Put,
    Table,
    Update,
    VersionIs,
)
from tests.contract.ground import Hour, Place, living


def test_a_put_replaces_the_whole_item(table: Table, place: Place, hour: Hour) -> None:
    key = place.key()
    table.commit(Put(key=key, body={"a": 1, "b": 2}, expires_at=hour.in_seconds(60)))
    table.commit(Put(key=key, body={"c": 3}))
    assert table.get(key) == Item(key=key, body={"c": 3}, version=1)


def test_an_update_changes_the_named_members_and_keeps_the_others(
    table: Table, place: Place
) -> None:
    key = place.key()
    table.commit(Put(key=key, body={"name": "Ada", "tags": ["x"], "nested": {"a": 1, "b": 2}}))
    table.commit(Update(key=key, set={"name": "Eve", "nested": {"a": 9}, "new": None}))
    assert living(table, key).body == {
        "name": "Eve",
        "tags": ["x"],
        "nested": {"a": 9},
        "new": None,
    }


def test_an_update_adds_and_subtracts(table: Table, place: Place) -> None:
    key = place.key()
    table.commit(Put(key=key, body={"up": 1, "down": 1, "big": 2**60}))
    table.commit(Update(key=key, add={"up": 2, "down": -3, "big": 1, "fresh": 5, "nothing": 0}))
    body = living(table, key).body
    assert body == {"up": 3, "down": -2, "big": 2**60 + 1, "fresh": 5, "nothing": 0}
    assert all(type(value) is int for value in body.values())


def test_an_update_may_set_and_add_in_one_go(table: Table, place: Place) -> None:
    key = place.key()
    table.commit(Put(key=key, body={"state": "new", "tries": 1}))
    table.commit(Update(key=key, set={"state": "used"}, add={"tries": 1}))
    assert living(table, key).body == {"state": "used", "tries": 2}


@pytest.mark.parametrize("held", ["1", "", True, None, [1], {"n": 1}], ids=repr)
def test_only_an_integer_can_be_added_to(table: Table, place: Place, held: Json) -> None:
    key = place.key()
    table.commit(Put(key=key, body={"n": held}))
    with pytest.raises(InvalidWrite):
        table.commit(Put(key=place.key("other"), body={}), Update(key=key, add={"n": 1}))
    assert table.get(key) == Item(key=key, body={"n": held}, version=1)
    assert table.get(place.key("other")) is None


def test_an_update_never_makes_an_item(table: Table, place: Place, hour: Hour) -> None:
    table.commit(Put(key=place.key("gone"), body={"n": 1}, expires_at=hour.in_seconds(5)))
    hour.advance(5)
    for sk in ("never there", "gone"):
        key = place.key(sk)
        for update in (
            Update(key=key, set={"n": 1}),
            Update(key=key, add={"n": 1}),
            Update(key=key, set={"n": 1}, when=()),
            Update(key=key, add={"n": 1}, when=(), expires_at=hour.in_seconds(60)),
        ):
            with pytest.raises(ConditionFailed) as failed:
                table.commit(update)
            assert failed.value.write is update
            assert table.get(key) is None


def test_an_update_of_nothing_still_counts_the_version(table: Table, place: Place) -> None:
    table.commit(Put(key=place.key(), body={"n": 1}))
    table.commit(Update(key=place.key()))
    assert table.get(place.key()) == Item(key=place.key(), body={"n": 1}, version=2)


def test_the_version_is_one_after_a_put_and_one_more_after_each_update(
    table: Table, place: Place
) -> None:
    key = place.key()
    versions = []
    for write in (
        Put(key=key, body={"n": 0}, when=(Absent(),)),
        Update(key=key, set={"n": 1}),
        Update(key=key, add={"n": 1}, when=(VersionIs(2),)),
        Put(key=key, body={"n": 3}, when=(VersionIs(3),)),
        Put(key=key, body={"n": 4}, when=(Exists(), VersionIs(4))),
        Put(key=key, body={"n": 5}, when=(VersionIs(5), FieldIs("n", 4))),
        Check(key=key, when=(VersionIs(6),)),
        Update(key=key, set={"n": 6}, when=(FieldIs("n", 5),)),
        Put(key=key, body={"n": 7}, when=(FieldIs("n", 6),)),
        Update(key=key),
        Put(key=key, body={"n": 8}),
        Put(key=key, body={"n": 9}, when=(Exists(),)),
    ):
        table.commit(write)
        versions.append(living(table, key).version)
    assert versions == [1, 2, 3, 4, 5, 6, 6, 7, 1, 2, 1, 1]


def test_a_version_starts_anew_after_a_deletion(table: Table, place: Place) -> None:
    key = place.key()
    table.commit(Put(key=key, body={}))
    table.commit(Update(key=key))
    table.commit(Delete(key=key))
    table.commit(Put(key=key, body={}, when=(Absent(),)))
    assert living(table, key).version == 1


def test_a_refused_commit_leaves_the_version(table: Table, place: Place) -> None:
    table.commit(Put(key=place.key(), body={}))
    with pytest.raises(ConditionFailed):
        table.commit(Update(key=place.key(), when=(VersionIs(7),)))
    with pytest.raises(ConditionFailed):
        table.commit(Update(key=place.key()), Check(key=place.key("none"), when=(Exists(),)))
    assert living(table, place.key()).version == 1


def test_an_update_keeps_the_expiry_unless_it_names_another(
    table: Table, place: Place, hour: Hour
) -> None:
    key = place.key()
    table.commit(Put(key=key, body={}, expires_at=hour.in_seconds(10)))
    table.commit(Update(key=key, set={"n": 1}))
    assert living(table, key).expires_at == hour.in_seconds(10)
    table.commit(Update(key=key, expires_at=hour.in_seconds(20)))
    assert living(table, key).expires_at == hour.in_seconds(20)
    hour.advance(19)
    assert living(table, key).body == {"n": 1}
    hour.advance(1)
    assert table.get(key) is None


def test_an_update_may_give_an_expiry_to_an_item_that_had_none(
    table: Table, place: Place, hour: Hour
) -> None:
    table.commit(Put(key=place.key(), body={}))
    table.commit(Update(key=place.key(), expires_at=hour.in_seconds(1)))
    assert table.get(place.key()) is not None
    hour.advance(1)
    assert table.get(place.key()) is None


@pytest.mark.parametrize("ago", [0, 5])
def test_an_update_to_an_expiry_that_has_passed_ends_the_item(
    table: Table, place: Place, hour: Hour, ago: int
) -> None:
    table.commit(Put(key=place.key(), body={}))
    table.commit(Update(key=place.key(), expires_at=hour.in_seconds(-ago)))
    assert table.get(place.key()) is None


def test_a_put_over_an_expired_item_starts_anew(table: Table, place: Place, hour: Hour) -> None:
    key = place.key()
    table.commit(Put(key=key, body={"old": 1}, expires_at=hour.in_seconds(5)))
    table.commit(Update(key=key))
    hour.advance(5)
    table.commit(Put(key=key, body={"new": 1}))
    assert table.get(key) == Item(key=key, body={"new": 1}, version=1)


def test_a_deleted_item_is_gone(table: Table, place: Place) -> None:
    table.commit(Put(key=place.key("a"), body={}), Put(key=place.key("b"), body={}))
    table.commit(Delete(key=place.key("a")))
    assert table.get(place.key("a")) is None
    assert table.get(place.key("b")) is not None


def test_deleting_nothing_is_no_fault(table: Table, place: Place, hour: Hour) -> None:
    table.commit(Delete(key=place.key()))
    table.commit(Put(key=place.key(), body={}, expires_at=hour.in_seconds(5)))
    hour.advance(5)
    table.commit(Delete(key=place.key()))
    assert table.get(place.key()) is None


def test_a_check_changes_nothing(table: Table, place: Place, hour: Hour) -> None:
    table.commit(Put(key=place.key(), body={"n": 1}, expires_at=hour.in_seconds(9)))
    before = table.get(place.key())
    table.commit(Check(key=place.key(), when=(Exists(), VersionIs(1), FieldIs("n", 1))))
    table.commit(Check(key=place.key("none"), when=(Absent(),)))
    assert table.get(place.key()) == before
    assert table.get(place.key("none")) is None


def test_any_mapping_may_be_a_body(table: Table, place: Place) -> None:
    table.commit(Put(key=place.key(), body=MappingProxyType({"n": 1})))
    table.commit(Update(key=place.key(), set=MappingProxyType({"m": 2})))
    assert living(table, place.key()).body == {"n": 1, "m": 2}


def test_a_body_that_changes_after_the_commit_changes_no_item(table: Table, place: Place) -> None:
    names: list[Json] = ["Ada"]
    table.commit(Put(key=place.key(), body={"names": names}))
    names.append("Eve")
    assert living(table, place.key()).body == {"names": ["Ada"]}
