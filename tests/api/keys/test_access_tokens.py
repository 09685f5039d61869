"""What an access token says (RFC 9068)."""

from typing import Any

import jwt
import pytest

from tests.api.world import ORIGIN, START, World, body, refused

NOW = int(START.timestamp())


def _claims(access: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(access, options={"verify_signature": False})
    return claims


def test_a_token_says_who_signed_in_where_and_until_when(world: World) -> None:
    tenant = world.tenant(accessTokenLifetime=600)
    person = tenant.user("Ada@Example.com")
    (session,) = body(person.call("GET", "/sessions"))["items"]
    header = jwt.get_unverified_header(person.access)
    assert header.keys() == {"typ", "kid", "alg"}
    assert header["typ"] == "at+jwt"
    assert header["alg"] == "EdDSA"
    claims = _claims(person.access)
    jti = claims.pop("jti")
    assert len(jti) >= 22
    assert claims == {
        "iss": ORIGIN + tenant.base,
        "sub": person.id,
        "aud": tenant.id,
        "client_id": tenant.id,
        "iat": NOW,
        "exp": NOW + 600,
        "sid": session["id"],
        "auth_time": NOW,
        "email": "Ada@example.com",
        "email_verified": True,
    }


def test_the_audience_is_the_applications_choice(world: World) -> None:
    tenant = world.tenant(audience="https://api.songbook.example")
    person = tenant.user()
    assert _claims(person.access)["aud"] == "https://api.songbook.example"
    assert person.call("GET").status_code == 200
    tenant.update(audience="https://other.example")
    refused(person.call("GET"), 401, "invalid_token")
    assert person.signed_in().call("GET").status_code == 200


def test_a_refreshed_token_remembers_when_the_user_proved_who_they_are(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    first = _claims(person.access)
    world.advance(500)
    second = _claims(body(tenant.refresh(person.refresh))["accessToken"])
    assert second["iat"] == NOW + 500
    assert second["exp"] == NOW + 500 + 900
    assert second["auth_time"] == NOW
    assert second["sid"] == first["sid"]
    assert second["sub"] == first["sub"]
    assert second["jti"] != first["jti"]


def test_two_sign_ins_in_one_second_share_nothing(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    others = [person.signed_in() for _ in range(3)]
    people = [person, *others]
    assert len({one.access for one in people}) == 4
    assert len({one.refresh for one in people}) == 4
    assert len({_claims(one.access)["jti"] for one in people}) == 4
    assert len({_claims(one.access)["sid"] for one in people}) == 4
    for one in people:
        assert one.call("GET").status_code == 200
        assert tenant.refresh(one.refresh).status_code == 200


@pytest.mark.parametrize("lifetime", [60, 86_400])
def test_a_token_is_good_to_its_last_second_and_no_longer(world: World, lifetime: int) -> None:
    tenant = world.tenant(accessTokenLifetime=lifetime)
    person = tenant.user()
    world.advance(lifetime - 1)
    assert person.call("GET").status_code == 200
    world.advance(0.999)
    assert person.call("GET").status_code == 200
    world.advance(0.001)
    answer = person.call("GET")
    refused(answer, 401, "invalid_token")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="passerine", error="invalid_token"'
