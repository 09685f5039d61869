"""Listing a partition."""

import uuid
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.storage.table import Delete, InvalidWrite, Page, Put, Table
from tests.contract.ground import Hour, Place, Store

# U+FFFF comes before U+10000 in UTF-8, and after it in UTF-16.
LETTERS = "\0 #%*A_a{\x7f\u0080é\u0301中\ud7ff\ue000\uffff\U00010000\U0001f600\U0010ffff"
BAD = ["empty", "long", "half a pair"]


def lay(table: Table, place: Place, sks: Iterable[str], *, partition: str = "p") -> None:
    writes = [Put(key=place.key(sk, partition=partition), body={"sk": sk}) for sk in sks]
    for first in range(0, len(writes), 100):
        table.commit(*writes[first : first + 100])


def sks(page: Page) -> list[str]:
    return [item.key.sk for item in page.items]


def in_byte_order(texts: Iterable[str]) -> list[str]:
    return sorted(texts, key=str.encode)


def test_items_come_whole(table: Table, place: Place, hour: Hour) -> None:
    table.commit(Put(key=place.key("a"), body={"n": [1]}, expires_at=hour.in_seconds(9)))
    table.commit(Put(key=place.key("b"), body={}))
    page = table.query(place.partition(), limit=10)
    assert page.items == [table.get(place.key("a")), table.get(place.key("b"))]
    assert not page.more


def test_an_empty_partition_is_an_empty_page(table: Table, place: Place) -> None:
    assert table.query(place.partition(), limit=1) == Page(items=[], more=False)


def test_items_come_in_byte_order_of_their_sort_keys(table: Table, place: Place) -> None:
    laid = [*LETTERS, "a", "aa", "a\0", "A", "Z", "z", "é", "e\u0301", "10", "9", "ß", "ss"]
    lay(table, place, set(laid))
    assert sks(table.query(place.partition(), limit=100)) == in_byte_order(set(laid))


def test_newest_first_is_the_exact_reverse(table: Table, place: Place) -> None:
    lay(table, place, LETTERS)
    page = table.query(place.partition(), limit=100, newest_first=True)
    assert sks(page) == in_byte_order(LETTERS)[::-1]


def test_a_partition_shows_none_of_anothers_items(table: Table, place: Place) -> None:
    for name in ("p", "p#", "pp", "P", "p ", "p\0"):
        lay(table, place, [f"of {name}", "same"], partition=name)
    for name in ("p", "p#", "pp", "P", "p ", "p\0"):
        assert sks(table.query(place.partition(name), limit=10)) == [f"of {name}", "same"]


def test_a_prefix_selects_what_begins_with_it(table: Table, place: Place) -> None:
    lay(table, place, ["profile", "session", "session#1", "session#2", "session$", "sessions"])
    page = table.query(place.partition(), prefix="session#", limit=10)
    assert sks(page) == ["session#1", "session#2"]


def test_an_item_that_is_the_prefix_itself_is_selected(table: Table, place: Place) -> None:
    lay(table, place, ["sess", "session", "session#1"])
    assert sks(table.query(place.partition(), prefix="session", limit=10)) == [
        "session",
        "session#1",
    ]


@pytest.mark.parametrize("newest_first", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize(
    "prefix",
    [
        "%",
        "_",
        "a_",
        "*",
        "?",
        "[a",
        "\\",
        "'",
        '"',
        "a\0",
        "\0",
        "\x7f",
        "\u07ff",
        "\ud7ff",
        "\uffff",
        "a\uffff",
        "\U0001f600",
        "\U0010ffff",
        "a\U0010ffff",
        "\U0010ffff\U0010ffff",
    ],
    ids=ascii,
)
def test_a_prefix_means_itself_and_nothing_cleverer(
    table: Table, place: Place, prefix: str, *, newest_first: bool
) -> None:
    beginnings = [prefix, prefix[:-1], prefix.upper(), "a", "ab", "b", "\ue000", "\U0010ffff"]
    endings = ["", "\0", "a", "zz", "\uffff", "\U0010ffff", "\U0010ffff\U0010ffff"]
    laid = {one + other for one in beginnings for other in endings if one + other}
    lay(table, place, laid)
    page = table.query(place.partition(), prefix=prefix, limit=100, newest_first=newest_first)
    expected = in_byte_order(sk for sk in laid if sk.startswith(prefix))
    assert sks(page) == (expected[::-1] if newest_first else expected)


def test_the_limit_cuts_and_says_so(table: Table, place: Place) -> None:
    lay(table, place, "abc")
    assert table.query(place.partition(), limit=2).more
    assert sks(table.query(place.partition(), limit=2)) == ["a", "b"]
    assert not table.query(place.partition(), limit=3).more
    assert not table.query(place.partition(), limit=4).more


def test_what_lies_outside_the_prefix_is_not_more(table: Table, place: Place) -> None:
    lay(table, place, ["a#1", "a#2", "b#1"])
    assert not table.query(place.partition(), prefix="a#", limit=2).more
    assert not table.query(place.partition(), prefix="b#", limit=1, newest_first=True).more


@pytest.mark.parametrize("after", ["", "s" * 1025, "\udfff"], ids=BAD)
def test_a_start_that_no_item_can_have_is_refused(table: Table, place: Place, after: str) -> None:
    with pytest.raises(InvalidWrite):
        table.query(place.partition(), limit=1, after=after)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_page_of_nothing_cannot_be_asked_for(table: Table, place: Place, limit: int) -> None:
    with pytest.raises(InvalidWrite):
        table.query(place.partition(), limit=limit)


@pytest.mark.parametrize(
    "partition", ["", "p" * 2049, "\ud800"], ids=["empty", "long", "half a pair"]
)
def test_a_partition_that_no_item_can_have_is_refused(table: Table, partition: str) -> None:
    with pytest.raises(InvalidWrite):
        table.query(partition, limit=1)


def test_a_page_starts_behind_a_key_in_the_direction_of_reading(table: Table, place: Place) -> None:
    lay(table, place, "abcd")
    there = place.partition()
    assert sks(table.query(there, limit=9, after="b")) == ["c", "d"]
    assert sks(table.query(there, limit=9, after="b", newest_first=True)) == ["a"]
    assert sks(table.query(there, limit=1, after="b")) == ["c"]
    assert sks(table.query(there, limit=1, after="d", newest_first=True)) == ["c"]


def test_a_page_starts_behind_a_key_where_nothing_lies_any_more(table: Table, place: Place) -> None:
    lay(table, place, "abc")
    table.commit(Delete(key=place.key("b")))
    there = place.partition()
    assert sks(table.query(there, limit=9, after="b")) == ["c"]
    assert sks(table.query(there, limit=9, after="b", newest_first=True)) == ["a"]
    assert sks(table.query(there, limit=9, after="b\0")) == ["c"]


@pytest.mark.parametrize(
    ("after", "ascending", "descending"),
    [
        ("a", ["b#1", "b#2"], []),
        ("b#0", ["b#1", "b#2"], []),
        ("b#1", ["b#2"], []),
        ("b#2", [], ["b#1"]),
        ("b#3", [], ["b#2", "b#1"]),
        ("c", [], ["b#2", "b#1"]),
        ("\U0010ffff", [], ["b#2", "b#1"]),
    ],
)
def test_a_start_outside_the_prefix_is_before_or_behind_all_of_it(
    table: Table, place: Place, after: str, ascending: list[str], descending: list[str]
) -> None:
    lay(table, place, ["a#1", "b#1", "b#2", "c#1"])
    there = place.partition()
    page = table.query(there, prefix="b#", limit=9, after=after)
    assert (sks(page), page.more) == (ascending, False)
    page = table.query(there, prefix="b#", limit=9, after=after, newest_first=True)
    assert (sks(page), page.more) == (descending, False)


@pytest.mark.parametrize("newest_first", [False, True], ids=["ascending", "descending"])
def test_pages_show_every_item_once(table: Table, place: Place, *, newest_first: bool) -> None:
    names = [f"s#{number:03}" for number in range(23)]
    lay(table, place, [*names, "r", "t"])
    seen: list[str] = []
    after = None
    sizes = []
    for _ in range(10):  # twice as many as it takes
        page = table.query(
            place.partition(), prefix="s#", limit=5, after=after, newest_first=newest_first
        )
        seen += sks(page)
        sizes.append(len(page.items))
        if not page.more:
            break
        after = page.items[-1].key.sk
    assert seen == (names[::-1] if newest_first else names)
    assert sizes == [5, 5, 5, 5, 3]


def test_items_that_come_and_go_between_pages_do_not_shift_them(table: Table, place: Place) -> None:
    lay(table, place, "bdfh")
    first = table.query(place.partition(), limit=2)
    lay(table, place, "aceg")
    table.commit(Delete(key=place.key("d")))
    second = table.query(place.partition(), limit=9, after=first.items[-1].key.sk)
    assert sks(first) == ["b", "d"]
    assert sks(second) == ["e", "f", "g", "h"]


@pytest.mark.parametrize("newest_first", [False, True], ids=["ascending", "descending"])
def test_pages_stay_full_across_expired_items(
    table: Table, place: Place, hour: Hour, *, newest_first: bool
) -> None:
    names = [f"{number:03}" for number in range(90)]
    lives = {name for number, name in enumerate(names) if number % 30 == 0 or number > 86}
    table.commit(
        *(
            Put(
                key=place.key(name),
                body={},
                expires_at=hour.in_seconds(100 if name in lives else 10),
            )
            for name in names
        )
    )
    hour.advance(10)
    expected = sorted(lives, reverse=newest_first)
    first = table.query(place.partition(), limit=3, newest_first=newest_first)
    assert (sks(first), first.more) == (expected[:3], True)
    rest = table.query(place.partition(), limit=3, after=expected[2], newest_first=newest_first)
    assert (sks(rest), rest.more) == (expected[3:], False)


def test_an_expired_item_is_not_more(table: Table, place: Place, hour: Hour) -> None:
    lay(table, place, "ab")
    table.commit(Put(key=place.key("c"), body={}, expires_at=hour.in_seconds(10)))
    assert table.query(place.partition(), limit=2).more
    hour.advance(10)
    assert not table.query(place.partition(), limit=2).more


def test_a_page_may_start_behind_an_expired_item(table: Table, place: Place, hour: Hour) -> None:
    lay(table, place, "ac")
    table.commit(Put(key=place.key("b"), body={}, expires_at=hour.in_seconds(10)))
    hour.advance(10)
    assert sks(table.query(place.partition(), limit=2, after="b")) == ["c"]


def test_a_page_of_large_items_is_whole(table: Table, place: Place) -> None:
    names = [f"{number:02}" for number in range(20)]
    for name in names:  # 3 MB: more than DynamoDB answers at once
        table.commit(Put(key=place.key(name), body={"text": name * 75_000}))
    page = table.query(place.partition(), limit=19)
    assert (sks(page), page.more) == (names[:19], True)
    assert all(item.body["text"] == item.key.sk * 75_000 for item in page.items)


words = st.text(alphabet=LETTERS, min_size=1, max_size=4)


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    laid=st.sets(words, min_size=1, max_size=12),
    questions=st.lists(
        st.tuples(
            st.text(alphabet=LETTERS, max_size=2),
            st.integers(1, 6),
            st.none() | words,
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_any_question_is_answered_as_a_sorted_list_would(
    store: Store, laid: set[str], questions: list[tuple[str, int, str | None, bool]]
) -> None:
    place = Place(prefix=f"test-{uuid.uuid4()}")
    lay(store.table, place, laid)
    for prefix, limit, after, newest_first in questions:
        names = in_byte_order(sk for sk in laid if sk.startswith(prefix))
        if after is not None:
            start = after.encode()
            names = [
                sk for sk in names if (sk.encode() < start if newest_first else sk.encode() > start)
            ]
        if newest_first:
            names.reverse()
        page = store.table.query(
            place.partition(), prefix=prefix, limit=limit, after=after, newest_first=newest_first
        )
        assert (sks(page), page.more) == (names[:limit], len(names) > limit)
