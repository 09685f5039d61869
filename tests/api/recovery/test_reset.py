"""A new password for whoever reads the address's messages."""

import pytest

from app.events.types import Operation
from app.messages.types import MessageKind
from tests.api.world import (
    EMAIL,
    NEW_PASSWORD,
    ORIGIN,
    PASSWORD,
    Tenant,
    World,
    alike,
    body,
    refused,
)

HALF_AN_HOUR = 1800


def test_a_reset_is_accepted_and_a_message_is_sent(tenant: Tenant) -> None:
    tenant.user("Ada@example.com")
    answer = tenant.ask_reset("ada@EXAMPLE.com")
    assert answer.status_code == 202
    assert answer.json() == {}
    message = tenant.world.last_message("Ada@example.com", MessageKind.PASSWORD_RESET)
    assert message.to == "Ada@example.com"
    assert message.token is not None
    assert len(message.token) == 43
    assert message.url == f"{ORIGIN}{tenant.base}/users/password/reset?token={message.token}"


def test_an_unknown_address_gets_no_message_and_leaves_no_trace(tenant: Tenant) -> None:
    tenant.user()
    known, unknown = tenant.ask_reset(), tenant.ask_reset("nobody@example.com")
    assert alike(known, unknown)
    assert tenant.world.messages("nobody@example.com") == []
    assert tenant.world.kept("nobody") == []
    assert tenant.sign_up("nobody@example.com").status_code == 202
    told = tenant.world.events(Operation.PASSWORD_RESET_REQUESTED)
    assert [event.user_id is None for event in told] == [False, True]


def test_a_reset_sets_the_password_ends_every_session_and_tells_the_user(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    other = person.signed_in()
    bystander = tenant.user("bob@example.com")
    token = tenant.reset_token()
    assert person.call("GET").status_code == 200
    world.advance(60)
    answer = tenant.reset(token)
    assert answer.status_code == 204
    assert answer.content == b""
    refused(tenant.sign_in(password=PASSWORD), 401, "invalid_credentials")
    for one in (person, other):
        refused(one.call("GET"), 401, "invalid_token")
        refused(tenant.refresh(one.refresh), 401, "invalid_refresh_token")
    assert bystander.call("GET").status_code == 200
    grant = body(tenant.sign_in(password=NEW_PASSWORD))
    me = body(tenant.me(grant["accessToken"]))
    assert me["id"] == person.id
    assert me["updated"] == "2026-03-01T12:01:00.000Z"
    notice = world.last_message(EMAIL, MessageKind.PASSWORD_CHANGED)
    assert notice.token is None
    (event,) = world.events(Operation.PASSWORD_CHANGED)
    assert event.user_id == person.id


def test_a_token_is_good_once(tenant: Tenant) -> None:
    tenant.user()
    token = tenant.reset_token()
    assert tenant.reset(token).status_code == 204
    refused(tenant.reset(token, "yet another password"), 400, "invalid_token")
    assert tenant.sign_in(password=NEW_PASSWORD).status_code == 200


def test_a_token_is_good_for_half_an_hour(world: World) -> None:
    tenant = world.tenant()
    tenant.user("ada@example.com")
    tenant.user("bob@example.com")
    early, late = tenant.reset_token("ada@example.com"), tenant.reset_token("bob@example.com")
    world.advance(HALF_AN_HOUR - 1)
    assert tenant.reset(early).status_code == 204
    world.advance(1)
    assert [row for row in world.rows(tenant.id) if "#reset#" in row[0]]
    refused(tenant.reset(late), 400, "invalid_token")
    assert tenant.sign_in("bob@example.com").status_code == 200


def test_a_newer_request_voids_the_ones_before(tenant: Tenant) -> None:
    tenant.user()
    tokens = [tenant.reset_token() for _ in range(3)]
    assert len(set(tokens)) == 3
    for token in tokens[:2]:
        refused(tenant.reset(token), 400, "invalid_token")
    assert tenant.reset(tokens[2]).status_code == 204
    refused(tenant.reset(tokens[0]), 400, "invalid_token")


def test_unknown_used_void_and_expired_tokens_look_alike(world: World) -> None:
    tenant = world.tenant()
    tenant.user()
    expired = tenant.reset_token()
    world.advance(HALF_AN_HOUR)
    void, used = tenant.reset_token(), tenant.reset_token()
    tenant.reset(used)
    answers = [tenant.reset(token) for token in ("x", "A" * 43, expired, void, used)]
    for answer in answers:
        refused(answer, 400, "invalid_token")
        assert alike(answer, answers[0])


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "password_too_short"),
        ("x1" * 129, "password_too_long"),
        ("password1", "password_too_common"),
        (EMAIL, "password_too_common"),
        ("Songbook2026", "password_too_common"),
    ],
)
def test_a_password_that_will_not_do_leaves_the_token_good(
    world: World, password: str, code: str
) -> None:
    tenant = world.tenant(name="Songbook")
    person = tenant.user()
    token = tenant.reset_token()
    refused(tenant.reset(token, password), 422, code, field="password")
    refused(tenant.reset("x", password), 400, "invalid_token")
    assert person.call("GET").status_code == 200
    assert tenant.reset(token).status_code == 204


def test_a_token_of_another_application_is_unknown(world: World) -> None:
    one, other = world.tenant(), world.tenant()
    one.user()
    other.user()
    token = one.reset_token()
    refused(other.reset(token), 400, "invalid_token")
    assert other.sign_in().status_code == 200
    assert one.reset(token).status_code == 204


@pytest.mark.parametrize("name", ["email", "userId", "user_id", "currentPassword"])
def test_a_reset_names_nobody_else(tenant: Tenant, name: str) -> None:
    tenant.user()
    victim = tenant.user("bob@example.com")
    sent = {"token": tenant.reset_token(), "password": NEW_PASSWORD, name: victim.email}
    refused(tenant.public("PUT", "/users/password", sent), 422, "validation_failed", field=name)
    refused(
        tenant.public(
            "POST", "/users/password/reset", {"email": EMAIL, "redirectUrl": "https://e"}
        ),
        422,
        "validation_failed",
        field="redirectUrl",
    )
    assert victim.call("GET").status_code == 200
    assert tenant.sign_in(victim.email).status_code == 200


def test_a_changed_password_voids_a_pending_reset(tenant: Tenant) -> None:
    person = tenant.user()
    token = tenant.reset_token()
    change = {"currentPassword": PASSWORD, "newPassword": "the third set of words"}
    assert person.call("PUT", "/password", change).status_code == 204
    refused(tenant.reset(token), 400, "invalid_token")


def test_a_suspended_user_gets_no_reset_and_an_older_one_stays_void(tenant: Tenant) -> None:
    person = tenant.user()
    token = tenant.reset_token()
    person.admin("PATCH", {"state": "suspended"})
    written = len(tenant.world.messages())
    assert tenant.ask_reset().status_code == 202
    assert len(tenant.world.messages()) == written
    refused(tenant.reset(token), 400, "invalid_token")
    person.admin("PATCH", {"state": "active"})
    refused(tenant.reset(token), 400, "invalid_token")
    assert tenant.sign_in().status_code == 200


def test_a_deleted_users_reset_is_void_for_who_comes_after(tenant: Tenant) -> None:
    person = tenant.user()
    token = tenant.reset_token()
    assert person.call("DELETE").status_code == 204
    refused(tenant.reset(token), 400, "invalid_token")
    tenant.user()
    refused(tenant.reset(token), 400, "invalid_token")
    assert tenant.sign_in().status_code == 200


def test_the_password_stays_good_until_the_reset_is_done(tenant: Tenant) -> None:
    person = tenant.user()
    for _ in range(3):
        tenant.ask_reset()
    assert tenant.sign_in().status_code == 200
    assert person.call("GET").status_code == 200


def test_what_is_stored_shows_no_token(world: World) -> None:
    tenant = world.tenant()
    tenant.user()
    tenant.ask_reset()
    before = repr(world.rows())
    token = world.last_message(EMAIL, MessageKind.PASSWORD_RESET).token
    assert token is not None
    assert token not in before
    assert token not in repr(world.rows())
    tenant.reset(token)
    assert not [row for row in world.rows(tenant.id) if "reset" in row[0] + row[1]]
