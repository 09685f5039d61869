"""A key for one application: for all others, whatever it asks for does not exist."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.api.operations import ID, Operation, operations
from tests.api.world import Person, Tenant, World, alike, body, open_world, refused


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Two applications, and the key that administers the first of them."""

    own: Tenant
    other: Tenant
    resident: Person
    key: str

    @property
    def world(self) -> World:
        return self.own.world

    def ask(self, operation: Operation, application: str, **parameters: str) -> object:
        path = operation.path(application_id=application, **parameters)
        return self.world.send(operation.method, path, operation.body, key=self.key)


@pytest.fixture(scope="module")
def ground(shared: World) -> Ground:
    own, other = shared.tenant(), shared.tenant()
    made = body(shared.admin("POST", "/v1/api-keys", {"name": "own", "applicationId": own.id}))
    assert made["applicationId"] == own.id
    return Ground(own=own, other=other, resident=other.user(), key=made["key"])


def _snapshot(ground: Ground) -> list[tuple[str, str, str]]:
    return sorted(ground.world.rows(ground.other.id))


def test_everything_of_another_application_is_as_if_it_did_not_exist(ground: Ground) -> None:
    before = _snapshot(ground)
    kids = [key["kid"] for key in body(ground.other.admin("GET", "/keys"))["items"]]
    asked = 0
    for operation in operations(ground.world):
        if not (operation.admin and operation.of_application):
            continue
        for parameters in ({}, {"user_id": ground.resident.id, "kid": kids[1]}):
            path = operation.path(application_id=ground.other.id, **parameters)
            theirs = ground.world.send(operation.method, path, operation.body, key=ground.key)
            path = operation.path(application_id=ID, **parameters)
            nowhere = ground.world.send(operation.method, path, operation.body, key=ground.key)
            refused(theirs, 404, "application_not_found")
            assert alike(theirs, nowhere), operation.id
            asked += 1
    assert asked == 2 * 11
    assert _snapshot(ground) == before
    assert ground.resident.call("GET").status_code == 200


def test_what_is_the_deployments_is_not_this_keys(ground: Ground) -> None:
    asked = set()
    for operation in operations(ground.world):
        if operation.admin and not operation.of_application:
            path = operation.path()
            answer = ground.world.send(operation.method, path, operation.body, key=ground.key)
            refused(answer, 403, "forbidden")
            asked.add(operation.id)
    assert asked == {
        "createApplication",
        "listApplications",
        "createApiKey",
        "listApiKeys",
        "deleteApiKey",
        "listDeploymentAuditEvents",
    }


def test_a_users_operation_takes_no_api_key(ground: Ground) -> None:
    for operation in operations(ground.world):
        if operation.user:
            path = operation.path(application_id=ground.own.id)
            answer = ground.world.send(operation.method, path, operation.body, key=ground.key)
            refused(answer, 401, "invalid_token")


def test_a_user_of_another_application_under_the_own_path_does_not_exist(ground: Ground) -> None:
    suspended: dict[str, Any] = {"json": {"state": "suspended"}}
    nothing: dict[str, Any] = {}
    for method, sent in (("GET", nothing), ("PATCH", suspended), ("DELETE", nothing)):
        base = f"{ground.own.base}/users"
        theirs = ground.world.send(method, f"{base}/{ground.resident.id}", key=ground.key, **sent)
        nowhere = ground.world.send(method, f"{base}/{ID}", key=ground.key, **sent)
        refused(theirs, 404, "user_not_found")
        assert alike(theirs, nowhere)


@pytest.mark.parametrize(
    "form",
    ["{}/", "{}%20", " {}", "{}%00", "{}%2F", "..%2F{}", "%2e%2e/{}", "{}%23", "{}%3F", "{};"],
)
def test_no_spelling_of_the_own_id_leads_elsewhere(ground: Ground, form: str) -> None:
    before = _snapshot(ground)
    for application in (ground.own.id, ground.other.id):
        path = "/v1/applications/" + form.format(application)
        for tail in ("", "/users", "/keys"):
            answer = ground.world.send("GET", path + tail, key=ground.key)
            assert answer.status_code in {404, 405}
    upper = ground.world.send("GET", f"/v1/applications/{ground.own.id.upper()}", key=ground.key)
    refused(upper, 404, "application_not_found")
    assert _snapshot(ground) == before


def test_the_own_application_is_administered_whole(world: World) -> None:
    own = world.tenant()
    key = body(world.admin("POST", "/v1/api-keys", {"name": "own", "applicationId": own.id}))["key"]
    person = own.user()
    for method, tail, json, status in (
        ("GET", "", None, 200),
        ("PATCH", "", {"name": "Songbook"}, 200),
        ("GET", "/keys", None, 200),
        ("POST", "/keys", None, 201),
        ("GET", "/users", None, 200),
        ("GET", f"/users/{person.id}", None, 200),
        ("PATCH", f"/users/{person.id}", {"appMetadata": {"plan": "pro"}}, 200),
        ("DELETE", f"/users/{person.id}", None, 204),
        ("DELETE", "", None, 204),
        ("GET", "", None, 404),
    ):
        sent: dict[str, Any] = {} if json is None else {"json": json}
        answer = world.send(method, own.base + tail, key=key, **sent)
        assert answer.status_code == status, (method, tail, answer.text)


def test_the_key_of_a_deleted_application_opens_nothing(world: World) -> None:
    own, other = world.tenant(), world.tenant()
    key = body(world.admin("POST", "/v1/api-keys", {"name": "own", "applicationId": own.id}))["key"]
    own.admin("DELETE")
    refused(world.send("GET", own.base, key=key), 404, "application_not_found")
    refused(world.send("GET", other.base, key=key), 404, "application_not_found")
    refused(world.send("GET", "/v1/applications", key=key), 403, "forbidden")


def test_a_key_is_good_in_every_worker_and_revoked_in_every_worker(world: World) -> None:
    made = body(world.admin("POST", "/v1/api-keys", {"name": "all"}))
    with open_world(world.folder, hour=world.hour) as worker:
        assert worker.send("GET", "/v1/applications", key=made["key"]).status_code == 200
        world.admin("DELETE", f"/v1/api-keys/{made['id']}")
        answer = worker.send("GET", "/v1/applications", key=made["key"])
        refused(answer, 401, "invalid_api_key")
