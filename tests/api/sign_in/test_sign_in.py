"""Signing in with a password."""

from typing import Any

import pytest

from app.events.types import Event, Operation
from app.passwords.logic import Passwords
from app.storage import keys
from app.storage.table import Put
from tests.api.world import (
    AGENT,
    EMAIL,
    NEW_PASSWORD,
    PASSWORD,
    Person,
    Tenant,
    World,
    alike,
    body,
    refused,
)

UNKNOWN = "nobody@example.com"


def test_the_right_password_brings_a_pair_of_tokens(world: World) -> None:
    tenant = world.tenant(accessTokenLifetime=600)
    person = tenant.user()
    world.advance(60)
    answer = tenant.sign_in()
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    grant = answer.json()
    assert grant.keys() == {"accessToken", "tokenType", "expiresIn", "refreshToken"}
    assert grant["tokenType"] == "Bearer"
    assert grant["expiresIn"] == 600
    me = body(tenant.me(grant["accessToken"]))
    assert me["id"] == person.id
    assert me["lastSignIn"] == "2026-03-01T12:01:00.000Z"
    assert me["updated"] == "2026-03-01T12:00:00.000Z"
    signed_in = world.events(Operation.USER_SIGNED_IN)
    assert [event.user_id for event in signed_in] == [person.id] * 2


@pytest.fixture(scope="module")
def place(shared: World) -> Tenant:
    return shared.tenant()


@pytest.fixture(scope="module")
def person(place: Tenant) -> Person:
    return place.user()


def test_a_wrong_password_and_an_unknown_address_are_answered_alike(
    place: Tenant, person: Person
) -> None:
    wrong = place.sign_in(person.email, NEW_PASSWORD)
    refused(wrong, 401, "invalid_credentials")
    assert wrong.headers["WWW-Authenticate"] == 'Bearer realm="passerine"'
    assert alike(wrong, place.sign_in(UNKNOWN, NEW_PASSWORD))
    assert alike(wrong, place.sign_in(UNKNOWN, PASSWORD))
    assert alike(wrong, place.sign_in(person.email, "x"))
    assert alike(wrong, place.sign_in(person.email, "x" * 1024))
    assert alike(wrong, place.sign_in(UNKNOWN, "x" * 1024))


def test_both_cost_one_hash_and_one_commit(place: Tenant, person: Person) -> None:
    world = place.world
    world.deliver()
    known: list[Event] = []
    unknown: list[Event] = []
    for email, told in ((person.email, known), (UNKNOWN, unknown)):
        place.sign_in(email, NEW_PASSWORD)
        told += world.events()[len(world.delivered) :]
        world.deliver()
    assert [event.operation for event in known] == [Operation.USER_SIGN_IN_FAILED]
    assert [event.operation for event in unknown] == [Operation.USER_SIGN_IN_FAILED]
    assert known[0].user_id == person.id
    assert unknown[0].user_id is None
    assert known[0].data == unknown[0].data == {"reason": "wrong"}


def test_asking_for_messages_is_answered_alike_whoever_it_is(place: Tenant, person: Person) -> None:
    for tail, more in (
        ("/users", {"password": PASSWORD}),
        ("/users/verification/send", {}),
        ("/users/password/reset", {}),
    ):
        known = place.public("POST", tail, {"email": person.email, **more})
        unknown = place.public("POST", tail, {"email": UNKNOWN, **more})
        assert known.status_code == 202
        assert known.json() == {}
        assert alike(known, unknown)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"email": EMAIL},
        {"password": PASSWORD},
        {"email": EMAIL, "password": PASSWORD, "refreshToken": "x"},
        {"email": EMAIL, "refreshToken": "x"},
        {"password": PASSWORD, "refreshToken": "x"},
        {"email": EMAIL, "password": None},
        {"email": None, "password": PASSWORD},
        {"refreshToken": None},
        {"email": None, "password": None, "refreshToken": "x"},
        {"email": EMAIL, "password": ""},
        {"email": "", "password": PASSWORD},
        {"refreshToken": ""},
        {"refreshToken": 1},
        {"refreshToken": ["x"]},
        {"refreshToken": {"a": 1}},
        {"refreshToken": True},
        {"refreshToken": "x" * 8193},
        {"refresh_token": "x"},
        {"username": EMAIL, "password": PASSWORD},
        {"email": EMAIL, "password": PASSWORD, "grant_type": "password"},
        {"email": EMAIL, "password": PASSWORD, "userId": "x"},
        {"email": EMAIL, "password": PASSWORD, "expiresIn": 99_999_999},
        {"email": [EMAIL, "eve@example.com"], "password": PASSWORD},
        [],
        "x",
        1,
        None,
        True,
        [{"email": EMAIL, "password": PASSWORD}],
    ],
)
def test_anything_but_one_kind_of_credential_is_refused(
    place: Tenant, person: Person, sent: Any
) -> None:
    assert person.email == EMAIL
    refused(place.public("POST", "/users/token", sent), 422, "validation_failed")


def test_the_refusal_names_what_is_missing(place: Tenant) -> None:
    for sent, said in (
        ({"email": EMAIL}, "password is required"),
        ({"password": PASSWORD}, "email is required"),
        ({}, "send email and password, or refreshToken"),
    ):
        found = refused(place.public("POST", "/users/token", sent), 422, "validation_failed")
        assert [error["detail"] for error in found["errors"]] == [said]


def test_credentials_in_the_query_are_not_seen(place: Tenant, person: Person) -> None:
    query = f"?email={person.email}&password={person.password}&refreshToken={person.refresh}"
    refused(place.public("POST", "/users/token" + query, {}), 422, "validation_failed")
    refused(place.public("POST", "/users/token" + query), 422, "validation_failed")
    answer = place.public("GET", "/users/token" + query)
    refused(answer, 401, "invalid_api_key")


def test_a_user_of_another_application_is_unknown_here(place: Tenant, person: Person) -> None:
    other = place.world.tenant()
    refused(other.sign_in(person.email, person.password), 401, "invalid_credentials")


def test_only_the_right_password_learns_that_the_account_is_suspended(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    assert person.admin("PATCH", {"state": "suspended"}).status_code == 200
    refused(tenant.sign_in(), 403, "user_suspended")
    wrong = tenant.sign_in(password=NEW_PASSWORD)
    refused(wrong, 401, "invalid_credentials")
    assert alike(wrong, tenant.sign_in(UNKNOWN))
    assert tenant.admin("PATCH", f"/users/{person.id}", {"state": "active"}).status_code == 200
    assert tenant.sign_in().status_code == 200


def test_a_hash_of_older_parameters_is_renewed_at_the_next_sign_in(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    (row,) = [row for row in world.rows(tenant.id) if row[1] == "password"]
    digest = row[0].rpartition("#")[2]
    older = Passwords(memory_kib=8192, passes=1).hash(PASSWORD)
    key = keys.password(tenant.read()["id"], digest)
    world.services.table.commit(Put(key=key, body={"hash": older}))
    refused(tenant.sign_in(password=NEW_PASSWORD), 401, "invalid_credentials")
    assert "m=8192,t=1" in next(row[2] for row in world.rows(tenant.id) if row[1] == "password")
    assert tenant.sign_in().status_code == 200
    assert "m=19456,t=2" in next(row[2] for row in world.rows(tenant.id) if row[1] == "password")
    assert person.signed_in().call("GET").status_code == 200


@pytest.mark.parametrize(
    "broken", ["", "x", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv", "\u0000"]
)
def test_a_broken_hash_lets_nobody_in(world: World, broken: str) -> None:
    tenant = world.tenant()
    tenant.user()
    (row,) = [row for row in world.rows(tenant.id) if row[1] == "password"]
    key = keys.password(tenant.read()["id"], row[0].rpartition("#")[2])
    world.services.table.commit(Put(key=key, body={"hash": broken}))
    refused(tenant.sign_in(), 401, "invalid_credentials")


def test_a_session_remembers_the_device(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    agent = "x" * 300
    tenant.sign_in(headers={"User-Agent": agent}, peer=("192.0.2.7", 1234))
    tenant.sign_in(headers={"User-Agent": ""}, peer=("::ffff:192.0.2.8", 1234))
    sessions = body(person.call("GET", "/sessions"))["items"]
    assert [(one["userAgent"], one["ipAddress"]) for one in sessions] == [
        ("", "192.0.2.8"),
        ("x" * 256, "192.0.2.7"),
        (AGENT, "127.0.0.1"),
    ]
