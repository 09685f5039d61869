"""Who did what to whom, from where: told for 400 days, and in the log without a secret."""

import base64
import json
import logging
import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from app.adapters.logs import JsonLines
from app.common.clock import rfc3339
from app.messages.types import MessageKind
from tests.api.world import (
    ABSENT,
    ADMIN_KEY,
    DAY,
    EMAIL,
    NEW_PASSWORD,
    PASSWORD,
    START,
    Tenant,
    World,
    body,
    refused,
    tokens,
)

PEER = ("203.0.113.9", 40_000)
AGENT = {"User-Agent": "Songbook/2.0"}
DEPLOYMENT = "/v1/audit-events"


def events(tenant: Tenant, **query: Any) -> list[dict[str, Any]]:
    """The trail of an application, newest first, page by page."""
    return _pages(tenant.world, f"{tenant.base}/audit-events", query)


def deployment_events(world: World, **query: Any) -> list[dict[str, Any]]:
    return _pages(world, DEPLOYMENT, query)


def _pages(world: World, path: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = body(world.admin("GET", f"{path}?{urlencode(query)}"))
        found += page["items"]
        if page["nextCursor"] is None:
            return found
        query = {**query, "cursor": page["nextCursor"]}


def operations(found: list[dict[str, Any]]) -> list[str]:
    return [event["operation"] for event in found]


def newest(tenant: Tenant) -> dict[str, Any]:
    return events(tenant)[0]


# What is recorded


def test_a_record_tells_who_did_what_to_whom_from_where_when_and_how_it_went(
    tenant: Tenant,
) -> None:
    person = tenant.user()
    tenant.world.advance(60)
    answer = tenant.sign_in(peer=PEER, headers=AGENT)
    event = newest(tenant)
    assert event == {
        "id": event["id"],
        "time": "2026-03-01T12:01:00.000Z",
        "operation": "userSignedIn",
        "outcome": "success",
        "applicationId": tenant.id,
        "actor": {"type": "user", "id": person.id},
        "userId": person.id,
        "email": EMAIL,
        "ipAddress": PEER[0],
        "userAgent": AGENT["User-Agent"],
        "requestId": answer.headers["X-Request-Id"],
        "data": {},
    }


def test_log_05_a_life_is_told_whole_and_in_order(world: World, tenant: Tenant) -> None:
    person = tenant.user()
    tenant.sign_in(EMAIL, NEW_PASSWORD)
    tenant.reset(tenant.reset_token(), PASSWORD)
    again = person.signed_in()
    change = {"currentPassword": NEW_PASSWORD, "newPassword": NEW_PASSWORD}
    refused(again.call("PUT", "/password", change), 401, "invalid_credentials")
    again.call("PUT", "/password", {**change, "currentPassword": PASSWORD})
    again.call("PATCH", "", {"metadata": {"a": 1}})
    again.call("DELETE", "/sessions")
    person.admin("PATCH", {"state": "suspended"})
    refused(tenant.sign_in(EMAIL, NEW_PASSWORD), 403, "user_suspended")
    person.admin("DELETE")
    told = [(event["operation"], event["actor"]["type"]) for event in reversed(events(tenant))]
    assert told == [
        ("applicationCreated", "admin"),
        ("userSignUpRequested", "public"),
        ("userCreated", "user"),
        ("userSignedIn", "user"),
        ("userSignInFailed", "public"),
        ("passwordResetRequested", "public"),
        ("passwordChanged", "user"),
        ("userSignedIn", "user"),
        ("passwordChangeFailed", "user"),
        ("passwordChanged", "user"),
        ("userUpdated", "user"),
        ("userSignedOut", "user"),
        ("userSuspended", "admin"),
        ("userSignInFailed", "public"),
        ("userDeleted", "admin"),
    ]
    failed = {e["operation"] for e in events(tenant) if e["outcome"] == "failure"}
    assert failed == {"userSignInFailed", "passwordChangeFailed"}


def test_log_06_the_reuse_of_a_refresh_token_is_told_without_the_token(tenant: Tenant) -> None:
    person = tenant.user()
    tenant.refresh(person.refresh)
    tenant.world.advance(11)
    refused(tenant.refresh(person.refresh, peer=PEER), 401, "invalid_refresh_token")
    event = newest(tenant)
    assert (event["operation"], event["outcome"]) == ("refreshTokenReused", "failure")
    assert (event["userId"], event["ipAddress"]) == (person.id, PEER[0])
    assert event["data"].keys() == {"sessionId"}


def test_a_try_at_an_unknown_address_and_a_wrong_verification_are_told(tenant: Tenant) -> None:
    tenant.sign_in("nobody@example.com", PASSWORD)
    event = newest(tenant)
    assert (event["operation"], event["outcome"]) == ("userSignInFailed", "failure")
    assert (event["userId"], event["email"]) == (None, "nobody@example.com")
    assert event["actor"] == {"type": "public", "id": None}
    tenant.verify(tenant.invitation(), NEW_PASSWORD)
    event = newest(tenant)
    assert (event["operation"], event["email"]) == ("emailVerificationFailed", EMAIL)


def test_adm_24_every_write_of_an_administrator_names_their_key(world: World) -> None:
    own = world.tenant()
    made = body(world.admin("POST", "/v1/api-keys", {"name": "own", "applicationId": own.id}))
    person = own.user()

    def act(method: str, tail: str, json: Any = ABSENT) -> None:
        answer = world.send(method, own.base + tail, json, key=made["key"])
        assert answer.is_success, answer.text

    act("PATCH", "", {"name": "Songbook"})
    act("POST", "/keys")
    act("PATCH", f"/users/{person.id}", {"appMetadata": {"plan": "choir"}})
    act("DELETE", f"/users/{person.id}")
    by_key = [e for e in events(own) if e["actor"] == {"type": "admin", "id": made["id"]}]
    assert operations(by_key) == [
        "userDeleted",
        "userUpdated",
        "applicationKeyRotated",
        "applicationUpdated",
    ]
    assert by_key[1]["data"] == {"changed": ["appMetadata"]}
    act("DELETE", "")
    world.admin("DELETE", f"/v1/api-keys/{made['id']}")
    told = deployment_events(world)
    assert operations(told) == [
        "apiKeyDeleted",
        "applicationDeleted",
        "apiKeyCreated",
        "applicationCreated",
    ]
    assert [event["actor"]["id"] for event in told] == [
        "bootstrap",
        made["id"],
        "bootstrap",
        "bootstrap",
    ]
    assert told[2]["data"] == {"apiKeyId": made["id"], "applicationId": own.id}
    assert made["key"] not in repr(told)


def test_adm_24_no_operation_deletes_a_record(world: World, tenant: Tenant) -> None:
    person = tenant.user()
    before = events(tenant)
    person.admin("DELETE")
    assert events(tenant)[1:] == before
    for method in ("DELETE", "PUT", "POST", "PATCH"):
        refused(world.admin(method, f"{tenant.base}/audit-events"), 405, "method_not_allowed")
        refused(world.admin(method, DEPLOYMENT), 405, "method_not_allowed")


def test_reading_and_what_was_refused_before_it_began_leave_no_record(tenant: Tenant) -> None:
    person = tenant.user()
    before = events(tenant)
    person.call("GET")
    tenant.admin("GET", "/users")
    tenant.refresh(person.refresh)
    tenant.me("garbage")
    tenant.sign_in("no address", PASSWORD)
    tenant.world.send("GET", tenant.base, key="garbage")
    assert events(tenant) == before


def test_log_07_a_record_is_in_the_commit_of_its_change(world: World, tenant: Tenant) -> None:
    """Both trails and the event have one id, and nothing is between them and the change."""
    person = tenant.user()
    table, seen = world.services.table, list[tuple[Any, ...]]()
    commit = table.commit

    def watching(*writes: Any) -> None:
        seen.append(writes)
        commit(*writes)

    object.__setattr__(table, "commit", watching)
    person.admin("PATCH", {"state": "suspended"})
    (writes,) = seen
    ids = [w.key.sk for w in writes if "audit" in w.key.pk or w.key.pk.startswith("outbox")]
    assert len(ids) == 3
    assert len(set(ids)) == 1
    assert {"profile", "owner"} <= {write.key.sk for write in writes}


# How it is listed


def test_filters_pick_by_user_operation_and_time(world: World, tenant: Tenant) -> None:
    ada, eve = tenant.user(), tenant.user("eve@example.com")
    world.advance(60)
    at = rfc3339(world.hour.now)
    ada.signed_in()
    world.advance(60)
    eve.signed_in()
    everything = events(tenant)
    assert events(tenant, userId=ada.id) == [e for e in everything if e["userId"] == ada.id]
    signed_in = events(tenant, operation="userSignedIn")
    assert signed_in == [e for e in everything if e["operation"] == "userSignedIn"]
    assert [e["userId"] for e in events(tenant, **{"from": at})] == [eve.id, ada.id]
    assert events(tenant, to=at) == everything[2:]
    later = rfc3339(world.hour.now)
    (only,) = events(tenant, **{"from": at, "to": later, "userId": ada.id})
    assert (only["operation"], only["time"]) == ("userSignedIn", at)
    assert events(tenant, userId="nobody") == []
    assert events(tenant, userId=ada.id, operation="userDeleted") == []


def test_pages_hold_every_record_once_newest_first(tenant: Tenant) -> None:
    for number in range(12):
        tenant.sign_in(f"{number}@example.com", PASSWORD)
        tenant.world.advance(1)
    everything = events(tenant)
    ids = [event["id"] for event in everything]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == len(ids) == 13
    for limit in (1, 5, 13, 100):
        assert events(tenant, limit=limit) == everything
    assert events(tenant, limit=2, operation="applicationCreated") == everything[-1:]


def test_a_rare_operation_is_found_behind_thousands_of_others(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound on what one request looks at is what makes it take several."""
    monkeypatch.setattr("app.audit.store.MOST_LOOKED_AT", 3)
    for number in range(8):
        tenant.sign_in(f"{number}@example.com", PASSWORD)
    path = f"{tenant.base}/audit-events?operation=applicationCreated"
    first = body(tenant.world.admin("GET", path))
    assert first["items"] == []
    assert first["nextCursor"] is not None
    assert operations(events(tenant, operation="applicationCreated")) == ["applicationCreated"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-03-01"}, "from"),
        ({"to": "1772366400"}, "to"),
        ({"operation": "userRenamed"}, "operation"),
        ({"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}, "from"),
        ({"limit": 101}, "limit"),
        ({"userId": "x" * 65}, "userId"),
    ],
)
def test_a_wrong_filter_is_named(world: World, query: dict[str, Any], field: str) -> None:
    for path in (f"{world.tenant().base}/audit-events", DEPLOYMENT):
        if field == "userId" and path == DEPLOYMENT:
            continue
        answer = world.admin("GET", f"{path}?{urlencode(query)}")
        assert answer.status_code == 422, answer.text
        assert any(error["field"].startswith(field) for error in answer.json()["errors"])


def test_no_cursor_leads_into_another_trail(world: World, tenant: Tenant) -> None:
    other = world.tenant()
    person = tenant.user()
    path = f"{tenant.base}/audit-events?limit=1"
    cursor = body(world.admin("GET", path))["nextCursor"]
    of_user = body(world.admin("GET", f"{path}&userId={person.id}"))["nextCursor"]
    for foreign in (
        f"{other.base}/audit-events?cursor={cursor}",
        f"{tenant.base}/audit-events?cursor={of_user}",
        f"{tenant.base}/audit-events?userId={person.id}&cursor={cursor}",
        f"{DEPLOYMENT}?cursor={cursor}",
        f"{tenant.base}/audit-events?cursor=x{cursor}",
    ):
        refused(world.admin("GET", foreign), 400, "invalid_cursor")


def test_i7_a_trail_shows_nothing_of_another_application(world: World, tenant: Tenant) -> None:
    other = world.tenant()
    person = other.user()
    for query in ({}, {"userId": person.id}):
        found = events(tenant, **query)
        assert person.id not in repr(found)
        assert EMAIL not in repr(found)
    for forged in (f"{other.id}", f"user#{person.id}", f"0#{person.id}", "../x", "#"):
        assert events(tenant, userId=forged[:64]) == []
    narrow = body(world.admin("POST", "/v1/api-keys", {"name": "n", "applicationId": tenant.id}))
    foreign = world.send("GET", f"{other.base}/audit-events", key=narrow["key"])
    refused(foreign, 404, "application_not_found")
    refused(world.send("GET", DEPLOYMENT, key=narrow["key"]), 403, "forbidden")


def test_a_record_is_kept_for_400_days(world: World, tenant: Tenant) -> None:
    tenant.user()
    world.advance(400 * DAY - 1)
    assert len(events(tenant)) == 4
    world.advance(1)
    assert events(tenant) == []
    assert deployment_events(world) == []


def test_kept_records_outlive_their_application(world: World) -> None:
    tenant = world.tenant()
    tenant.admin("DELETE")
    assert operations(deployment_events(world)) == ["applicationDeleted", "applicationCreated"]
    for row in world.rows(tenant.id):
        assert "audit" in row[0].split("#") or row[0].startswith("outbox"), row


# What the log tells


def test_a_log_line_names_request_operation_application_outcome_and_duration(
    tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    granted, denied = tenant.user(), tenant.sign_in(EMAIL, NEW_PASSWORD)
    odd = tenant.public("POST", "/users/token", {"email": 1, "password": PASSWORD})
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    by_request = {line["request_id"]: line for line in lines if "request_id" in line}
    line = by_request[denied.headers["X-Request-Id"]]
    assert line["operation"] == "requestUserToken"
    assert line["application"] == tenant.id
    assert (line["status"], line["outcome"]) == (401, "invalid_credentials")
    assert line["milliseconds"] > 0
    assert by_request[odd.headers["X-Request-Id"]]["outcome"] == "validation_failed"
    assert {line["outcome"] for line in lines if line.get("status") == 200} == {"ok"}
    assert granted.id not in repr(lines)


def forms(secret: str) -> set[str]:
    """The five forms in which a secret may have been written down."""
    raw = secret.encode()
    return {
        secret,
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
        quote(secret, safe=""),
    }


def test_log_01_and_08_neither_log_nor_store_nor_trail_holds_a_secret_of_the_run(
    world: World, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    person = tenant.user()
    second = tokens(tenant.refresh(person.refresh))
    tenant.sign_in(EMAIL, "some wrong & odd password?")
    made = body(world.admin("POST", "/v1/api-keys", {"name": "all"}))
    world.send("GET", "/v1/applications", key=made["key"])
    reset = tenant.reset_token()
    tenant.reset(reset)
    tenant.public("POST", "/users/token", {"email": EMAIL, "password": [NEW_PASSWORD]})
    tenant.public("POST", "/users/token", content=f'{{"password": "{NEW_PASSWORD}'.encode())
    tenant.public("GET", f"/users/password/reset?token={reset}")
    invitation = world.last_message(EMAIL, MessageKind.PASSWORD_CHANGED)
    assert invitation.token is None
    messages = [message.token for message in world.messages(EMAIL) if message.token]
    secrets = [
        *(PASSWORD, NEW_PASSWORD, "some wrong & odd password?", ADMIN_KEY, made["key"], reset),
        *(person.access, person.refresh, second["access"], second["refresh"], *messages),
    ]
    ours = [record for record in caplog.records if not record.name.startswith("httpx")]
    assert len(ours) > 10
    log = "\n".join(JsonLines().format(record) for record in ours)
    trail = json.dumps([events(tenant), deployment_events(world)])
    store = repr(world.rows())
    published = repr([event.body() for event in world.events()])
    for secret in secrets:
        for form in forms(secret):
            for name, text in {
                "log": log,
                "trail": trail,
                "store": store,
                "events": published,
            }.items():
                assert form not in text, name
    assert EMAIL in trail
    assert EMAIL not in log
    assert EMAIL not in published
    assert re.search(r"[\w.]+@[\w.]+", log) is None


def test_the_hour_of_a_record_is_that_of_the_service(world: World, tenant: Tenant) -> None:
    world.hour.now = START + timedelta(days=3650)
    tenant.user()
    assert newest(tenant)["time"].startswith("2036-02-27T12:00:00")
    assert len(events(tenant, **{"from": "2036-02-27T12:00:00Z"})) == 3
    assert len(events(tenant, **{"from": "0001-01-01T00:00:00Z"})) == 3
    assert events(tenant, **{"from": "9999-12-31T23:59:59Z"}) == []
