"""Attacks on administration and on what keeps tenants apart (catalogue 1.12)."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from app.common.secrets import decode
from tests.api.operations import ID, operations
from tests.api.world import (
    ABSENT,
    ADMIN_KEY,
    Person,
    Tenant,
    World,
    alike,
    body,
    open_world,
    refused,
)
from tests.security.store import kept


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Two applications with a user each, and the key of the first one."""

    ours: Person
    theirs: Person
    key: str

    @property
    def world(self) -> World:
        return self.ours.tenant.world

    def send(self, method: str, path: str, json: Any = ABSENT, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.world.send(method, path, json, key=self.key, headers=named)


@pytest.fixture(scope="module")
def ground(shared: World) -> Ground:
    ours, theirs = shared.tenant().user(), shared.tenant().user()
    sent = {"name": "ours", "applicationId": ours.tenant.id}
    return Ground(
        ours=ours, theirs=theirs, key=body(shared.admin("POST", "/v1/api-keys", sent))["key"]
    )


def test_adm_01_no_disguise_makes_a_key(ground: Ground) -> None:
    path = ground.ours.tenant.base
    for key in (
        ADMIN_KEY.upper(),
        ADMIN_KEY[:-1],
        ADMIN_KEY + "x",
        f'"{ADMIN_KEY}"',
        f"Bearer {ADMIN_KEY}",
        f"{ADMIN_KEY},{ADMIN_KEY}",
        f"{ADMIN_KEY};",
        ground.key[:20],
        ground.key.replace("psk_", "PSK_"),
        ground.key + "=",
        ground.key[:-1] + "=",
        "*",
        "psk_",
        "null",
    ):
        refused(ground.world.send("GET", path, key=key), 401, "invalid_api_key")
    for name in ("Api-Key", "X-Admin-Key", "Authorization", "X-Amz-Security-Token", "X-Api-Token"):
        headers = {name: ADMIN_KEY}
        refused(ground.world.send("GET", path, headers=headers), 401, "invalid_api_key")
    for query in (f"?api_key={ADMIN_KEY}", f"?X-Api-Key={ADMIN_KEY}", f"?key={ADMIN_KEY}"):
        refused(ground.world.send("GET", path + query), 401, "invalid_api_key")


def test_adm_02_another_applications_id_is_nothing_wherever_it_stands(ground: Ground) -> None:
    ours, theirs = ground.ours.tenant, ground.theirs.tenant
    before = kept(ground.world, theirs.id)
    mixed = {
        "X_Application_Id": theirs.id,
        "X_Tenant": theirs.id,
        "Referer": f"http://localhost{theirs.base}",
        "X_Original_URL": theirs.base,
        "X_Forwarded_Prefix": theirs.base,
    }
    for query in ("applicationId", "application_id", "tenant", "id"):
        for tail in ("", "/users", "/keys"):
            answer = ground.send("GET", f"{ours.base}{tail}?{query}={theirs.id}", **mixed)
            assert theirs.id not in answer.text
            assert ground.theirs.id not in answer.text
    for name in ("id", "applicationId", "application_id"):
        refused(
            ground.send("PATCH", ours.base, {name: theirs.id}, **mixed), 422, "validation_failed"
        )
        answer = ground.send("PATCH", f"{ours.base}/users/{ground.ours.id}", {name: theirs.id})
        refused(answer, 422, "validation_failed")
    sent = {"name": "mine", "applicationId": theirs.id}
    refused(ground.send("POST", "/v1/api-keys", sent), 403, "forbidden")
    sent["applicationId"] = ID
    refused(ground.send("POST", "/v1/api-keys", sent), 403, "forbidden")
    assert kept(ground.world, theirs.id) == before


def test_adm_12_a_cursor_of_one_list_is_none_of_another(world: World) -> None:
    one, other = world.tenant(), world.tenant()
    people = {}
    for tenant in (one, other):
        tenant.user("bob@example.com")
        people[tenant.id] = tenant.user().signed_in()
    lists: dict[str, Callable[[Tenant, str], httpx.Response]] = {
        "users": lambda tenant, q: tenant.admin("GET", f"/users{q}"),
        "keys": lambda tenant, q: tenant.admin("GET", f"/keys{q}"),
        "sessions": lambda tenant, q: people[tenant.id].call("GET", f"/sessions{q}"),
        "audit": lambda tenant, q: tenant.admin("GET", f"/audit-events{q}"),
    }
    for kind, name in itertools.product(lists, lists):
        ask = lists[name]
        foreign = body(lists[kind](other, "?limit=1"))["nextCursor"]
        if name != kind:
            refused(ask(other, f"?cursor={foreign}"), 400, "invalid_cursor")
        for cursor in (
            foreign,
            foreign + "A",
            foreign[:-2],
            decode(foreign).hex(),
            foreign + "%00",
            "=",
            "%20",
        ):
            refused(ask(one, f"?cursor={cursor}"), 400, "invalid_cursor")


def test_adm_09_a_key_is_256_even_bits(world: World) -> None:
    keys = [body(world.admin("POST", "/v1/api-keys", {"name": "x"}))["key"] for _ in range(100)]
    assert len(set(keys)) == 100
    raw = [decode(key.removeprefix("psk_"))[:32] for key in keys]
    assert all(key.startswith("psk_") for key in keys)
    for place in range(256):
        ones = sum(one[place // 8] >> place % 8 & 1 for one in raw)
        assert abs(ones - 50) < 35  # seven standard deviations: one run in 10**9
    stored = repr(world.rows())
    assert not [key for key in keys if key[20:] in stored]


def test_adm_17_nothing_and_the_untouchable_change_nothing(ground: Ground) -> None:
    before = kept(ground.world, ground.ours.tenant.id)
    path = ground.ours.tenant.base
    assert ground.send("PATCH", path, {}).status_code == 200
    forged = {
        "id": ground.theirs.tenant.id,
        "issuer": f"http://localhost{ground.theirs.tenant.base}",
        "userCount": 0,
        "user_count": 0,
        "created": "2020-01-01T00:00:00.000Z",
        "keys": [],
        "keysNumber": 0,
        "version": 0,
        "settings": {},
        "jwksUri": "https://evil.example",
    }
    for name, value in forged.items():
        for sent in ({name: value}, {"name": "taken", name: value}):
            refused(ground.send("PATCH", path, sent), 422, "validation_failed", field=name)
    assert kept(ground.world, ground.ours.tenant.id) == before


HIDDEN_HOSTS = [
    "http://[::1]evil.example/",
    "http://[::1].evil.example/",
    "https://[::1]evil.example/",
    "http://evil.example[::1]/",
    "http://[::1%25x]/",
]


@pytest.mark.parametrize("url", HIDDEN_HOSTS)
def test_adm_18_a_url_names_one_host(ground: Ground, url: str) -> None:
    path = ground.ours.tenant.base
    for name in ("verificationUrl", "resetPasswordUrl"):
        refused(ground.send("PATCH", path, {name: url}), 422, "validation_failed", field=name)
    answer = ground.send("PATCH", path, {"allowedOrigins": [url.removesuffix("/")]})
    refused(answer, 422, "validation_failed")


@pytest.mark.parametrize(
    "url",
    [
        "https://songbook.example/\u200e\n",
        "http://10.0.0.1/",
        "http://[fd00::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://metadata.google.internal/",
        "http://127.1/",
        "http://localhost./",
        "http://127.0.0.1.nip.io/",
        "http://localhost:3000@evil.example/",
        "http://localhost．evil.example/",
        "https:songbook.example",
        "https:///songbook.example",
        "HTTPS://songbook.example/",
        "blob:https://songbook.example/x",
        "file:///etc/passwd",
        "gopher://songbook.example/",
        "vbscript:x",
        "\tjavascript:alert(1)",
        " https://songbook.example/",
        "https://songbook.example/ ",
        "https://songbook.example:0/",
        "https://songbook.example:٤٤٣/",
        "https://ünsafe.example/",
        "https://-.example/",
        "https://a..b/",
    ],
)
def test_adm_18_other_urls_are_refused(ground: Ground, url: str) -> None:
    for name in ("verificationUrl", "resetPasswordUrl"):
        answer = ground.send("PATCH", ground.ours.tenant.base, {name: url})
        refused(answer, 422, "validation_failed", field=name)


def test_adm_18_ten_thousand_origins_are_refused(ground: Ground) -> None:
    origins = [f"https://{number}.ex" for number in range(2500)]
    answer = ground.send("PATCH", ground.ours.tenant.base, {"allowedOrigins": origins})
    refused(answer, 422, "validation_failed", field="allowedOrigins")
    answer = ground.send("PATCH", ground.ours.tenant.base, {"allowedOrigins": origins * 4})
    refused(answer, 413, "body_too_large")


def test_adm_19_what_does_not_exist_is_neither_changed_nor_made(ground: Ground) -> None:
    before = kept(ground.world)
    ours = ground.ours.tenant.id
    for operation in operations(ground.world):
        named = [name for name in ("user_id", "kid", "api_key_id") if name in operation.template]
        if not operation.admin or not (operation.of_application or named):
            continue
        unknown = operation.path(application_id=ours if named else ID)
        for _ in range(2):
            answer = ground.world.send(operation.method, unknown, operation.body, key=ADMIN_KEY)
            assert answer.status_code == 404, operation.id
    assert kept(ground.world) == before


def test_adm_20_a_user_of_one_application_is_nobody_in_another(ground: Ground) -> None:
    before = kept(ground.world, ground.theirs.id)
    ours, theirs = ground.ours.tenant, ground.theirs
    for method, sent in (
        ("GET", ABSENT),
        ("PATCH", {"state": "suspended"}),
        ("PATCH", {"appMetadata": {"role": "admin"}}),
        ("DELETE", ABSENT),
    ):
        answer = ours.admin(method, f"/users/{theirs.id}", sent)
        refused(answer, 404, "user_not_found")
        assert alike(answer, ours.admin(method, f"/users/{ID}", sent))
    for tail in ("", "/sessions"):
        refused(ours.me(theirs.access, "GET", tail), 401, "invalid_token")
        refused(ours.me(theirs.access, "DELETE", tail), 401, "invalid_token")
    assert kept(ground.world, ground.theirs.id) == before
    assert theirs.call("GET").status_code == 200


def test_adm_21_no_decision_is_carried_over_to_another_application(ground: Ground) -> None:
    ours, theirs, world = ground.ours, ground.theirs, ground.world
    with open_world(world.folder, hour=world.hour, rate_limits="off") as worker:
        for number in range(100):
            door = worker if number % 3 else world
            here, there = (ours, theirs) if number % 2 else (theirs, ours)
            good = replace(here.tenant, world=door).me(here.access)
            assert body(good)["id"] == here.id
            refused(replace(there.tenant, world=door).me(here.access), 401, "invalid_token")


@pytest.mark.parametrize(
    "form",
    ["..%2F{}", "{}%23", "{}%3F", "{}%7C", "{}:", "{};x=1", "{}%00", "%20{}", "{}%0A",
     "app%23{}", "{}%23user", "%EF%BC%90{}", "{}" + "x" * 5000, "%2e%2e",
     "application", "null", "0", "*", "%25"],
)  # fmt: skip
def test_adm_22_no_id_reaches_another_partition(ground: Ground, form: str) -> None:
    before = kept(ground.world)
    theirs = ground.theirs
    for application in (theirs.tenant.id, ground.ours.tenant.id):
        spelt = form.replace("{}", application)
        for operation in operations(ground.world):
            if operation.of_application and operation.admin:
                path = operation.path(application_id=spelt, user_id=theirs.id)
                answer = ground.world.send(operation.method, path, operation.body, key=ground.key)
                assert answer.status_code in {404, 405}, (path, answer.text)
    for person in (theirs, ground.ours):
        spelt = form.replace("{}", person.id)
        if spelt != ground.ours.id:
            for method, sent in (("GET", ABSENT), ("PATCH", {"metadata": {}}), ("DELETE", ABSENT)):
                path = f"{ground.ours.tenant.base}/users/{spelt}"
                assert ground.send(method, path, sent).status_code in {404, 405}
    assert kept(ground.world) == before
