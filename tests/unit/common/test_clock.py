"""The hour, and how it is written."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.common.clock import Clock, parse_rfc3339, rfc3339
from tests.contract.ground import Hour


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC), "2026-03-01T12:00:00.000Z"),
        (datetime(2026, 3, 1, 12, 0, 0, 7_000, tzinfo=UTC), "2026-03-01T12:00:00.007Z"),
        (datetime(2026, 3, 1, 12, 0, 0, 999_999, tzinfo=UTC), "2026-03-01T12:00:00.999Z"),
        (
            datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "2026-02-28T19:00:00.000Z",
        ),
        (
            datetime(2026, 12, 31, 23, tzinfo=timezone(timedelta(hours=-3))),
            "2027-01-01T02:00:00.000Z",
        ),
    ],
)
def test_a_moment_is_written_in_utc_with_milliseconds(moment: datetime, text: str) -> None:
    assert rfc3339(moment) == text


def test_moments_sort_as_their_texts_do() -> None:
    begin = datetime(2026, 12, 31, 23, 59, 58, 900_000, tzinfo=UTC)
    texts = [rfc3339(begin + timedelta(milliseconds=50 * step)) for step in range(60)]
    assert texts == sorted(set(texts))


def test_what_was_written_is_read_back() -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=UTC)
    assert parse_rfc3339(rfc3339(moment)) == moment
    assert parse_rfc3339(rfc3339(moment)).tzinfo is UTC


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-03-01T25:00:00Z"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rfc3339(text)


def test_the_seconds_are_whole_and_never_ahead() -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    exact = 1_772_366_400
    for microsecond in (0, 1, 500_000, 999_999):
        hour = Hour(now=moment.replace(microsecond=microsecond))
        assert hour.clock().seconds() == exact
        assert hour.clock().now() == hour.now


def test_the_clock_of_a_real_process_tells_utc() -> None:
    before = datetime.now(UTC)
    clock = Clock()
    assert before <= clock.now() <= datetime.now(UTC)
    assert clock.now().utcoffset() == timedelta(0)
