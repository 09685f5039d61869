"""Making, reading, listing and deleting applications."""

from typing import Any

import pytest

from app.events.types import Operation
from tests.api.world import EMAIL, ORIGIN, World, alike, body, refused

APPLICATIONS = "/v1/applications"
NOWHERE = "019ca945-0a00-7001-9c76-e6773e9f1b85"
DEFAULTS: dict[str, Any] = {
    "name": "",
    "applicationState": "active",
    "emailFromName": "",
    "verificationUrl": None,
    "resetPasswordUrl": None,
    "allowedOrigins": [],
    "signUp": "open",
    "audience": None,
    "signingAlgorithm": "RS256",
    "accessTokenLifetime": 900,
    "refreshTokenLifetime": 2_592_000,
    "sessionLifetime": 7_776_000,
    "passwordMinLength": 8,
}
CHOSEN = {
    "name": "Songbook",
    "applicationState": "suspended",
    "emailFromName": "The Songbook",
    "verificationUrl": "https://songbook.example/verify?lang=en",
    "resetPasswordUrl": "https://songbook.example/reset",
    "allowedOrigins": ["https://songbook.example", "http://localhost:3000"],
    "signUp": "closed",
    "audience": "https://api.songbook.example",
    "signingAlgorithm": "ES256",
    "accessTokenLifetime": 600,
    "refreshTokenLifetime": 86_400,
    "sessionLifetime": 172_800,
    "passwordMinLength": 12,
}


def _created(world: World, settings: Any) -> dict[str, Any]:
    answer = world.admin("POST", APPLICATIONS, settings)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_an_application_starts_with_the_defaults_and_says_where_it_is(world: World) -> None:
    answer = world.admin("POST", APPLICATIONS, {})
    assert answer.status_code == 201
    made = answer.json()
    base = f"{APPLICATIONS}/{made['id']}"
    assert made == {
        **DEFAULTS,
        "id": made["id"],
        "userCount": 0,
        "issuer": ORIGIN + base,
        "jwksUri": f"{ORIGIN}{base}/jwks.json",
        "created": "2026-03-01T12:00:00.000Z",
        "updated": "2026-03-01T12:00:00.000Z",
    }
    assert answer.headers["Location"] == ORIGIN + base
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "application/json"
    read = world.admin("GET", base)
    assert read.status_code == 200
    assert read.json() == made


def test_an_application_may_be_made_without_a_body(world: World) -> None:
    answer = world.admin("POST", APPLICATIONS)
    assert answer.status_code == 201
    assert answer.json()["signingAlgorithm"] == "RS256"


def test_every_setting_can_be_chosen_at_once(world: World) -> None:
    made = _created(world, CHOSEN)
    assert {name: made[name] for name in CHOSEN} == CHOSEN
    assert world.admin("GET", f"{APPLICATIONS}/{made['id']}").json() == made


def test_null_means_the_default_when_an_application_is_made(world: World) -> None:
    made = _created(world, {**dict.fromkeys(DEFAULTS), "signingAlgorithm": "EdDSA"})
    assert {name: made[name] for name in DEFAULTS} == {**DEFAULTS, "signingAlgorithm": "EdDSA"}


def test_an_origin_named_twice_is_kept_once(world: World) -> None:
    origin = "https://songbook.example"
    made = _created(world, {"allowedOrigins": [origin, origin], "signingAlgorithm": "EdDSA"})
    assert made["allowedOrigins"] == [origin]


def test_a_new_application_has_its_keys_at_once(world: World) -> None:
    tenant = world.tenant()
    assert len(body(tenant.public("GET", "/jwks.json"))["keys"]) == 2
    assert tenant.user().call("GET").status_code == 200


def test_ids_sort_by_the_time_of_their_creation(world: World) -> None:
    ids = []
    for _ in range(3):
        ids.append(world.tenant().id)
        world.advance(0.002)
    assert ids == sorted(ids)
    assert len(set(ids)) == 3


def test_what_happens_to_an_application_is_told(world: World) -> None:
    tenant = world.tenant()
    tenant.update(name="Songbook", passwordMinLength=9)
    tenant.admin("POST", "/keys")
    tenant.admin("DELETE")
    told = [(event.operation, event.data) for event in world.events()]
    kid = told[2][1]["kid"]
    assert told == [
        (Operation.APPLICATION_CREATED, {}),
        (Operation.APPLICATION_UPDATED, {"changed": ["name", "passwordMinLength"]}),
        (Operation.APPLICATION_KEY_ROTATED, {"kid": kid}),
        (Operation.APPLICATION_DELETED, {}),
    ]
    assert {event.application_id for event in world.events()} == {tenant.id}


@pytest.mark.parametrize(
    "nobody",
    [NOWHERE, "x", "application", "%2e%2e", "A%23", "0" * 5000, NOWHERE.upper(), "a;b", "%C3%BC"],
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_application_that_does_not_exist_is_not_found(
    shared: World, method: str, nobody: str
) -> None:
    sent: dict[str, Any] = {"json": {}} if method == "PATCH" else {}
    answer = shared.admin(method, f"{APPLICATIONS}/{nobody}", **sent)
    refused(answer, 404, "application_not_found")


def test_reading_what_does_not_exist_makes_nothing(shared: World) -> None:
    for method, tail, json in [
        ("PATCH", "", {"name": "ghost"}),
        ("POST", "/keys", {}),
        ("POST", "/users", {"email": EMAIL, "password": "correct horse battery"}),
    ]:
        answer = shared.admin(method, f"{APPLICATIONS}/{NOWHERE}{tail}", json)
        refused(answer, 404, "application_not_found")
    assert shared.rows(NOWHERE) == []


def test_the_list_is_oldest_first_and_comes_in_pages(world: World) -> None:
    ids = [world.tenant(name=f"number {number}").id for number in range(5)]
    first = body(world.admin("GET", f"{APPLICATIONS}?limit=2"))
    second = body(world.admin("GET", f"{APPLICATIONS}?limit=2&cursor={first['nextCursor']}"))
    third = body(world.admin("GET", f"{APPLICATIONS}?limit=2&cursor={second['nextCursor']}"))
    assert [len(page["items"]) for page in (first, second, third)] == [2, 2, 1]
    listed = [item for page in (first, second, third) for item in page["items"]]
    assert [item["id"] for item in listed] == ids
    assert third["nextCursor"] is None
    assert first.keys() == {"items", "nextCursor"}
    assert listed[3] == body(world.admin("GET", f"{APPLICATIONS}/{ids[3]}"))


def test_a_page_that_ends_with_the_list_has_no_next(world: World) -> None:
    for _ in range(2):
        world.tenant()
    assert body(world.admin("GET", f"{APPLICATIONS}?limit=2"))["nextCursor"] is None
    assert len(body(world.admin("GET", APPLICATIONS))["items"]) == 2


def test_the_list_counts_the_users_of_each(world: World) -> None:
    empty, full = world.tenant(), world.tenant()
    full.user("ada@example.com")
    full.user("bob@example.com")
    listed = body(world.admin("GET", APPLICATIONS))["items"]
    assert {item["id"]: item["userCount"] for item in listed} == {empty.id: 0, full.id: 2}


def test_a_deleted_application_is_gone_with_its_keys_and_its_tokens(world: World) -> None:
    tenant, other = world.tenant(), world.tenant()
    person = tenant.user()
    assert person.call("DELETE").status_code == 204
    answer = tenant.admin("DELETE")
    assert answer.status_code == 204
    assert answer.content == b""
    for gone in (tenant.admin("GET"), tenant.admin("DELETE"), tenant.public("GET", "/jwks.json")):
        refused(gone, 404, "application_not_found")
    refused(person.call("GET"), 401, "invalid_token")
    refused(tenant.sign_in(), 404, "application_not_found")
    listed = body(world.admin("GET", APPLICATIONS))["items"]
    assert [item["id"] for item in listed] == [other.id]
    world.deliver()
    # What is left voids invitations of an address that it does not name, and goes in 48 hours.
    assert [sort_key for _, sort_key, _ in world.kept(tenant.id)] == ["invitations"]


def test_an_application_with_a_user_is_not_deleted(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    before = tenant.read()
    refused(tenant.admin("DELETE"), 409, "application_has_users")
    assert tenant.read() == before
    assert person.call("GET").status_code == 200
    assert person.call("DELETE").status_code == 204
    assert tenant.admin("DELETE").status_code == 204


def test_a_pending_sign_up_does_not_keep_an_application(world: World) -> None:
    tenant = world.tenant()
    token = tenant.invitation()
    assert tenant.admin("DELETE").status_code == 204
    refused(tenant.verify(token), 404, "application_not_found")


def test_a_deleted_application_answers_like_one_that_never_was(world: World) -> None:
    tenant = world.tenant()
    tenant.admin("DELETE")
    for method, tail in [("GET", ""), ("GET", "/users"), ("GET", "/keys"), ("POST", "/keys")]:
        gone = tenant.admin(method, tail)
        never = world.admin(method, f"{APPLICATIONS}/{NOWHERE}{tail}")
        assert alike(gone, never)
