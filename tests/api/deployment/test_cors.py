"""Pages of other origins: only the application's own, for its own, never a wildcard."""

import httpx
import pytest

from tests.api.world import ADMIN_KEY, Tenant, World

ORIGIN = "https://app.example"
FOREIGN = [
    "https://evil.example",
    "null",
    "https://app.example.evil.example",
    "https://evil-app.example",
    "http://app.example",
    "https://app.example:8443",
    "https://APP.example",
    "https://app.example/",
    "https://sub.app.example",
    "*",
    "",
    "https://app.example, https://evil.example",
]


@pytest.fixture(scope="module")
def tenant(shared: World) -> Tenant:
    return shared.tenant(allowedOrigins=[ORIGIN, "http://localhost:3000"])


def _allowed(answer: httpx.Response) -> str | None:
    assert answer.headers.get("Vary") == "Origin"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    found = answer.headers.get_list("Access-Control-Allow-Origin")
    assert len(found) <= 1
    return found[0] if found else None


def _preflight(tenant: Tenant, origin: str, method: str = "POST") -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return tenant.public("OPTIONS", "/users/token", headers=headers)


def test_an_allowed_origin_may_read_every_answer(tenant: Tenant) -> None:
    person = tenant.user()
    origin = {"Origin": ORIGIN}
    for answer in (
        tenant.public("GET", "/jwks.json", headers=origin),
        tenant.sign_in(headers=origin),
        tenant.sign_in("nobody@example.com", headers=origin),
        tenant.public("POST", "/users/token", {"email": 1}, headers=origin),
        tenant.public("POST", "/users/token", content=b"{", headers=origin),
        tenant.public("POST", "/users/token", content=b"x" * 70_000, headers=origin),
        tenant.public("GET", "/users/me", headers=origin),
        tenant.public("GET", "/users/me", headers=origin, token=person.access),
        tenant.public("PUT", "/users/me", headers=origin),
        tenant.public("GET", "/nowhere", headers=origin),
        tenant.public("GET", "/users/me", headers={**origin, "Host": "evil.example"}),
    ):
        assert _allowed(answer) == ORIGIN
        exposed = {
            name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")
        }
        assert exposed == {"Location", "Retry-After", "WWW-Authenticate", "X-Request-Id"}


def test_a_preflight_of_an_allowed_origin_is_granted(tenant: Tenant) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        answer = _preflight(tenant, ORIGIN, method)
        assert answer.status_code == 204
        assert answer.content == b""
        assert _allowed(answer) == ORIGIN
        assert method in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
        assert answer.headers["Access-Control-Max-Age"] == "600"
        assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize("origin", FOREIGN)
def test_any_other_origin_may_read_nothing(tenant: Tenant, origin: str) -> None:
    for answer in (
        tenant.public("GET", "/jwks.json", headers={"Origin": origin}),
        tenant.sign_in("nobody@example.com", headers={"Origin": origin}),
        _preflight(tenant, origin),
    ):
        assert _allowed(answer) is None
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_each_application_has_its_own_origins(tenant: Tenant) -> None:
    other = tenant.world.tenant(allowedOrigins=["https://other.example"])
    none = tenant.world.tenant()
    for place, allowed in ((tenant, ORIGIN), (other, None), (none, None)):
        assert _allowed(place.public("GET", "/jwks.json", headers={"Origin": ORIGIN})) == allowed
        assert _allowed(_preflight(place, ORIGIN)) == allowed


def test_a_change_of_origins_counts_at_once(world: World) -> None:
    tenant = world.tenant()
    assert _allowed(_preflight(tenant, ORIGIN)) is None
    tenant.update(allowedOrigins=[ORIGIN])
    assert _allowed(_preflight(tenant, ORIGIN)) == ORIGIN
    tenant.update(allowedOrigins=None)
    assert _allowed(_preflight(tenant, ORIGIN)) is None


def test_what_is_no_applications_has_no_origins(shared: World) -> None:
    for path in ("/v1/applications", "/v1/api-keys", "/health", "/v1/applications/x/users/me"):
        answer = shared.send("GET", path, key=ADMIN_KEY, headers={"Origin": ORIGIN})
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_preflight_never_lets_a_page_send_an_api_key(tenant: Tenant) -> None:
    allowed = _preflight(tenant, ORIGIN).headers["Access-Control-Allow-Headers"]
    assert "api-key" not in allowed.lower()
