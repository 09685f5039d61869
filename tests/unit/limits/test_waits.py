"""What the waits promise, over any history of attempts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.limits.logic import account_wait, memory_seconds, wait, with_failure
from app.limits.types import Failures, Limits, Rate

NOW = 1_700_000_000
RATES = st.builds(Rate, st.integers(1, 5), st.integers(1, 50))
PAUSES = st.lists(st.integers(0, 200), max_size=60)
SMALL = Limits(
    sign_in=Rate(3, 100), longest_wait=400, sign_in_account=Rate(7, 300), sign_in_network=Rate(9, 9)
)


@given(st.lists(RATES, min_size=1, max_size=3), PAUSES)
def test_whoever_obeys_the_waits_never_exceeds_a_rate(rates: list[Rate], pauses: list[int]) -> None:
    times: list[int] = []
    now = NOW
    for pause in pauses:
        now += pause
        if wait(rates, times, now) == 0:
            times.append(now)
    for rate in rates:
        for last in times:
            within = [time for time in times if last - rate.seconds < time <= last]
            assert len(within) <= rate.count


@given(st.lists(RATES, min_size=1, max_size=3), st.lists(st.integers(NOW - 60, NOW), max_size=20))
def test_the_wait_told_is_the_shortest_that_suffices(rates: list[Rate], times: list[int]) -> None:
    told = wait(rates, times, NOW)
    assert wait(rates, times, NOW + told) == 0
    if told:
        assert wait(rates, times, NOW + told - 1) == 1


@given(st.lists(st.tuples(st.integers(0, 150), st.sampled_from(["a", "b", "c"])), max_size=60))
def test_no_account_has_more_failures_than_its_ceiling_and_no_wait_is_endless(
    tries: list[tuple[int, str]],
) -> None:
    failures, now, made = Failures(), NOW, list[int]()
    for pause, network in tries:
        now += pause
        told = account_wait(SMALL, failures, network, now)
        assert 0 <= told <= max(SMALL.longest_wait, SMALL.sign_in_account.seconds)
        if told == 0:
            failures = with_failure(SMALL, failures, network, now)
            made.append(now)
    for last in made:
        window = SMALL.sign_in_account
        assert sum(last - window.seconds < time <= last for time in made) <= window.count
    assert len(failures.times) <= SMALL.sign_in_account.count
    assert all(len(p.times) <= SMALL.sign_in.count for p in failures.networks.values())
    later = now + memory_seconds(SMALL)
    for network in "abc":
        assert account_wait(SMALL, failures, network, later) == 0
    assert with_failure(SMALL, failures, "d", later).networks.keys() == {"d"}


@given(st.lists(st.integers(0, 300), min_size=1, max_size=40))
def test_a_network_that_never_failed_waits_only_for_the_ceiling(pauses: list[int]) -> None:
    failures, now = Failures(), NOW
    for pause in pauses:
        now += pause
        failures = with_failure(SMALL, failures, "attacker", now)
        ceiling = wait([SMALL.sign_in_account], failures.times, now)
        assert account_wait(SMALL, failures, "owner", now) == ceiling


@pytest.mark.parametrize("ahead", [1, 99, 3600, 10**6])
def test_what_a_clock_that_ran_ahead_has_counted_keeps_nobody_out_for_long(ahead: int) -> None:
    failures = Failures()
    for _ in range(5):
        failures = with_failure(SMALL, failures, "a", NOW + ahead)
    told = account_wait(SMALL, failures, "a", NOW)
    assert told <= SMALL.longest_wait
    assert account_wait(SMALL, failures, "a", NOW + told) == 0
