"""kill -9 of everything at any moment, under load: what was acknowledged is there afterwards.

Two processes serve one data folder; both are killed at once, again and again, and started anew.
Whoever was interrupted repeats the request and gets the answer of the contract.
"""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from tests.flows import invariants
from tests.flows.client import (
    RESET,
    VERIFICATION,
    Answer,
    Call,
    Client,
    LocalInbox,
    Message,
    every_page,
    opened_client,
)
from tests.flows.effort import is_full
from tests.flows.ledger import Ledger
from tests.flows.server import Server, free_port, start, wait_until_ready

PEOPLE = 96 if is_full() else 24
CRASHES = 4 if is_full() else 1
THREADS = 8
PATIENCE_SECONDS = 60.0
PASSWORD = "a horse that nobody staples"
OTHER = "another horse, in another field"
NAMES = ("one", "two")
Ask: TypeAlias = Callable[[Client], Call[Any]]


@dataclass(kw_only=True)
class Person:
    """Somebody who insists.

    Attributes:
        asked: how often a message of each kind was asked for, and how often that was acknowledged.
    """

    clients: list[Client]
    folder: Path
    app: str
    email: str
    chance: random.Random = field(repr=False)
    asked: dict[str, tuple[int, int]] = field(default_factory=dict)
    alive: bool = False

    def live(self) -> None:
        self.ask_for(VERIFICATION, lambda c: c.create_user(self.app, self.email, PASSWORD))
        token = self.token(VERIFICATION)
        self.once(lambda c: c.verify_user(self.app, token, PASSWORD), 200, 400)
        self.alive = True
        self.sign_in(PASSWORD, 200)
        self.ask_for(RESET, lambda c: c.request_reset(self.app, self.email))
        token = self.token(RESET)
        self.once(lambda c: c.update_password(self.app, token, OTHER), 204, 400)
        self.sign_in(PASSWORD, 401)
        self.sign_in(OTHER, 200)
        if self.chance.random() < 0.5:
            answer, _ = self.insist(lambda c: c.list_users(self.app, email=self.email))
            user = answer.body["items"][0]["id"]
            self.once(lambda c: c.delete_user(self.app, user), 204, 404)
            self.alive = False
            self.sign_in(OTHER, 401)

    def sign_in(self, password: str, status: int) -> None:
        answer, _ = self.insist(lambda c: c.sign_in(self.app, self.email, password))
        assert answer.status == status, answer

    def ask_for(self, kind: str, ask: Ask) -> None:
        answer, interrupted = self.insist(ask)
        assert answer.status == 202
        if interrupted:  # one or two messages are on their way, and the last one counts
            invariants.wait_for_rest(self.folder)
        self.asked[kind] = (1, 1 + interrupted)

    def once(self, ask: Ask, status: int, too_late: int) -> None:
        """Do what can be done once; who was interrupted may find it done."""
        answer, interrupted = self.insist(ask)
        assert answer.status == status or (interrupted and answer.status == too_late), answer

    def insist(self, ask: Ask) -> tuple[Answer[Any], int]:
        """The answer to a call, however often it is interrupted, and how often it was."""
        deadline, interrupted = time.monotonic() + PATIENCE_SECONDS, 0
        while True:
            try:
                return ask(self.chance.choice(self.clients)).send(), interrupted
            except httpx.ConnectError:  # it never arrived
                time.sleep(0.1)
            except httpx.TransportError:
                interrupted += 1
            assert time.monotonic() < deadline, "nobody answers"

    def token(self, kind: str) -> str:
        """The token of the newest message, once there is one."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = [message for message in self.messages() if message.kind == kind]
            if found and found[0].token is not None:
                return found[0].token
            assert time.monotonic() < deadline, "no message"
            time.sleep(0.1)

    def messages(self) -> list[Message]:
        try:
            return LocalInbox(client=self.chance.choice(self.clients)).messages(self.email)
        except httpx.TransportError:
            return []


class Pair:
    """Two servers of one data folder that are killed and started together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = [free_port(), free_port()]
        self.servers: list[Server] = []

    def start(self) -> None:
        self.servers = [
            start(self.folder, name=name, port=port)
            for name, port in zip(NAMES, self.ports, strict=True)
        ]
        for server in self.servers:
            wait_until_ready(server)

    def kill(self) -> None:
        for server in self.servers:
            server.kill()


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    both = Pair(folder)
    try:
        both.start()
        yield both
    finally:
        for server in both.servers:
            server.stop()


def test_what_was_acknowledged_survives_kill_9_at_any_moment(tmp_path: Path) -> None:
    folder, ledger, chance = tmp_path / "data", Ledger(), random.Random(9)
    with pair(folder) as both:
        key, urls = both.servers[0].admin_key, [server.url for server in both.servers]
        with opened_client(urls[0], key, ledger) as one, opened_client(urls[1], key, ledger) as two:
            app = one.create_application(signingAlgorithm="EdDSA").done()["id"]
            one.read_jwks(app).done()
            people = [
                Person(
                    clients=[one, two],
                    folder=folder,
                    app=app,
                    email=f"ada{number}@example.com",
                    chance=random.Random(number),
                )
                for number in range(PEOPLE)
            ]
            with ThreadPoolExecutor(THREADS) as pool:
                lives = [pool.submit(person.live) for person in people]
                for _ in range(CRASHES):
                    time.sleep(chance.uniform(0.2, 0.8))
                    both.kill()
                    both.start()
                for life in lives:
                    life.result()
            living = [person for person in people if person.alive]
            listed = list(every_page(partial(one.list_users, app)))
            assert {user["email"] for user in listed} == {person.email for person in living}
            assert one.read_application(app).done()["userCount"] == len(living)
        invariants.wait_for_rest(folder)
    for person in people:
        for kind, (least, most) in person.asked.items():
            sent = [m for m in invariants.mailbox(folder) if m["to"] == person.email]
            assert least <= sum(m["kind"] == kind for m in sent) <= most
    logs, outputs = [s.log for s in both.servers], [s.output for s in both.servers]
    invariants.check(folder, ledger, logs=logs, outputs=outputs)
