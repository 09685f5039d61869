"""The life of signing keys: published, signing, retired, gone."""

from typing import Any

import jwt
import pytest

from app.events.types import Operation
from tests.api.world import DAY, Tenant, World, body, refused

PUBLIC_MEMBERS = {
    "RS256": {"kty", "n", "e", "kid", "alg", "use"},
    "ES256": {"kty", "crv", "x", "y", "kid", "alg", "use"},
    "EdDSA": {"kty", "crv", "x", "kid", "alg", "use"},
}


def _keys(tenant: Tenant) -> dict[str, str]:
    """The state of each key of the ring."""
    return {key["kid"]: key["state"] for key in body(tenant.admin("GET", "/keys"))["items"]}


def _published(tenant: Tenant) -> list[str]:
    return [key["kid"] for key in body(tenant.public("GET", "/jwks.json"))["keys"]]


def _rotate(tenant: Tenant) -> dict[str, Any]:
    answer = tenant.admin("POST", "/keys")
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _revoke(tenant: Tenant, kid: str) -> None:
    answer = tenant.admin("DELETE", f"/keys/{kid}")
    assert answer.status_code == 204, answer.text
    assert answer.content == b""


def _kid(access: str) -> str:
    return str(jwt.get_unverified_header(access)["kid"])


def _of(tenant: Tenant, state: str) -> str:
    return next(kid for kid, found in _keys(tenant).items() if found == state)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_ring_starts_with_a_key_that_signs_and_the_published_next_one(
    world: World, algorithm: str
) -> None:
    tenant = world.tenant(signingAlgorithm=algorithm)
    listed = body(tenant.admin("GET", "/keys"))
    assert listed["nextCursor"] is None
    assert [key["state"] for key in listed["items"]] == ["current", "next"]
    for key in listed["items"]:
        assert key.keys() == {"kid", "algorithm", "state", "created"}
        assert key["algorithm"] == algorithm
        assert key["created"] == "2026-03-01T12:00:00.000Z"
    assert _published(tenant) == [key["kid"] for key in listed["items"]]
    person = tenant.user()
    assert _kid(person.access) == listed["items"][0]["kid"]
    assert person.call("GET").status_code == 200


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_the_set_holds_public_members_alone(world: World, algorithm: str) -> None:
    tenant = world.tenant(signingAlgorithm=algorithm)
    _rotate(tenant)
    for key in body(tenant.public("GET", "/jwks.json"))["keys"]:
        assert key.keys() == PUBLIC_MEMBERS[algorithm]
        assert key["use"] == "sig"
        assert key["alg"] == algorithm
        assert len(key["kid"]) == 22
        if algorithm == "RS256":
            assert len(key["n"]) == 342  # 2048 bits
            assert key["e"] == "AQAB"


def test_keys_lie_in_the_store_only_sealed(world: World) -> None:
    tenant = world.tenant(signingAlgorithm="RS256")
    (row,) = [row for row in world.rows(tenant.id) if row[1] == "keys"]
    for private in ('"d"', '"p"', '"q"', '"dp"', '"dq"', '"qi"', "PRIVATE KEY", "MIIE"):
        assert private not in row[2]
    assert row[2].count('"sealed":"v1.') == 2


def test_a_rotation_lets_the_published_next_key_sign(world: World) -> None:
    tenant = world.tenant()
    before = tenant.user()
    first, second = _published(tenant)
    world.advance(3 * 3600)
    made = _rotate(tenant)
    assert made == {
        "kid": second,
        "algorithm": "EdDSA",
        "state": "current",
        "created": "2026-03-01T12:00:00.000Z",
    }
    states = _keys(tenant)
    assert list(states.values()) == ["retired", "current", "next"]
    assert list(states)[:2] == [first, second]
    assert _published(tenant) == list(states)
    after = before.signed_in()
    assert _kid(after.access) == second
    assert after.call("GET").status_code == 200
    rotated = world.events(Operation.APPLICATION_KEY_ROTATED)
    assert [event.data for event in rotated] == [{"kid": second}]


def test_tokens_of_a_retired_key_live_out_their_time(world: World) -> None:
    tenant = world.tenant(accessTokenLifetime=86_400)
    person = tenant.user()
    _rotate(tenant)
    _rotate(tenant)
    world.advance(DAY - 1)
    assert person.call("GET").status_code == 200
    assert _kid(person.access) in _published(tenant)
    world.advance(1)
    assert _kid(person.access) not in _published(tenant)
    assert _kid(person.access) not in _keys(tenant)
    refused(person.call("GET"), 401, "invalid_token")
    refused(tenant.admin("DELETE", f"/keys/{_kid(person.access)}"), 404, "key_not_found")


def test_a_lifetime_made_shorter_does_not_take_a_key_from_older_tokens(world: World) -> None:
    tenant = world.tenant(accessTokenLifetime=86_400)
    person = tenant.user()
    tenant.update(accessTokenLifetime=60)
    _rotate(tenant)
    world.advance(DAY - 1)
    assert person.call("GET").status_code == 200


def test_a_retired_key_has_lost_its_private_half(world: World) -> None:
    tenant = world.tenant()
    _rotate(tenant)
    (row,) = [row for row in world.rows(tenant.id) if row[1] == "keys"]
    assert row[2].count('"sealed":"v1.') == 2
    assert row[2].count('"sealed":null') == 1


def test_a_revoked_key_refuses_its_tokens_at_once(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    old = _kid(person.access)
    _rotate(tenant)
    assert person.call("GET").status_code == 200
    _revoke(tenant, old)
    refused(person.call("GET"), 401, "invalid_token")
    assert old not in _published(tenant)
    assert old not in _keys(tenant)
    again = body(tenant.refresh(person.refresh))
    assert tenant.me(again["accessToken"]).status_code == 200
    told = [event.data for event in world.events(Operation.APPLICATION_KEY_ROTATED)]
    assert told[-1] == {"revoked": old}


def test_the_key_that_signs_is_not_revoked(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    before = _keys(tenant)
    refused(tenant.admin("DELETE", f"/keys/{_of(tenant, 'current')}"), 409, "key_in_use")
    assert _keys(tenant) == before
    assert person.call("GET").status_code == 200


def test_a_revoked_next_key_is_replaced(world: World) -> None:
    tenant = world.tenant()
    doomed = _of(tenant, "next")
    _revoke(tenant, doomed)
    assert doomed not in _keys(tenant)
    assert sorted(_keys(tenant).values()) == ["current", "next"]
    assert _rotate(tenant)["kid"] != doomed


@pytest.mark.parametrize("kid", ["x", "0" * 300, "%2e%2e", "a b", "%C3%BC"])
def test_an_unknown_key_is_not_found(shared: World, kid: str) -> None:
    tenant = shared.tenant()
    refused(tenant.admin("DELETE", f"/keys/{kid}"), 404, "key_not_found")


def test_a_key_of_another_application_is_not_found(world: World) -> None:
    tenant, other = world.tenant(), world.tenant()
    for kid in _keys(other):
        refused(tenant.admin("DELETE", f"/keys/{kid}"), 404, "key_not_found")
    assert len(_keys(other)) == 2


def test_two_applications_share_no_key(world: World) -> None:
    one, two = (body(world.tenant().public("GET", "/jwks.json"))["keys"] for _ in range(2))
    assert len({key["x"] for key in one + two}) == 4
    assert len({key["kid"] for key in one + two}) == 4


@pytest.mark.parametrize(
    ("before", "after"), [("EdDSA", "ES256"), ("ES256", "RS256"), ("RS256", "EdDSA")]
)
def test_another_algorithm_signs_at_once_and_older_tokens_stay_good(
    world: World, before: str, after: str
) -> None:
    tenant = world.tenant(signingAlgorithm=before)
    person = tenant.user()
    tenant.update(signingAlgorithm=after)
    ring = body(tenant.admin("GET", "/keys"))["items"]
    assert [(key["state"], key["algorithm"]) for key in ring] == [
        ("retired", before),
        ("current", after),
        ("next", after),
    ]
    renewed = person.signed_in()
    assert jwt.get_unverified_header(renewed.access)["alg"] == after
    assert renewed.call("GET").status_code == 200
    assert person.call("GET").status_code == 200
    configuration = body(tenant.public("GET", "/.well-known/openid-configuration"))
    named = configuration["id_token_signing_alg_values_supported"]
    assert sorted(named) == sorted({before, after})
    assert len(world.events(Operation.APPLICATION_KEY_ROTATED)) == 1


def test_a_ring_takes_no_more_keys_than_it_can_publish(world: World) -> None:
    tenant = world.tenant()
    answers = [tenant.admin("POST", "/keys").status_code for _ in range(48)]
    assert answers == [201] * 48
    refused(tenant.admin("POST", "/keys"), 409, "too_many_keys")
    assert len(_published(tenant)) == 50
    _revoke(tenant, _of(tenant, "retired"))
    assert tenant.admin("POST", "/keys").status_code == 201
    world.advance(DAY)
    assert tenant.admin("POST", "/keys").status_code == 201
    assert len(_keys(tenant)) == 3


def test_a_full_ring_takes_no_keys_of_another_algorithm(world: World) -> None:
    tenant = world.tenant()
    for _ in range(48):
        _rotate(tenant)
    tenant.update(signingAlgorithm="ES256")
    before = tenant.read(), _keys(tenant)
    refused(tenant.admin("PATCH", "", {"signingAlgorithm": "EdDSA"}), 409, "too_many_keys")
    assert (tenant.read(), _keys(tenant)) == before


def test_the_ring_is_listed_in_pages(world: World) -> None:
    tenant = world.tenant()
    for _ in range(3):
        _rotate(tenant)
    first = body(tenant.admin("GET", "/keys?limit=2"))
    second = body(tenant.admin("GET", f"/keys?limit=2&cursor={first['nextCursor']}"))
    third = body(tenant.admin("GET", f"/keys?limit=2&cursor={second['nextCursor']}"))
    kids = [key["kid"] for page in (first, second, third) for key in page["items"]]
    assert kids == list(_keys(tenant))
    assert third["nextCursor"] is None
    foreign = world.tenant().admin("GET", f"/keys?cursor={first['nextCursor']}")
    refused(foreign, 400, "invalid_cursor")
