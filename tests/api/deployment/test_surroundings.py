"""Under which names the service answers, whom it believes, and what every answer carries."""

import re
import uuid
from pathlib import Path

import pytest

from tests.api.operations import operations
from tests.api.world import (
    ADMIN_KEY,
    EMAIL,
    PASSWORD,
    Tenant,
    World,
    body,
    open_world,
    refused,
)

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8000",
        "LOCALHOST",
        "127.0.0.1",
        "127.0.0.1:65535",
        "127.1.2.3",
        "[::1]",
        "[::1]:8000",
        "[0:0:0:0:0:0:0:1]",
        "auth.localhost:3000",
    ],
)
def test_a_loopback_name_is_the_origin(shared: World, host: str) -> None:
    answer = shared.send(
        "POST",
        "/v1/applications",
        {"signingAlgorithm": "EdDSA"},
        key=ADMIN_KEY,
        headers={"Host": host},
    )
    assert answer.status_code == 201
    assert answer.json()["issuer"].startswith(f"http://{host.lower()}/v1/applications/")
    assert answer.headers["Location"] == answer.json()["issuer"]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil-localhost",
        "localhost@evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.1",
        "0.0.0.0",
        "[::]",
        "[::ffff:8.8.8.8]",
        "2130706433",
        "localhost:0",
        "localhost:65536",
        "localhost:x",
        "localhost:",
        "localhost/x",
        "localhost localhost",
        "localhost, evil.example",
        "",
        " ",
        "[::1",
        "::1",
    ],
)
def test_any_other_host_is_refused_and_not_repeated(shared: World, host: str) -> None:
    for method, path in (("GET", "/health"), ("GET", "/nowhere"), ("POST", "/v1/applications")):
        answer = shared.send(method, path, headers={"Host": host}, key=ADMIN_KEY)
        refused(answer, 400, "unknown_host")
        assert "evil" not in answer.text


def test_two_hosts_or_none_are_refused(shared: World) -> None:
    headers = [("Host", "localhost"), ("Host", "localhost")]
    refused(shared.send("GET", "/health", headers=headers), 400, "unknown_host")
    headers = [("Host", "localhost"), ("Host", "evil.example")]
    refused(shared.send("GET", "/health", headers=headers), 400, "unknown_host")


def test_forwarded_names_are_never_believed(shared: World) -> None:
    headers = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Port": "444",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "host=evil.example;proto=https",
        "X-Original-URL": "/evil",
        "X-Host": "evil.example",
    }
    tenant = shared.tenant()
    answer = tenant.public("GET", "/.well-known/openid-configuration", headers=headers)
    assert answer.json()["issuer"] == f"http://localhost{tenant.base}"
    assert "evil" not in answer.text
    tenant.public(
        "POST", "/users", {"email": "a@example.com", "password": "a good long one"}, headers=headers
    )
    url = shared.last_message("a@example.com").url
    assert url is not None
    assert url.startswith(f"http://localhost{tenant.base}/users/verification?")


def test_a_request_over_https_is_answered_under_https(shared: World) -> None:
    tenant = shared.tenant()
    path = f"https://localhost{tenant.base}/.well-known/openid-configuration"
    assert body(shared.send("GET", path))["issuer"] == f"https://localhost{tenant.base}"


def _address(world: World, tenant: Tenant, peer: tuple[str, int], *forwarded: str) -> str:
    headers = [("X-Forwarded-For", value) for value in forwarded]
    access = tenant.sign_in(headers=headers, peer=peer).json()["accessToken"]
    sessions = body(tenant.me(access, "GET", "/sessions"))["items"]
    return str(next(one["ipAddress"] for one in sessions if one["current"]))


def test_without_trusted_proxies_the_socket_tells_the_address(world: World) -> None:
    tenant = world.tenant()
    tenant.user()
    assert _address(world, tenant, ("192.0.2.1", 5000)) == "192.0.2.1"
    assert _address(world, tenant, ("192.0.2.1", 5000), "203.0.113.9") == "192.0.2.1"
    assert _address(world, tenant, ("127.0.0.1", 5000), "203.0.113.9") == "127.0.0.1"
    # Uvicorn believes a loopback peer unasked; the port 0 gives it away.
    assert _address(world, tenant, ("203.0.113.9", 0), "203.0.113.9") == "127.0.0.1"
    assert _address(world, tenant, ("testclient", 5000)) == ""


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["203.0.113.9, garbage"], ""),
        ("10.0.0.1", [""], ""),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("2001:db8::1", ["2001:DB8:1:0::9"], "2001:db8:1::9"),
        ("10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
    ],
)
def test_a_trusted_proxy_tells_the_nearest_address_that_is_not_one(
    behind_proxies: Tenant, peer: str, forwarded: list[str], address: str
) -> None:
    assert _address(behind_proxies.world, behind_proxies, (peer, 5000), *forwarded) == address


@pytest.fixture(scope="module")
def behind_proxies(tmp_path_factory: pytest.TempPathFactory) -> object:
    with open_world(
        tmp_path_factory.mktemp("proxied"), trusted_proxies="10.0.0.0/8, 2001:db8::/64"
    ) as world:
        tenant = world.tenant()
        tenant.user()
        yield tenant


def test_every_answer_carries_its_id_and_the_security_headers(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    answers = [
        tenant.admin("GET"),
        tenant.admin("POST", "/keys"),
        person.call("GET"),
        person.call("DELETE", "/sessions"),
        person.call("GET"),
        tenant.public("GET", "/jwks.json"),
        world.send("GET", "/health"),
        world.send("GET", "/openapi.json"),
        world.send("GET", "/nowhere"),
        world.send("PUT", "/health"),
        world.send("GET", "/health", headers={"Host": "evil.example"}),
        world.admin("POST", "/v1/applications", {"name": 1}),
        world.send("POST", "/v1/applications", content=b"x" * 70_000, key=ADMIN_KEY),
        world.send("POST", "/v1/applications", content=b"x", key=ADMIN_KEY),
        tenant.sign_up("nobody"),
        world.send("OPTIONS", "/health"),
    ]
    assert {answer.status_code for answer in answers} == {
        200,
        201,
        204,
        400,
        401,
        404,
        405,
        413,
        415,
        422,
    }
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert len(set(ids)) == len(ids)
    for answer in answers:
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
        assert uuid.UUID(answer.headers["X-Request-Id"]).version == 7
        assert "Server" not in answer.headers
        assert "X-Powered-By" not in answer.headers
        assert (
            answer.headers.get_list("Content-Type") == answer.headers.get_list("Content-Type")[:1]
        )
        public = answer.headers["Cache-Control"] != "no-store"
        assert public == ("keys" in answer.text and "kty" in answer.text)


def test_the_clients_request_id_is_not_taken_over(shared: World) -> None:
    answer = shared.send("GET", "/health", headers={"X-Request-Id": "mine"})
    assert answer.headers.get_list("X-Request-Id") != ["mine"]


def test_a_fault_inside_is_a_plain_500_with_the_request_id(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_world(tmp_path) as world:
        world.spoilt = True
        tenant = world.tenant(allowedOrigins=["https://app.example"])

        @world.app.get("/fault")
        def fault() -> None:
            raise RuntimeError("the secret wish of ada@example.com")

        @world.app.get("/v1/applications/{application_id}/fault")
        def fault_of_application(application_id: str) -> None:
            raise KeyError(application_id)

        answer = world.send("GET", "/fault")
        refused(answer, 500, "internal_error")
        assert "RuntimeError" not in answer.text
        assert "wish" not in answer.text
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
        assert answer.headers["X-Request-Id"] in caplog.text
        answer = tenant.public("GET", "/fault", headers={"Origin": "https://app.example"})
        refused(answer, 500, "internal_error")
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"]


def test_other_methods_are_refused_with_the_ones_that_are_taken(shared: World) -> None:
    routes = [(operation.template, operation.method) for operation in operations(shared)]
    base = "/v1/applications/{application_id}"
    routes += [(base + "/users/verification", "GET"), (base + "/users/password/reset", "GET")]
    tenant = shared.tenant()
    for template in {template for template, _ in routes}:
        path = re.sub(r"\{[a-z_]+\}", tenant.id, template)
        # An id of a user may be any text, so a fixed path takes what the one with an id takes.
        taken = {
            method
            for one, method in routes
            if re.fullmatch(re.sub(r"\{[a-z_]+\}", "[^/]+", one), path)
        }
        for method in set(METHODS) - taken:
            answer = shared.send(method, path, key=ADMIN_KEY)
            refused(answer, 405, "method_not_allowed")
            assert answer.headers["Allow"] == ", ".join(sorted(taken))


def test_a_method_is_not_overridden(world: World) -> None:
    tenant = world.tenant()
    for headers in ({"X-HTTP-Method-Override": "DELETE"}, {"X-Method-Override": "DELETE"}):
        answer = world.send("GET", tenant.base, key=ADMIN_KEY, headers=headers)
        assert answer.status_code == 200
        refused(
            world.send("POST", tenant.base, key=ADMIN_KEY, headers=headers),
            405,
            "method_not_allowed",
        )
    assert world.admin("GET", tenant.base + "?_method=DELETE").status_code == 200
    assert tenant.admin("GET").status_code == 200


def test_head_changes_nothing(world: World) -> None:
    tenant = world.tenant()
    token = tenant.invitation()
    before = sorted(world.rows())
    for tail in ("", "/users", "/keys", "/jwks.json", f"/users/verification?token={token}"):
        assert world.send("HEAD", tenant.base + tail, key=ADMIN_KEY).status_code == 405
    assert sorted(world.rows()) == before


def test_the_log_names_the_operation_and_holds_nothing_that_was_sent(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="passerine.access")
    tenant = world.tenant()
    person = tenant.user()
    token = tenant.reset_token()
    caplog.clear()
    tenant.public("GET", f"/users/password/reset?token={token}")
    answer = tenant.sign_in()
    tenant.sign_in(password="a wrong passphrase")
    tenant.reset(token)
    person.call("GET")
    world.send("GET", f"/{token}")
    records = [one for one in caplog.records if one.name == "passerine.access"]
    base = "/v1/applications/{application_id}"
    assert [one.getMessage() for one in records] == [
        f"GET {base}/users/password/reset 200",
        f"POST {base}/users/token 200",
        f"POST {base}/users/token 401",
        f"PUT {base}/users/password 204",
        f"GET {base}/users/me 401",
        "GET - 404",
    ]
    extra = [vars(one) for one in records]
    assert [one["operation"] for one in extra] == [
        "-",
        "requestUserToken",
        "requestUserToken",
        "updatePassword",
        "readCurrentUser",
        "-",
    ]
    assert extra[1]["request_id"] == answer.headers["X-Request-Id"]
    assert {one["application"] for one in extra[:5]} == {tenant.id}
    told = repr(extra) + caplog.text
    for secret in (token, person.access, person.refresh, EMAIL, PASSWORD, "a wrong passphrase"):
        assert secret not in told
