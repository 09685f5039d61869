"""A store may answer the parts of one read from different moments; no verdict rests on that.

DynamoDB Developer Guide, "Isolation levels": a batch read, or a query, is no snapshot.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.storage.table import Item, Key
from tests.api.world import (
    EMAIL,
    NEW_PASSWORD,
    PASSWORD,
    Person,
    Tenant,
    World,
    open_world,
    refused,
)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[tuple[World, World]]:
    with (
        open_world(tmp_path) as one,
        open_world(tmp_path, hour=one.hour) as other,
    ):
        yield one, other


def tear(world: World, first: str, meanwhile: Callable[[], object]) -> None:
    """Let the next read of several items see one of them as it was before something happens."""
    table = world.services.table
    whole = table.get_many

    def torn(keys: list[Key]) -> dict[Key, Item]:
        early = [key for key in keys if key.sk == first]
        if not early:
            return whole(keys)
        object.__setattr__(table, "get_many", whole)
        before = whole(early)
        meanwhile()
        return {**whole([key for key in keys if key not in early]), **before}

    object.__setattr__(table, "get_many", torn)


def before(world: World, call: str, meanwhile: Callable[[], object]) -> None:
    """Let something happen right before the next call of the table."""
    table = world.services.table
    whole = getattr(table, call)

    def late(*args: Any, **named: Any) -> Any:
        object.__setattr__(table, call, whole)
        meanwhile()
        return whole(*args, **named)

    object.__setattr__(table, call, late)


@pytest.mark.parametrize("first", ["password", "owner"])
def test_an_old_password_begins_no_session_after_its_change(
    workers: tuple[World, World], first: str
) -> None:
    one, other = workers
    tenant = one.tenant()
    person = tenant.user()
    elsewhere = Tenant(world=other, id=tenant.id)
    tear(one, first, lambda: elsewhere.me(person.access, "PUT", "/password", CHANGE))
    refused(tenant.sign_in(), 401, "invalid_credentials")
    assert tenant.sign_in(EMAIL, NEW_PASSWORD).status_code == 200


@pytest.mark.parametrize("first", ["password", "owner"])
def test_a_deleted_user_is_not_let_in_by_what_was_read_before(
    workers: tuple[World, World], first: str
) -> None:
    one, other = workers
    tenant = one.tenant()
    person = tenant.user()
    elsewhere = Tenant(world=other, id=tenant.id)
    tear(one, first, lambda: elsewhere.me(person.access, "DELETE"))
    refused(tenant.sign_in(), 401, "invalid_credentials")
    assert [row for row in one.kept(person.id) if not row[0].startswith("outbox")] == []


@pytest.mark.parametrize("first", ["password", "owner"])
def test_a_suspended_user_is_not_let_in_by_what_was_read_before(
    workers: tuple[World, World], first: str
) -> None:
    one, other = workers
    tenant = one.tenant()
    person = tenant.user()
    elsewhere = Tenant(world=other, id=tenant.id)
    suspension = {"state": "suspended"}
    tear(one, first, lambda: elsewhere.admin("PATCH", f"/users/{person.id}", suspension))
    refused(tenant.sign_in(), 403, "user_suspended")


def test_a_session_of_an_earlier_epoch_is_not_turned_on(workers: tuple[World, World]) -> None:
    one, other = workers
    tenant = one.tenant()
    person = tenant.user()
    elsewhere = Tenant(world=other, id=tenant.id)
    tear(one, "profile", lambda: elsewhere.me(person.access, "DELETE", "/sessions"))
    answer = tenant.refresh(person.refresh)
    for token in [person.refresh, *([answer.json()["refreshToken"]] if answer.is_success else [])]:
        refused(tenant.refresh(token), 401, "invalid_refresh_token")


def session_of(person: Person) -> str:
    """The id of the session that a person's access token belongs to."""
    (session,) = person.call("GET", "/sessions").json()["items"]
    return str(session["id"])


CHANGE = {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}
SAME = {"currentPassword": PASSWORD, "newPassword": PASSWORD}


@pytest.mark.parametrize("first", ["profile", "session"])
def test_a_session_lives_on_while_its_own_user_changes_the_password(
    workers: tuple[World, World], first: str
) -> None:
    one, other = workers
    tenant = one.tenant()
    person = tenant.user()
    elsewhere = Tenant(world=other, id=tenant.id)
    sort_key = first if first == "profile" else f"session#{session_of(person)}"
    tear(one, sort_key, lambda: elsewhere.me(person.access, "PUT", "/password", CHANGE))
    assert tenant.refresh(person.refresh).status_code == 200


def test_a_session_of_an_ended_epoch_stays_ended_however_often_it_is_read(
    workers: tuple[World, World],
) -> None:
    one, other = workers
    tenant = one.tenant()
    person = tenant.user()
    elsewhere = Tenant(world=other, id=tenant.id)
    session = f"session#{session_of(person)}"
    tear(one, session, lambda: elsewhere.me(person.access, "DELETE", "/sessions"))
    refused(tenant.me(person.access), 401, "invalid_token")


def test_two_changes_of_a_password_in_one_session_are_both_made(
    workers: tuple[World, World],
) -> None:
    one, other = workers
    tenant = one.tenant()
    person = tenant.user()
    elsewhere = Tenant(world=other, id=tenant.id)
    before(one, "query", lambda: elsewhere.me(person.access, "PUT", "/password", SAME))
    assert tenant.me(person.access, "PUT", "/password", CHANGE).status_code == 204
    assert tenant.me(person.access).status_code == 200
    assert tenant.sign_in(EMAIL, NEW_PASSWORD).status_code == 200


@pytest.mark.parametrize("call", ["query", "commit"])
@pytest.mark.parametrize("path", ["/sessions", "/sessions/{sid}"])
def test_a_password_is_not_changed_by_a_session_that_ended_meanwhile(
    workers: tuple[World, World], call: str, path: str
) -> None:
    one, other = workers
    tenant = one.tenant()
    person = tenant.user()
    elsewhere = Tenant(world=other, id=tenant.id)
    ended = path.format(sid=session_of(person))
    before(one, call, lambda: elsewhere.me(person.access, "DELETE", ended))
    refused(tenant.me(person.access, "PUT", "/password", CHANGE), 401, "invalid_token")
    assert tenant.sign_in().status_code == 200


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[tuple[World, World]]:
    """Two workers that count wrong passwords."""
    with (
        open_world(tmp_path, rate_limits="on") as one,
        open_world(tmp_path, hour=one.hour, rate_limits="on") as other,
    ):
        yield one, other


def test_counting_a_wrong_password_does_not_bring_an_old_one_back(
    limited: tuple[World, World],
) -> None:
    one, other = limited
    tenant = one.tenant()
    tenant.user()
    token = tenant.reset_token()
    elsewhere = Tenant(world=other, id=tenant.id)
    tear(one, "password", lambda: elsewhere.reset(token))
    refused(tenant.sign_in(EMAIL, "neither of the two"), 401, "invalid_credentials")
    refused(tenant.sign_in(), 401, "invalid_credentials")
    assert tenant.sign_in(EMAIL, NEW_PASSWORD).status_code == 200


def test_counting_a_wrong_password_does_not_take_a_new_users_away(
    limited: tuple[World, World],
) -> None:
    one, other = limited
    tenant = one.tenant()
    token = tenant.invitation()
    tenant.sign_in(EMAIL, "wrong before there is any")
    elsewhere = Tenant(world=other, id=tenant.id)
    tear(one, "password", lambda: elsewhere.verify(token))
    refused(tenant.sign_in(EMAIL, "neither of the two"), 401, "invalid_credentials")
    assert tenant.sign_in().status_code == 200


def test_a_right_password_of_before_a_reset_begins_no_session(
    limited: tuple[World, World],
) -> None:
    one, other = limited
    tenant = one.tenant()
    tenant.user()
    token = tenant.reset_token()
    elsewhere = Tenant(world=other, id=tenant.id)
    tear(one, "password", lambda: elsewhere.reset(token))
    refused(tenant.sign_in(), 401, "invalid_credentials")
