"""What belongs to another application answers like what does not exist, and nothing happens to it.

The tables are made from the OpenAPI document: an operation that is not in them yet is tried like
all others, and fails if it takes a parameter or a body that nobody has told how to fill.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx
import pytest

from app.lambda_handler import Handler
from app.messages.types import MessageKind
from tests.api.operations import BODIES, ID, Operation, operations
from tests.api.world import (
    ABSENT,
    ADMIN_KEY,
    NEW_PASSWORD,
    ORIGIN,
    PASSWORD,
    Person,
    Tenant,
    World,
    alike,
    body,
    open_world,
    refused,
)
from tests.flows.effort import is_full
from tests.gateway import SHAPES, Gateway
from tests.security.twostores import Stored, open_store

Headers = list[tuple[str, str]]
JSON = {"Content-Type": "application/json"}
ADMIN = [("X-Api-Key", ADMIN_KEY)]
LISTS = {  # the list that each operation with a cursor pages through
    "listApplications": "/v1/applications",
    "listApiKeys": "/v1/api-keys",
    "listDeploymentAuditEvents": "/v1/audit-events",
    "listApplicationKeys": "{base}/keys",
    "listUsers": "{base}/users",
    "listAuditEvents": "{base}/audit-events",
    "listCurrentUserSessions": "{base}/users/me/sessions",
}
QUERIES = {"limit", "cursor", "email", "userId", "operation", "from", "to"}
FOREIGN_FIELDS = ("userId", "applicationId", "sub", "tenant", "sid", "id")
TAKES_APPLICATION = "createApiKey"
FORMS = [
    "..%2F{}",
    "%2e%2e/{}",
    "{}%2F..%2F{}",
    "x%2f..%2f{}",
    "%2e%2e%2f%2e%2e%2f{}",
    "{}%23",
    "{}%23users",
    "app%23{}",
    "{}%23user%23{}",
    "%23{}",
    "{}|{}",
    "{}:{}",
    ":{}",
    "{};",
    "{};x=1",
    "{}%3F",
    "{}%00",
    "%00{}",
    "{}%20",
    "%20{}",
    "%0A{}",
    "{}%0D%0AX-Injected:%201",
    "{}/",
    "/{}",
    "%25{}",
    "%EF%BC%90{}",
    "{}%CC%81",
    "%E2%80%AE{}",
    "%FF{}",
    "{}" + "a" * 5000,
    "a" * 5000,
    "application",
    "profile",
    "*",
    "null",
    "0",
    "-1",
]


@dataclass(frozen=True, kw_only=True)
class Side:
    """An application, and everything there that has an id."""

    tenant: Tenant
    person: Person
    second: Person
    session: str
    other_session: str
    kid: str
    key: str = field(repr=False)
    cursors: dict[str, str]

    @property
    def admin(self) -> Headers:
        return [("X-Api-Key", self.key)]

    @property
    def user(self) -> Headers:
        return bearer(self.person.access)

    @property
    def ids(self) -> dict[str, str]:
        """Its own value for each parameter of a path."""
        return {
            "application_id": self.tenant.id,
            "user_id": self.person.id,
            "session_id": self.session,
            "kid": self.kid,
        }


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Two applications, and how requests reach them."""

    stored: Stored
    a: Side
    b: Side
    deployment: dict[str, str]
    send: Callable[..., httpx.Response] = field(repr=False)

    @property
    def pairs(self) -> list[tuple[Side, Side]]:
        return [(self.a, self.b), (self.b, self.a)]

    @cached_property
    def operations(self) -> list[Operation]:
        return operations(self.stored.world)

    @cached_property
    def document(self) -> dict[str, dict[str, Any]]:
        """Each operation as the document has it."""
        paths = self.stored.world.send("GET", "/openapi.json").json()["paths"]
        return {one["operationId"]: one for item in paths.values() for one in item.values()}

    def ask(
        self, operation: Operation, headers: Headers, query: str = "", **ids: str
    ) -> httpx.Response:
        sent = {"headers": headers}
        path = operation.path(**ids) + query
        return self.send(operation.method, path, operation.body, **sent)

    @contextmanager
    def untouched(self, *sides: Side) -> Iterator[None]:
        """No byte of these applications may differ afterwards (I7)."""
        for side in sides:  # its key notes when it is used, to the minute: now
            body(self.stored.world.send("GET", side.tenant.base, headers=side.admin))
        before = [self.stored.rows(side.tenant.id) for side in sides]
        assert all(len(rows) > 20 for rows in before)
        yield
        for side, rows in zip(sides, before, strict=True):
            assert self.stored.rows(side.tenant.id) == rows


def bearer(token: str) -> Headers:
    return [("Authorization", f"Bearer {token}")]


def parameters(operation: Operation) -> list[str]:
    return [part[1:-1] for part in operation.template.split("/") if part.startswith("{")]


def pages(world: World, path: str, headers: Headers) -> str:
    """A cursor of a list."""
    cursor = body(world.send("GET", f"{path}?limit=1", headers=headers))["nextCursor"]
    assert isinstance(cursor, str), path
    return cursor


def side(world: World, name: str) -> Side:
    tenant = world.tenant(name=name)
    person, second = tenant.user(f"{name}@example.com"), tenant.user(f"{name}2@example.com")
    person.signed_in()
    tenant.admin("POST", "/keys")
    ring = body(tenant.admin("GET", "/keys"))["items"]
    key = body(world.admin("POST", "/v1/api-keys", {"name": name, "applicationId": tenant.id}))
    cursors = {
        f"{list_} {name}": pages(
            world,
            path.format(base=tenant.base),
            bearer(person.access) if "/me/" in path else ADMIN,
        )
        for list_, path in LISTS.items()
        if "{base}" in path
    }
    return Side(
        tenant=tenant,
        person=person,
        second=second,
        session=body(person.call("GET", "/sessions"))["items"][0]["id"],
        other_session=body(second.call("GET", "/sessions"))["items"][0]["id"],
        kid=next(one["kid"] for one in ring if one["state"] == "retired"),
        key=key["key"],
        cursors=cursors,
    )


# The store, and the way there: within this process, or as gateways hand requests to the function.
WAYS = [("sqlite", "direct"), ("dynamodb", "function")]
MORE_WAYS = [("sqlite", "function"), ("dynamodb", "direct")]


@pytest.fixture(scope="module", params=WAYS + MORE_WAYS * is_full(), ids=" ".join)
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


@pytest.fixture(scope="module")
def stored(way: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    with open_store(way[0], tmp_path_factory.mktemp(way[0])) as opened:
        yield opened


@pytest.fixture(scope="module")
def direct(stored: Stored) -> Ground:
    world = stored.world
    a, b = side(world, "a"), side(world, "b")
    own = {one: pages(world, path, ADMIN) for one, path in LISTS.items() if "{base}" not in path}
    return Ground(stored=stored, a=a, b=b, deployment=own, send=world.send)


@pytest.fixture(scope="module")
def ground(way: tuple[str, str], direct: Ground, stored: Stored) -> Iterator[Ground]:
    """The two applications, reached in that way."""
    if way[1] == "direct":
        yield direct
        return
    with ExitStack() as stack:
        handler = stack.enter_context(closing(Handler(services=stored.world.services)))
        ways = [
            stack.enter_context(
                httpx.Client(transport=Gateway(shape=shape, function=handler), base_url=ORIGIN)
            )
            for shape in SHAPES
        ]
        taken = [0]

        def send(
            method: str, path: str, json: Any = ABSENT, *, headers: Sequence[tuple[str, str]] = ()
        ) -> httpx.Response:
            taken[0] += 1
            told: dict[str, Any] = {} if json is ABSENT else {"json": json}
            way = ways[taken[0] % len(ways)]
            return way.request(method, path, headers=list(headers), **told)

        yield Ground(stored=stored, a=direct.a, b=direct.b, deployment=direct.deployment, send=send)


def test_every_operation_has_its_recipe(ground: Ground) -> None:
    for operation in ground.operations:
        described = ground.document[operation.id]
        assert set(parameters(operation)) <= {*ground.a.ids, "api_key_id"}, operation.id
        assert ("requestBody" in described) == (operation.id in BODIES), operation.id
        query = {one["name"] for one in described.get("parameters", []) if one["in"] == "query"}
        assert query <= QUERIES, operation.id
        assert ("cursor" in query) == (operation.id in LISTS), operation.id


def bad_keys(ground: Ground) -> list[tuple[Headers, str]]:
    """What is no API key, in headers and query."""
    world, person = ground.stored.world, ground.a.person
    revoked = body(world.admin("POST", "/v1/api-keys", {"name": "revoked"}))
    world.admin("DELETE", f"/v1/api-keys/{revoked['id']}")
    ends = world.hour.now.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    world.advance(-5)
    expired = body(world.admin("POST", "/v1/api-keys", {"name": "expired", "expires": ends}))
    world.advance(5)
    values = ["", "garbage", revoked["key"], expired["key"], person.access, person.refresh]
    values += [ADMIN_KEY[:-1], f"{ADMIN_KEY}x", ADMIN_KEY.upper(), f"Bearer {ADMIN_KEY}"]
    values += [f"{ADMIN_KEY},{ADMIN_KEY}", f"{ADMIN_KEY} {ADMIN_KEY}", "*", "null"]
    return [
        ([], ""),
        *(([("X-Api-Key", value)], "") for value in values),
        (bearer(ADMIN_KEY), ""),
        (bearer(person.access), ""),
        ([("Cookie", f"X-Api-Key={ADMIN_KEY}")], ""),
        ([*ADMIN, *ADMIN], ""),
        ([*ADMIN, ("X-Api-Key", "garbage")], ""),
        ([("X-Api-Key", "garbage"), *ADMIN], ""),
        ([("X_Api_Key", ADMIN_KEY)], ""),
        ([], f"?X-Api-Key={ADMIN_KEY}&api_key={ADMIN_KEY}&key={ADMIN_KEY}"),
        ([], "?limit=x&cursor=x&email=x&from=x"),
    ]


def bad_tokens(ground: Ground) -> list[tuple[Headers, str]]:
    """What is no access token of application A, in headers and query."""
    world, a, b = ground.stored.world, ground.a, ground.b
    ended = a.second.signed_in()
    assert a.tenant.revoke(ended.refresh).status_code == 204
    a.tenant.update(accessTokenLifetime=60)
    expired = a.second.signed_in()
    a.tenant.update(accessTokenLifetime=86_400)
    world.advance(61)
    good = a.person.access
    values = ["garbage", b.person.access, a.person.refresh, b.person.refresh, ended.access]
    values += [expired.access, ADMIN_KEY, a.key, f"{good}, Bearer {good}", f"{good} {good}"]
    values += [good[:-8], f"{good}.", good.rpartition(".")[0] + ".", good.swapcase()]
    values += [good.rpartition(".")[0] + "." + b.person.access.rpartition(".")[2]]
    return [
        ([], ""),
        *((bearer(value), "") for value in values),
        ([("Authorization", "")], ""),
        ([("Authorization", "Bearer")], ""),
        ([("Authorization", good)], ""),
        ([("Authorization", f"Basic {good}")], ""),
        (ADMIN, ""),
        (a.admin, ""),
        ([("X-Api-Key", good)], ""),
        ([("Cookie", f"accessToken={good}; Authorization=Bearer {good}")], ""),
        ([*a.user, *a.user], ""),
        ([*a.user, *b.user], ""),
        ([], f"?access_token={good}&token={good}&Authorization=Bearer%20{good}"),
        ([], "?limit=x&cursor=x"),
    ]


def test_without_the_right_credential_every_application_answers_alike(ground: Ground) -> None:
    keys, access = bad_keys(ground), bad_tokens(ground)
    # The clock has moved: what is right must still be.
    assert ground.a.person.call("GET").status_code == 200
    with ground.untouched(ground.a, ground.b):
        before = ground.stored.lasting()
        for operation in ground.operations:
            if not operation.security:
                continue
            wrong = keys if operation.admin else access
            code = "invalid_api_key" if operation.admin else "invalid_token"
            places = [ground.a.ids, {"application_id": ID}, {"application_id": "ghost"}]
            answers = [
                ground.ask(operation, headers, query, **ids)
                for headers, query in wrong
                for ids in (places if operation.of_application else [{}])
            ]
            if operation.user:  # a right token, of the other application
                answers.append(ground.ask(operation, ground.b.user, **ground.a.ids))
                answers.append(ground.ask(operation, ground.a.user, **ground.b.ids))
            for answer in answers:
                refused(answer, 401, code)
                assert alike(answer, answers[0]), operation.id
        assert ground.stored.lasting() == before


def foreign(ground: Ground, own: Side, other: Side) -> Iterator[tuple[str, Any, Any]]:
    """Operations with a right credential for what is foreign, and for what does not exist."""
    for operation in ground.operations:
        if operation.admin and operation.of_application:
            nowhere = {**own.ids, "application_id": ID}
            strange = {**other.ids, "application_id": ID}
            yield operation.id, (operation, own.admin, other.ids), (operation, own.admin, strange)
            mixed = {**own.ids, "application_id": other.tenant.id}
            yield operation.id, (operation, own.admin, mixed), (operation, own.admin, nowhere)
        for name in set(parameters(operation)) - {"application_id", "api_key_id"}:
            mine = {**own.ids, name: ID}
            theirs = [other.ids[name]]
            if name == "session_id":
                theirs.append(own.other_session)
            for value in theirs:
                for headers in [own.user] if operation.user else [own.admin, ADMIN]:
                    there = {**own.ids, name: value}
                    yield operation.id, (operation, headers, there), (operation, headers, mine)


def test_what_is_foreign_answers_like_what_does_not_exist(ground: Ground) -> None:
    tried = set()
    for own, other in ground.pairs:
        with ground.untouched(own, other):
            for name, there, nowhere in foreign(ground, own, other):
                answers = [ground.ask(one, sent, **ids) for one, sent, ids in (there, nowhere)]
                assert answers[0].status_code == 404, name
                assert alike(*answers), name
                tried.add(name)
    subject = [one.id for one in ground.operations if one.of_application and one.admin]
    assert tried == {*subject, "deleteCurrentUserSession"}


def test_what_is_the_deployments_is_no_applications(ground: Ground) -> None:
    own, other = ground.pairs[0]
    keys = body(ground.stored.world.admin("GET", "/v1/api-keys?limit=100"))["items"]
    with ground.untouched(own, other):
        for operation in ground.operations:
            if operation.admin and not operation.of_application:
                ids = [{"api_key_id": key["id"]} for key in keys] + [{"api_key_id": ID}]
                answers = [ground.ask(operation, own.admin, **one) for one in ids]
                for answer in answers:
                    refused(answer, 403, "forbidden")
                    assert alike(answer, answers[0]), operation.id
        wanted = [(own.admin, one) for one in (own.tenant.id, other.tenant.id, ID)]
        made = [
            ground.send("POST", "/v1/api-keys", {"name": "x", "applicationId": one}, headers=sent)
            for sent, one in [*wanted, (ADMIN, ID)]
        ]
        assert [answer.status_code for answer in made] == [403, 403, 403, 404]
        assert alike(made[0], made[1])
        assert alike(made[1], made[2])
    assert len(body(ground.stored.world.admin("GET", "/v1/api-keys?limit=100"))["items"]) == len(
        keys
    )


def test_a_cursor_is_good_for_its_own_list_alone(ground: Ground) -> None:
    own, other = ground.pairs[0]
    cursors = {**own.cursors, **other.cursors, **ground.deployment}
    tried = 0
    with ground.untouched(own, other):
        for operation in ground.operations:
            if operation.id not in LISTS:
                continue
            headers = own.user if operation.user else ADMIN
            path = operation.path(**own.ids)
            garbage = ground.send("GET", f"{path}?cursor=x", headers=headers)
            refused(garbage, 400, "invalid_cursor")
            for scope, cursor in cursors.items():
                answer = ground.send("GET", f"{path}?cursor={cursor}", headers=headers)
                if scope in {operation.id, f"{operation.id} a"}:
                    assert answer.status_code == 200
                    continue
                assert alike(answer, garbage), scope
                tried += 1
        second = f"{own.tenant.base}/users/me/sessions?cursor="
        cursor = own.cursors["listCurrentUserSessions a"]
        answer = ground.send("GET", second + cursor, headers=bearer(own.second.access))
        refused(answer, 400, "invalid_cursor")
    assert tried == len(LISTS) * (len(cursors) - 1)


def test_a_list_is_never_filtered_by_what_is_foreign(ground: Ground) -> None:
    for own, other in ground.pairs:
        users, trail = f"{own.tenant.base}/users", f"{own.tenant.base}/audit-events"
        for path, theirs, nobody in (
            (users, f"email={other.person.email}", "email=nobody@example.com"),
            (trail, f"userId={other.person.id}", f"userId={ID}"),
        ):
            answers = [
                ground.send("GET", f"{path}?{query}", headers=own.admin)
                for query in (theirs, nobody)
            ]
            assert alike(*answers)
            assert answers[0].json() == {"items": [], "nextCursor": None}
        for path in (users, trail, f"{own.tenant.base}/keys"):
            answer = ground.send("GET", f"{path}?limit=100", headers=own.admin)
            assert body(answer)["items"]
            strange = [other.tenant.id, other.person.id, other.second.id, other.kid, other.session]
            assert not any(value in answer.text for value in strange), path


def test_a_body_names_nobody_else(ground: Ground) -> None:
    own, other = ground.pairs[0]
    values = {**dict.fromkeys(FOREIGN_FIELDS, other.person.id), "applicationId": other.tenant.id}
    tried = set()
    with ground.untouched(own, other):
        before = ground.stored.lasting()
        for operation in ground.operations:
            if operation.id not in BODIES:
                continue
            tried.add(operation.id)
            headers = own.user if operation.user else ADMIN if operation.admin else []
            for name, value in values.items():
                if (operation.id, name) == (TAKES_APPLICATION, "applicationId"):
                    continue
                path = operation.path(**own.ids)
                sent = {**operation.body, name: value}
                answer = ground.send(operation.method, path, sent, headers=headers)
                problem = refused(answer, 422, "validation_failed", field=name)
                assert [one["code"] for one in problem["errors"]] == ["extra_forbidden"]
        assert ground.stored.lasting() == before
    assert tried == BODIES.keys()


def letter(side: Side, email: str, kind: MessageKind) -> str:
    """What the newest message to an address of an application carries."""
    found = side.tenant.world.messages(email)
    token = next(
        one.token for one in found if one.application_id == side.tenant.id and one.kind == kind
    )
    assert token is not None
    return token


def test_tokens_and_passwords_of_another_application_are_none(ground: Ground) -> None:
    own, other = ground.pairs[0]
    world = ground.stored.world
    waiting = f"waiting{len(world.messages())}@example.com"
    other.tenant.sign_up(waiting)
    other.tenant.ask_reset(other.second.email)
    invitation = letter(other, waiting, MessageKind.EMAIL_VERIFICATION)
    reset = letter(other, other.second.email, MessageKind.PASSWORD_RESET)
    users, theirs, wrong = "/users", other.second, "x" * 43
    tries = [
        ("POST", "/verification", {"token": invitation, "password": PASSWORD}, ("token", wrong)),
        ("POST", "/verification", {"token": reset, "password": PASSWORD}, ("token", wrong)),
        ("PUT", "/password", {"token": reset, "password": NEW_PASSWORD}, ("token", wrong)),
        ("PUT", "/password", {"token": invitation, "password": NEW_PASSWORD}, ("token", wrong)),
        ("POST", "/token", {"refreshToken": theirs.refresh}, ("refreshToken", wrong)),
        ("POST", "/token/revoke", {"refreshToken": theirs.refresh}, ("refreshToken", wrong)),
        ("POST", "/token", {"email": theirs.email, "password": PASSWORD}, ("email", "no@a.test")),
        ("POST", "/verification/send", {"email": waiting}, ("email", "no@a.test")),
        ("POST", "/password/reset", {"email": theirs.email}, ("email", "no@a.test")),
    ]
    written = len(world.messages())
    with ground.untouched(other):
        for method, tail, members, (name, nobodys) in tries:
            path = own.tenant.base + users + tail
            answers = [
                ground.send(method, path, sent) for sent in (members, {**members, name: nobodys})
            ]
            assert answers[0].status_code in {202, 204, 400, 401}, tail
            assert alike(*answers), tail
        assert len(world.messages()) == written
    # Each was good where it belongs.
    assert other.tenant.me(theirs.access).status_code == 200
    assert other.tenant.verify(invitation).status_code == 200


def odd(ground: Ground, own: Side, other: Side) -> Iterator[tuple[Operation, Headers, str]]:
    """Every operation with another spelling of a foreign id as each of its parameters."""
    values = {**other.ids, "api_key_id": ID}
    for operation in ground.operations:
        for name in parameters(operation):
            forms = [form.format(values[name], own.person.id) for form in FORMS]
            for value in (*forms, values[name].upper()):
                ids = {**own.ids, name: value}
                headers = own.user if operation.user else own.admin if operation.admin else []
                yield operation, headers, operation.path(**ids)


def test_no_spelling_of_a_foreign_id_leads_to_it(ground: Ground) -> None:
    own, other = ground.pairs[0]
    with ground.untouched(own, other):
        before = ground.stored.lasting()
        for operation, headers, path in odd(ground, own, other):
            answer = ground.send(operation.method, path, operation.body, headers=headers)
            assert answer.status_code in {400, 401, 403, 404, 405}, (operation.id, path)
            assert "X-Injected" not in answer.headers
        assert ground.stored.lasting() == before


def deeds(ground: Ground, own: Side) -> Iterator[tuple[Operation, httpx.Response]]:
    """Every operation done as it is meant, deletions last and the deepest of them first."""
    world, base = ground.stored.world, own.tenant.base
    own.tenant.sign_up("eve@example.com")

    def order(operation: Operation) -> tuple[bool, int]:
        return operation.method == "DELETE", -operation.template.count("/")

    for operation in sorted(ground.operations, key=order):
        members, ids = operation.body, own.ids
        if operation.id == "verifyUser":
            token = letter(own, "eve@example.com", MessageKind.EMAIL_VERIFICATION)
            members = {"token": token, "password": PASSWORD}
        if operation.id == "updatePassword":
            own.tenant.ask_reset("eve@example.com")
            token = letter(own, "eve@example.com", MessageKind.PASSWORD_RESET)
            members = {"token": token, "password": PASSWORD}
        if operation.id == "deleteApiKey":
            made = body(world.admin("POST", "/v1/api-keys", {"name": "x"}))
            ids = {**ids, "api_key_id": made["id"]}
        if operation.user:
            person = own.tenant.user(f"{operation.id.lower()}@example.com")
            ids = {**ids, "session_id": body(person.call("GET", "/sessions"))["items"][0]["id"]}
            headers = bearer(person.access)
        else:
            headers = ADMIN if operation.admin else []
        if operation.id == "deleteApplication":
            for user in body(own.tenant.admin("GET", "/users?limit=100"))["items"]:
                own.tenant.admin("DELETE", f"/users/{user['id']}")
        path = operation.path(**ids)
        yield operation, ground.send(operation.method, path, members, headers=headers)
    assert ground.stored.world.admin("GET", base).status_code == 404


def test_whatever_is_done_to_one_application_leaves_the_other_as_it_is(ground: Ground) -> None:
    own = side(ground.stored.world, f"c{len(ground.stored.lasting())}")
    done = 0
    with ground.untouched(ground.a, ground.b):
        for operation, answer in deeds(ground, own):
            assert answer.is_success, (operation.id, answer.text)
            done += 1
    assert done == len(ground.operations)
    assert ground.b.person.call("GET").status_code == 200


def test_one_token_at_two_applications_in_turns_opens_its_own(ground: Ground) -> None:
    world, token = ground.stored.world, bearer(ground.a.person.access)
    with open_world(world.folder, hour=world.hour, **ground.stored.settings) as second:
        for turn in (ground.pairs[0], ground.pairs[1]):
            for send in (ground.send, second.send, second.send, ground.send) * 13:
                for one in turn:
                    answer = send("GET", f"{one.tenant.base}/users/me", headers=token)
                    assert answer.status_code == (200 if one is ground.a else 401)


def test_a_body_that_cannot_be_read_is_no_way_round_the_credential(ground: Ground) -> None:
    for operation in ground.operations:
        if operation.security and operation.id in BODIES:
            path = operation.path(**ground.a.ids)
            for sent, content in (({}, "{}"), (JSON, "{"), (JSON, '{"a":1,"a":2}')):
                answer = ground.stored.world.send(
                    operation.method, path, content=content.encode(), headers=sent
                )
                assert answer.status_code == 401, operation.id
