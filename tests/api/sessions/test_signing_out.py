"""Signing out: by refresh token, by session, everywhere."""

import pytest

from app.events.types import Operation
from tests.api.world import Person, Tenant, World, body, refused, tokens

NOWHERE = "019ca945-0a00-7001-9c76-e6773e9f1b85"


def _is_over(person: Person) -> None:
    refused(person.call("GET"), 401, "invalid_token")
    refused(person.tenant.refresh(person.refresh), 401, "invalid_refresh_token")


def _goes_on(person: Person) -> None:
    assert person.call("GET").status_code == 200


def _ids(person: Person) -> list[str]:
    return [session["id"] for session in body(person.call("GET", "/sessions"))["items"]]


def _own(person: Person) -> str:
    sessions = body(person.call("GET", "/sessions"))["items"]
    (own,) = [session["id"] for session in sessions if session["current"]]
    return str(own)


def test_revoking_a_refresh_token_ends_its_session_alone(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    other = person.signed_in()
    own = _own(person)
    answer = tenant.revoke(person.refresh)
    assert answer.status_code == 204
    assert answer.content == b""
    _is_over(person)
    _goes_on(other)
    assert own not in _ids(other)
    (event,) = world.events(Operation.USER_SIGNED_OUT)
    assert (event.user_id, event.data) == (person.id, {"sessionId": own})


def test_a_token_of_an_earlier_turn_ends_the_session_too(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    turned = tokens(tenant.refresh(person.refresh))
    world.advance(3600)
    assert tenant.revoke(person.refresh).status_code == 204
    refused(tenant.refresh(turned["refresh"]), 401, "invalid_refresh_token")
    refused(tenant.me(turned["access"]), 401, "invalid_token")


@pytest.mark.parametrize("token", ["x", "A" * 91, "\u0000", "ü", "x" * 8192])
def test_revoking_anything_else_is_answered_alike(shared: World, token: str) -> None:
    answer = shared.tenant().revoke(token)
    assert answer.status_code == 204
    assert answer.content == b""


def test_revoking_again_is_answered_alike_and_told_once(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    for _ in range(3):
        assert tenant.revoke(person.refresh).status_code == 204
    assert tenant.revoke(person.access).status_code == 204
    assert len(world.events(Operation.USER_SIGNED_OUT)) == 1


@pytest.mark.parametrize("token", ["", None, 1, True, ["x"], {"a": 1}, "x" * 8193])
def test_only_a_string_can_be_revoked(shared: World, token: object) -> None:
    tenant = shared.tenant()
    answer = tenant.public("POST", "/users/token/revoke", {"refreshToken": token})
    refused(answer, 422, "validation_failed", field="refreshToken")
    answer = tenant.public("POST", "/users/token/revoke", {"token": "x"})
    refused(answer, 422, "validation_failed", field="token")


def test_the_list_shows_living_sessions_newest_first(world: World) -> None:
    tenant = world.tenant()
    first = tenant.user()
    world.advance(60)
    second = first.signed_in(headers={"User-Agent": "Other/2"}, peer=("192.0.2.7", 99))
    answer = second.call("GET", "/sessions")
    assert answer.headers["Cache-Control"] == "no-store"
    listed = body(answer)
    assert listed["nextCursor"] is None
    newest, oldest = listed["items"]
    assert newest == {
        "id": newest["id"],
        "created": "2026-03-01T12:01:00.000Z",
        "lastUsed": "2026-03-01T12:01:00.000Z",
        "userAgent": "Other/2",
        "ipAddress": "192.0.2.7",
        "current": True,
    }
    assert oldest["current"] is False
    assert _own(first) == oldest["id"]
    tenant.revoke(first.refresh)
    assert _ids(second) == [newest["id"]]


def test_the_list_comes_in_pages_and_leaves_ended_sessions_out(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    for _ in range(3):
        person.signed_in()
    assert person.call("DELETE", "/sessions").status_code == 204
    people = [person.signed_in() for _ in range(5)]
    last = people[-1]
    found: list[str] = []
    query = "?limit=2"
    while True:
        page = body(last.call("GET", "/sessions" + query))
        found += [session["id"] for session in page["items"]]
        if page["nextCursor"] is None:
            break
        query = f"?limit=2&cursor={page['nextCursor']}"
    assert found == _ids(last)
    assert found == sorted(found, reverse=True)
    assert len(found) == 5


def test_a_cursor_of_another_user_is_refused(world: World) -> None:
    tenant = world.tenant()
    ada, bob = tenant.user("ada@example.com"), tenant.user("bob@example.com")
    ada.signed_in()
    cursor = body(ada.call("GET", "/sessions?limit=1"))["nextCursor"]
    refused(bob.call("GET", f"/sessions?cursor={cursor}"), 400, "invalid_cursor")


def test_one_session_is_ended_from_another(world: World) -> None:
    tenant = world.tenant()
    here = tenant.user()
    there = here.signed_in()
    answer = here.call("DELETE", f"/sessions/{_own(there)}")
    assert answer.status_code == 204
    assert answer.content == b""
    _is_over(there)
    _goes_on(here)
    (event,) = world.events(Operation.USER_SIGNED_OUT)
    assert event.user_id == here.id


def test_the_own_session_may_be_ended(tenant: Tenant) -> None:
    person = tenant.user()
    assert person.call("DELETE", f"/sessions/{_own(person)}").status_code == 204
    _is_over(person)


def test_somebody_elses_session_is_not_found_and_lives_on(world: World) -> None:
    tenant, other = world.tenant(), world.tenant()
    mine, theirs, foreign = tenant.user(), tenant.user("bob@example.com"), other.user()
    for session in (_own(theirs), _own(foreign), NOWHERE, "x", "%2e%2e", "session%23x", "profile"):
        answer = mine.call("DELETE", f"/sessions/{session}")
        refused(answer, 404, "session_not_found")
    for person in (mine, theirs, foreign):
        _goes_on(person)


def test_a_session_that_has_ended_is_not_found(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    others = [person.signed_in(), person.signed_in()]
    once, everywhere = _own(others[0]), _own(others[1])
    assert person.call("DELETE", f"/sessions/{once}").status_code == 204
    refused(person.call("DELETE", f"/sessions/{once}"), 404, "session_not_found")
    person.call("DELETE", "/sessions")
    again = person.signed_in()
    refused(again.call("DELETE", f"/sessions/{everywhere}"), 404, "session_not_found")


def test_signing_out_everywhere_ends_this_session_too(world: World) -> None:
    tenant = world.tenant()
    ada, bob = tenant.user("ada@example.com"), tenant.user("bob@example.com")
    others = [ada.signed_in() for _ in range(3)]
    answer = ada.call("DELETE", "/sessions")
    assert answer.status_code == 204
    assert answer.content == b""
    for person in (ada, *others):
        _is_over(person)
    _goes_on(bob)
    (event,) = world.events(Operation.USER_SIGNED_OUT)
    assert (event.user_id, event.data) == (ada.id, {"everywhere": True})
    _goes_on(ada.signed_in())


def test_a_user_with_many_sessions_is_signed_out_at_once(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    for _ in range(20):
        person.signed_in()
    assert len(body(person.call("GET", "/sessions?limit=100"))["items"]) == 21
    person.call("DELETE", "/sessions")
    assert len(_ids(person.signed_in())) == 1
