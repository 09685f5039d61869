"""Attacks on sessions and refresh tokens (catalogue 1.5), and the calendar (TIM-10)."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.common.secrets import decode, encode
from tests.api.world import (
    EMAIL,
    NEW_PASSWORD,
    PASSWORD,
    Hour,
    Person,
    Tenant,
    World,
    body,
    open_world,
    refused,
    tokens,
)
from tests.security.forge import claims
from tests.security.store import kept

MANY = 12


def _is_over(person: Person) -> None:
    refused(person.call("GET"), 401, "invalid_token")
    refused(person.tenant.refresh(person.refresh), 401, "invalid_refresh_token")


@pytest.mark.parametrize("end", ["revoke", "one", "all", "password", "reset", "suspend", "delete"])
def test_ses_09_whatever_ends_a_session_wins_over_refreshes_beside_it(
    world: World, end: str
) -> None:
    """The concurrent twin of every way to sign out: no refresh at another worker outlives it."""
    tenant = world.tenant()
    person = tenant.user()
    ending = person.signed_in()
    sessions = body(person.call("GET", "/sessions"))["items"]
    (own,) = [session["id"] for session in sessions if session["current"]]
    token = tenant.reset_token()
    ends = {
        "revoke": lambda: tenant.revoke(person.refresh),
        "one": lambda: ending.call("DELETE", f"/sessions/{own}"),
        "all": lambda: ending.call("DELETE", "/sessions"),
        "password": lambda: ending.call(
            "PUT", "/password", {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}
        ),
        "reset": lambda: tenant.reset(token),
        "suspend": lambda: person.admin("PATCH", {"state": "suspended"}),
        "delete": lambda: person.admin("DELETE"),
    }
    with (
        open_world(world.folder, hour=world.hour, rate_limits="off") as worker,
        ThreadPoolExecutor(MANY + 1) as pool,
    ):
        there = replace(tenant, world=worker)
        asked = [pool.submit(there.refresh, person.refresh) for _ in range(MANY)]
        assert pool.submit(ends[end]).result().status_code < 300
        answers = [one.result() for one in asked]
        for answer in answers:
            if answer.status_code == 200:
                _is_over(replace(person, **tokens(answer)))
                refused(there.me(tokens(answer)["access"]), 401, "invalid_token")
            else:
                refused(answer, 401, "invalid_refresh_token")
        _is_over(person)


def test_ses_10_a_deleted_users_tokens_write_nothing(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    assert person.admin("DELETE").status_code == 204
    world.deliver()
    before = kept(world, tenant.id)
    for method, tail, sent in (
        ("GET", "", {}),
        ("PATCH", "", {"metadata": {"a": 1}}),
        ("PUT", "/password", {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}),
        ("GET", "/sessions", {}),
        ("DELETE", "/sessions", {}),
        ("DELETE", "", {}),
    ):
        refused(person.call(method, tail, sent), 401, "invalid_token")
    refused(tenant.refresh(person.refresh), 401, "invalid_refresh_token")
    assert tenant.revoke(person.refresh).status_code == 204
    refused(tenant.sign_in(), 401, "invalid_credentials")
    assert kept(world, tenant.id) == before
    # The next owner of the address is another user, whom old tokens do not name.
    again = tenant.user()
    assert again.id != person.id
    _is_over(person)


def test_ses_13_one_applications_token_is_nothing_at_another(world: World) -> None:
    one, other = world.tenant(audience="same"), world.tenant(audience="same")
    person, twin = one.user(), other.user()
    for headers in ({}, {"Referer": f"http://localhost{one.base}"}):
        refused(other.refresh(person.refresh, headers=headers), 401, "invalid_refresh_token")
    # The name of the session of one under the MAC of the other.
    head, tag = decode(person.refresh)[:36], decode(twin.refresh)[36:]
    for forged in (
        encode(head + tag),
        encode(decode(twin.refresh)[:36] + decode(person.refresh)[36:]),
    ):
        refused(one.refresh(forged), 401, "invalid_refresh_token")
        refused(other.refresh(forged), 401, "invalid_refresh_token")
    assert other.revoke(person.refresh).status_code == 204
    assert one.refresh(person.refresh).status_code == 200
    assert twin.call("GET").status_code == 200


def test_ses_16_no_session_but_the_own_is_listed_or_ended(world: World) -> None:
    tenant = world.tenant()
    ada, eve = tenant.user("ada@example.com"), tenant.user("eve@example.com")
    (theirs,) = body(ada.call("GET", "/sessions"))["items"]
    before = kept(world, ada.id)
    for spelling in (
        theirs["id"],
        theirs["id"].upper(),
        f"{theirs['id']}%20",
        f"..%2F{ada.id}%2Fsessions%2F{theirs['id']}",
        f"session%23{theirs['id']}",
        f"{theirs['id']}?userId={ada.id}",
    ):
        answer = eve.call("DELETE", f"/sessions/{spelling}")
        assert answer.status_code == 404, spelling
    for query in (f"?userId={ada.id}", f"?user_id={ada.id}", f"?sub={ada.id}"):
        listed = body(eve.call("GET", f"/sessions{query}"))["items"]
        assert theirs["id"] not in {session["id"] for session in listed}
    assert kept(world, ada.id) == before


def test_ses_21_a_refresh_token_is_256_bits_that_nobody_can_make(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    raw = [decode(person.signed_in().refresh) for _ in range(12)]
    assert {len(one) for one in raw} == {36 + 32}
    assert len({one[36:] for one in raw}) == 12
    ones = sum(int.from_bytes(one[36:], "big").bit_count() for one in raw)
    assert abs(ones - 12 * 128) < 6 * (12 * 64) ** 0.5
    assert b"ada" not in b"".join(raw)
    # The counter of the next turn, with the tag of this one.
    turned = raw[0][:35] + bytes([raw[0][35] + 1]) + raw[0][36:]
    refused(tenant.refresh(encode(turned)), 401, "invalid_refresh_token")


def test_ses_24_the_time_of_the_proof_survives_every_refresh(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    proved, refresh = claims(person.access)["auth_time"], person.refresh
    for _ in range(3):
        world.advance(3600)
        grant = body(tenant.refresh(refresh))
        refresh = grant["refreshToken"]
        assert claims(grant["accessToken"])["auth_time"] == proved
    assert claims(person.signed_in().access)["auth_time"] == proved + 3 * 3600


@contextmanager
def _zone(name: str) -> Iterator[None]:
    """The process's time zone, as its environment says it."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


@pytest.mark.parametrize(
    ("zone", "moment"),
    [
        ("Pacific/Chatham", datetime(2028, 2, 29, 23, 59, 58, tzinfo=UTC)),
        ("UTC", datetime(2038, 1, 19, 3, 14, 6, tzinfo=UTC)),
        ("America/St_Johns", datetime(2038, 1, 19, 3, 14, 6, tzinfo=UTC)),
        ("Pacific/Kiritimati", datetime(2100, 2, 28, 23, 59, 58, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(2106, 2, 7, 6, 28, 14, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 10, 25, 0, 59, 58, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 8, 6, 59, 58, tzinfo=UTC)),
    ],
)
def test_tim_10_every_hour_is_in_utc(tmp_path: Path, zone: str, moment: datetime) -> None:
    with (
        _zone(zone),
        open_world(tmp_path, hour=Hour(now=moment), rate_limits="off") as world,
    ):
        tenant = world.tenant()
        person = tenant.user()
        world.advance(3)
        assert body(person.call("GET"))["created"] == f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
        assert claims(person.access)["iat"] == int(moment.timestamp())
        turned = replace(person, **tokens(tenant.refresh(person.refresh)))
        assert turned.call("GET").status_code == 200
        assert tenant.reset(tenant.reset_token()).status_code == 204
        assert tenant.sign_in(EMAIL, NEW_PASSWORD).status_code == 200
        world.advance(897 + 900)
        refused(person.call("GET"), 401, "invalid_token")


def test_ses_05_sign_ins_of_one_moment_share_nothing(world: World) -> None:
    tenant: Tenant = world.tenant()
    tenant.user()
    with ThreadPoolExecutor(8) as pool:
        grants = [body(answer) for answer in pool.map(lambda _: tenant.sign_in(), range(8))]
    for name in ("accessToken", "refreshToken"):
        assert len({grant[name] for grant in grants}) == 8
    for grant in grants:
        assert tenant.me(grant["accessToken"]).status_code == 200
        assert tenant.refresh(grant["refreshToken"]).status_code == 200
