"""Keys of administrators: made, shown once, listed, used, revoked, expired."""

from typing import Any

import pytest

from app.settings import Settings
from app.wiring import build
from tests.api.world import ADMIN_KEY, World, body, refused

KEYS = "/v1/api-keys"
NOWHERE = "019ca945-0a00-7001-9c76-e6773e9f1b85"


def _created(world: World, **wishes: Any) -> dict[str, Any]:
    answer = world.admin("POST", KEYS, {"name": "pipeline", **wishes})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _works(world: World, key: str) -> bool:
    answer = world.send("GET", "/v1/applications", key=key)
    if answer.status_code == 200:
        return True
    refused(answer, 401, "invalid_api_key")
    return False


def test_a_key_is_shown_this_once(world: World) -> None:
    answer = world.admin("POST", KEYS, {"name": "pipeline"})
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    made = answer.json()
    key = made.pop("key")
    assert key.startswith("psk_")
    assert len(key) >= len("psk_") + 43
    assert made == {
        "id": made["id"],
        "name": "pipeline",
        "applicationId": None,
        "prefix": key[:12],
        "created": "2026-03-01T12:00:00.000Z",
        "expires": None,
        "lastUsed": None,
    }
    assert _works(world, key)
    listed = world.admin("GET", KEYS)
    assert body(listed) == {
        "items": [{**made, "lastUsed": "2026-03-01T12:00:00.000Z"}],
        "nextCursor": None,
    }
    assert key not in listed.text


def test_the_store_holds_no_key(world: World) -> None:
    key = _created(world)["key"]
    dump = repr(world.rows())
    assert key not in dump
    assert key[12:] not in dump
    assert ADMIN_KEY not in dump


def test_every_key_is_another(world: World) -> None:
    keys = [_created(world)["key"] for _ in range(50)]
    assert len(set(keys)) == 50
    assert len({key[:20] for key in keys}) == 50


def test_a_revoked_key_is_refused_at_once(world: World) -> None:
    made, other = _created(world), _created(world)
    assert _works(world, made["key"])
    answer = world.admin("DELETE", f"{KEYS}/{made['id']}")
    assert answer.status_code == 204
    assert answer.content == b""
    assert not _works(world, made["key"])
    assert _works(world, other["key"])
    refused(world.admin("DELETE", f"{KEYS}/{made['id']}"), 404, "api_key_not_found")
    assert [key["id"] for key in body(world.admin("GET", KEYS))["items"]] == [other["id"]]


def test_a_key_may_revoke_itself(world: World) -> None:
    made = _created(world)
    assert world.send("DELETE", f"{KEYS}/{made['id']}", key=made["key"]).status_code == 204
    assert not _works(world, made["key"])


def test_an_expired_key_is_refused(world: World) -> None:
    made = _created(world, expires="2026-03-01T13:00:00Z")
    assert made["expires"] == "2026-03-01T13:00:00.000Z"
    world.advance(3599)
    assert _works(world, made["key"])
    world.advance(1)
    assert not _works(world, made["key"])
    assert body(world.admin("GET", KEYS))["items"] == []


def test_the_last_use_is_noted_to_the_minute(world: World) -> None:
    made = _created(world)

    def last_used() -> Any:
        return body(world.admin("GET", KEYS))["items"][0]["lastUsed"]

    assert last_used() is None
    _works(world, made["key"])
    world.advance(59)
    _works(world, made["key"])
    assert last_used() == "2026-03-01T12:00:00.000Z"
    world.advance(1)
    _works(world, made["key"])
    assert last_used() == "2026-03-01T12:01:00.000Z"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00.000Z"),
        ("2030-01-01T00:00:00.5+02:00", "2029-12-31T22:00:00.500Z"),
        ("2030-01-01t00:00:00z", "2030-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"),
        (None, None),
    ],
)
def test_an_expiry_is_kept_in_utc(shared: World, given: str | None, kept: str | None) -> None:
    assert _created(shared, expires=given)["expires"] == kept


@pytest.mark.parametrize(
    "expires",
    [
        1893456000,
        1893456000.5,
        "1893456000",
        "2030-01-01",
        "2030-01-01T00:00:00",
        "2030-13-01T00:00:00Z",
        "2030-01-01T25:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "10000-01-01T00:00:00Z",
        "tomorrow",
        "",
        True,
        [],
        {},
    ],
)
def test_what_is_no_moment_is_refused(shared: World, expires: Any) -> None:
    answer = shared.admin("POST", KEYS, {"name": "x", "expires": expires})
    refused(answer, 422, "validation_failed", field="expires")


@pytest.mark.parametrize("expires", ["2020-01-01T00:00:00Z", "2026-03-01T12:00:00Z"])
def test_a_key_that_would_have_expired_is_not_made(shared: World, expires: str) -> None:
    answer = shared.admin("POST", KEYS, {"name": "x", "expires": expires})
    refused(answer, 422, "expires_in_past", field="expires")


@pytest.mark.parametrize("name", ["x", "x" * 100, "鳥 🐦"])
def test_a_name_within_its_bounds_is_taken(shared: World, name: str) -> None:
    assert _created(shared, name=name)["name"] == name


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": 1}, "name"),
        ({"name": None}, "name"),
        ({"name": ["x"]}, "name"),
        ({"name": "x", "applicationId": 1}, "applicationId"),
        ({"name": "x", "applicationId": "y" * 65}, "applicationId"),
        ({"name": "x", "application_id": "y"}, "application_id"),
        ({"name": "x", "key": "psk_mine"}, "key"),
        ({"name": "x", "id": NOWHERE}, "id"),
        ({"name": "x", "userId": NOWHERE}, "userId"),
    ],
)
def test_anything_else_is_refused_by_its_name(
    shared: World, sent: dict[str, Any], field: str
) -> None:
    refused(shared.admin("POST", KEYS, sent), 422, "validation_failed", field=field)


@pytest.mark.parametrize("nobody", [NOWHERE, "x", "", "../x", "a#b"])
def test_no_key_is_made_for_an_application_that_does_not_exist(shared: World, nobody: str) -> None:
    answer = shared.admin("POST", KEYS, {"name": "x", "applicationId": nobody})
    refused(answer, 404, "application_not_found")


@pytest.mark.parametrize("nobody", [NOWHERE, "x", "bootstrap", "%2e%2e", "a%23b"])
def test_a_key_that_does_not_exist_is_not_found(shared: World, nobody: str) -> None:
    refused(shared.admin("DELETE", f"{KEYS}/{nobody}"), 404, "api_key_not_found")


def test_the_list_is_oldest_first_and_comes_in_pages(world: World) -> None:
    ids = [_created(world, name=f"number {number}")["id"] for number in range(5)]
    first = body(world.admin("GET", f"{KEYS}?limit=3"))
    second = body(world.admin("GET", f"{KEYS}?limit=3&cursor={first['nextCursor']}"))
    assert [key["id"] for key in first["items"] + second["items"]] == ids
    assert second["nextCursor"] is None


def test_keys_that_only_look_right_are_refused(world: World) -> None:
    key = _created(world)["key"]
    wrong = [
        "psk_",
        "psk_x",
        "psk_" + "A" * 64,
        key[:-1],
        key + "A",
        key.upper(),
        key.removeprefix("psk_"),
        "PSK_" + key.removeprefix("psk_"),
        key[:20] + ("B" if key[20] == "A" else "A") + key[21:],
        ADMIN_KEY[:-1],
        ADMIN_KEY + "x",
        ADMIN_KEY.upper(),
        "admin",
        "",
    ]
    assert not [one for one in wrong if _works(world, one)]
    assert _works(world, key)
    assert _works(world, ADMIN_KEY)


def test_the_header_stands_alone(world: World) -> None:
    for headers in (
        [("X-Api-Key", ADMIN_KEY), ("X-Api-Key", ADMIN_KEY)],
        [("X-Api-Key", ADMIN_KEY), ("X-Api-Key", "x")],
        [("X-Api-Key", f"{ADMIN_KEY}, {ADMIN_KEY}")],
        [("X-Api-Key", ADMIN_KEY.encode() + b"\xfc")],
        [("Authorization", f"Bearer {ADMIN_KEY}")],
        [("Authorization", f"ApiKey {ADMIN_KEY}")],
        [("Cookie", f"X-Api-Key={ADMIN_KEY}")],
    ):
        sent: Any = headers
        refused(world.send("GET", "/v1/applications", headers=sent), 401, "invalid_api_key")
    path = f"/v1/applications?X-Api-Key={ADMIN_KEY}&apiKey={ADMIN_KEY}"
    refused(world.send("GET", path), 401, "invalid_api_key")


def test_the_first_key_is_made_kept_and_told_once(tmp_path: Any) -> None:
    first = build(Settings(data_dir=tmp_path))
    again = build(Settings(data_dir=tmp_path))
    kept = tmp_path / "admin-api-key"
    key = kept.read_text().strip()
    assert key.startswith("psk_")
    assert len(key) == len("psk_") + 43
    assert first.notes == (f"First start: the admin API key is {key}",)
    assert again.notes == ()
    assert kept.stat().st_mode & 0o777 == 0o600
    first.close()
    again.close()
