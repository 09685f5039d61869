"""Races over two processes on one data folder; both stay up over all rounds.

`PASSERINE_TEST_ROUNDS` says how often each race is run: 4 times unless it is set, 50 times in
`.ci/run`, where everything is shown. A round has as many contenders either way. At the end of
it all the invariants of the store must hold.
"""

import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.flows import invariants
from tests.flows.client import (
    CHANGED,
    RESET,
    VERIFICATION,
    Answer,
    Call,
    Client,
    Grant,
    LocalInbox,
    every_page,
    opened_client,
    sign_up,
    wait_for_messages,
    wait_for_token,
)
from tests.flows.contenders import Contenders, contending
from tests.flows.effort import rounds
from tests.flows.ledger import Ledger
from tests.flows.server import PATIENT, serving

MANY = 50
ROUNDS = range(rounds())
FEWER = range(min(rounds(), 8))  # for the races beside the ones that matter most
PASSWORD = "a horse that nobody staples"
# Light keys: what these races are about is not how long an RSA key takes to make.
LIGHT = {"signingAlgorithm": "EdDSA"}


@dataclass(frozen=True, kw_only=True)
class Field:
    """Two servers of one deployment, and everyone who runs."""

    client: Client
    inbox: LocalInbox
    contenders: Contenders = field(repr=False)
    folder: Path

    def application(self, **settings: str) -> str:
        app = self.client.create_application(**{**LIGHT, **settings}).done()["id"]
        self.client.read_jwks(app).done()
        return app

    def user(self, app: str, email: str) -> Grant:
        return sign_up(self.client, self.inbox, app, email, PASSWORD)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    folder = tmp_path_factory.mktemp("races") / "data"
    ledger = Ledger()
    with serving(folder, *PATIENT) as one, serving(folder, *PATIENT, name="other") as other:
        with (
            opened_client(one.url, one.admin_key, ledger) as client,
            contending([one.url, other.url], MANY, ledger) as contenders,
        ):
            inbox = LocalInbox(client=client)
            yield Field(client=client, inbox=inbox, contenders=contenders, folder=folder)
        invariants.wait_for_rest(folder)
    logs, outputs = [one.log, other.log], [one.output, other.output]
    invariants.check(folder, ledger, logs=logs, outputs=outputs)


@pytest.fixture(scope="module")
def app(ground: Field) -> str:
    return ground.application()


def tally(answers: Sequence[Answer[Any]]) -> Counter[str]:
    return Counter(map(str, answers))


def one_winner(answers: Sequence[Answer[Any]], success: int) -> int:
    """The place of the only answer that is a success."""
    winners = [place for place, answer in enumerate(answers) if answer.status == success]
    assert len(winners) == 1, tally(answers)
    return winners[0]


def spellings(word: str, count: int) -> list[str]:
    """A word in so many mixtures of upper and lower case."""
    letters = [(letter.lower(), letter.upper()) for letter in word]
    return ["".join(mixed) for mixed in itertools.islice(itertools.product(*letters), count)]


def test_fifty_sign_ups_of_one_address_and_their_completions_make_one_user(ground: Field) -> None:
    client, app = ground.client, ground.application()
    for number in ROUNDS:
        address = f"{number}@example.com"
        emails = [f"{word}{address}" for word in spellings("babbage", MANY)]
        passwords = [f"{PASSWORD} {number} {place}" for place in range(MANY)]
        pairs = list(zip(emails, passwords, strict=True))
        answers = ground.contenders.fire([client.create_user(app, *pair) for pair in pairs])
        assert tally(answers) == {"202": MANY}

        messages = wait_for_messages(ground.inbox, emails[0], VERIFICATION, MANY)
        tokens = {message.to: message.token or "" for message in messages}
        assert tokens.keys() == set(emails)
        calls = [client.verify_user(app, tokens[email], word) for email, word in pairs]
        grants = ground.contenders.fire(calls)
        winner = one_winner(grants, 200)
        assert tally(grants) == {"200": 1, "400 invalid_token": MANY - 1}

        users = client.list_users(app, email=emails[-1]).done()["items"]
        assert [user["email"] for user in users] == [emails[winner]]
        assert client.read_application(app).done()["userCount"] == number + 1
        client.sign_in(app, emails[0], passwords[winner]).done()
        loser = passwords[winner - 1]
        client.sign_in(app, emails[winner], loser).refused(401, "invalid_credentials")


def test_fifty_completions_of_one_token_have_one_winner(ground: Field, app: str) -> None:
    client = ground.client
    for number in ROUNDS:
        email = f"token{number}@example.com"
        client.create_user(app, email, PASSWORD).done()
        token = wait_for_token(ground.inbox, email, VERIFICATION)
        before = client.read_application(app).done()["userCount"]
        calls = [client.verify_user(app, token, PASSWORD) for _ in range(MANY)]
        answers = ground.contenders.fire(calls)
        winner = one_winner(answers, 200)
        assert tally(answers) == {"200": 1, "400 invalid_token": MANY - 1}
        assert client.read_application(app).done()["userCount"] == before + 1
        client.read_me(app, answers[winner].body["accessToken"]).done()


def test_fifty_resets_with_one_token_have_one_winner_and_only_its_password_works(
    ground: Field, app: str
) -> None:
    client, email, current = ground.client, "resets@example.com", PASSWORD
    passwords = [current]
    ground.user(app, email)
    for number in ROUNDS:
        session = client.sign_in(app, email, current).done()
        client.request_reset(app, email).done()
        token = wait_for_token(ground.inbox, email, RESET, number + 1)
        passwords = [f"{PASSWORD} {number} {place}" for place in range(MANY)]
        calls = [client.update_password(app, token, password) for password in passwords]
        answers = ground.contenders.fire(calls)
        winner = one_winner(answers, 204)
        assert tally(answers) == {"204": 1, "400 invalid_token": MANY - 1}

        client.read_me(app, session["accessToken"]).refused(401, "invalid_token")
        for wrong in (current, passwords[winner - 1], passwords[winner - 25]):
            client.sign_in(app, email, wrong).refused(401, "invalid_credentials")
        current = passwords[winner]
        wait_for_messages(ground.inbox, email, CHANGED, number + 1)
    client.sign_in(app, email, current).done()
    losers = [client.sign_in(app, email, word) for word in passwords if word != current]
    assert tally(ground.contenders.fire(losers)) == {"401 invalid_credentials": MANY - 1}


def test_fifty_refreshes_of_one_token_leave_one_living_chain(ground: Field, app: str) -> None:
    client = ground.client
    token = ground.user(app, "chain@example.com")["refreshToken"]
    for _ in ROUNDS:
        answers = ground.contenders.fire([client.refresh(app, token) for _ in range(MANY)])
        assert tally(answers) == {"200": MANY}
        assert len({answer.body["accessToken"] for answer in answers}) == MANY
        successors = {answer.body["refreshToken"] for answer in answers}
        assert len(successors) == 1
        assert token not in successors
        token = successors.pop()
        access = answers[0].body["accessToken"]
        sessions = client.list_sessions(app, access).done()["items"]
        assert [session["current"] for session in sessions] == [True]
    newest = client.refresh(app, token).done()
    client.read_me(app, newest["accessToken"]).done()


def test_a_stolen_token_among_parallel_refreshes_ends_the_whole_session(
    ground: Field, app: str
) -> None:
    client = ground.client
    for number in FEWER:
        first = ground.user(app, f"stolen{number}@example.com")
        second = client.refresh(app, first["refreshToken"]).done()
        third = client.refresh(app, second["refreshToken"]).done()
        held = [first["refreshToken"], third["refreshToken"]] * 10
        ground.contenders.fire([client.refresh(app, token) for token in held])
        for grant in (first, second, third):
            client.refresh(app, grant["refreshToken"]).refused(401, "invalid_refresh_token")
        client.read_me(app, third["accessToken"]).refused(401, "invalid_token")


def test_twenty_deletions_of_one_user_count_once_and_leave_nothing(ground: Field, app: str) -> None:
    client = ground.client
    for number in FEWER:
        email = f"gone{number}@example.com"
        grant = ground.user(app, email)
        user = client.read_me(app, grant["accessToken"]).done()["id"]
        before = client.read_application(app).done()["userCount"]
        calls: list[Call[Any]] = [
            *(client.delete_user(app, user) for _ in range(12)),
            *(client.delete_me(app, grant["accessToken"]) for _ in range(8)),
            # Whoever comes in meanwhile leaves nothing behind either.
            *(client.sign_in(app, email, PASSWORD) for _ in range(4)),
            *(client.request_reset(app, email) for _ in range(4)),
            *(client.refresh(app, grant["refreshToken"]) for _ in range(4)),
            *(client.update_user(app, user, state="suspended") for _ in range(2)),
        ]
        answers = ground.contenders.fire(calls)
        deletions = answers[:20]
        one_winner(deletions, 204)
        rest = {"204", "404 user_not_found", "401 invalid_token"}
        assert set(tally(deletions)) <= rest, tally(deletions)
        assert client.read_application(app).done()["userCount"] == before - 1
        client.read_user(app, user).refused(404, "user_not_found")
        client.refresh(app, grant["refreshToken"]).refused(401, "invalid_refresh_token")
        left = [row for row in invariants.snapshot(ground.folder, app) if user in "".join(row)]
        assert [row for row in left if "#audit#" not in row[0]] == []


def test_fifty_requests_for_a_reset_leave_one_token(ground: Field, app: str) -> None:
    client = ground.client
    for number in FEWER:
        email = f"forgets{number}@example.com"
        ground.user(app, email)
        answers = ground.contenders.fire([client.request_reset(app, email) for _ in range(MANY)])
        assert tally(answers) == {"202": MANY}
        rows = invariants.snapshot(ground.folder, app)
        assert sum("#reset#" in row[0] and email in row[2] for row in rows) == 1
        messages = wait_for_messages(ground.inbox, email, RESET, MANY)
        calls = [
            client.update_password(app, message.token or "", f"{PASSWORD} {place}")
            for place, message in enumerate(messages)
        ]
        resets = ground.contenders.fire(calls)
        assert tally(resets) == {"204": 1, "400 invalid_token": MANY - 1}
        winner = one_winner(resets, 204)
        client.sign_in(app, email, f"{PASSWORD} {winner}").done()


def test_a_suspension_among_sign_ins_leaves_no_session(ground: Field, app: str) -> None:
    client, email = ground.client, "suspended@example.com"
    grant = ground.user(app, email)
    user = client.read_me(app, grant["accessToken"]).done()["id"]
    for _ in FEWER:
        client.update_user(app, user, state="active").done()
        grant = client.sign_in(app, email, PASSWORD).done()
        calls: list[Call[Any]] = [
            *(client.sign_in(app, email, PASSWORD) for _ in range(8)),
            *(client.refresh(app, grant["refreshToken"]) for _ in range(8)),
            client.update_user(app, user, state="suspended"),
        ]
        answers = ground.contenders.fire(calls)
        client.update_user(app, user, state="active").done()
        for answer in answers[:-1]:
            if answer.status == 200:
                token = answer.body["refreshToken"]
                client.refresh(app, token).refused(401, "invalid_refresh_token")


def test_parallel_rotations_of_one_ring_leave_one_current_and_one_next_key(
    ground: Field,
) -> None:
    client = ground.client
    for number in FEWER:
        app = ground.application()
        grants = [ground.user(app, f"ring{number}-{place}@example.com") for place in range(4)]
        rotations = [client.rotate_keys(app) for _ in range(8)]
        refreshes = [client.refresh(app, grants[place % 4]["refreshToken"]) for place in range(24)]
        calls: list[Call[Any]] = [*rotations, *refreshes]
        answers = ground.contenders.fire(calls)
        assert tally(answers) == {"201": 8, "200": 24}
        states = Counter(key["state"] for key in every_page(partial(client.list_keys, app)))
        assert states == {"current": 1, "next": 1, "retired": 8}
        # What was signed meanwhile verifies at once, and by the checker's keys at the end.
        published = {key["kid"] for key in client.read_jwks(app).done()["keys"]}
        assert len(published) == 10
        for answer in answers[8:]:
            client.read_me(app, answer.body["accessToken"]).done()


def test_sign_ups_and_completions_beside_the_deletion_of_their_application(
    ground: Field,
) -> None:
    client = ground.client
    for number in FEWER:
        app = ground.application()
        emails = [f"late{number}-{place}@example.com" for place in range(6)]
        for email in emails:
            client.create_user(app, email, PASSWORD).done()
        tokens = [wait_for_token(ground.inbox, email, VERIFICATION) for email in emails]
        calls: list[Call[Any]] = [
            *(client.verify_user(app, token, PASSWORD) for token in tokens),
            *(client.create_user(app, f"new-{email}", PASSWORD) for email in emails),
            *(client.delete_application(app) for _ in range(6)),
            *(client.rotate_keys(app) for _ in range(2)),
        ]
        answers = ground.contenders.fire(calls)
        completions, deletions = answers[:6], answers[12:18]
        users = sum(answer.status == 200 for answer in completions)
        gone = sum(answer.status == 204 for answer in deletions)
        assert gone + bool(users) == 1, tally(answers)
        allowed = {"200", "404 application_not_found", "400 invalid_token"}
        assert set(tally(completions)) <= allowed, tally(completions)
        if users:
            assert client.read_application(app).done()["userCount"] == users
            for user in list(every_page(partial(client.list_users, app))):
                client.delete_user(app, user["id"]).done()
            client.delete_application(app).done()
        client.read_application(app).refused(404, "application_not_found")


def test_parallel_changes_of_one_application_are_all_kept(ground: Field) -> None:
    client = ground.client
    for number in FEWER:
        app = ground.application()
        lifetime = 100 + number
        origins = [f"https://{number}.example.com"]
        calls: list[Call[Any]] = [
            client.update_application(app, accessTokenLifetime=lifetime),
            client.update_application(app, name=f"Songbook {number}"),
            client.update_application(app, audience=f"choir-{number}"),
            client.update_application(app, allowedOrigins=origins),
            client.update_application(app, sessionLifetime=5000 + number),
            client.rotate_keys(app),
        ]
        answers = ground.contenders.fire(calls)
        assert tally(answers) == {"200": 5, "201": 1}
        found: dict[str, Any] = dict(client.read_application(app).done())
        assert found["accessTokenLifetime"] == lifetime
        assert found["name"] == f"Songbook {number}"
        assert found["audience"] == f"choir-{number}"
        assert found["allowedOrigins"] == origins
        assert found["sessionLifetime"] == 5000 + number


def test_the_counts_are_right_when_it_is_over(ground: Field) -> None:
    client = ground.client
    time.sleep(0.2)
    for application in list(every_page(client.list_applications)):
        app = application["id"]
        users = list(every_page(partial(client.list_users, app)))
        assert len({user["id"] for user in users}) == len(users) == application["userCount"]
