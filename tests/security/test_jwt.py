"""Access tokens forged by hand (catalogue 1.6); tests/api/keys/test_forged_tokens.py has more."""

import base64
import itertools
import json
import socket
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512

from app.lambda_handler import Handler
from tests.api.world import START, Person, Tenant, World, body, refused
from tests.security.forge import Signer, b64, claims, header, part, signer
from tests.security.store import kept

NOW = int(START.timestamp())
HOUR = 3600
ALGORITHMS = ["RS256", "ES256", "EdDSA"]
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


@dataclass(frozen=True, kw_only=True)
class Forger:
    """A user of an application, and the key that signs for it."""

    person: Person
    signer: Signer

    @property
    def tenant(self) -> Tenant:
        return self.person.tenant

    @property
    def claims(self) -> dict[str, Any]:
        return claims(self.person.access)

    def said(self, **changes: Any) -> httpx.Response:
        """What the service answers to a well-signed token of changed claims."""
        return self.tenant.me(self.signer.sign({**self.claims, **changes}))


def _forger(world: World, algorithm: str) -> Forger:
    person = world.tenant(signingAlgorithm=algorithm).user()
    return Forger(person=person, signer=signer(person.tenant))


@pytest.fixture(scope="module")
def forgers(shared: World) -> dict[str, Forger]:
    return {algorithm: _forger(shared, algorithm) for algorithm in ALGORITHMS}


@pytest.fixture(scope="module")
def forger(forgers: dict[str, Forger]) -> Forger:
    return forgers["EdDSA"]


def _refused(answer: httpx.Response) -> None:
    refused(answer, 401, "invalid_token")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_signer_of_these_tests_is_believed(forgers: dict[str, Forger], algorithm: str) -> None:
    assert forgers[algorithm].said().status_code == 200


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_jwt_01_no_key_takes_none_or_the_name_of_another_algorithm(
    forgers: dict[str, Forger], algorithm: str
) -> None:
    forger = forgers[algorithm]
    names = [
        *ALGORITHMS,
        "RS384",
        "PS256",
        "ES384",
        "ES256K",
        "HS256",
        "none",
        "NONE",
        algorithm[:4],
    ]
    for name in (name for name in names if name != algorithm):
        _refused(forger.tenant.me(forger.signer.sign(forger.claims, alg=name)))
        _refused(forger.tenant.me(f"{part(forger.signer.head(alg=name))}.{part(forger.claims)}."))


def test_jwt_04_unknown_keys_are_looked_for_in_the_own_ring_alone(
    world: World, forgers: dict[str, Forger], forger: Forger
) -> None:
    for kid in (forgers["RS256"].signer.kid, forger.signer.kid + "\x00", f" {forger.signer.kid}"):
        _refused(forger.tenant.me(forger.signer.sign(forger.claims, kid=kid)))
    other = forgers["ES256"].signer
    for head in (other.head(kid=forger.signer.kid), other.head(kid=forger.signer.kid, alg="EdDSA")):
        _refused(forger.tenant.me(other.over(part(head), part(forger.claims))))
    kids = [forger.signer.sign(forger.claims, kid=f"kid-{number}") for number in range(50)]
    before = kept(forger.tenant.world)
    for token in kids:
        _refused(forger.tenant.me(token))
    assert kept(forger.tenant.world) == before


def test_jwt_07_a_token_has_one_encoding(forger: Forger) -> None:
    head, payload, tag = forger.person.access.split(".")
    text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    spaced = b64(json.dumps(json.loads(text), indent=1).encode())
    standard = base64.b64encode(text + b"?>" * 2).decode().rstrip("=")
    for forged in (
        f"{head}.{spaced}.{tag}",
        f"{head}.{standard}.{tag}",
        f"{head}.{payload}\n.{tag}",
    ):
        _refused(forger.tenant.me(forged.replace("\n", "%0a")))


def test_jwt_07_even_under_our_signature_a_payload_has_no_padding(forger: Forger) -> None:
    text = json.dumps(forger.claims)
    payload = b64((text + " " * (-len(text) % 3 + 1)).encode())
    assert len(payload) % 4 == 2
    _refused(forger.tenant.me(forger.signer.over(part(forger.signer.head()), payload + "==")))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - HOUR},
        {"exp": "1e400"},
        {"exp": {"a": 1}},
        {"exp": -(10**30)},
        {"exp": float(NOW + 900)},
        {"nbf": "soon"},
        {"nbf": [NOW]},
        {"iat": None},
    ],
)
def test_jwt_08_times_that_are_none_are_refused(forger: Forger, changes: dict[str, Any]) -> None:
    _refused(forger.said(**changes))


def test_jwt_08_numbers_beyond_floats_are_refused(forger: Forger) -> None:
    text = json.dumps({**forger.claims, "exp": 0})
    for number in ("1e400", "NaN", "Infinity", "-Infinity", "1e3"):
        payload = b64(text.replace('"exp": 0', f'"exp": {number}').encode())
        _refused(forger.tenant.me(forger.signer.over(part(forger.signer.head()), payload)))


@pytest.mark.parametrize(
    "changes",
    [{"nbf": NOW + HOUR}, {"iat": NOW + HOUR}, {"iat": "now"}, {"iat": [NOW]}],
)
def test_jwt_08_a_token_of_the_future_is_refused(forger: Forger, changes: dict[str, Any]) -> None:
    _refused(forger.said(**changes))


def test_jwt_09_an_issuer_is_exact(forger: Forger) -> None:
    ours = forger.claims["iss"]
    for issuer in (..., None, "", [ours], {"a": ours}, ours + "#", ours + "?", ours + "%20"):
        _refused(forger.said(iss=issuer))
    app = forger.tenant.id
    for issuer in (
        f"http://localhost/v1/applications/{app.upper()}",
        f"http://localhost//v1/applications/{app}",
        f"http://x:y@localhost/v1/applications/{app}",
        f"http://localhost\\v1/applications/{app}",
        f"http://127.0.0.1.evil.example/v1/applications/{app}",
        f"http://LOCALHOST/v1/applications/{app}/.",
    ):
        _refused(forger.said(iss=issuer))


def test_jwt_10_an_audience_is_an_exact_member(forger: Forger) -> None:
    own = forger.tenant.id
    audience: Any
    assert forger.said(aud=["x", own]).status_code == 200
    for audience in (..., None, "", [], [""], [own[:-1]], own[:-1], own + " ", [[own]], {own: own}):
        _refused(forger.said(aud=audience))
    for audience in ([own.upper()], own.upper(), [own, 1], f"{own},x", 0, True):
        _refused(forger.said(aud=audience))


def test_jwt_12_no_header_is_critical(forger: Forger) -> None:
    changes: dict[str, Any]
    for changes in (
        {"crit": ["x"]},
        {"crit": ["x"], "x": 1},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"crit": ["alg"]},
        {"crit": "typ"},
        {"crit": None},
        {"crit": {}},
    ):
        _refused(forger.tenant.me(forger.signer.sign(forger.claims, **changes)))
    # RFC 7797: the payload as it is, signed as it is.
    head = part(forger.signer.head(b64=False))
    plain = json.dumps(forger.claims, separators=(",", ":"))
    _refused(forger.tenant.me(f"{head}.{plain}.{b64(forger.signer.tag(f'{head}.{plain}'))}"))


def test_jwt_13_nothing_is_unwrapped(forger: Forger) -> None:
    access, sign = forger.person.access, forger.signer
    head, payload, tag = access.split(".")
    bomb = zlib.compress(b" " * 4_000_000, 9)
    flattened = {"payload": payload, "protected": head, "signature": tag}
    general = {"payload": payload, "signatures": [{"protected": head, "signature": tag}]}
    for forged in (
        sign.over(
            part(sign.head(zip="DEF")), b64(zlib.compress(json.dumps(forger.claims).encode()))
        ),
        sign.over(part(sign.head(zip="DEF")), b64(bomb)),
        sign.over(part(sign.head(cty="JWT")), b64(access.encode())),
        sign.over(part(sign.head(cty="JWT")), part(access)),
        sign.over(part(sign.head(cty="JWT")), part([access])),
        f"{part({'alg': 'dir', 'enc': 'A128GCM', 'zip': 'DEF'})}..AAAA.{b64(bomb)}.AAAA",
        f"{part({'alg': 'RSA-OAEP', 'enc': 'A256GCM', 'kid': sign.kid})}.AA.AA.AA.AA",
        json.dumps(flattened, separators=(",", ":")),
        json.dumps(general, separators=(",", ":")),
        part(general),
        access.replace(".", "%2E"),
        access.replace(".", ".."),
    ):
        _refused(forger.tenant.me(forged))


def test_jwt_15_a_subject_is_a_living_user_of_this_application(world: World) -> None:
    tenant = world.tenant()
    forger = Forger(person=tenant.user(), signer=signer(tenant))
    gone, foreign = tenant.user("gone@example.com"), world.tenant().user()
    left = claims(gone.access)
    assert gone.call("DELETE").status_code == 204
    theirs = claims(foreign.access)
    for subject in (
        {"sub": left["sub"]},
        {"sub": left["sub"], "sid": left["sid"]},
        {"sub": theirs["sub"], "sid": theirs["sid"]},
        {"sub": forger.person.id.upper()},
        {"sub": forger.person.id.replace("-", "")},
        {"sub": f"{forger.person.id}#session"},
        {"sub": forger.person.email},
        {"sub": tenant.id},
        {"sub": [forger.person.id]},
        {"sub": ""},
        {"sub": ...},
        {"sub": 0},
    ):
        _refused(forger.said(**subject))
    suspended = tenant.user("bob@example.com")
    assert suspended.admin("PATCH", {"state": "suspended"}).status_code == 200
    _refused(tenant.me(forger.signer.sign(claims(suspended.access))))
    assert forger.said().status_code == 200


def _spoilt_curve(private: ec.EllipticCurvePrivateKey, text: bytes) -> list[bytes]:
    r, s = decode_dss_signature(private.sign(text, ec.ECDSA(SHA256())))
    other = ec.generate_private_key(ec.SECP384R1())
    r384, s384 = decode_dss_signature(other.sign(text, ec.ECDSA(SHA384())))
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    zero, one, order = (number.to_bytes(32, "big") for number in (0, 1, P256_ORDER))
    r512, s512 = decode_dss_signature(private.sign(text, ec.ECDSA(SHA512())))
    return [
        zero + zero,
        zero + one,
        one + zero,
        one + one,
        order + order,
        raw[:32] + order,
        raw[32:] + raw[:32],
        private.sign(text, ec.ECDSA(SHA256())),
        raw[:-1],
        raw + b"\x00",
        b"\x00" + raw,
        raw[:32],
        r384.to_bytes(48, "big") + s384.to_bytes(48, "big"),
        r512.to_bytes(32, "big") + s512.to_bytes(32, "big"),
        (r + P256_ORDER).to_bytes(33, "big") + s.to_bytes(33, "big"),
    ]


def _spoilt_rsa(private: rsa.RSAPrivateKey, text: bytes) -> list[bytes]:
    modulus = private.public_key().public_numbers().n
    good = private.sign(text, padding.PKCS1v15(), SHA256())
    salted = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)
    return [
        private.sign(text, padding.PKCS1v15(), SHA512()),
        private.sign(text, padding.PKCS1v15(), SHA384()),
        private.sign(text, salted, SHA256()),
        (int.from_bytes(good, "big") + modulus).to_bytes(257, "big"),
        b"\x00" + good,
        good + b"\x00",
        good[:-1],
        bytes(256),
        (1).to_bytes(256, "big"),
        (modulus - 1).to_bytes(256, "big"),
        rsa.generate_private_key(65537, 2048).sign(text, padding.PKCS1v15(), SHA256()),
    ]


def _spoilt_edwards(private: ed25519.Ed25519PrivateKey, text: bytes) -> list[bytes]:
    good = private.sign(text)
    scalar = int.from_bytes(good[32:], "little") + ED25519_ORDER
    return [
        good[:32] + scalar.to_bytes(32, "little"),
        bytes(64),
        (1).to_bytes(32, "little") + bytes(32),
        good[32:] + good[:32],
        good[:-1],
        good + b"\x00",
        ed25519.Ed25519PrivateKey.generate().sign(text),
    ]


SPOILERS: dict[str, Callable[[Any, bytes], list[bytes]]] = {
    "RS256": _spoilt_rsa,
    "ES256": _spoilt_curve,
    "EdDSA": _spoilt_edwards,
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_jwt_16_a_signature_is_exactly_the_algorithms(
    forgers: dict[str, Forger], algorithm: str
) -> None:
    forger = forgers[algorithm]
    signed = f"{part(forger.signer.head())}.{part(forger.claims)}"
    for tag in SPOILERS[algorithm](forger.signer.private, signed.encode()):
        # Past the ledger: zeros are no secret.
        headers = {"Authorization": f"Bearer {signed}.{b64(tag)}"}
        client = forger.tenant.world.client
        _refused(client.get(f"{forger.tenant.base}/users/me", headers=headers))
    _refused(forger.tenant.me(f"{signed}."))
    assert forger.tenant.me(f"{signed}.{b64(forger.signer.tag(signed))}").status_code == 200


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_jwt_17_a_token_says_no_more_than_the_contract(
    forgers: dict[str, Forger], algorithm: str
) -> None:
    person = forgers[algorithm].person
    configuration = body(person.tenant.public("GET", "/.well-known/openid-configuration"))
    kids = {key["kid"] for key in body(person.tenant.public("GET", "/jwks.json"))["keys"]}
    for access in (person.access, person.signed_in().access):
        head = header(access)
        assert head == {"typ": "at+jwt", "alg": algorithm, "kid": head["kid"]}
        assert head["kid"] in kids
        assert algorithm in configuration["id_token_signing_alg_values_supported"]
        assert claims(access).keys() == {
            *("iss", "sub", "aud", "client_id", "iat", "exp", "jti", "sid", "auth_time"),
            *("email", "email_verified"),
        }


def test_jwt_18_every_token_is_another_and_names_a_user_by_nothing_else(world: World) -> None:
    one, other = world.tenant().user(), world.tenant().user()
    signed_in = [claims(one.signed_in().access) for _ in range(6)]
    refreshed = claims(body(one.tenant.refresh(one.refresh))["accessToken"])
    assert len({found["jti"] for found in [*signed_in, refreshed]}) == 7
    assert {found["sub"] for found in [*signed_in, refreshed]} == {one.id}
    assert one.email == other.email
    assert claims(other.access)["sub"] == other.id != one.id


def test_jwt_19_only_one_bearer_header_names_the_caller(forger: Forger) -> None:
    access = forger.person.access
    for value in (
        f"Bearer\t{access}",
        f"Bearer  {access}",
        f"Bearer {access}, Bearer {access}",
        f"Bearer {access},",
        f"Bearer {access} x",
        f'Bearer token="{access}"',
        f"Bearer {access};",
        f"Basic {b64(access.encode())}",
        f"Basic {access}",
        f"DPoP {access}",
        f"Bearer Bearer {access}",
    ):
        _refused(forger.tenant.public("GET", "/users/me", headers={"Authorization": value}))
    for headers in ({"X-Access-Token": access}, {"Proxy-Authorization": f"Bearer {access}"}):
        _refused(forger.tenant.public("GET", "/users/me", headers=headers))


def test_jwt_20_a_token_with_two_values_of_a_name_is_not_believed_twice(forger: Forger) -> None:
    """Whoever has no key cannot use the repeated names; who has it signs what he likes."""
    head, payload, tag = forger.person.access.split(".")
    text = base64.urlsafe_b64decode(payload + "==").decode()
    other = forger.tenant.user("eve@example.com")
    doubled = b64((text[:-1] + f',"sub":"{other.id}"}}').encode())
    _refused(forger.tenant.me(f"{head}.{doubled}.{tag}"))
    twice = b64(
        b'{"alg":"none","alg":"EdDSA","kid":"'
        + header(forger.person.access)["kid"].encode()
        + b'"}'
    )
    _refused(forger.tenant.me(f"{twice}.{payload}.{tag}"))


def test_ssr_06_a_token_makes_nobody_look_anything_up(forger: Forger) -> None:
    with socket.socket() as canary:
        canary.bind(("127.0.0.1", 0))
        canary.listen()
        canary.setblocking(False)
        url = f"http://127.0.0.1:{canary.getsockname()[1]}/jwks.json"
        own = ed25519.Ed25519PrivateKey.generate()
        foreign = Signer(kid=forger.signer.kid, algorithm="EdDSA", private=own)
        headers = [{name: url} for name in ("jku", "x5u", "kid", "iss")]
        for one, changes in itertools.product((forger.signer, foreign), headers):
            forger.tenant.me(one.sign({**forger.claims, "iss": url}, **changes))
            forger.tenant.refresh(one.sign(forger.claims, **changes))
        with pytest.raises(BlockingIOError):
            canary.accept()


def test_lam_09_forged_tokens_are_refused_behind_a_gateway_too(
    shared: World, forger: Forger
) -> None:
    """The authorizer of customers' APIs asks the same verifier: it is asked here with forgeries."""
    function = Handler(services=shared.services)
    try:
        forged = forger.signer.sign({**forger.claims, "exp": NOW - 1})
        event = {
            "version": "2.0",
            "type": "REQUEST",
            "routeArn": "arn:aws:execute-api:us-east-1:123456789012:a1/$default/GET/x",
            "headers": {"authorization": f"Bearer {forged}"},
            "stageVariables": {"passerine_application": forger.tenant.id},
        }
        assert function(event, None) == {"isAuthorized": False}
    finally:
        function.close()
