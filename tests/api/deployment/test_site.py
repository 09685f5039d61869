"""Health, documents, static files, the start page and the local mailbox."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from app import __version__
from tests.api.world import EMAIL, World, body, open_world, refused

POLICY_PARTS = {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"}


def _policy(header: str) -> dict[str, str]:
    parts = [part.strip() for part in header.split(";")]
    return {name: value for name, _, value in (part.partition(" ") for part in parts)}


def test_health_tells_the_version_and_the_store(shared: World) -> None:
    answer = shared.send("GET", "/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "version": __version__, "store": "sqlite"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_without_its_store_the_service_says_so_and_when_to_ask_again(tmp_path: Path) -> None:
    with open_world(tmp_path / "data") as world:
        world.spoilt = True
        tenant = world.tenant()
        person = tenant.user()
        world.services.close()
        (tmp_path / "data").rename(tmp_path / "elsewhere")
        for answer in (
            world.send("GET", "/health"),
            tenant.admin("GET"),
            tenant.sign_in(),
            tenant.sign_up("bob@example.com"),
            person.call("GET"),
            tenant.refresh(person.refresh),
            tenant.public("GET", "/jwks.json"),
        ):
            refused(answer, 503, "temporarily_unavailable")
            assert answer.headers["Retry-After"] == "1"
        world.services.close()
        (tmp_path / "elsewhere").rename(tmp_path / "data")
        assert world.send("GET", "/health").status_code == 200
        assert person.call("GET").status_code == 200


def test_the_documentation_brings_all_its_own_files(shared: World) -> None:
    page = shared.send("GET", "/docs")
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-store"
    files = set(re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text))
    assert len(files) > 3
    for file in files - {"/openapi.json"}:
        assert file.startswith("/"), file
        found = shared.send("GET", file)
        assert found.status_code == 200, file
        assert found.headers["Cache-Control"] == "public, max-age=3600"
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        assert found.content
    policy = _policy(page.headers["Content-Security-Policy"])
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"


@pytest.mark.parametrize(
    "path",
    [
        "/docs/unknown.js",
        "/static/unknown.css",
        "/static/..%2f..%2fmain.py",
        "/static/%2e%2e%2fpages.py",
        "/docs/..%2fdocs.html",
        "/static/",
        "/docs/",
        "/redoc",
        "/.git/config",
        "/.env",
        "/data/passerine.db",
        "/local.key",
        "/admin-api-key",
        "/metrics",
        "/debug",
        "/v1",
        "/v1/",
        "/v1/applications/",
        "/V1/applications",
        "//v1/applications",
        "/health/",
        "/HEALTH",
        "/favicon.ico",
        "/robots.txt",
        "/%00",
        "/%F0%9F%90%A6",
        "/" + "x" * 5000,
    ],
)
def test_there_is_nothing_else(shared: World, path: str) -> None:
    refused(shared.send("GET", path), 404, "not_found")


def test_the_openapi_document_is_served(shared: World) -> None:
    answer = shared.send("GET", "/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["openapi"].startswith("3.1")
    assert answer.json()["info"]["version"] == __version__


def test_the_start_page_says_where_to_go_and_shows_no_secret(shared: World) -> None:
    page = shared.send("GET", "/")
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "/docs" in page.text
    assert "/dev/messages" in page.text
    assert "test-admin-key" not in page.text
    policy = _policy(page.headers["Content-Security-Policy"])
    assert policy["default-src"] == "'none'"
    assert "script-src" not in policy
    assert "'unsafe-inline'" not in page.headers["Content-Security-Policy"]


def test_the_mailbox_lists_messages_newest_first(world: World) -> None:
    tenant = world.tenant()
    assert body(world.send("GET", "/dev/messages")) == {"items": []}
    for number in range(3):
        tenant.sign_up(f"user{number}@example.com")
        world.advance(1)
    world.deliver()
    answer = world.send("GET", "/dev/messages")
    assert answer.headers["Cache-Control"] == "no-store"
    items = body(answer)["items"]
    assert [item["to"] for item in items] == [f"user{n}@example.com" for n in (2, 1, 0)]
    assert items[0].keys() == {
        "id",
        "applicationId",
        "to",
        "subject",
        "kind",
        "text",
        "html",
        "token",
        "url",
        "created",
    }
    assert items[0]["applicationId"] == tenant.id
    assert items[0]["kind"] == "emailVerification"
    assert items[0]["created"] == "2026-03-01T12:00:02.000Z"
    assert items[0]["url"].endswith(f"?token={items[0]['token']}")
    found = body(world.send("GET", "/dev/messages?to=USER1@example.com"))["items"]
    assert [item["to"] for item in found] == ["user1@example.com"]
    assert body(world.send("GET", "/dev/messages?to=nobody@example.com")) == {"items": []}
    page = world.send("GET", "/dev/messages", headers={"Accept": "text/html,*/*"})
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "user2@example.com" in page.text


def test_the_smtp_deployment_has_no_mailbox(tmp_path: Path) -> None:
    smtp: dict[str, Any] = {
        "email": "smtp",
        "smtp_url": "smtp://127.0.0.1:1",
        "email_from": "a@example.com",
    }
    with open_world(tmp_path, **smtp) as world:
        refused(world.send("GET", "/dev/messages"), 404, "not_found")
        assert world.send("GET", "/health").status_code == 200


def test_a_started_service_delivers_by_itself_and_says_where_things_are(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_world(tmp_path) as world:
        tenant = world.tenant()
        tenant.sign_up()

        async def live() -> None:
            async with world.app.router.lifespan_context(world.app):
                for _ in range(500):
                    if await asyncio.to_thread(lambda: list((tmp_path / "mailbox").glob("*.json"))):
                        return
                    await asyncio.sleep(0.01)

        asyncio.run(live())
        assert [message.to for message in world.messages()] == [EMAIL]
    said = capfd.readouterr().out
    assert f"Passerine {__version__}" in said
    for place in ("/docs", "/dev/messages", "PASSERINE_ADMIN_API_KEY"):
        assert place in said
    assert "test-admin-key" not in said


def test_pages_open_a_link_without_using_it_up(world: World) -> None:
    tenant = world.tenant(name="Song<b>book")
    token = tenant.invitation()
    for _ in range(3):
        page = tenant.public("GET", f"/users/verification?token={token}")
        assert page.status_code == 200
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert "Song&lt;b&gt;book" in page.text
        assert token in page.text
    refused(
        tenant.public("HEAD", f"/users/verification?token={token}", headers={}),
        405,
        "method_not_allowed",
    )
    assert tenant.verify(token).status_code == 200
    token = tenant.reset_token()
    for _ in range(3):
        assert tenant.public("GET", f"/users/password/reset?token={token}").status_code == 200
    assert tenant.reset(token).status_code == 204


@pytest.mark.parametrize("tail", ["/users/verification", "/users/password/reset"])
def test_a_page_shows_what_the_link_holds_as_text(shared: World, tail: str) -> None:
    tenant = shared.tenant()
    hostile = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E%7B%7B7*7%7D%7D"
    page = tenant.public("GET", f"{tail}?token={hostile}")
    assert page.status_code == 200
    assert "<script" not in page.text
    assert "{{7*7}}" in page.text
    assert tenant.public("GET", tail).status_code == 400
    assert tenant.public("GET", f"{tail}?token=").status_code == 400
    refused(tenant.public("GET", f"{tail}?token={'x' * 8193}"), 422, "validation_failed")
    missing = shared.send("GET", f"/v1/applications/x{tail}?token=x")
    assert missing.status_code == 404
    assert missing.headers["Content-Type"] == "text/html; charset=utf-8"


def test_the_forms_of_the_pages_do_what_the_operations_do(world: World) -> None:
    tenant = world.tenant()
    token = tenant.invitation("a+b@example.com", "pass word & more=%41")
    form = "application/x-www-form-urlencoded"

    def post(tail: str, content: str, kind: str = form) -> int:
        headers = {"Content-Type": kind}
        answer = tenant.public("POST", tail, content=content.encode(), headers=headers)
        assert "Set-Cookie" not in answer.headers
        assert "eyJ" not in answer.text
        return answer.status_code

    page = "/users/verification/form"
    assert post(page, f"token={token}&password=wrong") == 422
    assert post(page, f"token={token}&password=") == 422
    assert post(page, "token=x&password=wrong") == 400
    assert post(page, f"token={token}&password=x", "application/json") == 415
    assert post(page, f"token={token}&password=%FF") == 415
    assert post(page, "a=b&" * 20) == 415
    assert post(page, f"token={token}&password=pass+word+%26+more%3D%2541") == 200
    assert post(page, f"token={token}&password=pass+word+%26+more%3D%2541") == 400
    assert tenant.sign_in("a+b@example.com", "pass word & more=%41").status_code == 200
    token = tenant.reset_token("a+b@example.com")
    page = "/users/password/reset/form"
    assert post(page, f"token={token}&password=short") == 422
    assert post(page, f"token={token}&password=a+whole+new+phrase", f"{form}; charset=utf-8") == 200
    assert post(page, f"token={token}&password=a+whole+new+phrase") == 400
    assert tenant.sign_in("a+b@example.com", "a whole new phrase").status_code == 200
