"""The whole service in one process, on a real database, at an hour that the test sets."""

import json as json_text
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import httpx
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI

from app.adapters.mailbox import Mailbox
from app.adapters.platform import DATABASE, MAILBOX_FOLDER
from app.common.clock import Clock
from app.events.types import Event, Operation
from app.main import create_app
from app.messages.types import Message, MessageKind
from app.settings import Settings
from app.wiring import Services, build
from tests.flows import invariants
from tests.flows.ledger import Ledger
from tests.unlimited import unlimited

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ORIGIN = "http://localhost"
SENDER = "Passerine <no-reply@localhost>"
ADMIN_KEY = "test-admin-key-0123456789abcdef"
EMAIL = "ada@example.com"
PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "a wholly other set of words"
AGENT = "Songbook/1.0"
DAY = 24 * 3600
REFUSED = 422
# Elliptic keys are made in microseconds; RSA, the default, takes 100 ms for each application.
QUICK = {"signingAlgorithm": "EdDSA"}

# What was said to and by the services of each folder: two workers of one share it.
LEDGERS: dict[Path, Ledger] = {}

Headers = Mapping[str, str] | Sequence[tuple[str, str]]


class _Absent:
    """No body at all, which is something else than `null`."""


ABSENT = _Absent()


@dataclass(kw_only=True)
class Hour:
    """A clock that stands still until a test moves it."""

    now: datetime = START

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class InProcess(httpx.BaseTransport):
    """Hands requests to the app as a server would; `extensions["peer"]` is the other end."""

    def __init__(self, app: FastAPI, portal: BlockingPortal) -> None:
        self.app = app
        self.portal = portal

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        return self.portal.call(self._answer, request, list(request.stream))

    async def _answer(self, request: httpx.Request, chunks: list[bytes]) -> httpx.Response:
        url = request.url
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.split(b"?")[0],
            "query_string": url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": request.extensions.get("peer", ("127.0.0.1", 50_000)),
            "server": (url.host, url.port or 80),
        }
        waiting = [*chunks] or [b""]
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            if not waiting:
                await anyio.sleep_forever()  # the client stays until it has the whole answer
            body = waiting.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(waiting)}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        head, *parts = sent
        content = b"".join(part.get("body", b"") for part in parts)
        return httpx.Response(head["status"], headers=head["headers"], content=content)


@dataclass(kw_only=True)
class World:
    """The service, and what a test does from outside or looks up inside.

    Attributes:
        ledger: all that was said; at the end the invariants are checked with it.
        bystanders: applications that nothing may happen to, with their rows.
        spoilt: whether the test has broken something by hand, so that they need not hold.
    """

    services: Services
    app: FastAPI
    hour: Hour
    folder: Path
    client: httpx.Client = field(repr=False)
    ledger: Ledger = field(repr=False)
    delivered: list[Event] = field(default_factory=list)
    spoilt: bool = False
    bystanders: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict, repr=False)

    def advance(self, seconds: float) -> None:
        self.hour.advance(seconds)

    def send(
        self,
        method: str,
        path: str,
        json: Any = ABSENT,
        *,
        content: bytes | Iterator[bytes] | None = None,
        key: str | None = None,
        token: str | None = None,
        headers: Headers = (),
        peer: tuple[str, int] = ("127.0.0.1", 50_000),
    ) -> httpx.Response:
        """One request; with `key` an administrator's, with `token` a user's."""
        sent = list(headers.items() if isinstance(headers, Mapping) else headers)
        if json is not ABSENT:
            content = json_text.dumps(json).encode()
            sent.append(("Content-Type", "application/json"))
        if key is not None:
            sent.append(("X-Api-Key", key))
        if token is not None:
            sent.append(("Authorization", f"Bearer {token}"))
        answer = self.client.request(
            method, path, content=content, headers=sent, extensions={"peer": peer}
        )
        if answer.status_code != REFUSED:  # what was refused whole is no secret of anybody
            self.ledger.sent(dict(sent), None if json is ABSENT else json)
        lower = {name.lower(): value for name, value in answer.headers.items()}
        self.ledger.received(method, path, answer.status_code, lower, answer.text)
        return answer

    def admin(self, method: str, path: str, json: Any = ABSENT) -> httpx.Response:
        return self.send(method, path, json, key=ADMIN_KEY)

    def tenant(self, **settings: Any) -> "Tenant":
        """A new application; it signs with EdDSA unless the test says otherwise."""
        answer = self.admin("POST", "/v1/applications", {**QUICK, **settings})
        assert answer.status_code == 201, answer.text
        return Tenant(world=self, id=answer.json()["id"])

    def deliver(self) -> None:
        """Everything that waits in the outbox leaves."""
        self.delivered += self._pending()
        self.services.housekeeper.dispatcher.run_once()

    def messages(self, to: str | None = None) -> list[Message]:
        """What was written to people, newest first."""
        self.deliver()
        inbox = Mailbox(folder=self.folder / MAILBOX_FOLDER, sender=SENDER)
        return inbox.messages(to, limit=1000)

    def last_message(self, to: str, kind: MessageKind | None = None) -> Message:
        found = self.messages(to)
        assert found, f"nothing was written to {to}"
        assert kind in {None, found[0].kind}, found[0].kind
        return found[0]

    def events(self, operation: Operation | None = None) -> list[Event]:
        """Everything that was ever recorded, oldest first."""
        found = sorted([*self.delivered, *self._pending()], key=lambda event: event.id)
        return [event for event in found if operation in {None, event.operation}]

    def _pending(self) -> list[Event]:
        outbox = self.services.housekeeper.dispatcher.outbox
        return [item.event for shard in outbox.shards() for item in outbox.pending(shard)]

    def rows(self, containing: str = "") -> list[tuple[str, str, str]]:
        """Partition, sort key and body of every row that the database file holds."""
        with closing(sqlite3.connect(self.folder / DATABASE)) as database:
            found = database.execute("SELECT pk, sk, body FROM items").fetchall()
        return [row for row in found if any(containing in part for part in row)]

    def bystander(self) -> None:
        """Another application, with a user; whatever the test does, nothing happens to it."""
        tenant = self.tenant()
        tenant.user("bystander@example.com")
        self.deliver()
        self.bystanders[tenant.id] = self.rows(tenant.id)

    def check(self) -> None:
        """The invariants I1 to I7, over the raw store and all that was said in this world."""
        for application, rows in self.bystanders.items():
            assert self.rows(application) == rows, "something happened to a bystander"
        now = self.hour.now.timestamp()
        invariants.check_at_work(
            self.folder,
            invariants.read_rows(self.folder, now),
            self.ledger,
            content=[path.read_bytes() for path in self.folder.glob(f"{DATABASE}*")],
            log="",
        )

    def kept(self, containing: str = "") -> list[tuple[str, str, str]]:
        """The rows besides those of audit trails, which outlive what they tell of."""
        return [row for row in self.rows(containing) if "audit" not in row[0].split("#")]


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """An application, and what its users and its administrator do there."""

    world: World = field(repr=False)
    id: str

    @property
    def base(self) -> str:
        return f"/v1/applications/{self.id}"

    def public(self, method: str, tail: str, json: Any = ABSENT, **more: Any) -> httpx.Response:
        return self.world.send(method, self.base + tail, json, **more)

    def admin(self, method: str, tail: str = "", json: Any = ABSENT) -> httpx.Response:
        return self.world.admin(method, self.base + tail, json)

    def read(self) -> dict[str, Any]:
        return body(self.admin("GET"))

    def update(self, **settings: Any) -> None:
        answer = self.admin("PATCH", "", settings)
        assert answer.status_code == 200, answer.text

    def sign_up(self, email: str = EMAIL, password: str = PASSWORD, **more: Any) -> httpx.Response:
        return self.public("POST", "/users", {"email": email, "password": password, **more})

    def verify(self, token: str | None, password: str = PASSWORD) -> httpx.Response:
        return self.public("POST", "/users/verification", {"token": token, "password": password})

    def invitation(self, email: str = EMAIL, password: str = PASSWORD, **more: Any) -> str:
        """Sign up; the token of the message."""
        answer = self.sign_up(email, password, **more)
        assert answer.status_code == 202, answer.text
        token = self.world.last_message(email, MessageKind.EMAIL_VERIFICATION).token
        assert token is not None
        return token

    def user(self, email: str = EMAIL, password: str = PASSWORD, **more: Any) -> "Person":
        """A user who has signed up, verified and is signed in by that."""
        answer = self.verify(self.invitation(email, password, **more), password)
        assert answer.status_code == 200, answer.text
        person = Person(tenant=self, id="", email=email, password=password, **tokens(answer))
        return replace(person, id=body(person.call("GET"))["id"])

    def sign_in(self, email: str = EMAIL, password: str = PASSWORD, **more: Any) -> httpx.Response:
        credentials = {"email": email, "password": password}
        return self.public("POST", "/users/token", credentials, **more)

    def refresh(self, token: str, **more: Any) -> httpx.Response:
        return self.public("POST", "/users/token", {"refreshToken": token}, **more)

    def revoke(self, token: str) -> httpx.Response:
        return self.public("POST", "/users/token/revoke", {"refreshToken": token})

    def ask_reset(self, email: str = EMAIL) -> httpx.Response:
        return self.public("POST", "/users/password/reset", {"email": email})

    def reset_token(self, email: str = EMAIL) -> str:
        """Ask for a reset; the token of the message."""
        answer = self.ask_reset(email)
        assert answer.status_code == 202, answer.text
        token = self.world.last_message(email, MessageKind.PASSWORD_RESET).token
        assert token is not None
        return token

    def reset(self, token: str, password: str = NEW_PASSWORD) -> httpx.Response:
        return self.public("PUT", "/users/password", {"token": token, "password": password})

    def me(
        self, access: str, method: str = "GET", tail: str = "", json: Any = ABSENT
    ) -> httpx.Response:
        return self.public(method, "/users/me" + tail, json, token=access)


@dataclass(frozen=True, kw_only=True)
class Person:
    """A signed-in user."""

    tenant: Tenant
    id: str
    email: str
    password: str
    access: str = field(repr=False)
    refresh: str = field(repr=False)

    def call(self, method: str, tail: str = "", json: Any = ABSENT) -> httpx.Response:
        """A request to the own account."""
        return self.tenant.me(self.access, method, tail, json)

    def signed_in(self, **more: Any) -> "Person":
        """The same user in another session."""
        answer = self.tenant.sign_in(self.email, self.password, **more)
        assert answer.status_code == 200, answer.text
        return replace(self, **tokens(answer))

    def admin(self, method: str, json: Any = ABSENT) -> httpx.Response:
        """What an administrator does to the account."""
        return self.tenant.admin(method, f"/users/{self.id}", json)


@contextmanager
def open_world(folder: Path, *, hour: Hour | None = None, **settings: Any) -> Iterator[World]:
    """A service in a folder; another one there, with the same `hour`, is its second worker."""
    hour = hour or Hour()
    free = {} if "rate_limits" in settings else unlimited(settings.get("store", "sqlite"))
    given = {"data_dir": folder, "admin_api_key": ADMIN_KEY, **free, **settings}
    services = build(Settings(**given), clock=Clock(source=lambda: hour.now), pace_seconds=0)
    app = create_app(services)
    with anyio.from_thread.start_blocking_portal() as portal:
        client = httpx.Client(
            transport=InProcess(app, portal), base_url=ORIGIN, headers={"User-Agent": AGENT}
        )
        with client, closing(services):
            world = World(
                services=services,
                app=app,
                hour=hour,
                folder=folder,
                client=client,
                ledger=LEDGERS.setdefault(folder, Ledger()),
            )
            yield world
            if not world.spoilt and given.get("store", "sqlite") == "sqlite":
                world.check()


def tokens(answer: httpx.Response) -> dict[str, Any]:
    """The two tokens of a grant, by the names of a `Person`."""
    found = body(answer)
    return {"access": found["accessToken"], "refresh": found["refreshToken"]}


def body(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer that is a success."""
    assert answer.is_success, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


def refused(
    answer: httpx.Response, status: int, code: str, *, field: str | None = None
) -> dict[str, Any]:
    """The problem that an answer is, checked as far as every problem is alike (RFC 9457)."""
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert found["code"] == code, found
    assert found["status"] == status
    assert found["type"] == f"urn:passerine:problem:{code}"
    assert found["title"]
    assert found["detail"]
    assert found["requestId"] == answer.headers["X-Request-Id"]
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    members = {"type", "title", "status", "detail", "code", "requestId"}
    if status == 422:
        members.add("errors")
        fields = [error["field"] for error in found["errors"]]
        assert all(error.keys() == {"field", "code", "detail"} for error in found["errors"])
        assert field is None or field in fields, fields
    assert found.keys() == members
    return dict(found)


def alike(one: httpx.Response, other: httpx.Response) -> bool:
    """Whether two answers tell nothing apart: all but the request's own id is the same."""
    return _anonymous(one) == _anonymous(other)


def _anonymous(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], str]:
    request_id = answer.headers["X-Request-Id"]
    headers = [
        (name, value.replace(request_id, "")) for name, value in answer.headers.multi_items()
    ]
    return answer.status_code, headers, answer.text.replace(request_id, "")
