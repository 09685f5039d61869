"""A REST client of the whole contract, in terms of its operations.

It knows a base URL and an admin key, and nothing of how the service is built or kept.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypedDict, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx

from tests.flows.ledger import Ledger

B = TypeVar("B")

MESSAGE_SECONDS = 30.0
MESSAGE_POLL_SECONDS = 0.05
VERIFICATION = "emailVerification"
IN_USE = "addressInUse"
RESET = "passwordReset"
CHANGED = "passwordChanged"


class Application(TypedDict):
    id: str
    name: str
    applicationState: str
    audience: str | None
    signingAlgorithm: str
    accessTokenLifetime: int
    signUp: str
    userCount: int
    issuer: str
    jwksUri: str
    created: str
    updated: str


class Grant(TypedDict):
    accessToken: str
    tokenType: str
    expiresIn: int
    refreshToken: str


class User(TypedDict):
    id: str
    email: str
    emailVerified: bool
    state: str
    metadata: dict[str, Any]
    appMetadata: dict[str, Any]  # for administrators
    created: str
    updated: str
    lastSignIn: str | None


class Session(TypedDict):
    id: str
    created: str
    lastUsed: str
    userAgent: str
    ipAddress: str
    current: bool


class SigningKey(TypedDict):
    kid: str
    algorithm: str
    state: str
    created: str


class ApiKey(TypedDict):
    id: str
    name: str
    applicationId: str | None
    prefix: str
    lastUsed: str | None
    key: str  # this once, when it was made


class AuditEvent(TypedDict):
    id: str
    time: str
    operation: str
    outcome: str
    applicationId: str | None
    actor: dict[str, str | None]
    userId: str | None
    email: str | None
    ipAddress: str
    requestId: str


class KeySet(TypedDict):
    keys: list[dict[str, Any]]


class Listing(TypedDict, Generic[B]):
    items: list[B]
    nextCursor: str | None


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message as the person got it."""

    id: str
    application_id: str
    to: str
    kind: str
    subject: str
    text: str
    url: str | None
    token: str | None


class Inbox(Protocol):
    """Where the messages to a person can be read, newest first."""

    def messages(self, to: str) -> list[Message]: ...


@dataclass(frozen=True, kw_only=True)
class Answer(Generic[B]):
    """What came back; `headers` by lower-case names."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> B:
        found: Any = json.loads(self.text) if self.text else None
        return found  # type: ignore[no-any-return] # as the contract says

    @property
    def code(self) -> str | None:
        """The word of a problem; `None` for any other answer."""
        if self.headers.get("content-type") != "application/problem+json":
            return None
        code: str = json.loads(self.text)["code"]
        return code

    def __str__(self) -> str:
        return f"{self.status} {self.code or ''}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Call(Generic[B]):
    """One operation with its arguments, not yet sent.

    Attributes:
        success: the status of its contract.
        sender: sends it.
    """

    method: str
    path: str
    success: int
    headers: Mapping[str, str] = field(repr=False)
    members: Any = field(default=None, repr=False)
    sender: Callable[["Call[Any]"], Answer[Any]] = field(repr=False)

    @property
    def content(self) -> bytes:
        return b"" if self.members is None else json.dumps(self.members).encode()

    def send(self) -> Answer[B]:
        return self.sender(self)

    def done(self) -> B:
        """Send it; its answer, which is the one of the contract."""
        return self.succeeded(self.send())

    def succeeded(self, answer: Answer[B]) -> B:
        assert answer.status == self.success, f"{self.method} {self.path}: {answer}"
        return answer.body

    def refused(self, status: int, code: str, *, within: float = 0.0) -> None:
        """Send it; it is refused with exactly this.

        Args:
            within: seconds in which it may still be let in.
        """
        deadline = time.monotonic() + within
        answer = self.send()
        while answer.status == self.success and time.monotonic() < deadline:
            time.sleep(0.5)
            answer = self.send()
        assert (answer.status, answer.code) == (status, code), f"{self}: {answer}"


@dataclass(frozen=True, kw_only=True)
class Client:
    """Every operation as a method; each returns a call to send with `done` or `refused`.

    Attributes:
        url: where the service is.
        admin_key: sent with the operations of administrators.
        ledger: takes note of everything said.
        settles: seconds in which each process of the deployment learns of an application's new
            state.
    """

    url: str
    admin_key: str = field(repr=False)
    http: httpx.Client = field(repr=False)
    ledger: Ledger = field(default_factory=Ledger, repr=False)
    settles: float = 0.0

    def __post_init__(self) -> None:
        self.ledger.keep(self.admin_key)

    def with_key(self, key: str) -> "Client":
        """The same client with another API key."""
        return replace(self, admin_key=key)

    # Applications

    def create_application(self, **settings: Any) -> Call[Application]:
        return self._admin("POST", "/v1/applications", 201, settings)

    def list_applications(self, **query: str | int) -> Call[Listing[Application]]:
        return self._admin("GET", _with("/v1/applications", query))

    def read_application(self, app: str) -> Call[Application]:
        return self._admin("GET", _base(app))

    def update_application(self, app: str, **settings: Any) -> Call[Application]:
        return self._admin("PATCH", _base(app), 200, settings)

    def delete_application(self, app: str) -> Call[None]:
        return self._admin("DELETE", _base(app), 204)

    def rotate_keys(self, app: str) -> Call[SigningKey]:
        return self._admin("POST", f"{_base(app)}/keys", 201)

    def list_keys(self, app: str, **query: str | int) -> Call[Listing[SigningKey]]:
        return self._admin("GET", _with(f"{_base(app)}/keys", query))

    def revoke_key(self, app: str, kid: str) -> Call[None]:
        return self._admin("DELETE", f"{_base(app)}/keys/{kid}", 204)

    def read_jwks(self, app: str) -> Call[KeySet]:
        return self._public("GET", f"{_base(app)}/jwks.json")

    def read_configuration(self, app: str) -> Call[dict[str, Any]]:
        return self._public("GET", f"{_base(app)}/.well-known/openid-configuration")

    # Sign-up and sign-in

    def create_user(
        self, app: str, email: str, password: str, **more: Any
    ) -> Call[dict[str, None]]:
        members = {"email": email, "password": password, **more}
        return self._public("POST", f"{_base(app)}/users", 202, members)

    def send_verification(self, app: str, email: str) -> Call[dict[str, None]]:
        path = f"{_base(app)}/users/verification/send"
        return self._public("POST", path, 202, {"email": email})

    def verify_user(self, app: str, token: str, password: str) -> Call[Grant]:
        members = {"token": token, "password": password}
        return self._public("POST", f"{_base(app)}/users/verification", 200, members)

    def sign_in(self, app: str, email: str, password: str) -> Call[Grant]:
        members = {"email": email, "password": password}
        return self._public("POST", f"{_base(app)}/users/token", 200, members)

    def refresh(self, app: str, refresh_token: str) -> Call[Grant]:
        members = {"refreshToken": refresh_token}
        return self._public("POST", f"{_base(app)}/users/token", 200, members)

    def revoke_token(self, app: str, refresh_token: str) -> Call[None]:
        members = {"refreshToken": refresh_token}
        return self._public("POST", f"{_base(app)}/users/token/revoke", 204, members)

    def request_reset(self, app: str, email: str) -> Call[dict[str, None]]:
        return self._public("POST", f"{_base(app)}/users/password/reset", 202, {"email": email})

    def update_password(self, app: str, token: str, password: str) -> Call[None]:
        members = {"token": token, "password": password}
        return self._public("PUT", f"{_base(app)}/users/password", 204, members)

    # The user's own account

    def read_me(self, app: str, access_token: str) -> Call[User]:
        return self._user("GET", _me(app), access_token)

    def update_me(self, app: str, access_token: str, metadata: dict[str, Any]) -> Call[User]:
        return self._user("PATCH", _me(app), access_token, 200, {"metadata": metadata})

    def change_password(self, app: str, access_token: str, current: str, new: str) -> Call[None]:
        members = {"currentPassword": current, "newPassword": new}
        return self._user("PUT", f"{_me(app)}/password", access_token, 204, members)

    def delete_me(self, app: str, access_token: str) -> Call[None]:
        return self._user("DELETE", _me(app), access_token, 204)

    def list_sessions(
        self, app: str, access_token: str, **query: str | int
    ) -> Call[Listing[Session]]:
        return self._user("GET", _with(f"{_me(app)}/sessions", query), access_token)

    def delete_session(self, app: str, access_token: str, session: str) -> Call[None]:
        return self._user("DELETE", f"{_me(app)}/sessions/{session}", access_token, 204)

    def delete_sessions(self, app: str, access_token: str) -> Call[None]:
        return self._user("DELETE", f"{_me(app)}/sessions", access_token, 204)

    # Users, for administrators

    def list_users(self, app: str, **query: str | int) -> Call[Listing[User]]:
        return self._admin("GET", _with(f"{_base(app)}/users", query))

    def read_user(self, app: str, user: str) -> Call[User]:
        return self._admin("GET", f"{_base(app)}/users/{user}")

    def update_user(self, app: str, user: str, **changes: Any) -> Call[User]:
        return self._admin("PATCH", f"{_base(app)}/users/{user}", 200, changes)

    def delete_user(self, app: str, user: str) -> Call[None]:
        return self._admin("DELETE", f"{_base(app)}/users/{user}", 204)

    # Deployment

    def create_api_key(self, name: str, **more: Any) -> Call[ApiKey]:
        return self._admin("POST", "/v1/api-keys", 201, {"name": name, **more})

    def list_api_keys(self, **query: str | int) -> Call[Listing[ApiKey]]:
        return self._admin("GET", _with("/v1/api-keys", query))

    def delete_api_key(self, key: str) -> Call[None]:
        return self._admin("DELETE", f"/v1/api-keys/{key}", 204)

    # Audit

    def list_audit_events(self, app: str, **query: str | int) -> Call[Listing[AuditEvent]]:
        return self._admin("GET", _with(f"{_base(app)}/audit-events", query))

    def list_deployment_audit_events(self, **query: str | int) -> Call[Listing[AuditEvent]]:
        return self._admin("GET", _with("/v1/audit-events", query))

    def read_health(self) -> Call[dict[str, str]]:
        return self._public("GET", "/health")

    def page(self, url: str) -> Answer[None]:
        """Open a link as a browser would."""
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        headers = {"Accept": "text/html"}
        return self._send(
            Call(method="GET", path=path, success=200, headers=headers, sender=self._send)
        )

    def _admin(self, method: str, path: str, success: int = 200, members: Any = None) -> Call[Any]:
        return self._call(method, path, success, members, {"X-Api-Key": self.admin_key})

    def _user(
        self, method: str, path: str, token: str, success: int = 200, members: Any = None
    ) -> Call[Any]:
        return self._call(method, path, success, members, {"Authorization": f"Bearer {token}"})

    def _public(self, method: str, path: str, success: int = 200, members: Any = None) -> Call[Any]:
        return self._call(method, path, success, members, {})

    def _call(
        self, method: str, path: str, success: int, members: Any, headers: dict[str, str]
    ) -> Call[Any]:
        if members is not None:
            headers = {**headers, "Content-Type": "application/json"}
        return Call(
            method=method,
            path=path,
            success=success,
            headers=headers,
            members=members,
            sender=self._send,
        )

    def _send(self, call: Call[Any]) -> Answer[Any]:
        self.ledger.sent(call.headers, call.members)
        found = self.http.request(
            call.method, self.url + call.path, headers=dict(call.headers), content=call.content
        )
        headers = {name.lower(): value for name, value in found.headers.items()}
        self.ledger.received(call.method, call.path, found.status_code, headers, found.text)
        return Answer(status=found.status_code, headers=headers, text=found.text)


@contextmanager
def opened_client(
    url: str,
    admin_key: str,
    ledger: Ledger | None = None,
    transport: httpx.BaseTransport | None = None,
) -> Iterator[Client]:
    """A client, closed with the block."""
    limits = httpx.Limits(max_connections=64)
    with httpx.Client(trust_env=False, timeout=60, limits=limits, transport=transport) as http:
        yield Client(url=url, admin_key=admin_key, http=http, ledger=ledger or Ledger())


@dataclass(frozen=True, kw_only=True)
class LocalInbox:
    """The mailbox that a local deployment shows."""

    client: Client

    def messages(self, to: str) -> list[Message]:
        path = _with("/dev/messages", {"to": to})
        answer = self.client.http.get(self.client.url + path)
        assert answer.status_code == 200, answer.text
        found = [_message(members) for members in answer.json()["items"]]
        self.client.ledger.keep(*(message.token for message in found if message.token))
        return found


def wait_for_messages(inbox: Inbox, to: str, kind: str, count: int = 1) -> list[Message]:
    """The messages of a kind to an address, newest first, once there are so many."""
    deadline = time.monotonic() + MESSAGE_SECONDS
    while True:
        found = [message for message in inbox.messages(to) if message.kind == kind]
        if len(found) >= count:
            assert len(found) == count, f"{len(found)} messages of {kind}, not {count}"
            return found
        assert time.monotonic() < deadline, f"{len(found)} messages of {kind}, not {count}"
        time.sleep(MESSAGE_POLL_SECONDS)


def wait_for_token(inbox: Inbox, to: str, kind: str, count: int = 1) -> str:
    """The token of the newest message of a kind to an address."""
    token = wait_for_messages(inbox, to, kind, count)[0].token
    assert token is not None
    return token


def sign_up(client: Client, inbox: Inbox, app: str, email: str, password: str) -> Grant:
    """Make a user, from the first request to the first tokens."""
    client.create_user(app, email, password).done()
    token = wait_for_token(inbox, email, VERIFICATION)
    return client.verify_user(app, token, password).done()


def every_page(fetch: Callable[..., Call[Listing[B]]], **query: str | int) -> Iterator[B]:
    """All items of a list, page by page."""
    page = fetch(**query).done()
    for _ in range(1000):
        yield from page["items"]
        if page["nextCursor"] is None:
            return
        page = fetch(**query, cursor=page["nextCursor"]).done()
    raise AssertionError("a list has no end")


def _base(app: str) -> str:
    return f"/v1/applications/{app}"


def _me(app: str) -> str:
    return f"{_base(app)}/users/me"


def _with(path: str, query: Mapping[str, str | int]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _message(members: dict[str, Any]) -> Message:
    return Message(
        id=members["id"],
        application_id=members["applicationId"],
        to=members["to"],
        kind=members["kind"],
        subject=members["subject"],
        text=members["text"],
        url=members["url"],
        token=members["token"],
    )
