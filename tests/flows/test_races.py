"""Races over two server processes on one data folder, 50 contenders each.

`PASSERINE_TEST_ROUNDS` says how many rounds each race is run; 4 when unset, 50 in `.ci/run`.
"""

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.flows import invariants
from tests.flows.client import (
    RESET,
    VERIFICATION,
    Answer,
    Call,
    Client,
    Grant,
    LocalInbox,
    opened_client,
    sign_up,
    wait_for_messages,
    wait_for_token,
)
from tests.flows.ledger import Ledger
from tests.flows.server import serving

ROUNDS = int(os.environ.get("PASSERINE_TEST_ROUNDS", "4"))
CONTENDERS = 50
PASSWORD = "a horse that nobody staples"
Ask = Callable[[Client, int], Call[Any]]


@dataclass(frozen=True, kw_only=True)
class Arena:
    """Two processes of one deployment, and everybody who wants something of them at once."""

    clients: tuple[Client, Client]
    inbox: LocalInbox
    app: str
    pool: ThreadPoolExecutor

    @property
    def client(self) -> Client:
        return self.clients[0]

    def at_once(self, ask: Ask, many: int = CONTENDERS) -> list[Any]:
        """The answers to calls that are sent at the same moment, half to each process."""
        barrier = threading.Barrier(many)

        def send(number: int) -> Answer[Any]:
            call = ask(self.clients[number % 2], number)
            barrier.wait(timeout=30)
            return call.send()

        return list(self.pool.map(send, range(many)))

    def users(self) -> int:
        return self.client.read_application(self.app).done()["userCount"]


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    folder, ledger = tmp_path_factory.mktemp("races") / "data", Ledger()
    with (
        serving(folder, name="one") as one,
        serving(folder, name="two") as two,
        opened_client(one.url, one.admin_key, ledger) as first,
        opened_client(two.url, two.admin_key, ledger) as second,
        ThreadPoolExecutor(CONTENDERS) as pool,
    ):
        app = first.create_application(signingAlgorithm="ES256").done()["id"]
        first.read_jwks(app).done()
        clients = (first, second)
        yield Arena(clients=clients, inbox=LocalInbox(client=first), app=app, pool=pool)
        for client in clients:
            for application in client.list_applications().done()["items"]:
                client.read_jwks(application["id"]).done()
        invariants.wait_for_rest(folder)
    invariants.check(folder, ledger, logs=[one.log, two.log], outputs=[one.output, two.output])


def new_email() -> str:
    return f"ada-{uuid.uuid4().hex}@example.com"


def winners(answers: list[Answer[Any]], status: int) -> list[Answer[Any]]:
    return [answer for answer in answers if answer.status == status]


def refreshing(app: str, token: str) -> Ask:
    return lambda client, _: client.refresh(app, token)


def deleting(app: str, user: str) -> Ask:
    return lambda client, _: client.delete_user(app, user)


def codes(answers: list[Answer[Any]]) -> set[str | None]:
    return {answer.code for answer in answers if answer.status >= 400}


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_fifty_sign_ups_and_completions_of_one_address_make_one_user(
    arena: Arena, _round: int
) -> None:
    email, before = new_email(), arena.users()
    spelled = (email, email.upper(), email.title())
    asked = arena.at_once(lambda c, n: c.create_user(arena.app, spelled[n % 3], PASSWORD))
    assert {answer.status for answer in asked} == {202}
    messages = wait_for_messages(arena.inbox, email, VERIFICATION, CONTENDERS)
    tokens = [message.token or "" for message in messages]
    answers = arena.at_once(lambda c, n: c.verify_user(arena.app, tokens[n], PASSWORD))
    assert len(winners(answers, 200)) == 1
    assert codes(answers) == {"invalid_token"}
    assert arena.users() == before + 1
    late = [arena.client.verify_user(arena.app, token, PASSWORD).send() for token in tokens[:3]]
    assert {answer.code for answer in late} == {"invalid_token"}


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_fifty_completions_of_one_token_have_one_winner(arena: Arena, _round: int) -> None:
    email, before = new_email(), arena.users()
    arena.client.create_user(arena.app, email, PASSWORD).done()
    token = wait_for_token(arena.inbox, email, VERIFICATION)
    answers = arena.at_once(lambda c, _: c.verify_user(arena.app, token, PASSWORD))
    assert len(winners(answers, 200)) == 1
    assert codes(answers) == {"invalid_token"}
    assert arena.users() == before + 1


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_fifty_resets_with_one_token_have_one_winner(arena: Arena, _round: int) -> None:
    email = new_email()
    sign_up(arena.client, arena.inbox, arena.app, email, PASSWORD)
    arena.client.request_reset(arena.app, email).done()
    token = wait_for_token(arena.inbox, email, RESET)
    passwords = [f"another horse, number {number}" for number in range(CONTENDERS)]
    answers = arena.at_once(lambda c, n: c.update_password(arena.app, token, passwords[n]))
    assert len(winners(answers, 204)) == 1
    assert codes(answers) == {"invalid_token"}
    works = [
        number
        for number, answer in enumerate(
            arena.at_once(lambda c, n: c.sign_in(arena.app, email, passwords[n]))
        )
        if answer.status == 200
    ]
    assert works == [n for n, answer in enumerate(answers) if answer.status == 204]


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_fifty_refreshes_of_one_token_leave_one_living_chain(arena: Arena, _round: int) -> None:
    email = new_email()
    grant: Grant = sign_up(arena.client, arena.inbox, arena.app, email, PASSWORD)
    for _ in range(3):
        token = grant["refreshToken"]
        answers = arena.at_once(refreshing(arena.app, token))
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body["refreshToken"] for answer in answers}) == 1
        assert len({answer.body["accessToken"] for answer in answers}) == CONTENDERS
        grant = answers[0].body
        assert grant["refreshToken"] != token
    sessions = arena.client.list_sessions(arena.app, grant["accessToken"]).done()["items"]
    assert len(sessions) == 1


def test_twenty_deletions_of_one_user_count_once(arena: Arena) -> None:
    for _ in range(3):
        before, email = arena.users(), new_email()
        grant = sign_up(arena.client, arena.inbox, arena.app, email, PASSWORD)
        user = arena.client.read_me(arena.app, grant["accessToken"]).done()["id"]
        answers = arena.at_once(deleting(arena.app, user), 20)
        assert len(winners(answers, 204)) == 1
        assert codes(answers) == {"user_not_found"}
        assert arena.users() == before


def test_rotations_at_once_are_a_clean_sequence(arena: Arena) -> None:
    app = arena.client.create_application(signingAlgorithm="EdDSA").done()["id"]
    answers = arena.at_once(lambda c, _: c.rotate_keys(app), 8)
    done = winners(answers, 201)
    assert {answer.status for answer in answers} <= {201, 503}
    states = [key["state"] for key in arena.client.list_keys(app).done()["items"]]
    assert sorted(states) == ["current", "next", *["retired"] * len(done)]


def test_nobody_signs_up_to_an_application_that_is_being_deleted(arena: Arena) -> None:
    for _ in range(3):
        app = arena.client.create_application(signingAlgorithm="EdDSA").done()["id"]
        email = new_email()
        arena.client.create_user(app, email, PASSWORD).done()
        token = wait_for_token(arena.inbox, email, VERIFICATION)

        def either(client: Client, number: int, app: str = app, token: str = token) -> Call[Any]:
            if number % 2:
                return client.delete_application(app)
            return client.verify_user(app, token, PASSWORD)

        answers = arena.at_once(either, 8)
        signed_up, deleted = winners(answers, 200), winners(answers, 204)
        assert len(signed_up) + len(deleted) == 1
        if signed_up:
            arena.client.read_jwks(app).done()
