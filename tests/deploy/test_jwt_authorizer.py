"""A customer's own HTTP API takes our access tokens by API Gateway's JWT authorizer."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.aws_emulator import emulated
from tests.cdk import Stack
from tests.flows.client import Client, LocalInbox, opened_client, sign_up
from tests.flows.ledger import Ledger
from tests.flows.server import serving

PASSWORD = "a horse that nobody staples"


@dataclass(frozen=True, kw_only=True)
class Customer:
    """An API that lets in whoever has a token of one application.

    Attributes:
        ours: the application that it trusts.
        other: another one of the same deployment.
    """

    client: Client
    api: httpx.Client
    ours: str
    other: str

    def token(self, app: str, name: str) -> str:
        inbox = LocalInbox(client=self.client)
        return sign_up(self.client, inbox, app, f"{name}@example.com", PASSWORD)["accessToken"]

    def ask(self, token: str | None) -> int:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.api.get("/docs", headers=headers).status_code


@pytest.fixture(scope="module")
def customer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Customer]:
    folder = tmp_path_factory.mktemp("customer")
    with (
        emulated(folder) as emulator,
        serving(folder / "data") as server,
        opened_client(server.url, server.admin_key, Ledger(), None) as client,
    ):
        ours = client.create_application(name="Songbook").done()["id"]
        other = client.create_application(name="Cookbook").done()["id"]
        stack = Stack(emulator=emulator, folder=folder)
        gateway = stack.client("apigatewayv2")
        api = gateway.create_api(Name="songs", ProtocolType="HTTP")["ApiId"]
        integration = gateway.create_integration(
            ApiId=api,
            IntegrationType="HTTP_PROXY",
            IntegrationMethod="GET",
            IntegrationUri=server.url,  # the emulator appends the path
            PayloadFormatVersion="1.0",
        )["IntegrationId"]
        authorizer = gateway.create_authorizer(
            ApiId=api,
            Name="passerine",
            AuthorizerType="JWT",
            IdentitySource=["$request.header.Authorization"],
            JwtConfiguration={
                "Issuer": f"{server.url}/v1/applications/{ours}",
                "Audience": [ours],
            },
        )["AuthorizerId"]
        gateway.create_route(
            ApiId=api,
            RouteKey="GET /docs",
            Target=f"integrations/{integration}",
            AuthorizationType="JWT",
            AuthorizerId=authorizer,
        )
        # Behind the authorizer lies what is there at hand: a page of the service itself.
        gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
        port = emulator.endpoint.rpartition(":")[2]
        with httpx.Client(
            base_url=f"http://{api}.execute-api.localhost:{port}", transport=stack.transport()
        ) as opened:
            yield Customer(client=client, api=opened, ours=ours, other=other)


def test_a_token_of_the_application_is_let_in(customer: Customer) -> None:
    assert customer.ask(customer.token(customer.ours, "ada")) == 200


def test_another_applications_token_is_refused(customer: Customer) -> None:
    assert customer.ask(customer.token(customer.other, "alan")) == 401


def test_no_token_and_a_forged_one_are_refused(customer: Customer) -> None:
    good = customer.token(customer.ours, "grace")
    head, body, signature = good.split(".")
    forged = signature[:-8] + ("A" * 8 if signature[-8:] != "A" * 8 else "B" * 8)
    assert customer.ask(good) == 200
    assert [customer.ask(one) for one in (None, "x", f"{head}.{body}.{forged}")] == [401] * 3
