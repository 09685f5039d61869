"""What expires is gone at that second, whatever still lies there; clocks that differ do no harm."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.adapters.platform import DATABASE
from app.common.clock import rfc3339
from tests.api.world import (
    DAY,
    EMAIL,
    NEW_PASSWORD,
    PASSWORD,
    Hour,
    Tenant,
    World,
    body,
    open_world,
    refused,
    tokens,
)
from tests.dynamodb_local import client, create_table, dynamodb_local, spoken_to
from tests.faults.recipes import cheapen
from tests.flows.client import LocalInbox, opened_client, sign_up
from tests.flows.clocked import clocked

HOUR, SKEW = 3600, 30


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Makes tables of DynamoDB, which this process's SDK speaks to."""
    with ExitStack() as stack:
        endpoint = stack.enter_context(dynamodb_local())
        stack.enter_context(spoken_to(endpoint))
        yield lambda: create_table(client(endpoint))


@pytest.fixture(params=["sqlite", "dynamodb"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    told: dict[str, Any] = {}
    if request.param == "dynamodb":
        told = {"store": "dynamodb", "table_name": request.getfixturevalue("table")()}
    with open_world(tmp_path, **told) as opened:
        cheapen(opened)
        yield opened


@pytest.fixture
def tenant(world: World) -> Tenant:
    return world.tenant(refreshTokenLifetime=2 * HOUR, sessionLifetime=5 * HOUR)


@dataclass(frozen=True, kw_only=True)
class Expiring:
    """Something with an end.

    Attributes:
        seconds: of its life.
        use: uses it, or shows that it can be used.
        gone: the refusal of what has ended.
        keeps: whether trying it before its end leaves it as it is.
    """

    seconds: float
    use: Callable[[], httpx.Response]
    gone: tuple[int, str]
    keeps: bool = False


def invitation(tenant: Tenant) -> Expiring:
    token = tenant.invitation()
    return Expiring(seconds=DAY, use=lambda: tenant.verify(token), gone=(400, "invalid_token"))


def reset(tenant: Tenant) -> Expiring:
    tenant.user()
    token = tenant.reset_token()
    return Expiring(seconds=30 * 60, use=lambda: tenant.reset(token), gone=(400, "invalid_token"))


def access_token(tenant: Tenant) -> Expiring:
    person = tenant.user()
    return Expiring(
        seconds=900, use=lambda: person.call("GET"), gone=(401, "invalid_token"), keeps=True
    )


def idle_session(tenant: Tenant) -> Expiring:
    person = tenant.user()
    return Expiring(
        seconds=2 * HOUR,
        use=lambda: tenant.refresh(person.refresh),
        gone=(401, "invalid_refresh_token"),
    )


def whole_session(tenant: Tenant) -> Expiring:
    """Kept busy, until its absolute end."""
    token = [tenant.user().refresh]
    for _ in range(4):
        tenant.world.advance(HOUR)
        token[0] = tokens(tenant.refresh(token[0]))["refresh"]
    return Expiring(
        seconds=HOUR,
        use=lambda: tenant.refresh(token[0]),
        gone=(401, "invalid_refresh_token"),
    )


def api_key(tenant: Tenant) -> Expiring:
    world = tenant.world
    ends = rfc3339(world.hour.now + timedelta(minutes=10))
    key = body(world.admin("POST", "/v1/api-keys", {"name": "x", "expires": ends}))["key"]
    return Expiring(
        seconds=600,
        use=lambda: world.send("GET", tenant.base, key=key),
        gone=(401, "invalid_api_key"),
        keeps=True,
    )


EXPIRING = [invitation, reset, access_token, idle_session, whole_session, api_key]


@pytest.mark.parametrize("make", EXPIRING)
def test_tim_05_it_is_good_until_the_second_before(
    tenant: Tenant, make: Callable[[Tenant], Expiring]
) -> None:
    it = make(tenant)
    tenant.world.advance(it.seconds - 1)
    assert it.use().is_success


@pytest.mark.parametrize("make", EXPIRING)
def test_tim_05_it_is_gone_at_that_second_and_stays_so(
    tenant: Tenant, make: Callable[[Tenant], Expiring]
) -> None:
    it = make(tenant)
    tenant.world.advance(it.seconds)
    refused(it.use(), *it.gone)
    tenant.world.advance(DAY)
    refused(it.use(), *it.gone)


def test_the_rows_of_what_is_gone_are_there_for_48_hours(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        tenant = world.tenant()
        token = tenant.invitation()

        def rows() -> int:
            with closing(sqlite3.connect(tmp_path / DATABASE)) as database:
                found = database.execute("SELECT count(*) FROM items WHERE sk = 'invitation'")
                return int(found.fetchone()[0])

        world.advance(DAY + 48 * HOUR - 1)
        world.services.housekeeper.sweep()
        assert rows() == 1
        refused(tenant.verify(token), 400, "invalid_token")
        world.advance(1)
        world.services.housekeeper.sweep()
        assert rows() == 0


@pytest.mark.parametrize("kind", ["invitation", "reset"])
@pytest.mark.parametrize("when", ["before", "between"])
def test_tim_03_a_row_that_leaves_too_early_is_a_plain_refusal(
    tmp_path: Path, kind: str, when: str
) -> None:
    """Before it is read, or between its reading and the commit that would spend it."""
    with open_world(tmp_path) as world:
        tenant = world.tenant()
        it = (invitation if kind == "invitation" else reset)(tenant)

        def sweep() -> None:
            with closing(sqlite3.connect(tmp_path / DATABASE)) as database:
                database.execute(
                    "DELETE FROM items WHERE sk = ? AND pk LIKE ?", (kind, f"%#{kind}#%")
                )
                database.commit()

        table = world.services.table
        commit = table.commit

        def swept(*writes: Any) -> None:
            object.__setattr__(table, "commit", commit)
            sweep()
            commit(*writes)

        if when == "before":
            sweep()
        else:
            object.__setattr__(table, "commit", swept)
        refused(it.use(), 400, "invalid_token")
        world.spoilt = kind == "reset"  # whose address still names the row
        again = invitation(tenant) if kind == "invitation" else reset_again(tenant)
        assert again.use().is_success


def reset_again(tenant: Tenant) -> Expiring:
    token = tenant.reset_token()
    return Expiring(seconds=0, use=lambda: tenant.reset(token), gone=(400, "invalid_token"))


# An hour back


def test_tim_06_an_hour_back_signs_nobody_out_and_lets_nobody_in(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    world.advance(60)
    second = replace(person, **tokens(tenant.refresh(person.refresh)))
    stolen = person.refresh
    world.advance(-HOUR)
    third = replace(person, **tokens(tenant.refresh(second.refresh)))
    assert third.call("GET").status_code == 200
    assert person.signed_in().call("GET").status_code == 200
    refused(tenant.refresh(stolen), 401, "invalid_refresh_token")
    refused(tenant.sign_in(EMAIL, NEW_PASSWORD), 401, "invalid_credentials")


def test_tim_06_an_hour_back_everything_can_be_done(world: World) -> None:
    tenant = world.tenant()
    person = tenant.user()
    token = tenant.reset_token()
    world.advance(-HOUR)
    assert tenant.reset(token, PASSWORD).status_code == 204
    again = person.signed_in()
    assert len(body(again.call("GET", "/sessions"))["items"]) == 1
    assert tenant.user("eve@example.com").call("GET").status_code == 200
    assert len(body(tenant.admin("GET", "/users"))["items"]) == 2
    assert tenant.read()["userCount"] == 2
    tenant.update(applicationState="suspended")
    refused(tenant.sign_in(), 403, "application_suspended")
    tenant.update(applicationState="active")
    assert tenant.admin("POST", "/keys").status_code == 201
    assert person.signed_in().call("DELETE").status_code == 204
    trail = body(tenant.admin("GET", "/audit-events?limit=100"))["items"]
    assert len({event["id"] for event in trail}) == len(trail)


def test_tim_06_what_a_process_remembers_of_an_application_is_not_stuck(world: World) -> None:
    tenant = world.tenant()
    assert tenant.public("GET", "/jwks.json").status_code == 200
    world.advance(-HOUR)
    settings = world.services.table
    with open_world(
        world.folder,
        hour=world.hour,
        **({"store": "dynamodb", "table_name": settings.name} if hasattr(settings, "name") else {}),
    ) as other:
        Tenant(world=other, id=tenant.id).update(applicationState="suspended")
        world.advance(11)
        refused(tenant.public("GET", "/jwks.json"), 403, "application_suspended")


def test_tim_06_no_lock_out_is_endless(tmp_path: Path) -> None:
    with open_world(tmp_path, rate_limits="on") as world:
        tenant = world.tenant()
        tenant.user()
        for _ in range(12):
            tenant.sign_in(EMAIL, NEW_PASSWORD)
        world.advance(-HOUR)
        answer = tenant.sign_in()
        if answer.status_code == 429:
            world.advance(int(answer.headers["Retry-After"]))
        assert tenant.sign_in().status_code == 200


def test_tim_06_messages_that_wait_go_out_after_an_hour_back(world: World) -> None:
    tenant = world.tenant()
    tenant.sign_up()
    world.advance(-HOUR)
    assert len(world.messages(EMAIL)) == 1
    tenant.sign_up("eve@example.com")
    assert len(world.messages("eve@example.com")) == 1


# Thirty seconds apart


@pytest.mark.parametrize("ahead", [SKEW, -SKEW])
def test_tim_04_workers_thirty_seconds_apart_do_no_harm(world: World, ahead: int) -> None:
    table = world.services.table
    more = {"store": "dynamodb", "table_name": table.name} if hasattr(table, "name") else {}
    hour = Hour(now=world.hour.now + timedelta(seconds=ahead))
    with open_world(world.folder, hour=hour, **more) as other:
        cheapen(other)
        here = world.tenant()
        there = Tenant(world=other, id=here.id)
        person = here.user()
        elsewhere = replace(person, tenant=there)
        assert elsewhere.call("GET").status_code == 200
        turned = tokens(there.refresh(person.refresh))
        if ahead > 0:  # the ten seconds of the grace are those of whoever is asked again
            assert tokens(here.refresh(person.refresh))["refresh"] == turned["refresh"]
        for place in (here, there, here):
            turned = tokens(place.refresh(turned["refresh"]))
            assert here.me(turned["access"]).status_code == 200
            assert there.me(turned["access"]).status_code == 200
        assert here.sign_in().status_code == there.sign_in().status_code == 200
        token = here.reset_token()
        assert there.reset(token).status_code == 204
        refused(here.me(turned["access"]), 401, "invalid_token")
        refused(there.refresh(turned["refresh"]), 401, "invalid_refresh_token")
        invited = there.invitation("eve@example.com")
        assert here.verify(invited).status_code == 200


def test_tim_04_two_real_servers_thirty_seconds_apart_are_one_service(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with (
        clocked(folder, name="one") as one,
        clocked(folder, name="other", seconds=SKEW) as other,
        opened_client(one.server.url, one.server.admin_key) as here,
        opened_client(other.server.url, one.server.admin_key) as there,
    ):
        app = here.create_application(signingAlgorithm="EdDSA").done()["id"]
        grant = sign_up(here, LocalInbox(client=here), app, EMAIL, PASSWORD)
        turned = there.refresh(app, grant["refreshToken"]).done()
        lost = here.refresh(app, grant["refreshToken"]).done()
        assert lost["refreshToken"] == turned["refreshToken"]
        for place, back in ((here, there), (there, here)):
            turned = place.refresh(app, turned["refreshToken"]).done()
            back.read_me(app, turned["accessToken"]).done()
            grant = place.sign_in(app, EMAIL, PASSWORD).done()
            grant = back.refresh(app, grant["refreshToken"]).done()
        other.set(-HOUR)
        there.read_me(app, grant["accessToken"]).refused(401, "invalid_token")  # of the future
        grant = there.refresh(app, grant["refreshToken"]).done()
        there.read_me(app, grant["accessToken"]).done()
        here.refresh(app, grant["refreshToken"]).done()
        other.set(2 * DAY)
        there.refresh(app, grant["refreshToken"]).refused(401, "invalid_refresh_token")
