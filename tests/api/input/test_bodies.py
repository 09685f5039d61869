"""What a body must be: strict JSON in UTF-8, and bounded however it comes."""

import gzip
import json
from collections.abc import Iterator

import httpx
import pytest

from app.messages.types import MessageKind
from tests.api.operations import BODIES, Operation, operations
from tests.api.world import ABSENT, ADMIN_KEY, EMAIL, Person, Tenant, World, body, refused

LIMIT = 64 * 1024
JSON = "application/json"
BOM = b"\xef\xbb\xbf"
NOT_JSON = {
    "half an object": b"{",
    "half a string": b'{"name": "x',
    "a trailing comma": b'{"name": "x",}',
    "a trailing comma in a list": b'{"name": [1,]}',
    "single quotes": b"{'name': 'x'}",
    "a name without quotes": b'{name: "x"}',
    "a comment": b'{"name": "x"} // done',
    "two values": b'{"name": "x"}{"name": "y"}',
    "a byte order mark": BOM + b'{"name": "x"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"name": "x"}'.encode("utf-16-le"),
    "UTF-32": '{"name": "x"}'.encode("utf-32"),
    "Latin-1": '{"name": "ü"}'.encode("latin-1"),
    "an overlong slash": b'{"name": "\xc0\xaf"}',
    "an encoded surrogate": b'{"name": "\xed\xa0\x80"}',
    "a lone surrogate": b'{"name": "\\ud800"}',
    "a lone low surrogate": b'{"name": "\\udc00x"}',
    "surrogates in the wrong order": b'{"name": "\\udc00\\ud800"}',
    "a lone surrogate as a name": b'{"\\ud800": "x"}',
    "a lone surrogate deep inside": b'{"metadata": {"a": [{"b": "\\udfff"}]}}',
    "a control character": b'{"name": "a\nb"}',
    "a NUL": b'{"name": "a\x00b"}',
    "only a NUL": b"\x00",
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": Infinity}',
    "minus Infinity": b'{"name": -Infinity}',
    "a number beyond floats": b'{"name": 1e9999}',
    "a number beyond floats deep inside": b'{"metadata": {"a": [-1e400]}}',
    "a number of too many digits": b'{"name": 1' + b"0" * 5000 + b"}",
    "a leading zero": b'{"name": 01}',
    "a leading plus": b'{"name": +1}',
    "a hexadecimal number": b'{"name": 0x10}',
    "repeated names": b'{"name": "x", "name": "y"}',
    "names repeated by an escape": b'{"name": "x", "n\\u0061me": "x"}',
    "repeated names deep inside": b'{"metadata": {"a": [{"b": 1, "b": 1}]}}',
    "deep lists": b'{"metadata": {"a": ' + b"[" * 40 + b"]" * 40 + b"}}",
    "deep objects": b'{"metadata": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}",
    "bottomless lists": b"[" * LIMIT,
    "bottomless objects": b'{"a":' * (LIMIT // 5),
    "True": b'{"name": True}',
    "undefined": b'{"name": undefined}',
    "only space": b"   ",
    "only a comma": b",",
    "a form": b"email=ada%40example.com&password=x",
}


@pytest.fixture(scope="module")
def person(shared: World) -> Person:
    return shared.tenant().user()


@pytest.fixture(scope="module")
def tenant(person: Person) -> Tenant:
    return person.tenant


@pytest.fixture(scope="module")
def takers(tenant: Tenant) -> list[Operation]:
    """The operations that take a body."""
    found = [one for one in operations(tenant.world) if one.body is not ABSENT]
    assert {one.id for one in found} == BODIES.keys()
    return found


def _ask(person: Person, operation: Operation, content: bytes | Iterator[bytes]) -> httpx.Response:
    """A request with every credential that may be needed."""
    path = operation.path(application_id=person.tenant.id, user_id=person.id)
    return person.tenant.world.send(
        operation.method,
        path,
        content=content,
        headers={"Content-Type": JSON},
        key=ADMIN_KEY,
        token=person.access,
    )


def _reset(tenant: Tenant, content: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    """The request for a reset, which tells nothing and changes little."""
    sent = {"Content-Type": JSON, **{n.replace("_", "-"): v for n, v in headers.items()}}
    kept = {name: value for name, value in sent.items() if value != "none"}
    return tenant.public("POST", "/users/password/reset", content=content, headers=kept)


@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_not_json_is_refused(tenant: Tenant, name: str) -> None:
    refused(_reset(tenant, NOT_JSON[name]), 400, "invalid_json")


def test_depth_is_bounded(person: Person) -> None:
    for depth, status in ((31, 200), (32, 400), (40, 400)):
        content = b'{"metadata": {"a": ' + b"[" * depth + b"]" * depth + b"}}"
        answer = person.tenant.public(
            "PATCH",
            "/users/me",
            content=content,
            headers={"Content-Type": JSON},
            token=person.access,
        )
        assert answer.status_code == status, depth


def test_null_is_no_body(person: Person, takers: list[Operation]) -> None:
    for operation in takers:
        refused(_ask(person, operation, b"null"), 422, "validation_failed", field="body")


@pytest.mark.parametrize(
    "kind",
    [
        "none",
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/xml",
        "application/json+x",
        "application/problem+json",
        "application/ld+json",
        "application/jsonx",
        "application",
        "json",
        "application/json; charset=utf-7",
        "application/json; charset=utf-16",
        "application/json; charset=iso-8859-1",
        "application/json; charset=",
        "application/json;;",
        "application/json;",
        "application/json, text/plain",
        "text/plain; application/json",
        "application/json; charset=utf-8; charset=utf-7",
        "application/json; x=" + "y" * 10_000,
    ],
)
def test_another_content_type_is_refused(tenant: Tenant, kind: str) -> None:
    answer = _reset(tenant, b'{"email": "nobody@example.com"}', Content_Type=kind)
    refused(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json ; charset=utf-8",
    ],
)
def test_json_in_utf_8_is_taken_however_it_is_written(tenant: Tenant, kind: str) -> None:
    answer = _reset(tenant, b'{"email": "nobody@example.com"}', Content_Type=kind)
    assert answer.status_code == 202


def test_a_body_takes_64_kibibytes_in_one_piece_or_many(
    person: Person, takers: list[Operation]
) -> None:
    for operation in takers:
        content = json.dumps(operation.body).encode()
        most = content + b" " * (LIMIT - len(content))
        status = _ask(person, operation, most).status_code
        assert status < 413, (operation.id, status)
        refused(_ask(person, operation, most + b" "), 413, "body_too_large")
        refused(_ask(person, operation, iter([b" " * 1024] * 65)), 413, "body_too_large")
        pieces = iter([content[:3], b"", content[3:]])
        assert _ask(person, operation, pieces).status_code < 413


@pytest.mark.parametrize(
    "length",
    ["65537", "99999999999999999999", "-1", "+5", "5, 5", "x", "", " ", "0x10", "9" * 5000],
)
def test_an_announced_length_is_judged_before_the_body(tenant: Tenant, length: str) -> None:
    refused(_reset(tenant, iter([b"{}"]), Content_Length=length), 413, "body_too_large")


@pytest.mark.parametrize("length", ["0", "10"])
def test_a_length_that_lies_is_no_way_around_the_bound(tenant: Tenant, length: str) -> None:
    answer = _reset(tenant, iter([b" " * 40_000] * 2), Content_Length=length)
    refused(answer, 413, "body_too_large")


def test_a_compressed_body_is_not_opened(tenant: Tenant) -> None:
    content = gzip.compress(b'{"email": "nobody@example.com"}')
    refused(_reset(tenant, content, Content_Encoding="gzip"), 400, "invalid_json")


def test_a_member_of_another_source_does_not_count(tenant: Tenant) -> None:
    path = "/users/password/reset?email=ada@example.com"
    refused(tenant.public("POST", path, {}), 422, "validation_failed", field="email")
    path = f"/users/password/reset?email={EMAIL}&limit=x"
    assert tenant.public("POST", path, {"email": "nobody@example.com"}).status_code == 202
    kinds = {message.kind for message in tenant.world.messages(EMAIL)}
    assert MessageKind.PASSWORD_RESET not in kinds


def test_an_operation_without_a_body_does_not_read_one(tenant: Tenant) -> None:
    for content in (b"{", b"x" * 1000, b'{"limit": 1}'):
        answer = tenant.world.send("GET", f"{tenant.base}/users", content=content, key=ADMIN_KEY)
        assert len(body(answer)["items"]) == 1
    answer = tenant.public("GET", "/jwks.json", content=b"x" * (LIMIT + 1))
    refused(answer, 413, "body_too_large")
