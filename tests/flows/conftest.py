"""A deployment for the black-box flows.

They run against a server that this process starts, or, with `PASSERINE_TEST_URL` and
`PASSERINE_TEST_ADMIN_KEY` set, against any other deployment that shows its messages.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from app.adapters.platform import CACHE_SECONDS
from tests.cdk import Stack
from tests.flows import invariants
from tests.flows.aws import SesInbox
from tests.flows.client import Client, Inbox, LocalInbox, opened_client
from tests.flows.ledger import Ledger
from tests.flows.server import serving

URL = "PASSERINE_TEST_URL"
ADMIN_KEY = "PASSERINE_TEST_ADMIN_KEY"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """All that the black-box flows are told.

    Attributes:
        folder: its data folder, if this process has started it.
        transport: what carries requests there, if it is not the network.
        inbox: where its messages are read.
        settles: see `Client`.
        ledger: takes note of what is said; at the end the invariants are checked with it.
    """

    url: str
    admin_key: str = field(repr=False)
    folder: Path | None = None
    transport: httpx.BaseTransport | None = field(default=None, repr=False)
    inbox: Callable[[Client], Inbox] = field(default=lambda client: LocalInbox(client=client))
    settles: float = 0.0
    ledger: Ledger = field(default_factory=Ledger, repr=False)


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with opened_deployment(tmp_path_factory.mktemp("flows") / "data") as opened:
        yield opened


@contextmanager
def opened_deployment(folder: Path) -> Iterator[Deployment]:
    """The deployment that the environment names, or one on this machine."""
    if URL in os.environ:
        yield Deployment(url=os.environ[URL], admin_key=os.environ[ADMIN_KEY])
        return
    ledger = Ledger()
    with serving(folder) as server:
        yield Deployment(url=server.url, admin_key=server.admin_key, folder=folder, ledger=ledger)
        invariants.wait_for_rest(folder)
    invariants.check(folder, ledger, logs=[server.log], outputs=[server.output])


def deployment_of(stack: Stack) -> Deployment:
    """The one that `cdk deploy` has made."""
    emulator = stack.emulator

    def inbox(client: Client) -> Inbox:
        return SesInbox(client=client, endpoint=emulator.endpoint, tls=emulator.tls())

    return Deployment(
        url=stack.url,
        admin_key=stack.admin_key,
        transport=stack.transport(),
        inbox=inbox,
        settles=CACHE_SECONDS + 1,  # the stream may wake an environment that answers clients too
    )


@contextmanager
def connected(deployment: Deployment) -> Iterator[Client]:
    """A client of a deployment."""
    with opened_client(
        deployment.url, deployment.admin_key, deployment.ledger, deployment.transport
    ) as opened:
        yield replace(opened, settles=deployment.settles)


@pytest.fixture(scope="session")
def client(deployment: Deployment) -> Iterator[Client]:
    with connected(deployment) as opened:
        yield opened


@pytest.fixture(scope="session")
def inbox(deployment: Deployment, client: Client) -> Inbox:
    return deployment.inbox(client)
