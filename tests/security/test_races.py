"""Races beside those of tests/flows and tests/contract (catalogue 1.21)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import jwt
from jwt import PyJWK

from tests.api.world import Person, World, body, open_world, refused

MANY = 16


def test_rac_15_rotations_beside_sign_ins_leave_no_token_unverified(world: World) -> None:
    tenant = world.tenant()
    tenant.user()
    with (
        open_world(world.folder, hour=world.hour, rate_limits="off") as worker,
        ThreadPoolExecutor(MANY) as pool,
    ):
        doors = [tenant, replace(tenant, world=worker)]

        def act(place: int) -> httpx.Response:
            door = doors[place % 2]
            return door.admin("POST", "/keys") if place % 8 == 7 else door.sign_in()

        answers = list(pool.map(act, range(20)))
        assert {answer.status_code for answer in answers} == {200, 201}
        grants = [answer.json() for answer in answers if answer.status_code == 200]
        assert len(grants) == 18
        for door in doors:
            keys = {
                key["kid"]: PyJWK(key) for key in body(door.public("GET", "/jwks.json"))["keys"]
            }
            for grant in grants:
                access = grant["accessToken"]
                key = keys[jwt.get_unverified_header(access)["kid"]]
                jwt.decode(
                    access,
                    key,
                    algorithms=["EdDSA"],
                    audience=tenant.id,
                    options={"verify_exp": False, "verify_iat": False},
                )
                assert door.me(access).status_code == 200


def test_rac_17_requests_side_by_side_know_nothing_of_each_other(world: World) -> None:
    people = [world.tenant().user(f"u{number}@example.com") for number in range(4)]
    ids = set()

    def ask(place: int) -> None:
        person: Person = people[place % 4]
        other: Person = people[(place + 1) % 4]
        answer = person.call("GET")
        assert (answer.json()["id"], answer.json()["email"]) == (person.id, person.email)
        ids.add(answer.headers["X-Request-Id"])
        peer = (f"192.0.2.{place}", 1)
        grant = body(person.tenant.sign_in(person.email, peer=peer))
        sessions = body(person.tenant.me(grant["accessToken"], "GET", "/sessions"))["items"]
        assert [one["ipAddress"] for one in sessions if one["current"]] == [peer[0]]
        refused(other.tenant.me(grant["accessToken"]), 401, "invalid_token")
        issuer = jwt.decode(grant["accessToken"], options={"verify_signature": False})["iss"]
        assert issuer.endswith(person.tenant.base)

    with ThreadPoolExecutor(MANY) as pool:
        list(pool.map(ask, range(20)))
    assert len(ids) == 20
