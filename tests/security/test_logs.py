"""What the log must not hold, and who must not write it (catalogue 1.20)."""

import base64
import io
import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from opentelemetry import trace
from opentelemetry.trace import NoOpTracer, Tracer, TracerProvider

from app.adapters.logs import JsonLines, TextLines
from app.adapters.platform import DATABASE
from tests.api.operations import operations
from tests.api.world import (
    ADMIN_KEY,
    EMAIL,
    NEW_PASSWORD,
    PASSWORD,
    World,
    body,
    open_world,
    refused,
    tokens,
)

SECRET = "hunter2-is-what-nobody-may-read"
MARK = "kept-in-the-audit-trail-alone"
STYLES = {"text": TextLines, "json": JsonLines}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@contextmanager
def _logging(style: str, level: str = "DEBUG") -> Iterator[io.StringIO]:
    """Everything that this process logs meanwhile, as the service writes it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(STYLES[style]())
    # The client of these tests tells of its own requests.
    handler.addFilter(lambda record: not record.name.startswith("http"))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(level)
    try:
        yield written
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


def _forms(secret: str) -> set[str]:
    raw = secret.encode()
    return {
        secret,
        quote(secret, safe=""),
        raw.hex(),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        json.dumps(secret)[1:-1],
    }


def _live(world: World) -> set[str]:
    """A whole life with its mistakes; every secret that was sent or received."""
    tenant = world.tenant(name="Songbook")
    person = tenant.user()
    key = body(world.admin("POST", "/v1/api-keys", {"name": "x", "applicationId": tenant.id}))
    secrets = {ADMIN_KEY, PASSWORD, NEW_PASSWORD, SECRET, MARK, key["key"], EMAIL}
    secrets |= {person.access, person.refresh}
    for credentials in ({"key": key["key"]}, {"key": SECRET}, {"token": person.access}):
        world.send("GET", tenant.base, **credentials)
    for page in ("/users/verification", "/users/password/reset"):
        tenant.public("GET", f"{page}?token={SECRET}")
        content = f"token={SECRET}&password={SECRET}".encode()
        tenant.public("POST", f"{page}/form", content=content, headers=FORM)
    cookie = {"Cookie": f"session={SECRET}", "X-Secret": SECRET, "User-Agent": MARK}
    tenant.sign_in(password=SECRET, headers=cookie)
    tenant.sign_in(f"{MARK}@example.com", SECRET)
    tenant.sign_up(EMAIL, SECRET)
    tenant.verify(SECRET, SECRET)
    tenant.refresh(SECRET)
    tenant.me(SECRET)
    grant = tokens(tenant.refresh(person.refresh))
    secrets |= {grant["access"], grant["refresh"]}
    world.advance(60)
    tenant.refresh(person.refresh)  # it comes back: the session ends
    token = tenant.reset_token()
    tenant.reset(token, "short")
    tenant.reset(token)
    secrets |= {message.token for message in world.messages() if message.token}
    tenant.public("GET", f"/{SECRET}?password={SECRET}#{SECRET}")
    world.send("GET", f"/{token}/{grant['access']}")
    tenant.admin("GET", f"/users?email={EMAIL}&limit=x")
    tenant.admin("GET", f"/users?cursor={SECRET}")
    return secrets


@pytest.mark.parametrize("style", STYLES)
def test_log_01_even_at_debug_no_secret_is_written(world: World, style: str) -> None:
    with _logging(style) as written:
        secrets = _live(world)
    text = written.getvalue()
    assert text.count("requestUserToken") >= 4
    assert len(secrets) > 10
    for secret in secrets:
        for form in _forms(secret):
            assert form not in text, form
    assert "Authorization" not in text
    assert "token=" not in text


SPILT = [
    f'{{"email":"a@example.com","password":"{SECRET}"',
    f'{{"email":"a@example.com","password":["{SECRET}"]}}',
    f'{{"email":"{SECRET}","password":"{SECRET}"}}',
    f'{{"email":"a@example.com","password":{{"{SECRET}":1}}}}',
    f'{{"email":"a@example.com","password":"{SECRET * 60}"}}',
    f'{{"token":"{SECRET}","password":7,"refreshToken":"{SECRET}"}}',
    f'{{"refreshToken":{{"a":"{SECRET}"}}}}',
    f'{{"currentPassword":"{SECRET}","newPassword":null}}',
    f'{{"password":"{SECRET}","password":"{SECRET}"}}',
    f'"{SECRET}"',
    f'["{SECRET}"]',
    f'{{"password":"{SECRET}\\ud800"}}',
]


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_log_02_no_refusal_gives_a_secret_back(shared: World, kind: str) -> None:
    person = shared.tenant().user()
    asked = [operation for operation in operations(shared) if operation.method != "GET"]
    with _logging("text") as written:
        for operation in asked:
            path = operation.path(application_id=person.tenant.id)
            for content in SPILT:
                answer = shared.send(
                    operation.method,
                    path,
                    content=content.encode(),
                    headers={"Content-Type": kind},
                    key=ADMIN_KEY if operation.admin else None,
                )
                assert SECRET not in answer.text, (operation.id, content)
                if operation.method == "POST" and "keys" not in path and kind != "application/json":
                    assert answer.status_code == 415
    assert SECRET not in written.getvalue()


@pytest.mark.parametrize(
    ("style", "spoilt"),
    [("text", f'["{SECRET}"]'), ("json", f'{{"{SECRET}": "{SECRET}"}}'), ("text", SECRET)],
)
def test_log_03_a_fault_is_told_without_what_it_was_about(
    tmp_path: Path, style: str, spoilt: str
) -> None:
    """Every record in the store is spoilt, so that every operation meets its fault."""
    with open_world(tmp_path, rate_limits="off") as world:
        tenant = world.tenant()
        person = tenant.user()
        token = tenant.reset_token()
        world.deliver()
    with open_world(tmp_path, rate_limits="off") as world:
        with closing(sqlite3.connect(tmp_path / DATABASE)) as database, database:
            statement = "UPDATE items SET body = ? WHERE pk LIKE 'app#%' OR pk = 'api-keys'"
            database.execute(statement, (spoilt,))
        world.spoilt = True
        found = []
        with _logging(style) as written:
            for operation in operations(world):
                path = operation.path(application_id=tenant.id, user_id=person.id)
                sent = {"email": EMAIL, "password": PASSWORD, "token": token}
                given = (
                    {"json": operation.body} if operation.id != "updatePassword" else {"json": sent}
                )
                headers = [("X-Api-Key", ADMIN_KEY), ("Authorization", f"Bearer {person.access}")]
                found.append(world.send(operation.method, path, headers=headers, **given))
        text = written.getvalue()
    faults = [answer for answer in found if answer.status_code == 500]
    assert len(faults) > 20
    for answer in faults:
        refused(answer, 500, "internal_error")
        assert answer.headers["X-Request-Id"] in text
    for secret in (SECRET, EMAIL, PASSWORD, token, person.access, person.refresh, ADMIN_KEY):
        assert secret not in text
        assert not [answer for answer in found if secret in answer.text]


FORGED = "2026-01-01T00:00:00.000Z info    GET health 200 operation=listApiKeys"


@pytest.mark.parametrize("end", ["%0A", "%0D%0A"])
def test_log_04_nobody_adds_a_line_to_the_log(shared: World, end: str) -> None:
    with _logging("text", "INFO") as written:
        shared.send("GET", f"/v1/applications/x{end}{quote(FORGED, safe='')}/users/me")
    text = written.getvalue()
    assert "operation=readCurrentUser" in text
    assert text.count("\n") == 1


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "text",
    ["\x1b[31mred\x1b[0m", 'a","level":"fatal', "a\u2028b", "a\x85b", "\x00", "\x7f", "%n%s"],
)
def test_log_04_what_a_client_sends_is_escaped(shared: World, style: str, text: str) -> None:
    path = quote(text, safe="")
    with _logging(style, "INFO") as written:
        for tail in (f"/v1/applications/{path}/users/me", f"/{path}", f"/health?a={path}"):
            shared.send("GET", tail, headers={"X-Request-Id": "forged", "X-Trace": "forged"})
        tenant = shared.tenant()
        tenant.sign_in(f"{text}@example.com", text)
        tenant.sign_in("a@example.com", text, headers={"User-Agent": "forged"})
    lines = written.getvalue().split("\n")[:-1]
    assert len(lines) == 6
    for line in lines:
        assert line.isprintable()
        assert "forged" not in line
        if style == "json":
            found = json.loads(line)
            assert found["level"] == "info"
            assert found["logger"] == "passerine.access"


def test_log_08_no_address_is_written(world: World) -> None:
    with _logging("json") as written:
        _live(world)
    text = written.getvalue().lower()
    assert EMAIL not in text
    assert "example.com" not in text
    assert "127.0.0.1" not in text


class Noting(TracerProvider):
    """A tracer of the owner's, as an OpenTelemetry agent installs one for the whole process."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_tracer(self, instrumenting_module_name: str, *_: Any, **__: Any) -> Tracer:
        self.asked.append(instrumenting_module_name)
        return NoOpTracer()


def test_no_trace_of_the_framework_holds_a_path_or_a_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Noting()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    assert trace.get_tracer_provider() is provider
    with open_world(tmp_path) as world:
        page = "/users/verification"
        world.tenant().public("GET", f"{page}?token={SECRET}")
    assert provider.asked == []
