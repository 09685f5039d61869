"""What each operation asks of the table: round trips and request units, on DynamoDB Local.

Runs every operation of the service once, as a warm process meets it (application and keys
remembered, the deployment's secret open), with the default settings and RS256 keys, and adds up
what DynamoDB says that it consumed. `app/storage/keys.py` holds the same table; the test beside
this file compares the two.

    PASSERINE_TEST_DYNAMODB_LOCAL=<folder of DynamoDBLocal.jar> python -m tests.bench.units

Reads and single writes are what DynamoDB Local says. Of transactions it says nonsense (4 units
for one small item as for five), so theirs are counted by AWS's rule from the sizes of the items
before and after: 2 units for each item and each kilobyte begun of the larger of the two.
"""

import math
import sys
import tempfile
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from app.adapters.aws_json import JsonClient
from app.adapters.dynamodb_table import DynamoDbTable
from tests.api.world import (
    EMAIL,
    NEW_PASSWORD,
    PASSWORD,
    Person,
    Tenant,
    World,
    body,
    open_world,
    tokens,
)
from tests.dynamodb_local import calls, client, create_table, dynamodb_local, spoken_to

KILOBYTE = 1024
READS = {"GetItem", "BatchGetItem", "Query"}
Row = tuple[str, int, float, int, float]


@dataclass(kw_only=True)
class Meter:
    """Adds up what the calls of a client consume.

    Attributes:
        plain: a client that is not metered.
    """

    plain: JsonClient
    calls: list[tuple[str, float]] = field(default_factory=list)

    def attach(self, table: DynamoDbTable) -> None:
        call = table.call

        def metered_call(operation: str, request: Mapping[str, Any]) -> Any:
            members = [_member(member) for member in request.get("TransactItems", [])]
            before = [self._size(*member) for member in members]
            answer = call(operation, {**request, "ReturnConsumedCapacity": "TOTAL"})
            consumed = answer.get("ConsumedCapacity", [])
            each = consumed if isinstance(consumed, list) else [consumed]
            units = sum(one["CapacityUnits"] for one in each)
            if operation == "TransactWriteItems":
                after = [self._size(*member) for member in members]
                sizes = [max(both) for both in zip(before, after, strict=True)]
                units = sum(2 * max(1, math.ceil(size / KILOBYTE)) for size in sizes)
            # DynamoDB Local asks nothing for a query that finds nothing; AWS asks for 1 unit.
            self.calls.append((operation, max(1, units)))
            return answer

        # Every store of the service holds this very table.
        object.__setattr__(table, "call", metered_call)

    def _size(self, table: str, key: Any) -> int:
        asked = {"TableName": table, "Key": key, "ConsistentRead": True}
        answer = self.plain.call("GetItem", asked)
        found = answer.get("Item", {})
        return sum(len(name.encode()) + _bytes(value) for name, value in found.items())

    def row(self, name: str) -> Row:
        """The sums since the last row: read calls and units, write calls and units."""
        reads = [units for call, units in self.calls if call in READS]
        writes = [units for call, units in self.calls if call not in READS]
        self.calls.clear()
        return name, len(reads), sum(reads), len(writes), sum(writes)


def _member(member: dict[str, Any]) -> tuple[str, Any]:
    (write,) = member.values()
    key = write["Key"] if "Key" in write else {name: write["Item"][name] for name in ("pk", "sk")}
    return write["TableName"], key


def _bytes(value: dict[str, Any]) -> int:
    """The size of a value (DynamoDB Developer Guide, "DynamoDB item sizes and formats")."""
    ((kind, held),) = value.items()
    match kind:
        case "S":
            return len(held.encode())
        case "B":
            return len(b64decode(held))
        case "N":
            return len(held.strip("-")) // 2 + 2
        case "M":
            return 3 + sum(1 + len(name.encode()) + _bytes(one) for name, one in held.items())
        case "L":
            return 3 + sum(1 + _bytes(one) for one in held)
        case _:
            return 1


@contextmanager
def metered(folder: Path) -> Iterator[tuple[World, Meter]]:
    """A service on a new table whose every call is counted."""
    with ExitStack() as stack:
        endpoint = stack.enter_context(dynamodb_local())
        stack.enter_context(spoken_to(endpoint))
        plain = stack.enter_context(closing(calls(endpoint)))
        table = create_table(stack.enter_context(closing(client(endpoint))))
        world = stack.enter_context(
            open_world(folder, store="dynamodb", table_name=table, rate_limits="on")
        )
        meter = Meter(plain=plain)
        assert isinstance(world.services.table, DynamoDbTable)
        meter.attach(world.services.table)
        yield world, meter


@dataclass(kw_only=True)
class Measuring:
    """Runs operations one by one and keeps a row for each."""

    world: World
    meter: Meter
    rows: list[Row] = field(default_factory=list)

    def take(
        self, name: str, call: Callable[[], httpx.Response], *, refused: bool = False
    ) -> httpx.Response:
        self.meter.calls.clear()
        answer = call()
        assert answer.is_success is not refused, f"{name}: {answer.text}"
        self.rows.append(self.meter.row(name))
        return answer

    def deliver(self, name: str, call: Callable[[], httpx.Response]) -> httpx.Response:
        """Do what lays one event down, and measure its delivery as a stream's record asks it."""
        dispatcher = self.world.services.dispatcher
        dispatcher.run_once()
        answer = call()
        (shard,) = [one for one in dispatcher.outbox.shards() if [*dispatcher.outbox.pending(one)]]
        self.meter.calls.clear()
        assert dispatcher.run([shard]) == set()
        self.rows.append(self.meter.row(name))
        return answer

    def later(self, tenant: Tenant) -> None:
        """Let a minute pass, after which an address may be written to again."""
        self.world.advance(60)
        tenant.public("GET", "/jwks.json")  # what was remembered is, again

    def token(self, to: str = EMAIL) -> str:
        """What the newest message to an address carries."""
        token = self.world.last_message(to).token
        assert token is not None
        return token

    def person(self, tenant: Tenant, email: str) -> Person:
        """A user of its own, who signs up unmeasured."""
        tenant.sign_up(email)
        grant = tenant.verify(self.token(email))
        person = Person(tenant=tenant, id="", email=email, password=PASSWORD, **tokens(grant))
        return replace(person, id=body(person.call("GET"))["id"])


def measure(world: World, meter: Meter) -> list[Row]:
    """One row for each operation."""
    run = Measuring(world=world, meter=meter)
    tenant = _applications(run)
    person = _sign_up(run, tenant)
    _session(run, tenant)
    _passwords(run, tenant)
    _own_account(run, person.signed_in())
    _users(run, tenant)
    _rest(run, tenant)
    _trails(run, tenant)
    return run.rows


def _applications(run: Measuring) -> Tenant:
    base = "/v1/applications"
    made = run.take("createApplication", lambda: run.world.admin("POST", base, {"name": "Songs"}))
    tenant = Tenant(world=run.world, id=made.json()["id"])
    run.take("listApplications", lambda: run.world.admin("GET", base))
    run.take("readApplication", lambda: tenant.admin("GET"))
    run.take("updateApplication", lambda: tenant.admin("PATCH", "", {"name": "Songbook"}))
    tenant.public("GET", "/jwks.json")  # the application and its ring are remembered from here
    return tenant


def _sign_up(run: Measuring, tenant: Tenant) -> Person:
    again = {"email": EMAIL}
    run.take("createUser", tenant.sign_up)
    run.later(tenant)
    resend = "/users/verification/send"
    run.take("sendEmailVerification", lambda: tenant.public("POST", resend, again))
    token = run.token()
    grant = run.take("verifyUser", lambda: tenant.verify(token))
    person = Person(tenant=tenant, id="", email=EMAIL, password=PASSWORD, **tokens(grant))
    return replace(person, id=body(person.call("GET"))["id"])


def _session(run: Measuring, tenant: Tenant) -> None:
    grant = run.take("requestUserToken (password)", tenant.sign_in)
    refresh = grant.json()["refreshToken"]
    grant = run.take("requestUserToken (refresh)", lambda: tenant.refresh(refresh))
    run.take("revokeUserToken", lambda: tenant.revoke(grant.json()["refreshToken"]))


def _passwords(run: Measuring, tenant: Tenant) -> None:
    run.take("requestPasswordReset", tenant.ask_reset)
    token = run.token()
    run.take("updatePassword", lambda: tenant.reset(token, NEW_PASSWORD))
    access = tokens(tenant.sign_in(EMAIL, NEW_PASSWORD))["access"]
    change = {"currentPassword": NEW_PASSWORD, "newPassword": PASSWORD}
    run.take("changeCurrentUserPassword", lambda: tenant.me(access, "PUT", "/password", change))


def _own_account(run: Measuring, person: Person) -> None:
    run.take("readCurrentUser", lambda: person.call("GET"))
    run.take("updateCurrentUser", lambda: person.call("PATCH", "", {"metadata": {"a": 1}}))
    run.take("listCurrentUserSessions", lambda: person.call("GET", "/sessions"))
    other = person.signed_in()
    found = body(other.call("GET", "/sessions"))["items"]
    session = next(one["id"] for one in found if one["current"])
    end = f"/sessions/{session}"
    run.take("deleteCurrentUserSession", lambda: person.call("DELETE", end))
    run.take("deleteCurrentUserSessions", lambda: person.call("DELETE", "/sessions"))
    leaver = run.person(person.tenant, "leaver@example.com")
    run.take("deleteCurrentUser", lambda: leaver.call("DELETE"))


def _users(run: Measuring, tenant: Tenant) -> None:
    subject = run.person(tenant, "subject@example.com")
    run.take("listUsers", lambda: tenant.admin("GET", "/users"))
    run.take("readUser", lambda: subject.admin("GET"))
    run.take("updateUser", lambda: subject.admin("PATCH", {"appMetadata": {"a": 1}}))
    run.take("deleteUser", lambda: subject.admin("DELETE"))


def _rest(run: Measuring, tenant: Tenant) -> None:
    run.take("readApplicationJwks", lambda: tenant.public("GET", "/jwks.json"))
    run.take(
        "readOpenIdConfiguration",
        lambda: tenant.public("GET", "/.well-known/openid-configuration"),
    )
    run.take("listApplicationKeys", lambda: tenant.admin("GET", "/keys"))
    run.take("rotateApplicationKeys", lambda: tenant.admin("POST", "/keys"))
    found = body(tenant.admin("GET", "/keys"))["items"]
    retired = next(key["kid"] for key in found if key["state"] == "retired")
    run.take("revokeApplicationKey", lambda: tenant.admin("DELETE", f"/keys/{retired}"))
    keys = "/v1/api-keys"
    made = run.take("createApiKey", lambda: run.world.admin("POST", keys, {"name": "pipeline"}))
    run.take("listApiKeys", lambda: run.world.admin("GET", keys))
    run.take("deleteApiKey", lambda: run.world.admin("DELETE", f"{keys}/{made.json()['id']}"))
    run.deliver("delivery of an event", tenant.sign_in)
    run.later(tenant)
    run.deliver("delivery of a message", tenant.ask_reset)
    run.take("readHealth", lambda: run.world.send("GET", "/health"))
    empty = run.world.tenant()
    run.take("deleteApplication", lambda: empty.admin("DELETE"))


def _trails(run: Measuring, tenant: Tenant) -> None:
    """What looking back costs, and a wrong password."""
    user = body(tenant.admin("GET", "/users"))["items"][0]["id"]
    trail = "/audit-events"
    # Of few records: where many lie, chance says how many of its shards are above 4 KB.
    quiet = run.world.tenant()
    quiet.public("GET", "/jwks.json")  # it is remembered from here
    run.take("listAuditEvents", lambda: quiet.admin("GET", trail))
    run.take("listAuditEvents (of a user)", lambda: tenant.admin("GET", f"{trail}?userId={user}"))
    run.take("listDeploymentAuditEvents", lambda: run.world.admin("GET", "/v1/audit-events"))
    wrong = "requestUserToken (wrong password)"
    run.take(wrong, lambda: tenant.sign_in(EMAIL, NEW_PASSWORD), refused=True)


def lines(folder: Path) -> list[str]:
    """The rows as they stand in `keys.py`."""
    with metered(folder) as (world, meter):
        return ["| {} | {} | {:g} | {} | {:g} |".format(*row) for row in measure(world, meter)]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write("\n".join(lines(Path(folder))) + "\n")
