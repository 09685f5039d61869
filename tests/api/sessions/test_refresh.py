"""Staying signed in: rotation, the grace for lost answers, and stolen tokens."""

from dataclasses import replace

import pytest

from app.common.secrets import decode, encode
from app.events.types import Operation
from tests.api.world import (
    DAY,
    Person,
    Tenant,
    World,
    alike,
    body,
    open_world,
    refused,
    tokens,
)

GRACE = 10


def _turn(tenant: Tenant, refresh: str) -> dict[str, str]:
    answer = tenant.refresh(refresh)
    assert answer.status_code == 200, answer.text
    return tokens(answer)


def test_a_refresh_token_brings_a_new_pair(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    world.advance(60)
    answer = tenant.refresh(person.refresh)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    grant = answer.json()
    assert grant.keys() == {"accessToken", "tokenType", "expiresIn", "refreshToken"}
    assert grant["refreshToken"] != person.refresh
    assert tenant.me(grant["accessToken"]).status_code == 200
    (session,) = body(person.call("GET", "/sessions"))["items"]
    assert session["created"] == "2026-03-01T12:00:00.000Z"
    assert session["lastUsed"] == "2026-03-01T12:01:00.000Z"


def test_a_chain_goes_on_and_on(world: World) -> None:
    tenant = world.tenant()
    refresh = tenant.user().refresh
    seen = {refresh}
    for _ in range(20):
        world.advance(60)
        refresh = _turn(tenant, refresh)["refresh"]
        seen.add(refresh)
    assert len(seen) == 21
    assert world.events(Operation.REFRESH_TOKEN_REUSED) == []


@pytest.mark.parametrize("seconds", [0, 3, GRACE])
def test_a_lost_answer_is_given_again_within_the_grace(world: World, seconds: float) -> None:
    tenant = world.tenant()
    person = tenant.user()
    first = _turn(tenant, person.refresh)
    world.advance(seconds)
    again = _turn(tenant, person.refresh)
    assert again["refresh"] == first["refresh"]
    assert again["access"] != first["access"]
    for access in (first["access"], again["access"], person.access):
        assert tenant.me(access).status_code == 200
    assert tenant.refresh(first["refresh"]).status_code == 200


def test_a_used_token_after_the_grace_ends_the_session(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    other = person.signed_in()
    successor = _turn(tenant, person.refresh)
    world.advance(GRACE + 0.001)
    refused(tenant.refresh(person.refresh), 401, "invalid_refresh_token")
    refused(tenant.refresh(successor["refresh"]), 401, "invalid_refresh_token")
    refused(tenant.me(successor["access"]), 401, "invalid_token")
    refused(person.call("GET"), 401, "invalid_token")
    assert other.call("GET").status_code == 200
    (event,) = world.events(Operation.REFRESH_TOKEN_REUSED)
    assert event.user_id == person.id
    assert event.data.keys() == {"sessionId"}


def test_a_token_two_turns_old_ends_the_session_even_at_once(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    second = _turn(tenant, person.refresh)
    third = _turn(tenant, second["refresh"])
    refused(tenant.refresh(person.refresh), 401, "invalid_refresh_token")
    refused(tenant.refresh(third["refresh"]), 401, "invalid_refresh_token")
    refused(tenant.me(third["access"]), 401, "invalid_token")
    assert len(world.events(Operation.REFRESH_TOKEN_REUSED)) == 1


def test_the_grace_counts_from_the_rotation_not_from_the_last_answer(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    _turn(tenant, person.refresh)
    world.advance(9)
    _turn(tenant, person.refresh)
    world.advance(2)
    refused(tenant.refresh(person.refresh), 401, "invalid_refresh_token")
    assert len(world.events(Operation.REFRESH_TOKEN_REUSED)) == 1


def test_an_idle_session_ends(world: World) -> None:
    tenant = world.tenant(refreshTokenLifetime=3600)
    early, late = tenant.user("ada@example.com"), tenant.user("bob@example.com")
    world.advance(3599)
    assert tenant.refresh(early.refresh).status_code == 200
    world.advance(1)
    refused(tenant.refresh(late.refresh), 401, "invalid_refresh_token")
    assert world.events(Operation.REFRESH_TOKEN_REUSED) == []


def test_a_busy_session_ends_at_its_absolute_limit(world: World) -> None:
    tenant = world.tenant(refreshTokenLifetime=2 * DAY, sessionLifetime=5 * DAY)
    refresh = tenant.user().refresh
    for _ in range(4):
        world.advance(DAY)
        refresh = _turn(tenant, refresh)["refresh"]
    world.advance(DAY - 1)
    access, refresh = _turn(tenant, refresh).values()
    assert tenant.me(access).status_code == 200
    world.advance(1)
    refused(tenant.refresh(refresh), 401, "invalid_refresh_token")
    refused(tenant.me(access), 401, "invalid_token")


def test_the_default_limits_are_thirty_and_ninety_days(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    refresh = person.refresh
    for _ in range(3):
        world.advance(30 * DAY - 1)
        refresh = _turn(tenant, refresh)["refresh"]
    world.advance(2)
    refresh = _turn(tenant, refresh)["refresh"]
    world.advance(1)
    refused(tenant.refresh(refresh), 401, "invalid_refresh_token")
    other = person.signed_in()
    world.advance(30 * DAY)
    refused(tenant.refresh(other.refresh), 401, "invalid_refresh_token")


def test_another_applications_token_is_refused_and_stays_good(world: World) -> None:
    tenant, other = world.tenant(), world.tenant()
    person = tenant.user()
    refused(other.refresh(person.refresh), 401, "invalid_refresh_token")
    assert other.revoke(person.refresh).status_code == 204
    assert tenant.refresh(person.refresh).status_code == 200


def test_refused_refreshes_look_alike(world: World) -> None:
    tenant, other = world.tenant(), world.tenant()
    ended, foreign = tenant.user(), other.user()
    tenant.revoke(ended.refresh)
    answers = [
        tenant.refresh(token)
        for token in ("x", ended.refresh, foreign.refresh, ended.access, "A" * 91)
    ]
    for answer in answers:
        refused(answer, 401, "invalid_refresh_token")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="passerine"'
        assert alike(answer, answers[0])


@pytest.fixture(scope="module")
def place(shared: World) -> Tenant:
    return shared.tenant()


@pytest.fixture(scope="module")
def person(place: Tenant) -> Person:
    return place.user()


@pytest.mark.parametrize("place_in_token", [0, 15, 16, 31, 35, 36, 50, 67])
def test_a_changed_token_is_refused_and_harms_nobody(
    place: Tenant, person: Person, place_in_token: int
) -> None:
    raw = bytearray(decode(person.refresh))
    assert len(raw) == 36 + 32
    raw[place_in_token] ^= 1
    refused(place.refresh(encode(bytes(raw))), 401, "invalid_refresh_token")
    assert person.call("GET").status_code == 200


def test_only_the_one_spelling_of_a_token_counts(place: Tenant, person: Person) -> None:
    token = person.refresh
    spellings = [token + "=", token + " ", " " + token, token + "A", token[:-1], token + "\n"]
    spellings += [
        token.swapcase(),
        token[:-1] + chr(ord(token[-1]) + 1),
        token[:10] + "*" + token[10:],
    ]
    for spelling in spellings:
        refused(place.refresh(spelling), 401, "invalid_refresh_token")
    assert place.world.events(Operation.REFRESH_TOKEN_REUSED) == []


def test_the_store_holds_no_refresh_token(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    second = _turn(tenant, person.refresh)["refresh"]
    dump = repr(world.rows())
    for token in (person.refresh, second):
        raw = decode(token)
        for shape in (token, raw.hex(), token[-40:], raw[36:].hex(), encode(raw[36:])):
            assert shape not in dump


def test_a_reused_token_is_recognised_by_another_worker_too(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    second = _turn(tenant, person.refresh)["refresh"]
    with open_world(world.folder, hour=world.hour) as worker:
        there = replace(tenant, world=worker)
        assert _turn(there, person.refresh)["refresh"] == second
        world.advance(GRACE + 1)
        refused(there.refresh(person.refresh), 401, "invalid_refresh_token")
    refused(tenant.refresh(second), 401, "invalid_refresh_token")
    assert len(world.events(Operation.REFRESH_TOKEN_REUSED)) == 1
