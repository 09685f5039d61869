"""A signed-in user chooses another password."""

from typing import Any

import pytest

from app.events.types import Operation
from app.messages.types import MessageKind
from tests.api.world import EMAIL, NEW_PASSWORD, PASSWORD, Tenant, World, body, refused

CHANGE = {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}


def test_a_change_ends_every_session_but_this_one_and_tells_the_user(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    other = person.signed_in()
    world.advance(60)
    answer = person.call("PUT", "/password", CHANGE)
    assert answer.status_code == 204
    assert answer.content == b""
    refused(other.call("GET"), 401, "invalid_token")
    refused(tenant.refresh(other.refresh), 401, "invalid_refresh_token")
    assert person.call("GET").status_code == 200
    assert len(body(person.call("GET", "/sessions"))["items"]) == 1
    assert tenant.refresh(person.refresh).status_code == 200
    refused(tenant.sign_in(password=PASSWORD), 401, "invalid_credentials")
    assert tenant.sign_in(password=NEW_PASSWORD).status_code == 200
    assert body(person.call("GET"))["updated"] == "2026-03-01T12:01:00.000Z"
    assert world.last_message(EMAIL, MessageKind.PASSWORD_CHANGED).to == EMAIL
    assert [event.user_id for event in world.events(Operation.PASSWORD_CHANGED)] == [person.id]


def test_the_current_password_is_needed(tenant: Tenant) -> None:
    person = tenant.user()
    other = person.signed_in()
    answer = person.call("PUT", "/password", {**CHANGE, "currentPassword": NEW_PASSWORD})
    refused(answer, 401, "invalid_credentials")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="passerine"'
    assert other.call("GET").status_code == 200
    assert tenant.sign_in().status_code == 200
    assert tenant.world.events(Operation.PASSWORD_CHANGED) == []
    assert len(tenant.world.messages()) == 1


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "password_too_short"),
        ("x1" * 129, "password_too_long"),
        ("password1", "password_too_common"),
        (EMAIL, "password_too_common"),
    ],
)
def test_the_new_password_must_do(tenant: Tenant, password: str, code: str) -> None:
    person = tenant.user()
    answer = person.call("PUT", "/password", {**CHANGE, "newPassword": password})
    refused(answer, 422, code, field="newPassword")
    assert tenant.sign_in().status_code == 200


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "currentPassword"),
        ({}, "newPassword"),
        ({"newPassword": NEW_PASSWORD}, "currentPassword"),
        ({**CHANGE, "newPassword": 1}, "newPassword"),
        ({**CHANGE, "newPassword": None}, "newPassword"),
        ({**CHANGE, "currentPassword": ["x"]}, "currentPassword"),
        ({**CHANGE, "userId": "x"}, "userId"),
        ({"current_password": PASSWORD, "new_password": NEW_PASSWORD}, "current_password"),
    ],
)
def test_both_passwords_are_needed_and_nothing_else(
    shared: World, sent: dict[str, Any], field: str
) -> None:
    person = shared.tenant().user()
    refused(person.call("PUT", "/password", sent), 422, "validation_failed", field=field)


def test_the_session_that_lives_on_is_ended_like_any_other(tenant: Tenant) -> None:
    person = tenant.user()
    person.call("PUT", "/password", CHANGE)
    assert person.call("DELETE", "/sessions").status_code == 204
    refused(person.call("GET"), 401, "invalid_token")


def test_the_password_may_be_changed_again_and_again(tenant: Tenant) -> None:
    person = tenant.user()
    now = PASSWORD
    for number in range(4):
        then = f"the password of round {number}"
        change = {"currentPassword": now, "newPassword": then}
        assert person.call("PUT", "/password", change).status_code == 204
        now = then
    assert len(body(person.call("GET", "/sessions"))["items"]) == 1
    assert tenant.sign_in(password=now).status_code == 200
