"""Asking for an account: what is answered, and what is written to whom."""

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


def test_a_sign_up_is_accepted_and_a_message_is_sent(tenant: Tenant) -> None:
    answer = tenant.sign_up()
    assert answer.status_code == 202
    assert answer.json() == {}
    assert answer.headers["Cache-Control"] == "no-store"
    (message,) = tenant.world.messages()
    assert message.kind is MessageKind.EMAIL_VERIFICATION
    assert message.to == EMAIL
    assert message.application_id == tenant.id
    assert message.token is not None
    assert len(message.token) == 43
    assert message.url == f"{ORIGIN}{tenant.base}/users/verification?token={message.token}"


def test_nobody_exists_before_the_address_is_verified(tenant: Tenant) -> None:
    tenant.invitation()
    assert tenant.read()["userCount"] == 0
    assert body(tenant.admin("GET", "/users"))["items"] == []
    refused(tenant.sign_in(), 401, "invalid_credentials")
    assert tenant.world.messages(EMAIL)[0].kind is MessageKind.EMAIL_VERIFICATION
    tenant.ask_reset()
    assert len(tenant.world.messages()) == 1


def test_token_and_password_together_make_the_user_and_sign_in(world: World) -> None:
    tenant = world.tenant()
    token = tenant.invitation(metadata={"theme": "dark"})
    world.advance(60)
    answer = tenant.verify(token)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    grant = answer.json()
    assert grant.keys() == {"accessToken", "tokenType", "expiresIn", "refreshToken"}
    assert grant["tokenType"] == "Bearer"
    assert grant["expiresIn"] == 900
    me = body(tenant.me(grant["accessToken"]))
    assert me == {
        "id": me["id"],
        "email": EMAIL,
        "emailVerified": True,
        "state": "active",
        "metadata": {"theme": "dark"},
        "created": "2026-03-01T12:01:00.000Z",
        "updated": "2026-03-01T12:01:00.000Z",
        "lastSignIn": "2026-03-01T12:01:00.000Z",
    }
    assert tenant.read()["userCount"] == 1
    assert tenant.refresh(grant["refreshToken"]).status_code == 200
    assert tenant.sign_in().status_code == 200
    told = [event.operation for event in world.events() if event.user_id == me["id"]]
    assert told[:2] == [Operation.USER_CREATED, Operation.USER_SIGNED_IN]


def test_a_taken_address_is_answered_alike_and_its_owner_is_told(tenant: Tenant) -> None:
    person = tenant.user("Ada@Example.com")
    new = tenant.sign_up("bob@example.com", NEW_PASSWORD)
    taken = tenant.sign_up("aDA@eXAMPLE.com", NEW_PASSWORD)
    assert new.status_code == 202
    assert alike(new, taken)
    notice = tenant.world.messages("Ada@example.com")[0]
    assert notice.kind is MessageKind.ADDRESS_IN_USE
    assert notice.to == "Ada@example.com"
    assert notice.token is None
    assert notice.url is None
    refused(tenant.sign_in(EMAIL, NEW_PASSWORD), 401, "invalid_credentials")
    assert tenant.sign_in(EMAIL, person.password).status_code == 200
    assert tenant.read()["userCount"] == 1


def test_the_same_address_may_be_a_user_of_two_applications(world: World) -> None:
    one, other = world.tenant(), world.tenant()
    first = one.user(password=PASSWORD)
    second = other.user(password=NEW_PASSWORD)
    assert first.id != second.id
    refused(other.sign_in(password=PASSWORD), 401, "invalid_credentials")
    refused(one.sign_in(password=NEW_PASSWORD), 401, "invalid_credentials")


def test_a_closed_application_takes_nobody_but_those_already_invited(tenant: Tenant) -> None:
    token = tenant.invitation()
    tenant.update(signUp="closed")
    refused(tenant.sign_up("bob@example.com"), 403, "sign_up_closed")
    refused(tenant.sign_up("no address", "x"), 403, "sign_up_closed")
    assert tenant.world.messages("bob@example.com") == []
    assert tenant.verify(token).status_code == 200
    refused(tenant.sign_up(), 403, "sign_up_closed")


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("https://songbook.example/verify", "https://songbook.example/verify?token="),
        ("https://songbook.example/v?lang=en", "https://songbook.example/v?lang=en&token="),
        ("http://localhost:3000/", "http://localhost:3000/?token="),
    ],
)
def test_the_link_leads_to_the_applications_own_page(world: World, page: str, link: str) -> None:
    tenant = world.tenant(verificationUrl=page, resetPasswordUrl=page)
    token = tenant.invitation()
    assert world.last_message(EMAIL).url == link + token
    tenant.verify(token)
    assert world.last_message(EMAIL).kind is MessageKind.EMAIL_VERIFICATION
    token = tenant.reset_token()
    assert world.last_message(EMAIL).url == link + token


def test_a_message_is_in_the_name_of_the_application(world: World) -> None:
    tenant = world.tenant(name="Songbook <b>", emailFromName='Ann "O\'Brien"')
    tenant.sign_up()
    (message,) = world.messages()
    assert message.subject == "Confirm your email address for Songbook <b>"
    assert message.from_name == 'Ann "O\'Brien"'
    assert "Songbook &lt;b&gt;" in message.html
    assert "<b>" not in message.html.replace("<b>Songbook", "")


def test_metadata_come_to_the_account_as_they_were_sent(tenant: Tenant) -> None:
    metadata = {
        "": "an empty name",
        "a.b$c#d": [1, 2.5, -0.0, 1e300, True, None, {"x": []}],
        "text": "مرحبا \u0000 e\u0301 👩‍👩‍👧 \u202e",
        "__proto__": {"admin": True},
        "number": 12345678901234567890123456789,
    }
    person = tenant.user(metadata=metadata)
    assert body(person.call("GET"))["metadata"] == metadata


def test_metadata_take_eight_kibibytes(tenant: Tenant) -> None:
    most = {"m": "x" * (8192 - len('{"m":""}'))}
    person = tenant.user("ada@example.com", metadata=most)
    assert body(person.call("GET"))["metadata"] == most
    larger = {"m": most["m"] + "x"}
    answer = tenant.sign_up("bob@example.com", metadata=larger)
    found = refused(answer, 422, "metadata_too_large", field="metadata")
    assert [error["code"] for error in found["errors"]] == ["metadata_too_large"]
    assert tenant.world.messages("bob@example.com") == []


@pytest.mark.parametrize(
    "forged",
    [
        "id",
        "emailVerified",
        "state",
        "appMetadata",
        "role",
        "isAdmin",
        "passwordHash",
        "applicationId",
        "created",
        "redirectUrl",
        "expires",
    ],
)
def test_nothing_but_address_password_and_metadata_is_taken(shared: World, forged: str) -> None:
    tenant = shared.tenant()
    refused(tenant.sign_up(**{forged: "x"}), 422, "validation_failed", field=forged)
    assert shared.messages(EMAIL) == []


def test_what_is_stored_shows_no_token_and_no_password(world: World) -> None:
    tenant = world.tenant()
    tenant.sign_up(password="seven wonders of old")
    before = world.rows()
    token = world.last_message(EMAIL).token
    assert token is not None
    tenant.verify(token, "seven wonders of old")
    for _, _, stored in [*before, *world.rows()]:
        assert "seven wonders" not in stored
        assert token not in stored
    hashes = [stored for _, sort_key, stored in world.rows() if sort_key == "password"]
    assert len(hashes) == 1
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in hashes[0]


def test_no_event_tells_a_secret(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    tenant.reset(tenant.reset_token())
    world.deliver()
    sent = [message.token for message in world.messages() if message.token]
    for event in world.events():
        text = repr(event.body())
        for secret in (*sent, PASSWORD, NEW_PASSWORD, person.access, person.refresh, "argon2"):
            assert secret not in text
