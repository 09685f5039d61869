"""Access tokens that somebody else made, changed or sent elsewhere: all of them are refused."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.common.ids import ApplicationId
from tests.api.world import START, Person, Tenant, World, alike, body, refused

NOW = int(START.timestamp())
CHALLENGE = 'Bearer realm="passerine", error="invalid_token"'


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _part(members: dict[str, Any]) -> str:
    return _encode(json.dumps(members).encode())


def _header(access: str) -> dict[str, Any]:
    return dict(jwt.get_unverified_header(access))


def _claims(access: str) -> dict[str, Any]:
    return dict(jwt.decode(access, options={"verify_signature": False}))


def _refused(answer: httpx.Response) -> None:
    refused(answer, 401, "invalid_token")
    assert answer.headers["WWW-Authenticate"] == CHALLENGE


@pytest.fixture(scope="module")
def tenant(shared: World) -> Tenant:
    return shared.tenant()


@pytest.fixture(scope="module")
def person(tenant: Tenant) -> Person:
    return tenant.user()


@pytest.fixture(scope="module")
def signer(tenant: Tenant) -> Callable[..., str]:
    """Signs with the application's own key: what is refused then is refused for what it says."""
    applications = tenant.world.services.applications
    ring = applications.rings.read_now(ApplicationId(tenant.id))
    assert ring is not None
    private = applications.key_rings.private_key(ApplicationId(tenant.id), ring.current)
    kid = ring.current.kid

    def sign(claims: dict[str, Any], **header: Any) -> str:
        head = {"typ": "at+jwt", "kid": kid, "alg": "EdDSA", **header}
        head = {name: value for name, value in head.items() if value is not None}
        signed = f"{_part(head)}.{_part(claims)}"
        return f"{signed}.{_encode(private.sign(signed.encode()))}"

    return sign


def test_the_signer_of_these_tests_is_believed(
    tenant: Tenant, person: Person, signer: Callable[..., str]
) -> None:
    assert tenant.me(signer(_claims(person.access))).status_code == 200


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "NONE", "", "null"])
@pytest.mark.parametrize("ending", [".", "", ".x"])
def test_an_unsigned_token_is_refused(
    tenant: Tenant, person: Person, algorithm: str, ending: str
) -> None:
    head = {**_header(person.access), "alg": algorithm}
    _refused(tenant.me(f"{_part(head)}.{_part(_claims(person.access))}{ending}"))


@pytest.mark.parametrize("name", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_shared_secret(world: World, name: str) -> None:
    tenant = world.tenant(signingAlgorithm="RS256")
    person = tenant.user()
    head = {**_header(person.access), "alg": name}
    kid = head["kid"]
    (jwk,) = [k for k in body(tenant.public("GET", "/jwks.json"))["keys"] if k["kid"] == kid]
    public = jwt.PyJWK(jwk).key
    secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(jwk).encode(),
        jwk["n"].encode(),
        b"",
    ]
    signed = f"{_part(head)}.{_part(_claims(person.access))}"
    hashing = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[name]
    for secret in secrets:
        tag = hmac.new(secret, signed.encode(), hashing).digest()
        _refused(tenant.me(f"{signed}.{_encode(tag)}"))
    assert person.call("GET").status_code == 200


def test_a_key_that_comes_with_the_token_is_not_asked(tenant: Tenant, person: Person) -> None:
    own = Ed25519PrivateKey.generate()
    raw = own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": _encode(raw)}
    for more in ({}, {"jwk": jwk}, {"jku": "https://evil.example/jwks.json"}, {"x5u": "x"}):
        head = {**_header(person.access), **more}
        signed = f"{_part(head)}.{_part(_claims(person.access))}"
        _refused(tenant.me(f"{signed}.{_encode(own.sign(signed.encode()))}"))


def test_another_applications_token_is_refused(world: World) -> None:
    one, other = world.tenant(), world.tenant()
    mine, theirs = one.user(), other.user()
    for _ in range(3):
        _refused(one.me(theirs.access))
        _refused(other.me(mine.access))
        assert one.me(mine.access).status_code == 200
        assert other.me(theirs.access).status_code == 200


def test_even_the_same_audience_lets_no_token_into_another_application(world: World) -> None:
    one, other = (world.tenant(audience="https://api.example.com") for _ in range(2))
    _refused(other.me(one.user().access))


@pytest.mark.parametrize(
    "kid",
    ["", "x", "../../etc/passwd", "' OR 1=1 --", "x" * 5000, 1, None, ["x"], {"a": 1}, True],
)
def test_a_kid_that_names_no_key_of_the_application_is_refused(
    tenant: Tenant, person: Person, signer: Callable[..., str], kid: Any
) -> None:
    _refused(tenant.me(signer(_claims(person.access), kid=kid)))


def test_another_applications_kid_is_refused(
    tenant: Tenant, person: Person, signer: Callable[..., str]
) -> None:
    foreign = body(tenant.world.tenant().public("GET", "/jwks.json"))["keys"][0]["kid"]
    _refused(tenant.me(signer(_claims(person.access), kid=foreign)))


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "jwt"},
        {"typ": None},
        {"typ": "application/at+jwt+x"},
        {"typ": 1},
        {"crit": ["x"], "x": 1},
        {"crit": ["b64"], "b64": False},
        {"crit": ["b64"], "b64": True},
        {"crit": []},
        {"crit": ["exp"]},
        {"alg": "ES256"},
        {"alg": "RS256"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": None},
        {"alg": ["EdDSA"]},
        {"b64": False},
    ],
)
def test_a_header_that_says_something_else_is_refused(
    tenant: Tenant, person: Person, signer: Callable[..., str], header: dict[str, Any]
) -> None:
    _refused(tenant.me(signer(_claims(person.access), **header)))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW},
        {"exp": NOW - 1},
        {"exp": 0},
        {"exp": -1},
        {"exp": None},
        {"exp": str(NOW + 900)},
        {"exp": NOW + 900.5},
        {"exp": True},
        {"exp": [NOW + 900]},
        {"exp": ...},
        {"iat": ...},
        {"jti": ...},
        {"iss": ...},
        {"iss": ""},
        {"iss": "http://localhost"},
        {"iss": "https://evil.example"},
        {"iss": ["http://localhost"]},
        {"iss": 1},
        {"sub": ...},
        {"sub": ""},
        {"sub": 7},
        {"sub": None},
        {"sub": "profile"},
        {"sub": "019ca945-0a00-7001-9c76-e6773e9f1b85"},
        {"aud": ...},
        {"aud": ""},
        {"aud": []},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": 1},
        {"client_id": ...},
        {"client_id": "other"},
        {"sid": ...},
        {"sid": ""},
        {"sid": 7},
        {"sid": "../session"},
        {"sid": "019ca945-0a00-7001-9c76-e6773e9f1b85"},
    ],
)
def test_claims_that_say_something_else_are_refused(
    tenant: Tenant, person: Person, signer: Callable[..., str], changes: dict[str, Any]
) -> None:
    claims = {**_claims(person.access), **changes}
    _refused(tenant.me(signer({k: v for k, v in claims.items() if v is not ...})))


def test_an_issuer_that_only_looks_like_ours_is_refused(
    tenant: Tenant, person: Person, signer: Callable[..., str]
) -> None:
    claims = _claims(person.access)
    ours = claims["iss"]
    other = tenant.world.tenant()
    for issuer in (
        ours + "/",
        ours[:-1],
        ours + "x",
        ours.upper(),
        ours.replace("http://", "HTTP://"),
        ours.replace("http://localhost", "http://evil.example"),
        ours.replace("http://localhost", "http://localhost.evil.example"),
        ours.replace("http://localhost", "http://localhost@evil.example"),
        ours.replace("http://localhost", "ftp://localhost"),
        ours.replace("http://localhost", "localhost"),
        ours.replace("http://localhost", "http://localhost/x"),
        f"http://localhost{other.base}",
        [ours],
    ):
        _refused(tenant.me(signer({**claims, "iss": issuer})))


def test_an_exact_member_of_a_list_of_audiences_is_accepted(
    tenant: Tenant, person: Person, signer: Callable[..., str]
) -> None:
    claims = _claims(person.access)
    assert tenant.me(signer({**claims, "aud": ["other", tenant.id]})).status_code == 200
    for audience in (tenant.id[:-1], tenant.id + "x", [tenant.id[:-1], tenant.id + "x"]):
        _refused(tenant.me(signer({**claims, "aud": audience})))


def test_a_user_of_another_application_is_nobody_here(
    tenant: Tenant, person: Person, signer: Callable[..., str]
) -> None:
    theirs = tenant.world.tenant().user()
    foreign = _claims(theirs.access)
    ours = _claims(person.access)
    _refused(tenant.me(signer({**ours, "sub": foreign["sub"], "sid": foreign["sid"]})))
    _refused(tenant.me(signer({**ours, "sub": foreign["sub"]})))
    _refused(tenant.me(signer({**ours, "sid": foreign["sid"]})))


def test_a_token_that_was_changed_by_one_character_is_refused(
    tenant: Tenant, person: Person
) -> None:
    access = person.access
    other = person.signed_in().access
    head, payload, tag = access.split(".")
    for place in (0, 3, len(head) + 5, len(access) // 2, len(access) - 20, len(access) - 1):
        for instead in "AB":
            changed = access[:place] + instead + access[place + 1 :]
            if changed != access:
                _refused(tenant.me(changed))
    _, other_payload, other_tag = other.split(".")
    _refused(tenant.me(f"{head}.{other_payload}.{tag}"))
    _refused(tenant.me(f"{head}.{payload}.{other_tag}"))
    _refused(tenant.me(f"{head}.{payload}"))
    _refused(tenant.me(f"{head}.{payload}.{tag}.{tag}"))
    _refused(tenant.me(f"{head}..{tag}"))


def test_only_the_one_spelling_of_a_token_counts(tenant: Tenant, person: Person) -> None:
    head, payload, tag = person.access.split(".")
    padded = [part + "=" * (-len(part) % 4) for part in (head, payload, tag)]
    for spelling in (
        ".".join(padded),
        f"{head}.{payload}.{tag}==",
        f"{head}.{payload}.{tag}=",
        f"{head}.{payload}.{tag}!",
        f"{head}.{payload}.{tag}\t",
        f"{head}.{payload}.{tag[:10]}\t{tag[10:]}",
        f"{head}.{payload}.{tag[:10]}*{tag[10:]}",
        f"{head}.{payload}.{tag.replace('-', '+').replace('_', '/')}~",
        f"{head}.{payload}.{tag[:-1]}{chr(ord(tag[-1]) + 1)}",
        f".{person.access}",
        f"{person.access}.",
    ):
        _refused(tenant.me(spelling))


@pytest.mark.parametrize(
    "text",
    [
        "x",
        ".",
        "..",
        "...",
        "e30.e30.",
        "e30.e30.AA",
        "W10.W10.AA",
        "bnVsbA.bnVsbA.AA",
        "a.b.c.d.e",
        "x" * 8193,
        "x" * 60_000,
        '{"payload":"e30","signatures":[]}',
        "%2e%2e",
        "\x7f",
    ],
)
def test_what_is_no_token_is_refused(tenant: Tenant, text: str) -> None:
    _refused(tenant.me(text))


def test_deeply_nested_json_in_a_token_is_refused(tenant: Tenant) -> None:
    deep = _encode(b"[" * 3000)
    _refused(tenant.me(f"{deep}.{deep}.AA"))


def test_a_refresh_token_is_no_access_token(tenant: Tenant, person: Person) -> None:
    _refused(tenant.me(person.refresh))


def test_an_access_token_is_no_refresh_token(tenant: Tenant, person: Person) -> None:
    refused(tenant.refresh(person.access), 401, "invalid_refresh_token")


@pytest.mark.parametrize(
    "scheme",
    ["Basic {}", "Bearer", "Bearer ", "Bearer  {}", "Bearer {} {}", "{}", "Token {}", "Bearer{}"],
)
def test_a_header_of_another_form_is_refused(tenant: Tenant, person: Person, scheme: str) -> None:
    headers = {"Authorization": scheme.format(person.access, person.access)}
    _refused(tenant.public("GET", "/users/me", headers=headers))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_name_of_the_scheme_has_no_case(tenant: Tenant, person: Person, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {person.access}"}
    assert tenant.public("GET", "/users/me", headers=headers).status_code == 200


def test_two_authorization_headers_are_refused(tenant: Tenant, person: Person) -> None:
    good = ("Authorization", f"Bearer {person.access}")
    for other in (good, ("Authorization", "Bearer x"), ("Authorization", "Basic eDp5")):
        _refused(tenant.public("GET", "/users/me", headers=[good, other]))
        _refused(tenant.public("GET", "/users/me", headers=[other, good]))


def test_a_token_anywhere_but_in_its_header_is_not_seen(tenant: Tenant, person: Person) -> None:
    _refused(tenant.public("GET", f"/users/me?access_token={person.access}"))
    _refused(tenant.public("GET", "/users/me", headers={"Cookie": f"token={person.access}"}))
    _refused(tenant.public("PATCH", "/users/me", {"access_token": person.access}))


def test_expired_forged_and_malformed_tokens_are_answered_alike(
    tenant: Tenant, person: Person, signer: Callable[..., str]
) -> None:
    expired = tenant.me(signer({**_claims(person.access), "exp": NOW}))
    forged = tenant.me(person.access[:-4] + "AAAA")
    malformed = tenant.me("x")
    none = tenant.public("GET", "/users/me")
    assert alike(expired, forged)
    assert alike(expired, malformed)
    assert alike(expired, none)
