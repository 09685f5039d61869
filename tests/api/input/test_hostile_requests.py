"""Bad input of every kind, on every operation that takes a body or a query."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.world import ADMIN_KEY, EMAIL, PASSWORD, Person, Tenant, World, open_world, refused

SNAPSHOT = json.loads(
    (Path(__file__).parents[2] / "guards" / "openapi.json").read_text(encoding="utf-8")
)
STRANGER = "01999f3e-6b2c-7c3a-9d57-4ba0d3a1c5f2"
MINIMAL: dict[str, dict[str, Any]] = {
    "createApplication": {},
    "updateApplication": {},
    "createUser": {"email": "new@example.com", "password": PASSWORD},
    "sendEmailVerification": {"email": EMAIL},
    "verifyUser": {"token": "x" * 43, "password": PASSWORD},
    "requestUserToken": {"email": EMAIL, "password": PASSWORD},
    "revokeUserToken": {"refreshToken": "x" * 43},
    "requestPasswordReset": {"email": EMAIL},
    "updatePassword": {"token": "x" * 43, "password": PASSWORD},
    "updateCurrentUser": {"metadata": {}},
    "changeCurrentUserPassword": {"currentPassword": PASSWORD, "newPassword": PASSWORD},
    "updateUser": {"metadata": {}},
    "createApiKey": {"name": "pipeline"},
}
UNREADABLE = {
    "nothing but space": b"  ",
    "half": b'{"email": ',
    "trailing comma": b'{"email": "a@example.com",}',
    "single quotes": b"{'email': 'a@example.com'}",
    "NaN": b'{"metadata": {"a": NaN}}',
    "Infinity": b'{"metadata": {"a": -Infinity}}',
    "too great a number": b'{"metadata": {"a": 1e9999}}',
    "too long a number": b'{"metadata": {"a": ' + b"9" * 5000 + b"}}",
    "twice the same name": b'{"email": "a@example.com", "email": "b@example.com"}',
    "twice the same name inside": b'{"metadata": {"a": 1, "a": 2}}',
    "lone surrogate": b'{"email": "\\ud800@example.com"}',
    "lone surrogate as a name": b'{"metadata": {"\\udfff": 1}}',
    "byte order mark": b'\xef\xbb\xbf{"email": "a@example.com"}',
    "UTF-16": '{"email": "a@example.com"}'.encode("utf-16"),
    "Latin-1": '{"email": "é@example.com"}'.encode("latin-1"),
    "deep lists": b'{"metadata": ' + b"[" * 30_000,
    "deep and closed": b'{"metadata": {"a":' + b"[" * 60 + b"]" * 60 + b"}}",
}
NOT_AN_OBJECT = [b"[]", b'"text"', b"1", b"true"]
TYPES = {
    "none": None,
    "text": "text/plain",
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data; boundary=x",
    "other charset": "application/json; charset=utf-7",
    "other JSON": "application/merge-patch+json",
    "nonsense": "application/json;;x=" + "y" * 5000,
}
MISFITS: list[Any] = [1, 1.5, True, [], ["x"], {}, {"x": 1}]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("hostile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def tenant(world: World) -> Tenant:
    return world.tenant()


@pytest.fixture(scope="module")
def person(tenant: Tenant) -> Person:
    return tenant.user()


def calls() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    for path, methods in SNAPSHOT["paths"].items():
        for method, operation in methods.items():
            yield operation["operationId"], method.upper(), path, operation


WITH_BODY = [(name, m, path) for name, m, path, o in calls() if "requestBody" in o]
by_name = pytest.mark.parametrize(
    ("name", "method", "path"), WITH_BODY, ids=[name for name, _, _ in WITH_BODY]
)


def send(person: Person, method: str, path: str, content: bytes, **headers: str | None) -> Any:
    """A request by somebody who may do everything."""
    here = path.format(
        application_id=person.tenant.id,
        user_id=person.id,
        session_id=STRANGER,
        api_key_id=STRANGER,
        kid="x",
    )
    given = {"X-Api-Key": ADMIN_KEY, "Authorization": f"Bearer {person.access}"}
    given |= {"Content-Type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items() if value}
    kept = {n: v for n, v in given.items() if headers.get(n.replace("-", "_"), v) is not None}
    return person.tenant.world.send(method, here, content=content, headers=kept)


def test_the_table_has_every_operation_with_a_body() -> None:
    assert {name for name, _, _ in WITH_BODY} == MINIMAL.keys()


@by_name
def test_a_body_that_cannot_be_read_is_refused(
    person: Person, name: str, method: str, path: str
) -> None:
    for kind, content in UNREADABLE.items():
        answer = send(person, method, path, content)
        assert answer.status_code == 400, (name, kind, answer.text)
        refused(answer, 400, "invalid_json")


@by_name
def test_a_body_that_is_no_object_is_refused(
    person: Person, name: str, method: str, path: str
) -> None:
    assert name
    for content in NOT_AN_OBJECT:
        refused(send(person, method, path, content), 422, "validation_failed", field="body")


@by_name
def test_no_body_is_refused_where_something_is_needed(
    person: Person, name: str, method: str, path: str
) -> None:
    answer = send(person, method, path, b"")
    if name == "createApplication":
        assert answer.status_code == 201  # every setting has a default
    else:
        refused(answer, 422, "validation_failed", field="body")


@by_name
@pytest.mark.parametrize("kind", TYPES)
def test_a_body_of_another_type_is_refused(
    person: Person, name: str, method: str, path: str, kind: str
) -> None:
    content = json.dumps(MINIMAL[name]).encode()
    answer = send(person, method, path, content, Content_Type=TYPES[kind])
    if kind == "nonsense":
        assert answer.status_code < 500
    else:
        refused(answer, 415, "unsupported_media_type")


@by_name
def test_a_body_of_one_byte_too_much_is_refused(
    person: Person, name: str, method: str, path: str
) -> None:
    assert name
    head = b'{"x": "'
    content = head + b"a" * (64 * 1024 - len(head) - 1) + b'"}'
    assert len(content) == 64 * 1024 + 1
    refused(send(person, method, path, content), 413, "body_too_large")
    refused(send(person, method, path, content[:-1]), 400, "invalid_json")


@by_name
def test_an_unknown_member_is_refused_and_named(
    person: Person, name: str, method: str, path: str
) -> None:
    for unknown in ("role", "id", "userId", "email_verified", "__proto__", "passwordHash"):
        content = json.dumps({**MINIMAL[name], unknown: "admin"}).encode()
        answer = send(person, method, path, content)
        refused(answer, 422, "validation_failed", field=unknown)
        assert "admin" not in answer.text.replace("administ", "")


@by_name
def test_a_member_of_another_type_is_refused_and_named(
    person: Person, name: str, method: str, path: str
) -> None:
    for member, value in MINIMAL[name].items():
        for misfit in MISFITS:
            if isinstance(value, dict) and isinstance(misfit, dict):
                continue
            content = json.dumps({**MINIMAL[name], member: misfit}).encode()
            refused(send(person, method, path, content), 422, "validation_failed", field=member)


@by_name
def test_a_missing_member_is_named(person: Person, name: str, method: str, path: str) -> None:
    required = MINIMAL[name].keys() - {"metadata"}
    for member in required:
        kept = {key: value for key, value in MINIMAL[name].items() if key != member}
        answer = send(person, method, path, json.dumps(kept).encode())
        found = refused(answer, 422, "validation_failed")
        assert member in json.dumps(found["errors"])


LISTS = [(m, path) for _, m, path, o in calls() if "cursor" in json.dumps(o.get("parameters", []))]


@pytest.mark.parametrize(("method", "path"), LISTS)
def test_a_list_refuses_limits_and_cursors_that_are_none(
    person: Person, method: str, path: str
) -> None:
    for limit in ("0", "-1", "101", "1e9", "x", "", "1.5", "%EF%BC%91"):
        answer = send(person, method, f"{path}?limit={limit}", b"")
        refused(answer, 422, "validation_failed", field="limit")
    for cursor in ("x", "AAAA", "A" * 64, "%00", "../x", "é"):
        answer = send(person, method, f"{path}?cursor={cursor}", b"")
        refused(answer, 400, "invalid_cursor")
    refused(
        send(person, method, f"{path}?cursor={'A' * 2000}", b""),
        422,
        "validation_failed",
        field="cursor",
    )


WEIRD_IDS = [
    "x", "%00", "..%2F..", "%2e%2e", "a%23b", "a%3Fb", "a;b", "é", "%F0%9F%90%A6", "null", "-1",
    "9" * 400, STRANGER.upper(), f"%7B{STRANGER}%7D", STRANGER.replace("-", ""), f"{STRANGER}%20",
]  # fmt: skip


@pytest.mark.parametrize(("name", "method", "path"), [(n, m, p) for n, m, p, _ in calls()])
def test_an_id_that_is_none_answers_as_nothing_there(
    person: Person, name: str, method: str, path: str
) -> None:
    content = json.dumps(MINIMAL[name]).encode() if name in MINIMAL else b""
    for parameter in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
        for weird in WEIRD_IDS:
            here = path.replace(f"{{{parameter}}}", weird)
            answer = send(person, method, here, content)
            by_user = "CurrentUser" in name and parameter == "application_id"
            matches = "2F" not in weird  # a slash makes another path of it
            assert answer.status_code == (401 if by_user and matches else 404), here
