"""Whoever takes part in a storm: applications with users, and the valid requests about them."""

import json
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from tests.api.operations import BODIES, PASSWORD
from tests.gateway import Request

ADMIN_KEY = "psk_an-admin-key-for-storms-alone"
JSON = ("Content-Type", "application/json")
MESSAGE_SECONDS = 30.0
NEWEST = 200
STAGES = 2
# How often each operation is asked in relation to others: hashing a password takes a core 20 ms,
# and what ends an application, a user or a session has to be made again.
SHARES = {
    "createApplication": 0.5,
    "createUser": 0.15,
    "verifyUser": 0.3,
    "requestUserToken": 0.5,
    "changeCurrentUserPassword": 0.15,
    "updatePassword": 0.3,
    "deleteApplication": 0.3,
    "deleteUser": 0.1,
    "deleteCurrentUser": 0.1,
    "deleteCurrentUserSessions": 0.15,
    "revokeUserToken": 0.2,
    "rotateApplicationKeys": 0.3,
    "listApplications": 0.3,
}
PLACEHOLDERS = {
    name: f"0{name}0" for name in ("application_id", "user_id", "session_id", "kid", "api_key_id")
}


class Heard(Protocol):
    """An answer, as far as the cast looks at it."""

    @property
    def status(self) -> int: ...
    @property
    def text(self) -> str: ...


Ask = Callable[[Request], Heard]
Drawn = list[tuple[str, str, Request]]  # operation, security scheme, request with placeholders


@dataclass(frozen=True, kw_only=True)
class Described:
    """An operation of the document."""

    id: str
    method: str
    template: str
    scheme: str
    query: tuple[str, ...]


@dataclass(kw_only=True)
class Stage:
    """An application, a user who is signed in there, and what has an id."""

    app: str
    email: str
    user: str = ""
    access: str = ""
    refresh: str = ""
    session: str = "0"
    kid: str = "0"
    stale: bool = False


def described(ask: Ask, host: str) -> list[Described]:
    """The operations that the service itself lists."""
    return [
        Described(
            id=operation["operationId"],
            method=method.upper(),
            template=template,
            scheme=next(iter(operation["security"][0])) if operation["security"] else "",
            query=tuple(p["name"] for p in operation.get("parameters", []) if p["in"] == "query"),
        )
        for template, item in _document(ask, host)["paths"].items()
        for method, operation in item.items()
    ]


def drawn(ask: Ask, host: str, number: int, examples: int) -> Drawn:
    """Requests that schemathesis draws from the document, so many of each kind and operation."""
    found: Drawn = []
    schema: Any = schemathesis.openapi.from_dict(_document(ask, host))
    for result in schema.get_all_operations():
        operation = result.ok()
        raw = operation.definition.raw
        scheme = next(iter(raw["security"][0])) if raw["security"] else ""
        for mode in GenerationMode:
            for request in _draw(operation, mode, number, examples):
                found.append((raw["operationId"], scheme, request))
    return found


def _draw(operation: Any, mode: GenerationMode, number: int, examples: int) -> list[Request]:
    made: list[Request] = []

    @seed(number)
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    def take(case: Any) -> None:
        for name in case.path_parameters.keys() & PLACEHOLDERS.keys():
            case.path_parameters[name] = PLACEHOLDERS[name]
        told = case.as_transport_kwargs(base_url="http://localhost")
        sent = {name: told.get(name) for name in ("method", "url", "params", "data", "json")}
        headers = {name: value for name, value in told["headers"].items() if _sendable(value)}
        prepared = requests.Request(**sent, headers=headers, files=told.get("files")).prepare()
        parts = urlsplit(str(prepared.url))
        body: Any = prepared.body or b""
        made.append(
            Request(
                method=str(prepared.method),
                path=parts.path,
                query=parts.query,
                headers=[
                    (name, value)
                    for name, value in _texts(prepared.headers).items()
                    if name in {"Content-Type", "Cookie"} or name.lower().startswith("x-")
                ],
                body=body.encode() if isinstance(body, str) else body,
            )
        )

    with suppress(Unsatisfiable):  # an operation that takes nothing cannot be asked wrongly
        take()
    return made


def _sendable(value: str | bytes) -> bool:
    text = value if isinstance(value, str) else value.decode("latin-1")
    return text.isascii() and text.isprintable() and text == text.strip()


def _texts(headers: Mapping[str, str | bytes]) -> dict[str, str]:
    return {n: v if isinstance(v, str) else v.decode("latin-1") for n, v in headers.items()}


def _document(ask: Ask, host: str) -> dict[str, Any]:
    asked = Request(
        method="GET", path="/openapi.json", query="", headers=[("Host", host)], body=b""
    )
    document: dict[str, Any] = json.loads(ask(asked).text)
    return document


@dataclass(kw_only=True)
class Cast:
    """What one thread of a storm acts on; nobody else does."""

    ask: Ask
    host: str
    admin_key: str
    dice: random.Random
    name: str
    mailbox: Path
    deliver: Callable[[], None]
    operations: list[Described] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    api_key: str = "0"
    cursors: dict[str, str] = field(default_factory=dict)
    letters: list[str] = field(default_factory=list)
    _made: int = 0

    def __post_init__(self) -> None:
        self.operations = described(self.ask, self.host)
        self.stages = [self._stage() for _ in range(STAGES)]

    def valid(self) -> tuple[str, Request]:
        """A request as the contract wants it, by the name of its operation."""
        shares = [SHARES.get(one.id, 1.0) for one in self.operations]
        (operation,) = self.dice.choices(self.operations, shares)
        stage = self._alive()
        members = self._members(operation.id, stage)
        request = Request(
            method=operation.method,
            path=operation.template.format(**self._ids(stage)),
            query=self._query(operation),
            headers=[*self._credential(operation.scheme, stage)],
            body=b"" if members is None else json.dumps(members).encode(),
        )
        if members is not None:
            request.headers.append(JSON)
        return operation.id, request

    def fill(self, pool: Drawn) -> tuple[str, Request]:
        """A drawn request with ids and credentials that are good."""
        name, scheme, request = self.dice.choice(pool)
        stage, path = self._alive(), request.path
        for parameter, value in self._ids(stage).items():
            path = path.replace(PLACEHOLDERS[parameter], value)
        own = self._credential(scheme, stage)
        kept = [one for one in request.headers if one[0] not in {n for n, _ in own}]
        return name, replace(request, path=path, headers=[*own, *kept])

    def learn(self, operation: str, request: Request, status: int, text: str) -> None:
        """Take what an answer brings."""
        stage = next((one for one in self.stages if f"/{one.app}" in request.path), None)
        if stage is not None and status in {401, 403, 404}:
            own = ("Authorization", f"Bearer {stage.access}")
            code = "invalid_token" if own in request.headers else "application_not_found"
            stage.stale |= f'"{code}"' in text and request.path.count(stage.app) == 1
        if request.method == "HEAD" or status not in {200, 201} or not text.startswith("{"):
            return
        body = json.loads(text)
        if isinstance(body.get("nextCursor"), str):
            self.cursors[operation] = body["nextCursor"]
        if operation == "createApiKey" and "id" in body:
            self.api_key = body["id"]
        if stage is None:
            return
        items = body.get("items")
        if "accessToken" in body and operation == "requestUserToken":
            stage.access, stage.refresh = body["accessToken"], body["refreshToken"]
        elif operation == "listCurrentUserSessions" and items and "userAgent" in items[0]:
            stage.session = self.dice.choice(items)["id"]
        elif operation == "listApplicationKeys" and items and "kid" in items[0]:
            stage.kid = self.dice.choice(items)["kid"]

    def _alive(self) -> Stage:
        """One of the stages; if something has ended there, it is put up again."""
        at = self.dice.randrange(len(self.stages))
        stage = self.stages[at]
        if stage.stale and not self._sign_in(stage):
            self.stages[at] = stage = self._stage()
        return stage

    def _stage(self) -> Stage:
        self._made += 1
        made = self._tell("POST", "/v1/applications", {"signingAlgorithm": "EdDSA"}, admin=True)
        stage = Stage(app=made["id"], email=f"cast-{self.name}-{self._made}@example.com")
        users = f"/v1/applications/{stage.app}/users"
        self._tell("POST", users, {"email": stage.email, "password": PASSWORD})
        grant = self._tell(
            "POST", f"{users}/verification", {"token": self._token(stage), "password": PASSWORD}
        )
        stage.access, stage.refresh = grant["accessToken"], grant["refreshToken"]
        stage.user = self._tell("GET", users, admin=True)["items"][0]["id"]
        self._tell("POST", f"/v1/applications/{stage.app}/keys", admin=True)
        return stage

    def _sign_in(self, stage: Stage) -> bool:
        members = {"email": stage.email, "password": PASSWORD}
        path = f"/v1/applications/{stage.app}/users/token"
        answer = self.ask(self._request("POST", path, members))
        if answer.status != 200:
            return False
        grant = json.loads(answer.text)
        stage.access, stage.refresh = grant["accessToken"], grant["refreshToken"]
        stage.stale = False
        return True

    def _token(self, stage: Stage) -> str:
        deadline = time.monotonic() + MESSAGE_SECONDS
        while time.monotonic() < deadline:
            self.deliver()
            for message in self._newest():
                if message["to"] == stage.email and message["applicationId"] == stage.app:
                    token: str = message["token"]
                    return token
        raise TimeoutError(f"nothing was written to {stage.email}")

    def _newest(self) -> list[dict[str, Any]]:
        """The last messages; their names begin with the time."""
        if not self.mailbox.exists():
            return []
        found = sorted(self.mailbox.glob("*.json"), reverse=True)
        return [json.loads(path.read_text()) for path in found[:NEWEST]]

    def _tell(self, method: str, path: str, members: Any = None, *, admin: bool = False) -> Any:
        answer = self.ask(self._request(method, path, members, admin=admin))
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.text}"
        return json.loads(answer.text)

    def _request(
        self, method: str, path: str, members: Any = None, *, admin: bool = False
    ) -> Request:
        headers = [("Host", self.host)]
        if admin:
            headers.append(("X-Api-Key", self.admin_key))
        if members is not None:
            headers.append(JSON)
        body = b"" if members is None else json.dumps(members).encode()
        return Request(method=method, path=path, query="", headers=headers, body=body)

    def _ids(self, stage: Stage) -> dict[str, str]:
        return {
            "application_id": stage.app,
            "user_id": stage.user,
            "session_id": stage.session,
            "kid": stage.kid,
            "api_key_id": self.api_key,
        }

    def _credential(self, scheme: str, stage: Stage) -> list[tuple[str, str]]:
        own = {"apiKey": ("X-Api-Key", self.admin_key), "": ("User-Agent", "storm")}
        own["accessToken"] = ("Authorization", f"Bearer {stage.access}")
        return [("Host", self.host), own[scheme]]

    def _query(self, operation: Described) -> str:
        values = {"limit": str(self.dice.randint(1, 100)), "email": "eve@example.com"}
        values["cursor"] = self.cursors.get(operation.id, "")
        values |= {"userId": self.stages[0].user, "from": "2026-01-01T00:00:00Z"}
        names = [one for one in operation.query if values.get(one) and self.dice.random() < 0.3]
        return "&".join(f"{name}={values[name]}" for name in names)

    def _members(self, operation: str, stage: Stage) -> dict[str, Any] | None:
        """A body that the operation takes, about somebody who is there."""
        if operation not in BODIES:
            return None
        one: dict[str, Any] = {**BODIES[operation]}
        if "email" in one:
            one["email"] = self.dice.choice([stage.email, f"n{self.dice.randrange(999)}@a.test"])
        if "refreshToken" in one:
            one["refreshToken"] = stage.refresh
        if operation == "createUser":
            one["metadata"] = {"a": [1, "b"]}
        if operation == "requestUserToken" and self.dice.random() < 0.9:
            one = {"refreshToken": stage.refresh}
        if operation in {"verifyUser", "updatePassword"} and self.dice.random() < 0.1:
            one["token"] = self._letter(one["token"])
        if operation == "changeCurrentUserPassword":
            one["newPassword"] = PASSWORD
        if operation in {"createApplication", "updateApplication"}:
            one |= {"accessTokenLifetime": 600, "allowedOrigins": ["https://a.test"]}
            one |= {"verificationUrl": "https://a.test/?x=1", "audience": "api", "signUp": "open"}
        if operation == "updateUser":
            one |= {"metadata": {"b": None}, "state": "active"}
        if operation == "createApiKey" and self.dice.random() < 0.5:
            one |= {"applicationId": stage.app, "expires": "2099-01-01T00:00:00Z"}
        return one

    def _letter(self, otherwise: str) -> str:
        """The token of a message that nobody has used."""
        if not self.letters:
            self.letters = [m["token"] for m in self._newest() if m["token"]]
        return self.letters.pop() if self.letters else otherwise
