"""Through a gateway every answer is the one that uvicorn gives."""

import json
from typing import Any

import httpx
import pytest

from app.lambda_handler import Handler
from tests.api.world import ADMIN_KEY, World
from tests.gateway import CLIENT, SHAPES, Gateway, Request, Shape, event
from tests.lambda_function.conftest import Twins

JSON = {"Content-Type": "application/json"}
ADMIN = {"X-Api-Key": ADMIN_KEY}
BAD_APP = "/v1/applications/01a20a7c-f88d-7000-87bb-b2591ad81c01"
# Made anew for each request, or by the server and not by the app.
OWN = {"x-request-id", "date", "server", "connection", "keep-alive", "transfer-encoding"}

REQUESTS: list[tuple[str, str, dict[str, str], bytes]] = [
    ("GET", "/health", {}, b""),
    ("GET", "/", {}, b""),
    ("GET", "/docs", {}, b""),
    ("GET", "/docs/swagger-ui.css", {}, b""),
    ("GET", "/openapi.json", {}, b""),
    ("GET", "/static/page.css", {}, b""),
    ("GET", "/nowhere", {}, b""),
    ("GET", "//health", {}, b""),
    ("GET", "/health/", {}, b""),
    ("GET", "/%68ealth", {}, b""),
    ("GET", "/health%00", {}, b""),
    ("GET", "/health;v=1", {}, b""),
    ("GET", "/v1/applications/..%2Fhealth", {}, b""),
    ("GET", "/v1/applications/%2e%2e/health", {}, b""),
    ("GET", "/v1/applications/%252e", ADMIN, b""),
    ("GET", "/v1/applications/%C3%A9%FF", ADMIN, b""),
    ("GET", BAD_APP, ADMIN, b""),
    ("GET", BAD_APP, {"X-Api-Key": "wrong"}, b""),
    ("GET", f"{BAD_APP}/users/me", {}, b""),
    ("GET", f"{BAD_APP}/users/me", {"Authorization": "Bearer a.b.c"}, b""),
    ("GET", f"{BAD_APP}/.well-known/jwks.json", {}, b""),
    ("GET", "/v1/applications", ADMIN, b""),
    ("GET", "/v1/applications?limit=1&limit=2", ADMIN, b""),
    ("GET", "/v1/applications?limit=", ADMIN, b""),
    ("GET", "/v1/applications?limit=1;cursor=2", ADMIN, b""),
    ("GET", "/v1/applications?cursor=%00", ADMIN, b""),
    ("GET", "/v1/applications?cursor=a+b%20c%2B", ADMIN, b""),
    ("HEAD", "/health", {}, b""),
    ("OPTIONS", "/health", {}, b""),
    (
        "OPTIONS",
        BAD_APP,
        {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"},
        b"",
    ),
    ("DELETE", "/health", {}, b""),
    ("BREW", "/health", {}, b""),
    ("POST", f"{BAD_APP}/users/token", JSON, b""),
    ("POST", "/v1/applications", {**ADMIN, **JSON}, b"{"),
    ("POST", "/v1/applications", {**ADMIN, **JSON}, b'{"name": 7}'),
    ("POST", "/v1/applications", {**ADMIN, **JSON}, b'{"name": "\xff"}'),
    ("POST", "/v1/applications", {**ADMIN, **JSON}, b'{"name": "' + b"n" * 70_000 + b'"}'),
    ("POST", "/v1/applications", {**ADMIN, "Content-Type": "text/plain"}, b"{}"),
    (
        "POST",
        "/v1/applications",
        {**ADMIN, "Content-Type": "application/octet-stream"},
        b"\xff\x00",
    ),
    ("POST", f"{BAD_APP}/users/token", JSON, b'{"email": "a@example.com", "password": "p"}'),
    ("GET", "/health", {"Cookie": "a=b; c=d"}, b""),
    ("GET", "/health", {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher"}, b""),
]
HOSTS = [
    "auth.example.com",
    "evil.example",
    "a:b:c",
    "x:",
    "[::1]:8000",
    "evil:abc",
    "a b",
    "127.0.0.1:99999",
    "",
]


def seen(answer: httpx.Response) -> tuple[int, dict[str, str], Any]:
    """What must be the same on every way."""
    own = answer.headers.get("X-Request-Id", "")
    headers = {name: value for name, value in answer.headers.items() if name not in OWN}
    body = answer.content.replace(own.encode(), b"") if own else answer.content
    return answer.status_code, headers, body


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("method", "target", "headers", "body"), REQUESTS)
def test_every_answer_is_that_of_uvicorn(
    twins: Twins, shape: Shape, method: str, target: str, headers: dict[str, str], body: bytes
) -> None:
    sent = {"Host": "auth.example.com", "User-Agent": "Songbook/1.0", **headers}
    expected = twins.uvicorn.request(method, target, headers=sent, content=body)
    with httpx.Client(
        transport=Gateway(shape=shape, function=twins.handler), base_url="https://auth.example.com"
    ) as client:
        answer = client.request(method, target, headers=sent, content=body)
    if method == "HEAD":  # uvicorn leaves its body out, and gateways do
        assert answer.status_code == expected.status_code
        return
    assert seen(answer) == seen(expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_judged_as_by_uvicorn(twins: Twins, shape: Shape, host: str) -> None:
    request = Request(method="GET", path="/health", query="", headers=[("Host", host)], body=b"")
    expected = twins.uvicorn.get("/health", headers={"Host": host})
    answer = twins.handler(event(shape, request), None)
    assert answer["statusCode"] == expected.status_code
    if answer["statusCode"] == 400:
        assert json.loads(answer["body"])["code"] == "unknown_host"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("hosts", [[], ["auth.example.com", "auth.example.com"]])
def test_a_request_has_exactly_one_host(twins: Twins, shape: Shape, hosts: list[str]) -> None:
    headers = [("Host", host) for host in hosts]
    request = Request(method="GET", path="/health", query="", headers=headers, body=b"")
    assert twins.handler(event(shape, request), None)["statusCode"] == 400


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "spoilt",
    [
        {"body": "no base64!", "isBase64Encoded": True},
        {"body": "\ud800", "isBase64Encoded": False},
        {"body": "{", "isBase64Encoded": False},
    ],
)
def test_a_body_that_is_none_is_a_bad_request(
    twins: Twins, shape: Shape, spoilt: dict[str, Any]
) -> None:
    headers = [("Host", "auth.example.com"), *JSON.items(), *ADMIN.items()]
    request = Request(method="POST", path="/v1/applications", query="", headers=headers, body=b"{}")
    answer = twins.handler({**event(shape, request), **spoilt}, None)
    assert answer["statusCode"] == 400, answer


@pytest.mark.parametrize("shape", SHAPES)
def test_a_forged_port_header_does_no_harm(twins: Twins, shape: Shape) -> None:
    request = Request(
        method="GET",
        path="/health",
        query="",
        headers=[("Host", "auth.example.com")],
        body=b"",
    )
    made = event(shape, request)
    made["headers"]["x-forwarded-port"] = "abc"
    assert twins.handler(made, None)["statusCode"] == 200


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("body", [{}, {"body": None}, {"body": ""}, {"body": "e30="}])
def test_no_body_is_no_body(twins: Twins, shape: Shape, body: dict[str, Any]) -> None:
    headers = [("Host", "auth.example.com"), *JSON.items(), *ADMIN.items()]
    request = Request(method="POST", path="/v1/applications", query="", headers=headers, body=b"")
    made = {**event(shape, request), **body, "isBase64Encoded": bool(body.get("body"))}
    answer = twins.handler(made, None)
    assert answer["statusCode"] == 201, answer


@pytest.mark.parametrize("shape", SHAPES)
def test_the_address_of_the_client_is_the_gateways_word(
    world: World, function: Handler, shape: Shape
) -> None:
    person = world.tenant().user()
    with httpx.Client(
        transport=Gateway(shape=shape, function=function), base_url="https://auth.example.com"
    ) as client:
        grant = client.post(
            f"{person.tenant.base}/users/token",
            json={"email": person.email, "password": person.password},
            headers={"X-Forwarded-For": "198.51.100.1, 198.51.100.2"},
        ).json()
    sessions = person.tenant.me(grant["accessToken"], tail="/sessions").json()["items"]
    current = next(session for session in sessions if session["current"])
    assert current["ipAddress"] == CLIENT
