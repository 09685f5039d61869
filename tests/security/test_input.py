"""Attacks by malformed input (catalogue 1.15); tests/api/input has what bodies may be."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.lambda_handler import Handler
from tests.api.operations import operations
from tests.api.world import ADMIN_KEY, EMAIL, PASSWORD, Person, World, body, refused
from tests.flows.server import Server, serving
from tests.gateway import Gateway
from tests.security.store import kept
from tests.security.wire import CLOSE, HOST, JSON, ask, send

UNKNOWN = b"/v1/applications/019ca945-0a00-7001-9c76-e6773e9f1b85"
RESET = b"POST " + UNKNOWN + b"/users/password/reset HTTP/1.1\r\n" + HOST + JSON
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("wire") / "data"
    told = {"RATE_LIMITS": "off", "ADMIN_API_KEY": ADMIN_KEY}
    with serving(folder, settings=told) as started:
        yield started


@pytest.fixture(scope="module")
def person(shared: World) -> Person:
    return shared.tenant().user()


@pytest.mark.parametrize("kinds", [("application/json", "text/plain"), ("application/json",) * 2])
def test_inp_03_a_body_has_one_content_type(person: Person, kinds: tuple[str, ...]) -> None:
    """Gateways join such headers, and the function refuses what uvicorn would take."""
    content = json.dumps({"email": "nobody@example.com"}).encode()
    headers = [("Content-Type", kind) for kind in kinds]
    sent: dict[str, Any] = {"content": content, "headers": headers}
    answer = person.tenant.public("POST", "/users/password/reset", **sent)
    refused(answer, 415, "unsupported_media_type")


def test_inp_03_the_function_refuses_two_content_types(shared: World, person: Person) -> None:
    function = Handler(services=shared.services)
    gateway = Gateway(shape="http", function=function)
    with httpx.Client(transport=gateway, base_url="http://localhost") as client:
        content = json.dumps({"email": "nobody@example.com"}).encode()
        kinds = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
        path = f"{person.tenant.base}/users/password/reset"
        answer = client.post(path, content=content, headers=kinds)
    function.close()
    refused(answer, 415, "unsupported_media_type")


def test_inp_04_a_hundred_megabytes_are_refused_as_soon_as_it_is_known(server: Server) -> None:
    announced = b"Content-Length: 104857600\r\n\r\n"
    reply = send(server.port, RESET + CLOSE + announced)
    assert reply.statuses == [413]
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    reply = send(server.port, RESET + CLOSE + CHUNKED + b"\r\n", *[piece] * 3)
    assert reply.statuses[:1] == [413]
    zipped = CLOSE + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"
    reply = send(server.port, RESET + zipped)
    assert reply.statuses == [404]  # of an unknown application: nothing was opened


def test_inp_04_a_length_that_lies_smuggles_nothing(server: Server) -> None:
    inner = b"GET /health HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"
    # Longer than what comes: the rest is waited for, and never an answer to what is inside.
    length = len(inner) + 10
    longer = RESET + b"Content-Length: %d\r\n\r\n" % length + inner
    reply = send(server.port, longer, and_leave=True)
    assert 200 not in reply.statuses
    # Shorter: what follows is the next request of the same client.
    reply = send(server.port, RESET + b"Content-Length: 2\r\n\r\n{}" + inner)
    assert reply.statuses == [404, 200]


def test_inp_04_a_client_that_hangs_up_is_no_fault_of_ours(server: Server) -> None:
    app = httpx.post(
        f"{server.url}/v1/applications", headers={"X-Api-Key": ADMIN_KEY}, json={}
    ).json()["id"]
    before = server.log.read_text()
    path = f"/v1/applications/{app}/users/password/reset".encode()
    half = b" HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 9\r\n\r\n{"
    send(server.port, b"POST " + path + half, and_leave=True)
    httpx.get(f"{server.url}/health")
    logged = server.log.read_text().removeprefix(before)
    assert "users/password/reset" in logged
    assert "Traceback" not in logged
    assert " 500 " not in logged


STRANGE = {
    "NUL": "a\u0000b",
    "right to left": "a\u202eb",
    "nothing to see": "a\u200b\u2060\ufeffb",
    "beyond the first plane": "🐦👩‍👩‍👧\U0010ffff",
    "many accents": "e" + "\u0301" * 90,
    "not composed": "e\u0301 A\u030a",
    "line separators": "a\u2028b\u0085c",
    "no character": "\ufffe\uffff\ufdd0",
    "markup": "<script>alert(1)</script>{{7*7}}${7*7}",
}


@pytest.mark.parametrize("kind", STRANGE)
def test_inp_05_text_is_refused_or_kept_as_it_is(world: World, kind: str) -> None:
    text = STRANGE[kind]
    tenant = world.tenant()
    person = tenant.user()
    written = [
        (world.admin("POST", "/v1/api-keys", {"name": text}), "name"),
        (tenant.admin("PATCH", "", {"name": text}), "name"),
        (tenant.admin("PATCH", "", {"emailFromName": text}), "emailFromName"),
        (tenant.admin("PATCH", "", {"audience": text}), "audience"),
    ]
    for answer, name in written:
        if answer.is_success:
            assert answer.json()[name] == text
        else:
            refused(answer, 422, "validation_failed", field=name)
    tenant.update(name=None, emailFromName=None, audience=None)
    for holder in ({text: text}, {"a": [text, {text: None}]}):
        assert body(person.call("PATCH", "", {"metadata": holder}))["metadata"] == holder
        changed = body(person.admin("PATCH", {"appMetadata": holder}))
        assert changed["appMetadata"] == holder
    assert tenant.sign_up("new@example.com", f"{text} of many more words").status_code == 202


@pytest.mark.parametrize("text", ["\\ud800", "\\udfff\\ud800", "a\\udc00"])
def test_inp_05_half_a_character_is_none(person: Person, text: str) -> None:
    for member in ('"email"', '"password"', '"metadata": {"a":1}, "x"'):
        content = f'{{{member}: "{text}"}}'.encode()
        headers = {"Content-Type": "application/json"}
        answer = person.tenant.public("POST", "/users", content=content, headers=headers)
        refused(answer, 400, "invalid_json")


def test_inp_07_a_user_gives_themselves_nothing(person: Person) -> None:
    world = person.tenant.world
    before = kept(world, person.id)
    for name in (
        *("id", "sub", "email", "emailVerified", "email_verified", "role", "roles", "isAdmin"),
        *("scopes", "state", "mfaEnabled", "passwordHash", "applicationId", "created", "epoch"),
        *("disabled", "__proto__", "constructor", "appMetadata", "app_metadata", "lastSignIn"),
    ):
        for value in (True, "admin", {"admin": True}, None):
            answer = person.call("PATCH", "", {name: value})
            refused(answer, 422, "validation_failed", field=name)
    assert kept(world, person.id) == before


def test_inp_09_metadata_are_bounded_by_their_size_alone(person: Person) -> None:
    names = {f"k{number}.$#": 1 for number in range(600)}
    assert len(json.dumps(names, separators=(",", ":"))) < 8192
    assert body(person.call("PATCH", "", {"metadata": names}))["metadata"] == names
    for large in (
        {f"k{number}": 1 for number in range(1500)},
        {"a": "ü" * 5000},
        {"a": [0] * 5000},
    ):
        answer = person.call("PATCH", "", {"metadata": large})
        refused(answer, 422, "metadata_too_large", field="metadata")
    deep = b'{"metadata": {"a": ' + b"[" * 1000 + b"]" * 1000 + b"}}"
    headers = {"Content-Type": "application/json"}
    answer = person.tenant.public(
        "PATCH", "/users/me", content=deep, headers=headers, token=person.access
    )
    refused(answer, 400, "invalid_json")


INJECTED = "%0d%0aSet-Cookie:%20a=b%0d%0aX-Evil:%201"


@pytest.mark.parametrize(
    "path",
    [
        f"/{INJECTED}",
        f"/v1/applications/{INJECTED}",
        f"/v1/applications/{INJECTED}/users/me",
        f"/v1/applications/{INJECTED}/jwks.json",
        f"/v1/applications/x/users/verification?token={INJECTED}",
        f"/v1/applications/x/users/password/reset?token={INJECTED}",
        f"/v1/applications?cursor={INJECTED}",
        f"/dev/messages?to={INJECTED}",
        f"/static/{INJECTED}",
        f"/health?{INJECTED}",
    ],
)
def test_inp_11_no_path_and_no_query_makes_a_header(server: Server, path: str) -> None:
    line = f"GET {path} HTTP/1.1\r\n".encode()
    headers = f"X-Api-Key: {ADMIN_KEY}\r\nX-Request-Id: mine\r\nOrigin: https://evil.example\r\n"
    reply = send(server.port, line + HOST + CLOSE + headers.encode() + b"\r\n")
    assert len(reply.statuses) == 1
    names = [header.partition(":")[0].lower() for header in reply.headers]
    assert not {"set-cookie", "x-evil", "access-control-allow-origin", "location"} & set(names)
    assert [header for header in reply.headers if header.startswith("x-request-id")] != [
        "x-request-id: mine"
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "GETS", "PRI", "_"])
def test_inp_17_an_unknown_method_does_nothing(server: Server, method: str) -> None:
    for path in ("/health", "/v1/applications", UNKNOWN.decode()):
        line = f"{method} {path} HTTP/1.1\r\n".encode()
        reply = send(server.port, line + HOST + CLOSE + f"X-Api-Key: {ADMIN_KEY}\r\n\r\n".encode())
        assert reply.statuses == [405]
        assert ADMIN_KEY.encode() not in reply.raw  # TRACE would give it back
        assert [header for header in reply.headers if header.startswith("allow: ")]


def test_inp_18_a_filter_is_an_address_and_nothing_else(person: Person) -> None:
    tenant = person.tenant
    for text in ("%25", "_", "*", "(a%2B)%2B$", "'%20OR%201=1--", "ada@example.c_m", "ada@%25"):
        answer = tenant.admin("GET", f"/users?email={text}")
        assert answer.status_code == 422 or body(answer)["items"] == []
    for name in (
        "passwordHash",
        "hash",
        "filter",
        "q",
        "sort",
        "order",
        "state",
        "fields",
        "$where",
    ):
        plain = tenant.admin("GET", "/users").json()
        assert tenant.admin("GET", f"/users?{name}=x").json() == plain


def test_inp_19_a_member_counts_from_the_body_alone(world: World) -> None:
    tenant = world.tenant()
    tenant.user()
    sent = {"email": "nobody@example.com"}
    for query in (f"?email={EMAIL}", f"?email[]={EMAIL}", f"?body[email]={EMAIL}"):
        headers = {"email": EMAIL, "X-Email": EMAIL, "Cookie": f"email={EMAIL}"}
        path = f"/users/password/reset{query}"
        assert tenant.public("POST", path, sent, headers=headers).status_code == 202
    assert len(world.messages(EMAIL)) == 1  # of the sign-up
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    token = tenant.reset_token()
    content = b"password=a+phrase+of+the+body"
    page = f"/users/password/reset/form?token={token}&password=a+phrase+of+the+query"
    assert tenant.public("POST", page, content=content, headers=form).status_code == 400
    assert tenant.sign_in(password=PASSWORD).status_code == 200


@pytest.mark.parametrize(
    "name", ["iat", "now", "exp", "expires_in", "expiresIn", "ttl", "lifetime", "nbf", "auth_time"]
)
def test_inp_20_nobody_chooses_how_long_a_token_lives(person: Person, name: str) -> None:
    tenant = person.tenant
    sent = {"email": person.email, "password": person.password}
    refused(tenant.public("POST", "/users/token", {**sent, name: 10**9}), 422, "validation_failed")
    answer = tenant.public("POST", f"/users/token?{name}=1000000000", sent, headers={name: "9"})
    assert body(answer)["expiresIn"] == 900


BROKEN = {
    "a sign before the length": RESET + b"Content-Length: +5\r\n\r\n12345",
    "a hexadecimal length": RESET + b"Content-Length: 0x2\r\n\r\n{}",
    "a negative length": RESET + b"Content-Length: -1\r\n\r\n",
    "two lengths": RESET + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n123456",
    "an unknown coding": RESET + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": RESET + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two headers of codings": RESET + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "space before the colon": RESET + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "space in a name": b"GET /health HTTP/1.1\r\n" + HOST + b"X Y: a\r\n\r\n",
    "a NUL in a value": b"GET /health HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    "a CR in a value": b"GET /health HTTP/1.1\r\n" + HOST + b"X: a\rY: b\r\n\r\n",
    "two hosts": b"GET /health HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "raw bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the path": b"GET /health x HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /health\r\n\r\n",
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an endless header": b"GET /health HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 200_000,
    "an endless path": b"GET /" + b"a" * 200_000,
    "a size of a chunk in C": RESET + CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a negative chunk": RESET + CHUNKED + b"\r\n-2\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_inp_21_what_is_no_request_is_refused_and_hung_up_on(server: Server, kind: str) -> None:
    reply = send(server.port, BROKEN[kind])
    assert reply.statuses[-1:] == [400] or not reply.raw, reply.raw
    assert 200 not in reply.statuses


# h11 takes them, as RFC 9112 allows (sections 2.2, 5.2 and 7.1.1): each is one request, read as
# what it would mean to a strict reader too, and nothing of it is taken for a second one.
LENIENT = {
    "bare line feeds": (b"GET /health HTTP/1.1\nHost: localhost\nConnection: close\n\n", 200),
    "a folded header": (b"GET /health HTTP/1.1\r\n" + HOST + CLOSE + b"X: a\r\n b\r\n\r\n", 200),
    "words beside a chunk": (RESET + CLOSE + CHUNKED + b"\r\n2;a=\x01\r\n{}\r\n0\r\n\r\n", 404),
    "one length twice": (RESET + CLOSE + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 404),
}


@pytest.mark.parametrize("kind", LENIENT)
def test_inp_21_what_is_taken_leniently_is_still_one_request(server: Server, kind: str) -> None:
    sent, status = LENIENT[kind]
    assert send(server.port, sent).statuses == [status]


def test_inp_21_a_length_beside_chunks_is_refused(server: Server) -> None:
    both = RESET + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n"
    assert ask(server.port, both).closed


def test_inp_21_no_request_hides_in_chunks_under_a_length(server: Server) -> None:
    inner = b"GET /health HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"
    chunk = b"%x\r\n" % len(inner) + inner + b"\r\n0\r\n\r\n"
    both = RESET + b"Content-Length: 4\r\n" + CHUNKED + b"\r\n" + chunk
    assert 200 not in send(server.port, both, and_leave=True).statuses


def test_inp_21_the_server_is_well_afterwards(server: Server) -> None:
    def hammer(kind: str) -> None:
        send(server.port, BROKEN[kind])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hammer, [*BROKEN] * 2))
    assert httpx.get(f"{server.url}/health").status_code == 200


def test_inp_10_an_id_in_another_spelling_is_no_id(person: Person) -> None:
    world, tenant = person.tenant.world, person.tenant
    before = kept(world, tenant.id)
    spellings = [
        tenant.id.upper(),
        tenant.id.replace("-", "%2D%2D"),
        "{" + tenant.id + "}",
        f"urn:uuid:{tenant.id}",
        tenant.id.translate(str.maketrans("0123456789", "０１２３４５６７８９")),
        f"{tenant.id};a=b",
        f"%25{tenant.id}",
        f"-{tenant.id}",
    ]
    for operation in operations(world):
        if operation.of_application and operation.method == "GET":
            for spelt in spellings:
                path = operation.path(application_id=spelt, user_id=person.id)
                answer = world.send("GET", path, key=ADMIN_KEY, token=person.access)
                assert answer.status_code in {401, 404}, path
    assert kept(world, tenant.id) == before
