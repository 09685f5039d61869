"""A deployment over AWS's emulators with applications and users, to measure functions on."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.adapters.aws_json import JsonClient
from tests.api.world import EMAIL, PASSWORD, Hour, Tenant, World, open_world
from tests.dynamodb_local import calls, create_table
from tests.flows.aws import PUBLIC_URL, Cloud, cloud
from tests.gateway import Request, event

ADMIN_KEY = "psk_an-admin-key-for-measuring-alone"
HOST = PUBLIC_URL.removeprefix("https://")
APPLICATIONS = 12
ROUNDS_TO_WARM = 1000


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A deployment.

    Attributes:
        environment: of the function, and of the naive app, which reads the same table.
        applications: the ids of applications with one user each, who has not signed in yet.
    """

    environment: Mapping[str, str]
    applications: list[str]
    table: str
    cloud: Cloud = field(repr=False)

    def read_application(self) -> dict[str, Any]:
        """The event of a `readApplication`."""
        return _event("GET", self.applications[0], "", [("x-api-key", ADMIN_KEY)])

    def me(self, access: str) -> dict[str, Any]:
        """The event of a `readCurrentUser`."""
        sent = [("authorization", f"Bearer {access}")]
        return _event("GET", self.applications[0], "/users/me", sent)

    def sign_in(self, application: str) -> dict[str, Any]:
        """The event of a sign-in by password."""
        return _event(
            "POST", application, "/users/token", [], {"email": EMAIL, "password": PASSWORD}
        )

    def refresh(self, token: str) -> dict[str, Any]:
        """The event of a sign-in by refresh token."""
        return _event("POST", self.applications[0], "/users/token", [], {"refreshToken": token})


def _event(
    method: str,
    application: str,
    path: str,
    headers: list[tuple[str, str]],
    body: dict[str, str] | None = None,
) -> dict[str, Any]:
    sent = [("host", HOST), ("user-agent", "bench"), *headers]
    if body is not None:
        sent.append(("content-type", "application/json"))
    request = Request(
        method=method,
        path=f"/v1/applications/{application}{path}",
        query="",
        headers=sent,
        body=b"" if body is None else json.dumps(body).encode(),
    )
    return event("http", request)


@contextmanager
def stage(folder: Path, *, applications: int = APPLICATIONS, warm: bool = True) -> Iterator[Stage]:
    """A deployment on DynamoDB Local and an emulated KMS, until the block ends."""
    with cloud(folder) as there:
        # Without a stream, which costs DynamoDB Local as much again for each write.
        table = create_table(there.aws.client("dynamodb"))
        if warm:
            _warm(calls(there.variables["AWS_ENDPOINT_URL_DYNAMODB"]), table)
        with open_world(
            folder / "data",
            hour=Hour(now=datetime.now(UTC)),
            store="dynamodb",
            table_name=table,
            kms_key_id=there.settings["KMS_KEY_ID"],
            public_url=PUBLIC_URL,
        ) as world:
            made = [_application(world) for _ in range(applications)]
        told = {
            **there.settings,
            "TABLE_NAME": table,
            "PUBLIC_URL": PUBLIC_URL,
            "ADMIN_API_KEY": ADMIN_KEY,
        }
        settings = {f"PASSERINE_{name}": value for name, value in told.items()}
        yield Stage(
            environment={**there.variables, **settings},
            applications=made,
            table=table,
            cloud=there,
        )


def _warm(dynamodb: JsonClient, table: str) -> None:
    """Have the emulator compile what it will be asked: at first it takes three times as long."""
    name = {"pk": {"S": "warm"}, "sk": {"S": "0"}}
    for _ in range(ROUNDS_TO_WARM):
        puts = [
            {"Put": {"TableName": table, "Item": {"pk": {"S": "warm"}, "sk": {"S": str(number)}}}}
            for number in range(6)
        ]
        dynamodb.call("TransactWriteItems", {"TransactItems": puts})
        dynamodb.call("GetItem", {"TableName": table, "Key": name, "ConsistentRead": True})
        dynamodb.call("BatchGetItem", {"RequestItems": {table: {"Keys": [name]}}})
    dynamodb.close()


def _application(world: World) -> str:
    tenant: Tenant = world.tenant(signingAlgorithm="RS256")
    tenant.sign_up()
    token = world.last_message(EMAIL).token
    assert token is not None
    tenant.verify(token)
    return tenant.id
