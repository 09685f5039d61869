"""What users see and change of themselves, and how they leave."""

from typing import Any

import pytest

from app.common.ids import ApplicationId
from app.common.principals import Device
from app.events.types import Operation
from app.sessions.logic import Sessions
from app.users.logic import Users
from app.users.types import Owner
from tests.api.world import EMAIL, Person, Tenant, World, alike, body, refused

MEMBERS = {"id", "email", "emailVerified", "state", "metadata", "created", "updated", "lastSignIn"}


@pytest.fixture(scope="module")
def person(shared: World) -> Person:
    return shared.tenant().user()


def test_a_user_sees_themselves_without_what_is_for_administrators(person: Person) -> None:
    answer = person.call("GET")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json().keys() == MEMBERS
    assert answer.json()["email"] == EMAIL
    assert answer.json()["emailVerified"] is True
    assert answer.json()["state"] == "active"


def test_metadata_take_the_place_of_the_old(world: World) -> None:
    person = world.tenant().user(metadata={"a": 1, "b": 2})
    before = body(person.call("GET"))
    world.advance(60)
    changed = body(person.call("PATCH", "", {"metadata": {"b": 3}}))
    assert changed == {**before, "metadata": {"b": 3}, "updated": "2026-03-01T12:01:00.000Z"}
    assert body(person.call("GET")) == changed
    assert [event.user_id for event in world.events(Operation.USER_UPDATED)] == [person.id]
    assert body(person.call("PATCH", "", {"metadata": None}))["metadata"] == {}


def test_a_change_that_names_nothing_changes_nothing(world: World) -> None:
    person = world.tenant().user(metadata={"a": 1})
    before = body(person.call("GET"))
    world.advance(60)
    assert body(person.call("PATCH", "", {})) == before
    assert world.events(Operation.USER_UPDATED) == []


def test_metadata_are_any_json_and_come_back_as_they_were(person: Person) -> None:
    deep: Any = "bottom"
    for _ in range(28):
        deep = [deep]
    for metadata in (
        {"deep": deep},
        {"": "", "a.b": {"$set": {"x": 1}}, "#": None, "__proto__": {"admin": True}},
        {"big": 10**4000, "small": -0.5, "float": 1e308, "zero": 0},
        {"text": "مرحبا\u0000\u202e\u200be\u0301👩‍👩‍👧\r\n<script>"},
        {str(number): number for number in range(700)},
    ):
        assert body(person.call("PATCH", "", {"metadata": metadata}))["metadata"] == metadata
        assert body(person.call("GET"))["metadata"] == metadata


def test_metadata_take_eight_kibibytes_in_utf_8(person: Person) -> None:
    empty = len('{"m":""}')
    for letter in "x", "ü", "🐦":
        width = len(letter.encode())
        most = {"m": letter * ((8192 - empty) // width)}
        assert body(person.call("PATCH", "", {"metadata": most}))["metadata"] == most
        larger = {"m": most["m"] + letter}
        answer = person.call("PATCH", "", {"metadata": larger})
        refused(answer, 422, "metadata_too_large", field="metadata")
        assert body(person.call("GET"))["metadata"] == most


@pytest.mark.parametrize("metadata", [1, 1.5, True, "text", [], [["a", 1]], ""])
def test_metadata_are_an_object(person: Person, metadata: Any) -> None:
    answer = person.call("PATCH", "", {"metadata": metadata})
    refused(answer, 422, "validation_failed", field="metadata")


@pytest.mark.parametrize(
    "name",
    [
        "id",
        "sub",
        "email",
        "emailVerified",
        "state",
        "appMetadata",
        "role",
        "isAdmin",
        "passwordHash",
        "applicationId",
        "created",
        "epoch",
        "user_id",
        "Metadata",
    ],
)
def test_nothing_else_of_the_account_is_the_users_to_change(person: Person, name: str) -> None:
    before = body(person.call("GET"))
    answer = person.call("PATCH", "", {"metadata": {"a": 1}, name: "x"})
    refused(answer, 422, "validation_failed", field=name)
    assert body(person.call("GET")) == before


def test_a_deleted_account_is_gone_with_everything_under_it(world: World) -> None:
    tenant = world.tenant()
    other = tenant.user("bob@example.com")
    before = [row for row in world.kept(tenant.id) if "outbox" not in row[0]]
    person = tenant.user(metadata={"secret": "wish"})
    person.signed_in()
    tenant.ask_reset()
    tenant.sign_up()
    world.deliver()
    assert tenant.read()["userCount"] == 2
    answer = person.call("DELETE")
    assert answer.status_code == 204
    assert answer.content == b""
    world.deliver()
    left = [row for row in world.kept(tenant.id) if row not in before]
    # A note that names nobody, and the counter, which says 1 again.
    assert sorted(row[1] for row in left if "count" not in row[0]) == ["invitations"]
    assert world.kept(person.id) == []
    assert world.kept(EMAIL) == []
    assert world.rows("wish") == []
    assert tenant.read()["userCount"] == 1
    assert other.call("GET").status_code == 200
    (event,) = world.events(Operation.USER_DELETED)
    assert event.user_id == person.id


def test_nothing_of_a_deleted_account_works_any_more(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    other = person.signed_in()
    token = tenant.reset_token()
    assert person.call("DELETE").status_code == 204
    for one in (person, other):
        for method, tail, json in (
            ("GET", "", None),
            ("PATCH", "", {"metadata": {}}),
            ("DELETE", "", None),
            ("GET", "/sessions", None),
            ("DELETE", "/sessions", None),
        ):
            sent: dict[str, Any] = {} if json is None else {"json": json}
            refused(one.call(method, tail, **sent), 401, "invalid_token")
        refused(tenant.refresh(one.refresh), 401, "invalid_refresh_token")
        assert tenant.revoke(one.refresh).status_code == 204
    assert alike(tenant.sign_in(), tenant.sign_in("nobody@example.com"))
    refused(tenant.reset(token), 400, "invalid_token")
    refused(person.admin("GET"), 404, "user_not_found")
    refused(person.admin("DELETE"), 404, "user_not_found")
    assert tenant.read()["userCount"] == 0
    assert len(world.events(Operation.USER_DELETED)) == 1


def test_the_address_is_free_again(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user(metadata={"old": True})
    person.admin("PATCH", {"appMetadata": {"plan": "pro"}})
    person.call("DELETE")
    again = tenant.user()
    assert again.id != person.id
    assert body(again.admin("GET"))["metadata"] == {}
    assert body(again.admin("GET"))["appMetadata"] == {}
    refused(person.call("GET"), 401, "invalid_token")
    assert tenant.read()["userCount"] == 1


def test_an_account_with_hundreds_of_sessions_is_deleted_whole(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    _open_sessions(world, tenant, person, 250)
    assert len(world.kept(f"user#{person.id}")) == 252
    assert person.call("DELETE").status_code == 204
    world.deliver()
    assert world.kept(person.id) == []
    assert tenant.read()["userCount"] == 0


def _open_sessions(world: World, tenant: Tenant, person: Person, number: int) -> None:
    """Sessions as sign-in makes them, without a password hash for each."""
    sessions, users = (world.services.provided[kind] for kind in (Sessions, Users))
    application_id = ApplicationId(tenant.id)
    user = users.require(application_id, person.id)
    owner = Owner(user_id=user.id, email=user.email, state=user.state, epoch=user.epoch)
    settings = world.services.applications.require(tenant.id).settings
    device = Device(user_agent="", ip_address="")
    writes = [sessions.start(application_id, settings, owner, device)[1] for _ in range(number)]
    for start in range(0, number, 100):
        sessions.work.commit(*writes[start : start + 100])
