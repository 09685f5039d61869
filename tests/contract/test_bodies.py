"""A body comes back as it went in."""

import string
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.storage.table import MAX_MEMBERS, Item, Json, Put, Table, Update
from tests.contract.ground import Place, Store, living


def nest(depth: int) -> Json:
    nested: Json = "innermost"
    for level in range(depth):
        nested = [nested] if level % 2 else {"in": nested}
    return nested


BODIES: dict[str, dict[str, Json]] = {
    "empty": {},
    "empty values": {"text": "", "list": [], "object": {}, "nothing": None},
    "scalars": {"yes": True, "no": False, "zero": 0, "one": 1, "minus": -1},
    "big integers": {
        "js": 2**53 + 1,
        "signed": -(2**63),
        "unsigned": 2**64 - 1,
        "beyond": 10**38 - 1,  # DynamoDB keeps 38 digits
        "below": -(10**38) + 1,
    },
    "round integers": {"million": 10**6, "huge": 10**37},
    "fractions": {"half": 0.5, "minus": -1.25, "third": 1 / 3, "small": 1e-9},
    "letters": {"é": "naïve", "中文": "漢字", "emoji": "\U0001f9d1\u200d\U0001f680", "rtl": "שלום"},
    "both forms": {"composed": "\u00e9", "decomposed": "e\u0301"},
    "edges": {"text": "\x7f\u0080\u07ff\u0800\ud7ff\ue000\ufeff\ufffe\uffff\U00010000\U0010ffff"},
    "controls": {"text": "".join(map(chr, range(32))), "lines": "a\r\nb\u2028c\u2029d"},
    "nul": {"text": "before\0behind", "\0": "\0", "two": "\0\0"},
    "quotes": {"text": "\"'\\/`", "html": "</script><!--", "json": '{"a": 1}'},
    "spaces": {"text": "  both ends\t", " ": " "},
    "nested": {"deep": nest(24)},
    "mixed list": {"list": [1, "1", True, None, 1.5, [], {}, [[]], [{}], {"": ""}]},
    "look-alikes": {
        "a": "1",
        "b": 1,
        "c": True,
        "d": "true",
        "e": "null",
        "f": None,
        "g": "2026-03-01",
    },
    "own names": {"pk": 1, "sk": "x", "body": {}, "version": 9, "expires_at": 0, "index": None},
    "many": {f"member{number}": number for number in range(500)},
}


def same(left: Json, right: Json) -> bool:
    """Equal, and of the same types all the way down: Python takes 1 for True."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


@pytest.mark.parametrize("name", BODIES)
def test_a_body_comes_back_as_it_was_put(table: Table, place: Place, name: str) -> None:
    body = BODIES[name]
    table.commit(Put(key=place.key(), body=body))
    assert same(living(table, place.key()).body, body)
    (listed,) = table.query(place.partition(), limit=1).items
    assert same(listed.body, body)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_comes_back_as_an_update_set_it(table: Table, place: Place, name: str) -> None:
    table.commit(Put(key=place.key(), body={}))
    body = dict(list(BODIES[name].items())[:MAX_MEMBERS])
    table.commit(Update(key=place.key(), set=body))
    assert same(living(table, place.key()).body, body)


def test_an_update_leaves_what_it_does_not_name_as_it_was(table: Table, place: Place) -> None:
    body: dict[str, Json] = {name: dict(value) for name, value in BODIES.items()}
    table.commit(Put(key=place.key(), body=body))
    table.commit(Update(key=place.key(), set={"new": 1}, add={"count": 1}))
    assert same(living(table, place.key()).body, {**body, "new": 1, "count": 1})


letters = st.characters(exclude_categories=["Cs"])
names = st.text(letters, min_size=1, max_size=5)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**38) + 1, 10**38 - 1)
    | st.text(letters | st.sampled_from(string.printable + "\0"), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@settings(
    max_examples=80,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(body=st.dictionaries(names, values, max_size=6))
def test_any_body_comes_back_as_it_was_put(store: Store, body: dict[str, Json]) -> None:
    key = Place(prefix=f"test-{uuid.uuid4()}").key()
    store.table.commit(Put(key=key, body=body))
    found = living(store.table, key)
    assert found == Item(key=key, body=body, version=1)
    assert same(found.body, body)
