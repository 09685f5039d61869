"""Without the right credential nothing is answered, whatever is asked; the list is the document."""

from collections.abc import Iterator

import httpx
import pytest

from tests.api.operations import ID, Operation, operations
from tests.api.world import ADMIN_KEY, Person, World, alike, body, refused

PUBLIC = {
    "readApplicationJwks",
    "readOpenIdConfiguration",
    "createUser",
    "sendEmailVerification",
    "verifyUser",
    "requestUserToken",
    "revokeUserToken",
    "requestPasswordReset",
    "updatePassword",
    "readHealth",
}
USER = {
    "readCurrentUser",
    "updateCurrentUser",
    "changeCurrentUserPassword",
    "deleteCurrentUser",
    "listCurrentUserSessions",
    "deleteCurrentUserSession",
    "deleteCurrentUserSessions",
}


@pytest.fixture(scope="module")
def person(shared: World) -> Person:
    return shared.tenant().user()


def _ask(world: World, operation: Operation, application: str, **sent: object) -> httpx.Response:
    path = operation.path(application_id=application)
    return world.send(operation.method, path, operation.body, **sent)  # type: ignore[arg-type] # as `send` names them


def test_the_document_says_who_may_call_what(shared: World) -> None:
    found = operations(shared)
    assert {operation.id for operation in found if not operation.security} == PUBLIC
    assert {operation.id for operation in found if operation.user} == USER
    assert all(operation.admin for operation in found if operation.id not in PUBLIC | USER)


def _bad_keys(world: World, person: Person) -> Iterator[list[tuple[str, str]]]:
    made = body(world.admin("POST", "/v1/api-keys", {"name": "revoked"}))
    world.admin("DELETE", f"/v1/api-keys/{made['id']}")
    expiring = {"name": "expired", "expires": "2026-03-01T12:00:05Z"}
    expired = body(world.admin("POST", "/v1/api-keys", expiring))
    world.advance(10)
    for key in ("", "garbage", made["key"], expired["key"], person.access, person.refresh):
        yield [("X-Api-Key", key)]
    yield []
    yield [("Authorization", f"Bearer {ADMIN_KEY}")]
    yield [("Authorization", f"Bearer {person.access}")]
    yield [("Cookie", f"X-Api-Key={ADMIN_KEY}")]
    yield [("X-Api-Key", ADMIN_KEY), ("X-Api-Key", ADMIN_KEY)]


def test_no_administrators_operation_answers_without_a_key(world: World) -> None:
    person = world.tenant().user()
    asked = [operation for operation in operations(world) if operation.admin]
    assert len(asked) == 17
    wrong = list(_bad_keys(world, person))
    before = sorted(world.rows(person.tenant.id))
    for operation in asked:
        answers = [
            _ask(world, operation, application, headers=headers)
            for headers in wrong
            for application in (person.tenant.id, ID)
        ]
        for answer in answers:
            refused(answer, 401, "invalid_api_key")
            assert answer.headers["WWW-Authenticate"] == 'ApiKey realm="passerine"'
            assert alike(answer, answers[0]), operation.id
    assert sorted(world.rows(person.tenant.id)) == before


def test_no_users_operation_answers_without_a_token_of_that_application(world: World) -> None:
    person, other = world.tenant().user(), world.tenant().user()
    asked = [operation for operation in operations(world) if operation.user]
    assert len(asked) == 7
    for operation in asked:
        answers = [
            _ask(world, operation, application, headers=headers)
            for headers in (
                [],
                [("Authorization", "Bearer garbage")],
                [("Authorization", f"Bearer {other.access}")],
                [("Authorization", f"Bearer {person.refresh}")],
                [("Authorization", f"Bearer {ADMIN_KEY}")],
                [("X-Api-Key", ADMIN_KEY)],
                [("Cookie", f"accessToken={person.access}")],
            )
            for application in (person.tenant.id, ID)
        ]
        for answer in answers:
            refused(answer, 401, "invalid_token")
            assert alike(answer, answers[0]), operation.id
    assert person.call("GET").status_code == 200
    assert len(body(person.call("GET", "/sessions"))["items"]) == 1


def test_an_applications_public_operations_know_no_unknown_application(shared: World) -> None:
    asked = 0
    for operation in operations(shared):
        if operation.of_application and not operation.security:
            refused(_ask(shared, operation, ID), 404, "application_not_found")
            refused(_ask(shared, operation, "x"), 404, "application_not_found")
            asked += 1
    assert asked == 9
    assert shared.rows(ID) == []


def test_credentials_change_nothing_for_the_public(shared: World, person: Person) -> None:
    path = f"{person.tenant.base}/jwks.json"
    plain = shared.send("GET", path)
    assert alike(plain, shared.send("GET", path, key="garbage", token="garbage"))
    assert alike(plain, shared.send("GET", path, key=ADMIN_KEY, token=person.access))
