"""Identifiers: their form, their order, and what is taken for one."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from app.common.ids import Ids, is_id
from tests.contract.ground import START, Hour, race


def milliseconds_of(made: str) -> int:
    return uuid.UUID(made).int >> 80


def test_an_identifier_is_a_uuid_of_version_7_in_canonical_form() -> None:
    ids = Ids(clock=Hour().clock())
    for _ in range(100):
        made = ids.new()
        parsed = uuid.UUID(made)
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
        assert str(parsed) == made
        assert is_id(made)


@pytest.mark.parametrize("year", [2026, 2037])
def test_an_identifier_begins_with_the_millisecond_of_its_making(year: int) -> None:
    hour = Hour(now=START.replace(year=year))
    ids = Ids(clock=hour.clock())
    for _ in range(1000):
        hour.advance(86_411.317)
        since_1970 = hour.now - datetime(1970, 1, 1, tzinfo=UTC)
        assert milliseconds_of(ids.new()) == since_1970 // timedelta(milliseconds=1)


def test_identifiers_of_one_moment_are_in_the_order_of_their_making() -> None:
    ids = Ids(clock=Hour().clock())
    made = [ids.new() for _ in range(10_000)]  # more than the counter of a millisecond holds
    assert made == sorted(set(made))


def test_identifiers_of_later_moments_are_greater() -> None:
    hour = Hour()
    ids = Ids(clock=hour.clock())
    made = []
    for _ in range(50):
        made += [ids.new(), ids.new()]
        hour.advance(0.001)
    assert made == sorted(set(made))
    assert milliseconds_of(made[-1]) - milliseconds_of(made[0]) == 49


def test_a_clock_that_is_set_back_does_not_disturb_the_order() -> None:
    hour = Hour()
    ids = Ids(clock=hour.clock())
    made = [ids.new()]
    hour.advance(-3600)
    made += [ids.new(), ids.new()]
    hour.advance(7200)
    made.append(ids.new())
    assert made == sorted(set(made))


def test_threads_make_different_identifiers_each_in_order() -> None:
    ids = Ids(clock=Hour().clock())
    made = race(8, lambda _: [ids.new() for _turn in range(500)])
    assert all(mine == sorted(mine) for mine in made)
    assert len({one for mine in made for one in mine}) == 8 * 500


def test_processes_of_one_moment_make_different_identifiers() -> None:
    made = {Ids(clock=Hour().clock()).new() for _ in range(1000)}
    assert len(made) == 1000


def test_the_random_end_of_an_identifier_is_not_its_neighbours() -> None:
    ids = Ids(clock=Hour().clock())
    assert len({ids.new()[-12:] for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "admin",
        "0195d1c4-7000-7000-8000",
        "0195d1c4-7000-7000-8000-0000000000001",
        "0195D1C4-7000-7000-8000-00000000000A",
        "0195d1c47000700080000000000000aa",
        "{0195d1c4-7000-7000-8000-000000000001}",
        "urn:uuid:0195d1c4-7000-7000-8000-000000000001",
        " 0195d1c4-7000-7000-8000-000000000001",
        "0195d1c4-7000-7000-8000-000000000001\n",
        "0195d1c4-7000-7000-8000-00000000_001",
        "0195d1c4-7000-7000-8000-00000000000\u0661",
        "0195d1c4-7000-7000-8000-00000000000\0",
        "0195d1c4-7000-7000-8000-00000000000#",
        "0195d1c4-7000-7000-8000-00000000000\ud800",
    ],
    ids=ascii,
)
def test_no_other_text_is_an_identifier(text: str) -> None:
    assert not is_id(text)
