"""What verifiers fetch, and that they need the issuer alone."""

from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.api.world import ADMIN_KEY, ORIGIN, Tenant, World, alike, body, open_world, refused

NOWHERE = "019ca945-0a00-7001-9c76-e6773e9f1b85"


def _verified(tenant: Tenant, access: str) -> dict[str, Any]:
    """The claims, as an off-the-shelf verifier reads them that knows the issuer alone."""
    path = f"{tenant.base}/.well-known/openid-configuration"
    configuration = body(tenant.world.send("GET", path))
    assert configuration["issuer"] == ORIGIN + tenant.base
    keys = jwt.PyJWKSet.from_dict(body(tenant.world.send("GET", configuration["jwks_uri"])))
    key = keys[jwt.get_unverified_header(access)["kid"]]
    claims: dict[str, Any] = jwt.decode(
        access,
        key,
        algorithms=configuration["id_token_signing_alg_values_supported"],
        audience=tenant.id,
        issuer=configuration["issuer"],
        options={"verify_exp": False, "verify_iat": False, "require": ["exp", "iat", "sub"]},
    )
    return claims


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_verifier_that_knows_the_issuer_accepts_our_token(shared: World, algorithm: str) -> None:
    tenant = shared.tenant(signingAlgorithm=algorithm)
    person = tenant.user()
    assert _verified(tenant, person.access)["sub"] == person.id


def test_it_refuses_another_applications_token(shared: World) -> None:
    tenant, other = shared.tenant(), shared.tenant()
    with pytest.raises(KeyError):
        _verified(tenant, other.user().access)


def test_the_metadata_name_the_issuer_and_its_keys(shared: World) -> None:
    tenant = shared.tenant()
    answer = tenant.public("GET", "/.well-known/openid-configuration")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {
        "issuer": ORIGIN + tenant.base,
        "jwks_uri": f"{ORIGIN}{tenant.base}/jwks.json",
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
    }
    application = tenant.read()
    assert application["issuer"] == answer.json()["issuer"]
    assert application["jwksUri"] == answer.json()["jwks_uri"]


def test_the_set_may_be_kept_for_five_minutes_and_lies_at_two_addresses(shared: World) -> None:
    tenant = shared.tenant()
    one = tenant.public("GET", "/jwks.json")
    other = tenant.public("GET", "/.well-known/jwks.json")
    for answer in (one, other):
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=300"
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json().keys() == {"keys"}
    assert alike(one, other)


def test_the_issuer_is_under_the_name_by_which_the_service_is_called(shared: World) -> None:
    tenant = shared.tenant()
    person = tenant.user()
    for host in ("127.0.0.1:8000", "[::1]:9000", "auth.localhost"):
        path = f"http://{host}{tenant.base}/.well-known/openid-configuration"
        assert body(shared.send("GET", path))["issuer"] == f"http://{host}{tenant.base}"
        url = f"http://{host}{tenant.base}/users/me"
        assert shared.send("GET", url, token=person.access).status_code == 200


def test_a_public_url_is_every_issuers_origin(tmp_path: Path) -> None:
    with open_world(tmp_path, public_url="https://auth.example.com") as world:
        tenant = world.tenant()
        headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
        answer = tenant.public("GET", "/.well-known/openid-configuration", headers=headers)
        assert answer.json()["issuer"] == f"https://auth.example.com{tenant.base}"
        made = world.send("POST", "http://anything.example/v1/applications", {}, key=ADMIN_KEY)
        assert made.headers["Location"].startswith("https://auth.example.com/v1/applications/")
        claims = jwt.decode(tenant.user().access, options={"verify_signature": False})
        assert claims["iss"] == f"https://auth.example.com{tenant.base}"
        message = world.messages("ada@example.com")[0]
        assert message.url is not None
        assert message.url.startswith(f"https://auth.example.com{tenant.base}/users/verification?")


def test_with_a_public_url_tokens_of_another_origin_are_refused(tmp_path: Path) -> None:
    with open_world(tmp_path) as before:
        tenant = before.tenant()
        person = tenant.user()
    with open_world(tmp_path, public_url="https://auth.example.com") as after:
        answer = after.send("GET", f"{tenant.base}/users/me", token=person.access)
        refused(answer, 401, "invalid_token")


@pytest.mark.parametrize(
    "tail", ["/jwks.json", "/.well-known/jwks.json", "/.well-known/openid-configuration"]
)
def test_an_unknown_application_has_no_keys(shared: World, tail: str) -> None:
    for nobody in (NOWHERE, "x", "%2e%2e"):
        answer = shared.send("GET", f"/v1/applications/{nobody}{tail}")
        refused(answer, 404, "application_not_found")
