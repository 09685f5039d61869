"""Attacks on signing keys (catalogue 1.7)."""

import base64
import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from app.adapters.platform import DATABASE
from tests.api.operations import operations
from tests.api.world import ADMIN_KEY, Tenant, World, body, open_world, refused
from tests.flows.effort import is_full
from tests.security.forge import b64, opened, signer

RSA_APPLICATIONS = 50 if is_full() else 5
TRAPS = [
    "/public/{}/public.key",
    "/private/{}/private.key",
    "/v1/applications/{}/keys/private",
    "/v1/applications/{}/private.key",
    "/v1/applications/{}/.well-known/private.json",
    "/v1/applications/{}/.well-known/..%2fkeys",
    "/v1/applications/{}/%2e%2e/%2e%2e/%2e%2e/local.key",
    "/v1/applications/{}/jwks.json%00.key",
    "/static/..%2f..%2f..%2fpasserine.db",
    "/static/%2e%2e/local.key",
    "/docs/%2e%2e%2flocal.key",
    "/local.key",
    "/passerine.db",
    "/.passerine/local.key",
]


def _private(der: bytes) -> list[bytes]:
    """What of a key nobody else may have."""
    match load_der_private_key(der, None):
        case RSAPrivateKey() as rsa:
            all_of_it = rsa.private_numbers()
            numbers = [all_of_it.d, all_of_it.p, all_of_it.q, all_of_it.dmp1, all_of_it.dmq1]
            return [der, *(n.to_bytes((n.bit_length() + 7) // 8, "big") for n in numbers)]
        case EllipticCurvePrivateKey() as curve:
            return [der, curve.private_numbers().private_value.to_bytes(32, "big")]
        case Ed25519PrivateKey() as edwards:
            return [der, edwards.private_bytes_raw()]
        case other:
            raise TypeError(type(other).__name__)


def _secrets(world: World) -> list[bytes]:
    """Every private key in the store, in every way in which it could be written down."""
    raw = [part for der in opened(world).values() for part in _private(der)]
    assert len(raw) > 15
    return [
        form
        for one in raw
        for form in (one, one.hex().encode(), b64(one).encode(), base64.b64encode(one)[:40])
    ]


@pytest.fixture(scope="module")
def tenants(shared: World) -> list[Tenant]:
    return [shared.tenant(signingAlgorithm=name) for name in ("RS256", "ES256", "EdDSA")]


def test_key_01_no_two_applications_share_anything(world: World) -> None:
    sets = [
        body(world.tenant(signingAlgorithm=name).public("GET", "/jwks.json"))["keys"]
        for name in ("EdDSA", "EdDSA", "ES256", "ES256", "RS256")
    ]
    every = [key for keys in sets for key in keys]
    assert len({key["kid"] for key in every}) == len(every) == 10
    assert len({key.get("x", key.get("n")) for key in every}) == 10


def test_key_02_no_answer_holds_a_private_key(shared: World, tenants: list[Tenant]) -> None:
    person = tenants[0].user()
    secrets = _secrets(shared)
    paths = [
        operation.path(application_id=tenant.id, user_id=person.id, kid=signer(tenant).kid)
        for operation in operations(shared)
        for tenant in tenants
        if operation.method == "GET"
    ]
    answers = [shared.send("GET", path, key=ADMIN_KEY) for path in paths]
    answers += [shared.send("GET", path, token=person.access) for path in paths]
    paths = ["/", "/docs", "/dev/messages", "/static/passerine.css", "/nowhere"]
    answers += [shared.send("GET", path) for path in paths]
    trapped = [shared.send("GET", trap.format(tenants[0].id), key=ADMIN_KEY) for trap in TRAPS]
    assert {answer.status_code for answer in trapped} <= {404, 405}
    assert len(answers) > 60
    for answer in [*answers, *trapped]:
        for secret in secrets:
            assert secret not in answer.content


def test_key_03_the_files_hold_private_keys_only_sealed(
    shared: World, tenants: list[Tenant]
) -> None:
    assert body(tenants[0].admin("POST", "/keys"))["kid"]
    files = sorted(shared.folder.glob(f"{DATABASE}*"))
    stored = b"".join(file.read_bytes() for file in files)
    assert b"sealed" in stored
    for secret in [*_secrets(shared), (shared.folder / "local.key").read_bytes().strip()]:
        assert secret not in stored
    for label in (b"PRIVATE KEY", b'"d":', b'"qi":'):
        assert label not in stored


def test_key_04_a_new_application_has_its_keys_in_the_same_moment(world: World) -> None:
    def life(number: int) -> int:
        tenant = world.tenant()
        assert len(body(tenant.public("GET", "/jwks.json"))["keys"]) == 2
        assert tenant.public("GET", "/.well-known/openid-configuration").status_code == 200
        return tenant.user(f"u{number}@example.com").call("GET").status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(life, range(8))) == [200] * 8


def test_key_06_parallel_rotations_leave_whole_pairs(world: World) -> None:
    tenant = world.tenant()
    with (
        open_world(world.folder, hour=world.hour, rate_limits="off") as worker,
        ThreadPoolExecutor(6) as pool,
    ):
        doors = [tenant, replace(tenant, world=worker)]
        made = list(pool.map(lambda n: doors[n % 2].admin("POST", "/keys"), range(6)))
        assert {answer.status_code for answer in made} == {201}
        listed = body(tenant.admin("GET", "/keys"))["items"]
        assert [key["state"] for key in listed].count("current") == 1
        public = {key["kid"]: key["x"] for key in body(tenant.public("GET", "/jwks.json"))["keys"]}
        for kid, der in opened(world).items():
            private = load_der_private_key(der, None)
            assert b64(private.public_key().public_bytes_raw()) == public[kid]  # type: ignore[union-attr]  # they are all of EdDSA
        token = tenant.user().access
        assert doors[1].me(token).status_code == 200


def test_key_07_a_revoked_key_is_revoked_at_every_worker(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    with open_world(world.folder, hour=world.hour, rate_limits="off") as worker:
        there = replace(tenant, world=worker)
        assert there.me(person.access).status_code == 200
        old = signer(tenant).kid
        assert tenant.admin("POST", "/keys").status_code == 201
        assert there.me(person.access).status_code == 200
        assert tenant.admin("DELETE", f"/keys/{old}").status_code == 204
        world.advance(30)  # a change of keys may take so long to be seen
        for door in (tenant, there):
            refused(door.me(person.access), 401, "invalid_token")
            kids = {key["kid"] for key in body(door.public("GET", "/jwks.json"))["keys"]}
            assert old not in kids
        assert there.me(person.signed_in().access).status_code == 200


def test_key_08_the_set_may_be_cached_for_a_bounded_time(tenants: list[Tenant]) -> None:
    for tail in ("/jwks.json", "/.well-known/jwks.json", "/.well-known/openid-configuration"):
        answer = tenants[0].public("GET", tail)
        assert answer.headers["Cache-Control"] == "public, max-age=300"
        assert "Set-Cookie" not in answer.headers
        missing = replace(tenants[0], id="019ca945-0a00-7001-9c76-e6773e9f1b85")
        refused(missing.public("GET", tail), 404, "application_not_found")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "evil.example"},
        {"Forwarded": "host=evil.example;proto=https"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Prefix": "/evil"},
        {"X-Original-URL": "/v1/applications/evil"},
        {"X-Rewrite-URL": "/evil"},
    ],
)
def test_key_09_no_header_moves_the_issuer(tenants: list[Tenant], headers: dict[str, str]) -> None:
    tenant = tenants[2]
    issuer = f"http://localhost{tenant.base}"
    found = body(tenant.public("GET", "/.well-known/openid-configuration", headers=headers))
    assert found["issuer"] == issuer
    assert found["jwks_uri"] == f"{issuer}/jwks.json"
    assert found["id_token_signing_alg_values_supported"] == ["EdDSA"]
    assert found["response_types_supported"] == []
    assert "none" not in json.dumps(found)
    assert "evil" not in json.dumps(found)


def test_key_09_under_a_public_url_every_host_gets_its_issuer(world: World) -> None:
    url = "https://auth.example.com"
    folder = world.folder
    with open_world(folder, hour=world.hour, rate_limits="off", public_url=url) as public:
        tenant = public.tenant()
        for host in ("auth.example.com", "evil.example", "localhost"):
            tail = "/.well-known/openid-configuration"
            found = body(tenant.public("GET", tail, headers={"Host": host}))
            assert found["issuer"] == f"{url}{tenant.base}"
            assert found["jwks_uri"].startswith("https://auth.example.com/")


def test_key_10_moduli_share_no_prime_and_kids_no_order(world: World) -> None:
    numbers, kids = [], []
    for _ in range(RSA_APPLICATIONS):
        keys = body(world.tenant(signingAlgorithm="RS256").public("GET", "/jwks.json"))["keys"]
        kids += [key["kid"] for key in keys]
        numbers += [
            int.from_bytes(base64.urlsafe_b64decode(key["n"] + "=="), "big") for key in keys
        ]
        assert {key["e"] for key in keys} == {"AQAB"}
    assert len(set(kids)) == len(numbers) == 2 * RSA_APPLICATIONS
    assert kids != sorted(kids)
    for place, modulus in enumerate(numbers):
        assert modulus.bit_length() == 2048
        assert math.gcd(modulus, math.prod(numbers[:place])) == 1


def test_key_11_a_deleted_applications_keys_are_destroyed(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    kid = signer(tenant).kid
    assert person.call("DELETE").status_code == 204
    assert tenant.admin("DELETE").status_code == 204
    assert kid not in opened(world)
    assert kid not in repr(world.rows())
    with open_world(world.folder, hour=world.hour, rate_limits="off") as worker:
        for door in (tenant, replace(tenant, world=worker)):
            refused(door.me(person.access), 401, "invalid_token")
            refused(door.public("GET", "/jwks.json"), 404, "application_not_found")
            tail = "/.well-known/openid-configuration"
            refused(door.public("GET", tail), 404, "application_not_found")
