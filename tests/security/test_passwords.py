"""Attacks on sign-in by password (catalogue 1.2)."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.common.errors import CannotStart
from app.settings import load
from tests.api.operations import operations
from tests.api.world import EMAIL, PASSWORD, Person, Tenant, World, open_world, refused

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def person(shared: World) -> Person:
    return shared.tenant().user()


def test_pwd_06_no_word_opens_an_account_that_is_none(person: Person) -> None:
    tenant = person.tenant
    tenant.invitation("pending@example.com")
    for email in ("pending@example.com", "nobody@example.com"):
        for password in (PASSWORD, " ", "null", "None", "\u0000"):
            refused(tenant.sign_in(email, password), 401, "invalid_credentials")
        refused(tenant.sign_in(email, ""), 422, "validation_failed")


def test_pwd_09_no_operation_takes_credentials_from_its_query(person: Person) -> None:
    world, tenant = person.tenant.world, person.tenant
    secrets = (
        f"?email={person.email}&password={person.password}&refreshToken={person.refresh}"
        f"&accessToken={person.access}&access_token={person.access}&apiKey=x&token={person.access}"
        f"&X-Api-Key=x&Authorization=Bearer%20{person.access}"
    )
    for operation in operations(world):
        if operation.id in {"readApplicationJwks", "readOpenIdConfiguration"}:
            continue  # they tell everybody the same
        path = operation.path(application_id=tenant.id, user_id=person.id)
        answer = world.send(operation.method, path + secrets, {})
        if operation.admin or operation.user:
            assert answer.status_code == 401, operation.id
        else:
            assert answer.status_code in {200, 422}, operation.id
        assert "accessToken" not in (answer.json() if answer.is_success else {})
    assert person.call("GET").status_code == 200


TWICE = [
    '{"email":"%s","email":"eve@example.com","password":"%s"}',
    '{"email":"%s","\\u0065mail":"eve@example.com","password":"%s"}',
    '{"email":"%s","password":"%s","password":"x"}',
    '{"password":"x","email":"%s","password":"%s"}',
]


@pytest.mark.parametrize("text", TWICE)
def test_pwd_10_a_name_that_comes_twice_is_refused(person: Person, text: str) -> None:
    content = (text % (person.email, person.password)).encode()
    headers = {"Content-Type": "application/json"}
    answer = person.tenant.public("POST", "/users/token", content=content, headers=headers)
    refused(answer, 400, "invalid_json")


def test_pwd_11_a_password_is_never_coerced(world: World) -> None:
    tenant = world.tenant()
    tenant.user("ada@example.com", "1234567890.25")
    tenant.user("bob@example.com", '["a very long list"]')
    wrong: list[Any] = [1234567890.25, ["a very long list"], [[]], {"$ne": ""}, {"a": 1}, True]
    for password in wrong:
        for email in ("ada@example.com", "bob@example.com"):
            answer = tenant.public("POST", "/users/token", {"email": email, "password": password})
            refused(answer, 422, "validation_failed", field="password")


def test_pwd_14_of_parallel_changes_one_wins(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    with (
        open_world(world.folder, hour=world.hour, rate_limits="off") as worker,
        ThreadPoolExecutor(8) as pool,
    ):
        doors = [person, replace(person, tenant=replace(tenant, world=worker))]

        def change(place: int) -> int:
            sent = {"currentPassword": PASSWORD, "newPassword": f"another phrase {place}"}
            return doors[place % 2].call("PUT", "/password", sent).status_code

        statuses = list(pool.map(change, range(8)))
    assert Counter(statuses)[204] == 1, statuses
    assert set(statuses) == {204, 401}
    good = [n for n in range(8) if tenant.sign_in(password=f"another phrase {n}").is_success]
    assert good == [statuses.index(204)]
    refused(tenant.sign_in(), 401, "invalid_credentials")
    assert [m.kind.value for m in world.messages(EMAIL)].count("passwordChanged") == 1


def test_pwd_14_a_token_alone_changes_no_password(tenant: Tenant) -> None:
    person = tenant.user()
    for current in ("", "x", PASSWORD.upper(), PASSWORD + " ", "\u0000", person.access):
        sent = {"currentPassword": current, "newPassword": "a stolen account's phrase"}
        assert person.call("PUT", "/password", sent).status_code in {401, 422}
    for name in ("password", "newPassword", "passwordHash"):
        answer = person.call("PATCH", "", {name: "a stolen account's phrase"})
        refused(answer, 422, "validation_failed", field=name)
    assert tenant.sign_in().status_code == 200


def test_pwd_15_a_megabyte_is_refused_unread(person: Person) -> None:
    content = json.dumps({"email": person.email, "password": "x" * 2**20}).encode()
    headers = {"Content-Type": "application/json"}
    for method, tail in (
        ("POST", "/users"),
        ("POST", "/users/token"),
        ("POST", "/users/verification"),
        ("PUT", "/users/password"),
        ("POST", "/users/verification/form"),
    ):
        answer = person.tenant.public(method, tail, content=content, headers=headers)
        refused(answer, 413, "body_too_large")


def test_pwd_16_fifty_sign_ins_at_once_are_answered(person: Person) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: person.tenant.sign_in(), range(50)))
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert [answer for answer in answers if answer.status_code == 200]
    for answer in answers:
        assert answer.status_code == 200 or answer.headers["Retry-After"]


def test_pwd_17_no_documented_word_is_a_key(tmp_path: Path) -> None:
    with open_world(tmp_path, admin_api_key=None) as world:
        words = set((ROOT / "README.md").read_text().split())
        words |= set(json.dumps(world.send("GET", "/openapi.json").json()).split('"'))
        words |= {
            "admin",
            "admin:admin",
            "changeme",
            "psk_",
            "psk_" + "A" * 64,
            "null",
            "bootstrap",
        }
        offered = {word for word in words if 4 < len(word) < 80 and word.isascii()}
        for word in offered:
            headers = {"X-Api-Key": word.strip("`'\".,")}
            answer = world.client.get("/v1/applications", headers=headers)
            assert answer.status_code == 401, word


@pytest.mark.parametrize("key", ["admin", "changeme", "test-admin-key", "x" * 23])
def test_pwd_17_a_short_key_stops_the_start(tmp_path: Path, key: str) -> None:
    environment = {"PASSERINE_DATA_DIR": str(tmp_path), "PASSERINE_ADMIN_API_KEY": key}
    with pytest.raises(CannotStart, match="PASSERINE_ADMIN_API_KEY"):
        load(environment)
