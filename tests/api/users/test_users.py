"""What administrators see and change of users."""

from typing import Any
from urllib.parse import quote

import pytest

from app.common.ids import ApplicationId, Ids, UserId
from app.events.types import Operation
from app.passwords.types import InvalidCredentials
from app.users.logic import Users
from app.users.types import User
from tests.api.world import EMAIL, NEW_PASSWORD, Person, Tenant, World, alike, body, refused

MEMBERS = {
    "id",
    "email",
    "emailVerified",
    "state",
    "metadata",
    "appMetadata",
    "created",
    "updated",
    "lastSignIn",
}
NOWHERE = "019ca945-0a00-7001-9c76-e6773e9f1b85"
NOBODY = [
    NOWHERE,
    "x",
    NOWHERE.upper(),
    "profile",
    "me%20",
    "%2e%2e",
    "a%23b",
    "0" * 4000,
    "%F0%9F",
]


@pytest.fixture(scope="module")
def person(shared: World) -> Person:
    return shared.tenant().user(metadata={"theme": "dark"})


def test_an_administrator_sees_more_than_the_user(person: Person) -> None:
    answer = person.admin("GET")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    seen = answer.json()
    assert seen.keys() == MEMBERS
    assert seen == {**body(person.call("GET")), "appMetadata": {}}


@pytest.mark.parametrize("nobody", NOBODY)
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_user_that_does_not_exist_is_not_found(person: Person, method: str, nobody: str) -> None:
    sent: dict[str, Any] = {"json": {}} if method == "PATCH" else {}
    answer = person.tenant.admin(method, f"/users/{nobody}", **sent)
    refused(answer, 404, "user_not_found")


def test_a_user_of_another_application_does_not_exist_here(person: Person) -> None:
    other = person.tenant.world.tenant()
    before = body(person.admin("GET"))
    for method, sent in (("GET", {}), ("PATCH", {"json": {"state": "suspended"}}), ("DELETE", {})):
        theirs = other.admin(method, f"/users/{person.id}", **sent)
        assert alike(theirs, other.admin(method, f"/users/{NOWHERE}", **sent))
    assert body(person.admin("GET")) == before


def test_each_member_may_be_changed_alone(world: World) -> None:
    person = world.tenant().user(metadata={"theme": "dark"})
    before = body(person.admin("GET"))
    world.advance(60)
    changed = body(person.admin("PATCH", {"appMetadata": {"plan": "pro"}}))
    now = "2026-03-01T12:01:00.000Z"
    assert changed == {**before, "appMetadata": {"plan": "pro"}, "updated": now}
    changed = body(person.admin("PATCH", {"metadata": {"theme": "light"}}))
    assert changed["metadata"] == {"theme": "light"}
    assert changed["appMetadata"] == {"plan": "pro"}
    assert body(person.call("GET"))["metadata"] == {"theme": "light"}
    both = body(person.admin("PATCH", {"metadata": None, "appMetadata": None, "state": None}))
    assert (both["metadata"], both["appMetadata"], both["state"]) == ({}, {}, "active")
    assert len(world.events(Operation.USER_UPDATED)) == 3
    assert person.call("GET").status_code == 200


def test_a_change_that_changes_nothing_leaves_no_trace(world: World) -> None:
    person = world.tenant().user()
    before = body(person.admin("GET"))
    world.advance(60)
    assert body(person.admin("PATCH", {})) == before
    assert body(person.admin("PATCH", {"state": "active"})) == before
    assert person.call("GET").status_code == 200
    assert world.events(Operation.USER_UPDATED) == []


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"state": "deleted"}, "state"),
        ({"state": "Suspended"}, "state"),
        ({"state": True}, "state"),
        ({"state": ["suspended"]}, "state"),
        ({"metadata": []}, "metadata"),
        ({"metadata": "x"}, "metadata"),
        ({"appMetadata": 1}, "appMetadata"),
        ({"email": "eve@example.com"}, "email"),
        ({"emailVerified": False}, "emailVerified"),
        ({"password": "correct horse"}, "password"),
        ({"id": NOWHERE}, "id"),
        ({"applicationId": NOWHERE}, "applicationId"),
        ({"app_metadata": {}}, "app_metadata"),
        ({"userCount": 5}, "userCount"),
    ],
)
def test_nothing_else_of_an_account_is_changed(
    person: Person, sent: dict[str, Any], field: str
) -> None:
    before = body(person.admin("GET"))
    refused(person.admin("PATCH", sent), 422, "validation_failed", field=field)
    assert body(person.admin("GET")) == before


@pytest.mark.parametrize("name", ["metadata", "appMetadata"])
def test_metadata_take_eight_kibibytes(person: Person, name: str) -> None:
    most = {"m": "x" * (8192 - len('{"m":""}'))}
    assert body(person.admin("PATCH", {name: most}))[name] == most
    answer = person.admin("PATCH", {name: {"m": most["m"] + "x"}})
    refused(answer, 422, "metadata_too_large", field=name)


def test_a_suspension_ends_every_session_and_refuses_every_way_in(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    other = person.signed_in()
    changed = body(person.admin("PATCH", {"state": "suspended"}))
    assert changed["state"] == "suspended"
    for one in (person, other):
        refused(one.call("GET"), 401, "invalid_token")
        refused(tenant.refresh(one.refresh), 401, "invalid_refresh_token")
    refused(tenant.sign_in(), 403, "user_suspended")
    assert tenant.ask_reset().status_code == 202
    assert tenant.sign_up(EMAIL, NEW_PASSWORD).status_code == 202
    assert tenant.read()["userCount"] == 1
    assert [event.user_id for event in world.events(Operation.USER_SUSPENDED)] == [person.id]
    assert body(person.admin("PATCH", {"state": "active"}))["state"] == "active"
    for one in (person, other):
        refused(one.call("GET"), 401, "invalid_token")
    assert tenant.sign_in().status_code == 200


def test_a_deleted_user_is_gone(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    answer = person.admin("DELETE")
    assert answer.status_code == 204
    assert answer.content == b""
    refused(person.admin("GET"), 404, "user_not_found")
    refused(person.call("GET"), 401, "invalid_token")
    world.deliver()
    assert world.kept(person.id) == []
    assert tenant.read()["userCount"] == 0


def test_a_suspended_user_can_be_deleted(tenant: Tenant) -> None:
    person = tenant.user()
    person.admin("PATCH", {"state": "suspended"})
    assert person.admin("DELETE").status_code == 204
    assert tenant.user().call("GET").status_code == 200


def test_no_answer_to_an_administrator_holds_a_secret(person: Person) -> None:
    text = person.admin("GET").text + person.tenant.admin("GET", "/users").text
    for secret in ("argon2", "hash", "epoch", "version", "password", person.refresh):
        assert secret not in text


# Lists over several hundred users, who are made as verification makes them, without a hash each.
USERS = 350


@pytest.fixture(scope="module")
def crowd(shared: World) -> Tenant:
    tenant = shared.tenant()
    shared.spoilt = True  # nobody of them has a password
    users = shared.services.provided[Users]
    ids = Ids(clock=users.clock)
    application_id = ApplicationId(tenant.id)
    for number in range(USERS):
        user = User(
            id=UserId(ids.new()),
            application_id=application_id,
            email=f"user{number}@example.com",
            created="2026-03-01T12:00:00.000Z",
            updated="2026-03-01T12:00:00.000Z",
            last_sign_in=None,
        )
        writes = users.store.creation(user, taken=InvalidCredentials, gone=InvalidCredentials)
        users.work.commit(*writes)
    return tenant


@pytest.mark.parametrize("limit", [1, 7, 50, 99, 100])
def test_the_list_is_newest_first_whole_and_without_repeats(crowd: Tenant, limit: int) -> None:
    found: list[dict[str, Any]] = []
    query = f"?limit={limit}"
    for _ in range(USERS if limit > 1 else 12):
        page = body(crowd.admin("GET", "/users" + query))
        assert page.keys() == {"items", "nextCursor"}
        found += page["items"]
        if page["nextCursor"] is None:
            assert len(found) == USERS
            break
        assert len(page["items"]) == limit
        query = f"?limit={limit}&cursor={page['nextCursor']}"
    numbers = [int(user["email"].split("@")[0][4:]) for user in found]
    assert numbers == list(range(USERS - 1, USERS - 1 - len(found), -1))
    assert all(user.keys() == MEMBERS for user in found)


def test_a_page_has_fifty_users_unless_the_caller_says_otherwise(crowd: Tenant) -> None:
    assert len(body(crowd.admin("GET", "/users"))["items"]) == 50
    assert crowd.read()["userCount"] == USERS


def test_who_comes_or_goes_between_two_pages_moves_nobody(world: World) -> None:
    tenant = world.tenant()
    people = [tenant.user(f"user{number}@example.com") for number in range(6)]
    first = body(tenant.admin("GET", "/users?limit=3"))
    tenant.user("late@example.com")
    assert people[3].admin("DELETE").status_code == 204
    assert people[2].admin("DELETE").status_code == 204
    second = body(tenant.admin("GET", f"/users?limit=3&cursor={first['nextCursor']}"))
    assert [user["id"] for user in second["items"]] == [people[1].id, people[0].id]
    assert second["nextCursor"] is None


@pytest.mark.parametrize("email", ["user7@example.com", "USER7@example.com", "user7@EXAMPLE.COM"])
def test_one_user_is_found_by_the_exact_address(crowd: Tenant, email: str) -> None:
    page = body(crowd.admin("GET", f"/users?email={email}"))
    assert [user["email"] for user in page["items"]] == ["user7@example.com"]
    assert page["nextCursor"] is None


@pytest.mark.parametrize(
    "email",
    [
        "user77777@example.com",
        "user%25@example.com",
        "user_@example.com",
        "*@example.com",
        "user7@example.co",
    ],
)
def test_an_address_is_matched_literally(crowd: Tenant, email: str) -> None:
    page = body(crowd.admin("GET", f"/users?email={email}"))
    assert page == {"items": [], "nextCursor": None}


@pytest.mark.parametrize("email", ["", "x", "user7", "(a%2B)%2B$", "' OR 1=1", "a@b@c.de"])
def test_what_is_no_address_finds_nobody_by_saying_so(crowd: Tenant, email: str) -> None:
    refused(crowd.admin("GET", f"/users?email={email}"), 422, "invalid_email", field="email")


def test_an_address_in_the_query_is_bounded(crowd: Tenant) -> None:
    answer = crowd.admin("GET", f"/users?email={'x' * 255}@example.com")
    refused(answer, 422, "validation_failed", field="email")


@pytest.mark.parametrize(
    "limit", ["0", "-1", "101", "1000000000", "x", "", "1.5", "1e2", "true", "٣٠٠"]
)
def test_a_limit_beyond_its_bounds_is_refused(crowd: Tenant, limit: str) -> None:
    answer = crowd.admin("GET", f"/users?limit={quote(limit)}")
    refused(answer, 422, "validation_failed", field="limit")


def test_a_cursor_that_was_not_issued_for_this_list_is_refused(crowd: Tenant) -> None:
    world = crowd.world
    good = body(crowd.admin("GET", "/users?limit=1"))["nextCursor"]
    other = world.tenant()
    applications = body(world.admin("GET", "/v1/applications?limit=1"))["nextCursor"]
    forged = [
        "",
        "x",
        good[:-1],
        good + "A",
        good + "=",
        ("B" if good[0] == "A" else "A") + good[1:],
        good[:30] + ("B" if good[30] == "A" else "A") + good[31:],
        NOWHERE,
        applications,
        "%00",
        "ü",
        "A" * 1024,
    ]
    for cursor in forged:
        answer = crowd.admin("GET", f"/users?cursor={quote(cursor, safe='%')}")
        refused(answer, 400, "invalid_cursor")
    refused(other.admin("GET", f"/users?cursor={good}"), 400, "invalid_cursor")
    refused(crowd.admin("GET", f"/keys?cursor={good}"), 400, "invalid_cursor")
    refused(world.admin("GET", f"/v1/applications?cursor={good}"), 400, "invalid_cursor")
    refused(crowd.admin("GET", "/users?cursor=" + "A" * 1025), 422, "validation_failed")
    assert len(body(crowd.admin("GET", f"/users?limit=1&cursor={good}"))["items"]) == 1
