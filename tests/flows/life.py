"""A longer life: users who do what users do, each at random and all of them at once.

Every step asserts what the contract answers to it, and notes what its person must find afterwards.
"""

import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.flows import invariants
from tests.flows.client import (
    CHANGED,
    IN_USE,
    RESET,
    VERIFICATION,
    Client,
    Grant,
    Inbox,
    every_page,
    wait_for_token,
)
from tests.flows.verifier import verifier_of

USERS = 200
THREADS = 8
ALGORITHMS = ("RS256", "ES256", "EdDSA", "RS256", "ES256")
LETTERS = "abcdefghijkmnpqrstuvwxyz23456789-_ äßéλж"


@dataclass(kw_only=True)
class Person:
    """One user: what they hold, and what must be true of them.

    Attributes:
        expected: how many messages of each kind they must have got.
    """

    client: Client
    inbox: Inbox
    app: str
    email: str
    chance: random.Random = field(repr=False)
    password: str = ""
    id: str = ""
    alive: bool = False
    grant: Grant | None = None
    expected: Counter[str] = field(default_factory=Counter)

    @property
    def access(self) -> str:
        """A living access token."""
        if self.grant is None:
            self.grant = self.client.sign_in(self.app, self.email, self.password).done()
        return self.grant["accessToken"]

    @property
    def refresh_token(self) -> str:
        assert self.access
        assert self.grant is not None
        return self.grant["refreshToken"]

    def live(self, steps: int) -> None:
        """Sign up, and then do so many things."""
        self.sign_up()
        habits: list[tuple[int, Callable[[], None]]] = [
            (6, self.look),
            (6, self.stay),
            (3, self.write),
            (3, self.come_back),
            (2, self.leave),
            (2, self.mistype),
            (2, self.sign_up_again),
            (2, self.look_at_sessions),
            (1, self.leave_everywhere),
            (1, self.change_password),
            (1, self.reset_password),
            (1, self.be_suspended),
            (1, self.be_deleted),
        ]
        weights, actions = zip(*habits, strict=True)
        for action in self.chance.choices(actions, weights, k=steps):
            action()
            if not self.alive:
                self.sign_up()

    def sign_up(self) -> None:
        self.password = self.new_password()
        metadata = {"number": self.chance.randint(1, 9)}
        spelled = self.chance.choice([self.email, self.email.replace("example", "EXAMPLE")])
        self.client.create_user(self.app, spelled, self.password, metadata=metadata).done()
        self.expected[VERIFICATION] += 1
        if self.chance.random() < 0.2:
            self.token(VERIFICATION)
            self.client.send_verification(self.app, self.email).done()
            self.expected[VERIFICATION] += 1
        token = self.token(VERIFICATION)
        if self.chance.random() < 0.1:
            call = self.client.verify_user(self.app, token, self.new_password())
            call.refused(401, "invalid_credentials")
        self.grant = self.client.verify_user(self.app, token, self.password).done()
        self.client.verify_user(self.app, token, self.password).refused(400, "invalid_token")
        self.alive = True
        me = self.client.read_me(self.app, self.access).done()
        assert (me["email"], me["metadata"]) == (self.email, metadata)
        self.id = me["id"]

    def look(self) -> None:
        assert self.client.read_me(self.app, self.access).done()["id"] == self.id

    def stay(self) -> None:
        old = self.refresh_token
        self.grant = self.client.refresh(self.app, old).done()
        if self.chance.random() < 0.2:
            assert self.client.refresh(self.app, old).done()["refreshToken"] == self.refresh_token

    def write(self) -> None:
        metadata = {"text": self.new_password()}
        user = self.client.update_me(self.app, self.access, metadata).done()
        assert user["metadata"] == metadata
        found = self.client.update_user(self.app, self.id, appMetadata={"seen": True}).done()
        assert (found["metadata"], found["appMetadata"]) == (metadata, {"seen": True})

    def come_back(self) -> None:
        self.grant = self.client.sign_in(self.app, self.email.upper(), self.password).done()

    def leave(self) -> None:
        gone, self.grant = self.refresh_token, None
        self.client.revoke_token(self.app, gone).done()
        self.client.refresh(self.app, gone).refused(401, "invalid_refresh_token")

    def mistype(self) -> None:
        call = self.client.sign_in(self.app, self.email, self.new_password())
        call.refused(401, "invalid_credentials")

    def sign_up_again(self) -> None:
        self.client.create_user(self.app, self.email, self.new_password()).done()
        self.expected[IN_USE] += 1

    def look_at_sessions(self) -> None:
        token = self.access
        sessions = self.client.list_sessions(self.app, token).done()["items"]
        assert sum(session["current"] for session in sessions) == 1
        others = [session["id"] for session in sessions if not session["current"]]
        if others:
            self.client.delete_session(self.app, token, others[0]).done()

    def leave_everywhere(self) -> None:
        token, self.grant = self.access, None
        self.client.delete_sessions(self.app, token).done()
        self.client.read_me(self.app, token).refused(401, "invalid_token")

    def change_password(self) -> None:
        old, self.password = self.password, self.new_password()
        self.client.change_password(self.app, self.access_with(old), old, self.password).done()
        self.expected[CHANGED] += 1
        self.client.sign_in(self.app, self.email, old).refused(401, "invalid_credentials")

    def access_with(self, password: str) -> str:
        """A living access token, got by another password than the one that is noted."""
        if self.grant is None:
            self.grant = self.client.sign_in(self.app, self.email, password).done()
        return self.grant["accessToken"]

    def reset_password(self) -> None:
        self.client.request_reset(self.app, self.email).done()
        self.expected[RESET] += 1
        token, self.grant = self.token(RESET), None
        self.password = self.new_password()
        self.client.update_password(self.app, token, self.password).done()
        self.expected[CHANGED] += 1
        call = self.client.update_password(self.app, token, self.password)
        call.refused(400, "invalid_token")
        self.come_back()

    def be_suspended(self) -> None:
        token, self.grant = self.refresh_token, None
        self.client.update_user(self.app, self.id, state="suspended").done()
        self.client.refresh(self.app, token).refused(401, "invalid_refresh_token")
        call = self.client.sign_in(self.app, self.email, self.password)
        call.refused(403, "user_suspended")
        self.client.request_reset(self.app, self.email).done()
        self.client.update_user(self.app, self.id, state="active").done()

    def be_deleted(self) -> None:
        token = self.access
        if self.chance.random() < 0.5:
            self.client.delete_me(self.app, token).done()
        else:
            self.client.delete_user(self.app, self.id).done()
        self.client.read_me(self.app, token).refused(401, "invalid_token")
        self.alive, self.grant = False, None

    def token(self, kind: str) -> str:
        return wait_for_token(self.inbox, self.email, kind, self.expected[kind])

    def new_password(self) -> str:
        return "".join(self.chance.choices(LETTERS, k=self.chance.randint(16, 40)))


def settle(client: Client, inbox: Inbox, count: int, seed: int) -> list[Person]:
    """A new application and people who will be its users."""
    number = seed % len(ALGORITHMS)
    settings = {"signingAlgorithm": ALGORITHMS[number], "name": f"Songbook {number}"}
    app = client.create_application(**settings, accessTokenLifetime=600 + number).done()["id"]
    client.read_jwks(app).done()
    holder = client.with_key(client.create_api_key("life", applicationId=app).done()["key"])
    return [
        Person(
            client=holder,
            inbox=inbox,
            app=app,
            email=f"{uuid.UUID(int=random.Random(seed + n).getrandbits(128))}.{n}@example.com",
            chance=random.Random(seed * 1000 + n),
        )
        for n in range(count)
    ]


def live(people: list[Person], admin: Client, steps: int) -> None:
    """Let everybody live at once, while the administrator turns keys and looks on."""
    apps = sorted({person.app for person in people})

    def administer(number: int) -> None:
        app = apps[number % len(apps)]
        admin.rotate_keys(app).done()
        admin.read_jwks(app).done()
        list(every_page(partial(admin.list_users, app), limit=7))
        admin.update_application(app, name=f"Songbook {number}").done()
        passing = admin.create_application(signingAlgorithm="EdDSA").done()["id"]
        admin.delete_application(passing).done()

    with ThreadPoolExecutor(THREADS) as pool:
        lives = [pool.submit(person.live, steps) for person in people]
        for number in range(2 * len(apps)):
            administer(number)
        for life in lives:
            life.result()


def check_people(people: list[Person], admin: Client) -> None:
    """Everybody is there, as they left, and nobody else."""
    for app in {person.app for person in people}:
        application = admin.read_application(app).done()
        living = [person for person in people if person.app == app and person.alive]
        listed = list(every_page(partial(admin.list_users, app), limit=13))
        assert [user["id"] for user in listed] == sorted(
            (person.id for person in living), reverse=True
        )
        assert {user["email"] for user in listed} == {person.email for person in living}
        assert application["userCount"] == len(living)
        verifier = verifier_of(application["issuer"])
        for person in living[::8]:
            person.come_back()
            assert verifier.verify(person.access, audience=app)["sub"] == person.id
        admin.read_jwks(app).done()


def check_their_messages(people: list[Person], folder: Path) -> None:
    """Everybody got every message that was due, once, and nobody any other."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for message in invariants.mailbox(folder):
        found[message["to"]][message["kind"]] += 1
    assert found == {person.email: person.expected for person in people}
