"""Attacks from the browser's side (catalogue 1.18 and 1.19), and what one request leaves behind."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.lambda_handler import Handler
from tests.api.operations import ID, operations
from tests.api.world import ADMIN_KEY, EMAIL, PASSWORD, Person, World, open_world, refused
from tests.flows.server import Server, serving
from tests.gateway import SHAPES, Gateway, Shape
from tests.security.store import kept
from tests.security.wire import CLOSE, HOST, send

ORIGIN = "https://app.example"
SECURITY = {
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
}
PAGES = ["/users/verification", "/users/password/reset"]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("web") / "data"
    told = {"RATE_LIMITS": "off", "ADMIN_API_KEY": ADMIN_KEY}
    with serving(folder, settings=told) as started:
        yield started


@pytest.fixture(scope="module")
def person(shared: World) -> Person:
    return shared.tenant(allowedOrigins=[ORIGIN]).user()


@pytest.fixture(scope="module")
def everything(person: Person) -> list[tuple[str, httpx.Response]]:
    """Every operation and every page, each as it works and each as it fails."""
    world, tenant = person.tenant.world, person.tenant
    found = []
    for operation in operations(world):
        if operation.method == "DELETE" or operation.id == "revokeUserToken":
            continue
        path = operation.path(application_id=tenant.id, user_id=person.id)
        found += [
            (operation.id, world.send(operation.method, path, operation.body, key=ADMIN_KEY)),
            (operation.id, world.send(operation.method, path, operation.body, token=person.access)),
            (operation.id, world.send(operation.method, path, {"x": 1}, key=ADMIN_KEY)),
            (operation.id, world.send("DELETE", operation.path(), key="wrong")),
        ]
    for page in PAGES:
        found += [
            ("page", tenant.public("GET", f"{page}?token=x")),
            ("page", tenant.public("GET", page)),
            ("page", tenant.public("POST", f"{page}/form", content=b"token=x", headers=FORM)),
        ]
    return found


def _policy(answer: httpx.Response) -> dict[str, str]:
    parts = [part.strip() for part in answer.headers["Content-Security-Policy"].split(";")]
    return {name: value for name, _, value in (part.partition(" ") for part in parts)}


def test_web_01_an_origin_is_allowed_exactly_or_not_at_all(person: Person) -> None:
    for origin in (
        ORIGIN.upper(),
        f"{ORIGIN}:443",
        f"{ORIGIN}.evil.example",
        f"{ORIGIN}@evil.example",
        f"{ORIGIN}/",
        f" {ORIGIN} https://evil.example",
        "https://appXexample",
        "http://app.example",
        "null",
        "file://",
        "https://xn--app.example",
    ):
        for method in ("GET", "OPTIONS"):
            headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
            answer = person.tenant.public(method, "/jwks.json", headers=headers)
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert answer.headers["Vary"] == "Origin"


def test_web_05_a_page_of_elsewhere_signs_nobody_in(person: Person) -> None:
    """What a cross-site form can post brings no cookie and no token, and JSON it cannot post."""
    tenant = person.tenant
    headers = {**FORM, "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    sent = f"email={person.email}&password={person.password}".encode()
    refused(
        tenant.public("POST", "/users/token", content=sent, headers=headers),
        415,
        "unsupported_media_type",
    )
    plain = {**headers, "Content-Type": "text/plain"}
    body = b'{"email":"%s","password":"%s"}' % (person.email.encode(), person.password.encode())
    refused(
        tenant.public("POST", "/users/token", content=body, headers=plain),
        415,
        "unsupported_media_type",
    )
    token = tenant.invitation("eve@example.com", "evil-words-of-eve")
    content = f"token={token}&password=evil-words-of-eve".encode()
    answer = tenant.public("POST", "/users/verification/form", content=content, headers=headers)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert "eyJ" not in answer.text


def test_web_06_looking_changes_nothing(shared: World, person: Person) -> None:
    tenant = person.tenant
    invitation, reset = tenant.invitation("new@example.com"), tenant.reset_token()
    before = kept(shared)
    for operation in operations(shared):
        if operation.method == "GET":
            path = operation.path(application_id=tenant.id, user_id=person.id)
            for method in ("GET", "HEAD", "OPTIONS"):
                shared.send(method, path, key=ADMIN_KEY)
                shared.send(method, path, token=person.access)
    for page, token in zip(PAGES, (invitation, reset), strict=True):
        for method in ("GET", "HEAD", "OPTIONS"):
            tenant.public(method, f"{page}?token={token}&password={PASSWORD}")
    for path in ("/", "/docs", "/openapi.json", "/dev/messages", "/static/passerine.css"):
        shared.send("GET", path)
    assert kept(shared) == before


def test_web_07_pages_run_nothing_and_stand_in_no_frame(
    person: Person, everything: list[tuple[str, httpx.Response]]
) -> None:
    tenant = person.tenant
    suspended = tenant.world.tenant(applicationState="suspended")
    pages = [answer for name, answer in everything if name == "page"]
    pages += [suspended.public("GET", f"{page}?token=x") for page in PAGES]
    pages += [tenant.world.send("GET", "/")]
    accept = {"Accept": "text/html"}
    pages += [tenant.world.send("GET", "/dev/messages", headers=accept)]
    for page in pages:
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        policy = _policy(page)
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["form-action"] == "'self'"
        assert policy.keys() <= {
            *("default-src", "style-src", "img-src", "form-action", "frame-ancestors", "base-uri"),
        }
        assert set(policy.values()) == {"'none'", "'self'"}
        assert page.headers["Cache-Control"] == "no-store"
        assert {name: page.headers[name] for name in SECURITY} == SECURITY


def test_web_09_every_answer_says_what_it_is(everything: list[tuple[str, httpx.Response]]) -> None:
    for name, answer in everything:
        if not answer.content:
            assert answer.status_code == 204
        elif name == "page":
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        else:
            problem = answer.status_code >= 400
            kind = "application/problem+json" if problem else "application/json"
            assert answer.headers["Content-Type"] == kind, name
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        public = name in {"readApplicationJwks", "readOpenIdConfiguration"} and answer.is_success
        assert (answer.headers["Cache-Control"] == "no-store") != public, name


def test_web_09_an_answer_without_a_body_has_no_type(world: World) -> None:
    person = world.tenant().user()
    for answer in (person.tenant.revoke(person.signed_in().refresh), person.call("DELETE")):
        assert answer.status_code == 204
        assert "Content-Type" not in answer.headers


def test_web_10_errors_carry_the_headers_of_success(tmp_path: Path) -> None:
    with open_world(tmp_path, rate_limits="off") as world:
        tenant = world.tenant(allowedOrigins=[ORIGIN])
        world.spoilt = True

        @world.app.get("/v1/applications/{application_id}/fault")
        def fault(application_id: str) -> None:
            raise RuntimeError(application_id)

        json = {"Content-Type": "application/json"}
        text = {"Content-Type": "text/plain"}
        requests: list[tuple[int, str, str, dict[str, str], bytes]] = [
            (200, "GET", "/jwks.json", {}, b""),
            (400, "POST", "/users/token", json, b"{"),
            (401, "GET", "/users/me", {}, b""),
            (404, "GET", "/nowhere/at/all", {}, b""),
            (405, "PUT", "/users/me", {}, b""),
            (413, "POST", "/users/token", json, b" " * 70_000),
            (415, "POST", "/users/token", text, b"{}"),
            (422, "POST", "/users/token", json, b"{}"),
            (500, "GET", "/fault", {}, b""),
        ]
        for status, method, tail, headers, content in requests:
            for origin, allowed in ((ORIGIN, ORIGIN), ("https://evil.example", None)):
                answer = tenant.public(
                    method, tail, content=content, headers={**headers, "Origin": origin}
                )
                assert answer.status_code == status
                assert answer.headers.get("Access-Control-Allow-Origin") == allowed
                assert "Access-Control-Allow-Credentials" not in answer.headers
                assert {name: answer.headers[name] for name in SECURITY} == SECURITY
                assert answer.headers["Vary"] == "Origin"


def test_web_12_no_address_in_a_header_holds_a_token(
    everything: list[tuple[str, httpx.Response]],
) -> None:
    for _, answer in everything:
        assert not 300 <= answer.status_code < 400
        location = answer.headers.get("Location", "")
        assert not re.search(r"[?#]|eyJ|token", location)
        assert (answer.status_code == 201) or not location


def test_web_14_nothing_is_kept_in_a_cookie(everything: list[tuple[str, httpx.Response]]) -> None:
    for name, answer in everything:
        assert "set-cookie" not in answer.headers, name


def test_web_15_no_answer_tells_what_it_is_made_of(server: Server) -> None:
    """Over the wire; that uvicorn names itself, without a version, is its own default."""
    for line in (b"GET /health", b"GET /nowhere", b"POST /v1/applications", b"GET /%ff", b"GET  "):
        reply = send(server.port, line + b" HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")
        names = {header.partition(":")[0].lower() for header in reply.headers}
        assert not names & {"x-powered-by", "via", "x-runtime", "x-aspnet-version", "x-debug"}
        assert not re.search(
            rb"(?i)traceback|starlette|fastapi|pydantic|python/|site-packages", reply.raw
        )
        assert not [header for header in reply.headers if re.match(r"(?i)server:.*\d", header)]


EVIL = [
    *("//evil.example", "/\\evil.example", "https:evil.example", "https:///evil.example"),
    *("/%09/evil.example", "@evil.example", ".evil.example", "javascript:alert(1)", "data:,x"),
    *("https://app.example@evil.example", "https://app.example.evil.example"),
]
NAMES = [
    *("redirect_to", "redirect_uri", "redirectUrl", "next", "return_to", "callbackURL"),
    *("post_logout_redirect_uri", "RelayState", "url", "continue", "verificationUrl"),
]


@pytest.mark.parametrize("url", EVIL)
def test_red_01_no_parameter_leads_anywhere(person: Person, url: str) -> None:
    tenant = person.tenant
    query = "&".join(f"{name}={url.replace('&', '%26')}" for name in NAMES)
    token = tenant.invitation("red@example.com")
    for page in PAGES:
        answer = tenant.public("GET", f"{page}?token={token}&{query}")
        assert answer.status_code == 200
        assert "evil" not in answer.text
        posted = tenant.public("POST", f"{page}/form?{query}", content=b"token=x", headers=FORM)
        assert posted.status_code in {400, 422}
        assert "evil" not in posted.text
    for path in ("/", "/docs", "/health"):
        answer = tenant.world.send("GET", f"{path}?{query}")
        assert answer.status_code == 200
        assert "evil" not in answer.text


def test_red_02_a_link_with_another_address_in_it_uses_nothing_up(world: World) -> None:
    tenant = world.tenant(verificationUrl="https://app.example/verify")
    token = tenant.invitation()
    for tail in (
        f"?token={token}&verificationUrl=https://evil.example",
        f"?token={token}&next=//e",
    ):
        assert tenant.public("GET", f"/users/verification{tail}").status_code == 200
    assert tenant.verify(token).status_code == 200


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://evil.example/v1/applications/x HTTP/1.1",
        b"GET //evil.example/health HTTP/1.1",
        b"GET /health/ HTTP/1.1",
        b"GET /docs/ HTTP/1.1",
        b"GET /v1/applications/ HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"CONNECT evil.example:443 HTTP/1.1",
    ],
)
def test_red_05_no_form_of_a_target_is_redirected(server: Server, line: bytes) -> None:
    forged = b"X-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n"
    reply = send(server.port, line + b"\r\n" + HOST + CLOSE + forged + b"\r\n")
    assert reply.statuses[0] in {400, 404, 405}
    assert b"evil" not in reply.raw
    assert not [header for header in reply.headers if header.lower().startswith("location")]


@pytest.mark.parametrize("shape", SHAPES)
def test_lam_11_a_fault_in_one_request_is_forgotten_in_the_next(
    tmp_path: Path, shape: Shape
) -> None:
    public: dict[str, Any] = {"public_url": "https://auth.example.com", "rate_limits": "off"}
    with open_world(tmp_path, **public) as world:
        one, other = world.tenant().user(), world.tenant().user()
        function = Handler(services=world.services)
        gateway = Gateway(shape=shape, function=function)
        with httpx.Client(transport=gateway, base_url="https://auth.example.com") as client:
            mine = {"Authorization": f"Bearer {one.access}"}
            assert client.get(f"{one.tenant.base}/users/me", headers=mine).json()["id"] == one.id
            world.services.close()
            tmp_path.rename(tmp_path.with_name("elsewhere"))
            assert client.get(f"{one.tenant.base}/users/me", headers=mine).status_code == 503
            world.services.close()
            tmp_path.with_name("elsewhere").rename(tmp_path)
            assert client.get(f"{other.tenant.base}/users/me", headers=mine).status_code == 401
            theirs = {"Authorization": f"Bearer {other.access}"}
            found = client.get(f"{other.tenant.base}/users/me", headers=theirs).json()
            assert found["id"] == other.id
            assert found["email"] == EMAIL
            assert client.get(f"/v1/applications/{ID}/users/me").status_code == 401
        function.close()
