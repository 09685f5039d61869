"""What an application's settings may be, and how they change."""

from typing import Any

import pytest

from app.events.types import Operation
from tests.api.applications.test_applications import CHOSEN, DEFAULTS
from tests.api.world import Tenant, World, body, refused

LONG = "https://songbook.example/"
ACCEPTED: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "x" * 100),
    ("name", "鳥 🐦 e\u0301 \u200d <script>"),
    ("emailFromName", "x" * 100),
    ("accessTokenLifetime", 60),
    ("accessTokenLifetime", 86_400),
    ("refreshTokenLifetime", 60),
    ("sessionLifetime", 60),
    ("passwordMinLength", 8),
    ("passwordMinLength", 64),
    ("applicationState", "suspended"),
    ("applicationState", "active"),
    ("signUp", "closed"),
    ("audience", "x" * 255),
    ("verificationUrl", LONG + "x" * (2048 - len(LONG))),
    ("verificationUrl", "http://localhost:3000/verify"),
    ("verificationUrl", "http://127.0.0.1/verify"),
    ("verificationUrl", "http://[::1]:8000/verify"),
    ("verificationUrl", "https://xn--bcher-kva.example/verify?a=1&b=2"),
    ("resetPasswordUrl", "https://songbook.example"),
    ("allowedOrigins", []),
    ("allowedOrigins", ["https://songbook.example:8443", "http://localhost:3000"]),
    ("allowedOrigins", [f"https://{number}.example" for number in range(50)]),
]
REFUSED: list[tuple[str, Any]] = [
    ("name", "x" * 101),
    ("name", "a\nb"),
    ("name", "a\r\nBcc: eve@example.com"),
    ("name", "a\x00b"),
    ("name", "a\u202eb"),
    ("name", "a\u2028b"),
    ("name", 1),
    ("name", True),
    ("name", ["a"]),
    ("name", {"a": 1}),
    ("emailFromName", "x" * 101),
    ("emailFromName", "a\nb"),
    ("accessTokenLifetime", 59),
    ("accessTokenLifetime", 86_401),
    ("accessTokenLifetime", "900"),
    ("accessTokenLifetime", 900.0),
    ("accessTokenLifetime", 900.5),
    ("accessTokenLifetime", True),
    ("accessTokenLifetime", 10**30),
    ("accessTokenLifetime", [900]),
    ("refreshTokenLifetime", 59),
    ("refreshTokenLifetime", 0),
    ("refreshTokenLifetime", -1),
    ("sessionLifetime", 59),
    ("passwordMinLength", 7),
    ("passwordMinLength", 65),
    ("passwordMinLength", "8"),
    ("applicationState", "Active"),
    ("applicationState", "deleted"),
    ("applicationState", ""),
    ("applicationState", 1),
    ("applicationState", ["active"]),
    ("signUp", "invite"),
    ("signUp", False),
    ("signingAlgorithm", "HS256"),
    ("signingAlgorithm", "none"),
    ("signingAlgorithm", "RS512"),
    ("signingAlgorithm", ["RS256"]),
    ("audience", ""),
    ("audience", "x" * 256),
    ("audience", "a\nb"),
    ("verificationUrl", LONG + "x" * (2049 - len(LONG))),
    ("verificationUrl", ""),
    ("verificationUrl", "songbook.example"),
    ("verificationUrl", "/verify"),
    ("verificationUrl", "//songbook.example/verify"),
    ("verificationUrl", "javascript:alert(1)"),
    ("verificationUrl", "javascript://songbook.example/%0aalert(1)"),
    ("verificationUrl", "data:text/html,x"),
    ("verificationUrl", "ftp://songbook.example/"),
    ("verificationUrl", "http://songbook.example/"),
    ("verificationUrl", "http://localhost.evil.example/"),
    ("verificationUrl", "https://songbook.example/#fragment"),
    ("verificationUrl", "https://user:secret@songbook.example/"),
    ("verificationUrl", "https://songbook.example\\@evil.example/"),
    ("verificationUrl", "https://song book.example/"),
    ("verificationUrl", "https://*.example/"),
    ("verificationUrl", "https://songbook.example:99999/"),
    ("verificationUrl", "https://songbook.example:/"),
    ("verificationUrl", "https://[::1/"),
    ("verificationUrl", "https://"),
    ("verificationUrl", "https://songbook.example/\r\nX: y"),
    ("verificationUrl", 5),
    ("resetPasswordUrl", "http://169.254.169.254/"),
    ("allowedOrigins", ["*"]),
    ("allowedOrigins", ["null"]),
    ("allowedOrigins", ["https://*.example"]),
    ("allowedOrigins", ["https://songbook.example/"]),
    ("allowedOrigins", ["https://songbook.example/path"]),
    ("allowedOrigins", ["https://Songbook.example"]),
    ("allowedOrigins", ["https://songbook.example:443"]),
    ("allowedOrigins", ["http://songbook.example"]),
    ("allowedOrigins", ["https://a@songbook.example"]),
    ("allowedOrigins", [""]),
    ("allowedOrigins", [1]),
    ("allowedOrigins", "https://songbook.example"),
    ("allowedOrigins", {"0": "https://songbook.example"}),
    ("allowedOrigins", [f"https://{number}.example" for number in range(51)]),
]
UNTOUCHABLE = ["id", "created", "updated", "userCount", "issuer", "jwksUri", "keys", "version"]
FORGED = ["application_state", "Name", "__proto__", "created_at", "x" * 300]


@pytest.fixture(scope="module")
def subject(shared: World) -> Tenant:
    """The application whose settings are tried one after another."""
    return shared.tenant()


@pytest.mark.parametrize(("name", "value"), ACCEPTED)
def test_a_setting_within_its_bounds_is_taken(subject: Tenant, name: str, value: Any) -> None:
    answer = subject.admin("PATCH", "", {name: value})
    assert answer.status_code == 200, answer.text
    assert answer.json()[name] == value
    assert subject.read()[name] == value
    subject.update(**{name: None})
    assert subject.read()[name] == DEFAULTS[name]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_setting_beyond_its_bounds_is_refused_by_its_name(
    subject: Tenant, name: str, value: Any
) -> None:
    before = subject.read()
    found = refused(subject.admin("PATCH", "", {name: value}), 422, "validation_failed")
    assert {error["field"].partition(".")[0] for error in found["errors"]} == {name}
    refused(
        subject.world.admin("POST", "/v1/applications", {name: value}), 422, "validation_failed"
    )
    assert subject.read() == before


@pytest.mark.parametrize("name", [*UNTOUCHABLE, *FORGED])
def test_an_unknown_setting_is_refused_by_its_name(subject: Tenant, name: str) -> None:
    before = subject.read()
    answer = subject.admin("PATCH", "", {"name": "taken over", name: before["id"]})
    found = refused(answer, 422, "validation_failed")
    assert found["errors"] == [
        {
            "field": name[:100],
            "code": "extra_forbidden",
            "detail": "Extra inputs are not permitted",
        }
    ]
    assert subject.read() == before


def test_every_wrong_setting_is_named_at_once(subject: Tenant) -> None:
    wrong = {"name": 1, "signUp": 2, "passwordMinLength": 3, "other": 4}
    found = refused(subject.admin("PATCH", "", wrong), 422, "validation_failed")
    assert {error["field"] for error in found["errors"]} == wrong.keys()


def test_what_is_absent_stays_and_null_resets(world: World) -> None:
    tenant = world.tenant(**{**CHOSEN, "signingAlgorithm": "EdDSA"})
    before = tenant.read()
    world.advance(60)
    changed = body(tenant.admin("PATCH", "", {"name": "Hymnbook", "audience": None}))
    assert changed == {
        **before,
        "name": "Hymnbook",
        "audience": None,
        "updated": "2026-03-01T12:01:00.000Z",
    }
    reset = body(tenant.admin("PATCH", "", {**dict.fromkeys(CHOSEN), "signingAlgorithm": "EdDSA"}))
    assert {name: reset[name] for name in DEFAULTS} == {**DEFAULTS, "signingAlgorithm": "EdDSA"}


def test_a_change_that_changes_nothing_leaves_no_trace(world: World) -> None:
    tenant = world.tenant(name="Songbook")
    before = tenant.read()
    world.advance(60)
    assert body(tenant.admin("PATCH", "", {})) == before
    assert body(tenant.admin("PATCH", "", {"name": "Songbook"})) == before
    assert world.events(Operation.APPLICATION_UPDATED) == []


def test_a_change_needs_a_body(subject: Tenant) -> None:
    refused(subject.admin("PATCH"), 422, "validation_failed")
    refused(subject.admin("PATCH", "", None), 422, "validation_failed")
    refused(subject.admin("PATCH", "", []), 422, "validation_failed")


def test_a_new_application_needs_an_object_if_it_gets_a_body(shared: World) -> None:
    misfits: list[Any] = [[], "name", 1, True, None]
    for wrong in misfits:
        answer = shared.admin("POST", "/v1/applications", wrong)
        refused(answer, 422, "validation_failed")


def test_other_settings_count_from_the_next_request_on(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    tenant.update(accessTokenLifetime=60, passwordMinLength=64)
    assert body(tenant.sign_in())["expiresIn"] == 60
    refused(tenant.sign_up("bob@example.com", "x9" * 31), 422, "password_too_short")
    assert person.call("GET").status_code == 200


@pytest.mark.parametrize(
    ("method", "tail", "json"),
    [
        ("GET", "/jwks.json", None),
        ("GET", "/.well-known/jwks.json", None),
        ("GET", "/.well-known/openid-configuration", None),
        ("POST", "/users", {"email": "bob@example.com", "password": "correct horse battery"}),
        ("POST", "/users/verification/send", {"email": "ada@example.com"}),
        ("POST", "/users/verification", {"token": "x", "password": "x"}),
        ("POST", "/users/token", {"email": "ada@example.com", "password": "wrong"}),
        ("POST", "/users/token", {"refreshToken": "x"}),
        ("POST", "/users/token/revoke", {"refreshToken": "x"}),
        ("POST", "/users/password/reset", {"email": "ada@example.com"}),
        ("PUT", "/users/password", {"token": "x", "password": "x"}),
    ],
)
def test_a_suspended_application_refuses_the_public(
    suspended: Tenant, method: str, tail: str, json: Any
) -> None:
    sent = {} if json is None else {"json": json}
    refused(suspended.public(method, tail, **sent), 403, "application_suspended")


@pytest.mark.parametrize("tail", ["/users/verification?token=x", "/users/password/reset?token=x"])
def test_the_pages_of_a_suspended_application_say_so(suspended: Tenant, tail: str) -> None:
    answer = suspended.public("GET", tail)
    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "This application is suspended." in answer.text


@pytest.fixture(scope="module")
def suspended(shared: World) -> Tenant:
    return shared.tenant(applicationState="suspended")


def test_a_suspended_application_refuses_its_users_until_it_is_active_again(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    token = tenant.reset_token()
    tenant.update(applicationState="suspended")
    refused(person.call("GET"), 403, "application_suspended")
    refused(person.call("PATCH", "", {"metadata": {}}), 403, "application_suspended")
    refused(person.call("DELETE"), 403, "application_suspended")
    refused(person.call("GET", "/sessions"), 403, "application_suspended")
    refused(tenant.refresh(person.refresh), 403, "application_suspended")
    refused(tenant.reset(token), 403, "application_suspended")
    assert tenant.read()["userCount"] == 1
    assert body(tenant.admin("GET", "/users"))["items"][0]["id"] == person.id
    assert person.admin("PATCH", {"appMetadata": {"plan": "pro"}}).status_code == 200
    assert tenant.admin("POST", "/keys").status_code == 201
    tenant.update(applicationState="active")
    assert person.call("GET").status_code == 200
    assert tenant.refresh(person.refresh).status_code == 200
