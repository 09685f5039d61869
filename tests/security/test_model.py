"""Any life of an address, against a plain model of what the contract says of it, on both stores."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from tests.api.world import Tenant, World, body, open_world
from tests.dynamodb_local import client, create_table, dynamodb_local, spoken_to
from tests.faults.recipes import cheapen
from tests.flows import invariants
from tests.flows.effort import is_full

IDLE, WHOLE, ACCESS, GRACE = 3600, 10_800, 900, 10
DAY, RESET = 24 * 3600, 1800
TRIES = 5
PASSWORDS = ["a horse that nobody staples", "another horse, in another field", "a third of them"]
# One address in two spellings.
ADDRESS = ("bücher@example.com", "BÜCHER@Example.COM")
OK, INVALID_TOKEN = (200, None), (400, "invalid_token")
WRONG, REFRESH = (401, "invalid_credentials"), (401, "invalid_refresh_token")
NO_TOKEN, CLOSED = (401, "invalid_token"), (403, "application_suspended")

Verdict = tuple[int, str | None]
numbers = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 5, 8])  # from the newest back
seldom = st.integers(0, 5)
spellings = st.integers(0, 1)
words = st.integers(0, len(PASSWORDS) - 1)
guesses = st.integers(0, 9)  # those beyond the words are the right one


@dataclass(kw_only=True, eq=False)
class Invitation:
    token: str
    password: int
    ends: float
    tries: int = 0
    dead: bool = False


@dataclass(kw_only=True, eq=False)
class Session:
    refreshes: list[str]
    access: str
    issued: float
    turned: float
    began: float
    over: bool = False

    def lives(self, now: float) -> bool:
        return not self.over and now < min(self.turned + IDLE, self.began + WHOLE)


@dataclass(kw_only=True, eq=False)
class Life:
    """One address at one application, as the contract has it."""

    place: Tenant
    spelled: tuple[str, str]
    exists: bool = False
    id: str = ""
    password: int = 0
    suspended: bool = False
    invitations: list[Invitation] = field(default_factory=list)
    latest: Invitation | None = None
    sessions: list[Session] = field(default_factory=list)
    resets: list[tuple[str, float]] = field(default_factory=list)  # all; the last may be good
    good_reset: bool = False

    def end_sessions(self, but: Session | None = None) -> None:
        for session in self.sessions:
            session.over = session.over or session is not but


class Lives(RuleBasedStateMachine):
    """Does anything to anybody; every answer must be the model's."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.closed = [False, False]
        times = {"refreshTokenLifetime": IDLE, "sessionLifetime": WHOLE}
        self.places = [self.world.tenant(**times) for _ in self.closed]
        self.lives = [Life(place=place, spelled=ADDRESS) for place in self.places]

    # What the rules share

    @property
    def now(self) -> float:
        return self.world.hour.now.timestamp()

    def life(self, number: int) -> Life:
        return self.lives[number % len(self.lives)]

    def shut(self, life: Life) -> bool:
        return self.closed[self.places.index(life.place)]

    def told(self, answer: httpx.Response, *verdicts: Verdict) -> bool:
        """Check an answer; whether it is a success."""
        found = (answer.status_code, None if answer.is_success else answer.json()["code"])
        assert found in verdicts, f"{found}, not {verdicts}"
        return answer.is_success

    def newest(self) -> Any:
        return self.world.messages()[0]

    def session_of(self, answer: httpx.Response) -> Session:
        grant = answer.json()
        return Session(
            refreshes=[grant["refreshToken"]],
            access=grant["accessToken"],
            issued=self.now,
            turned=self.now,
            began=self.now,
        )

    def pick(self, number: int, of: list[Any]) -> Any:
        return of[-1 - number % len(of)] if of else None

    def guess(self, number: int, right: int) -> int:
        return number if number < len(PASSWORDS) else right

    @initialize()
    def somebody_is_there(self) -> None:
        self.signs_up(0, 0, 0)
        self.verifies(0, 0, len(PASSWORDS))

    # Time and the administrator

    @rule(seconds=st.sampled_from([1, 9, 11, 11, 60, 60, 899, 1801, 3600, DAY]))
    def time_passes(self, seconds: int) -> None:
        self.world.advance(seconds)

    @rule(which=spellings, chance=seldom)
    def an_application_closes_or_opens(self, which: int, chance: int) -> None:
        if chance and not self.closed[which]:
            return
        self.closed[which] = not self.closed[which]
        state = "suspended" if self.closed[which] else "active"
        self.places[which].update(applicationState=state)
        self.world.advance(11)  # no process remembers it as it was

    @rule(who=numbers, chance=seldom)
    def a_user_is_suspended_or_let_in(self, who: int, chance: int) -> None:
        life = self.life(who)
        if life.exists and (life.suspended or not chance):
            life.suspended = not life.suspended
            state = {"state": "suspended" if life.suspended else "active"}
            self.told(life.place.admin("PATCH", f"/users/{life.id}", state), OK)
            life.end_sessions()
            life.good_reset = False

    # Sign-up

    @rule(who=numbers, spelling=spellings, password=words)
    def signs_up(self, who: int, spelling: int, password: int) -> None:
        life = self.life(who)
        answer = life.place.sign_up(life.spelled[spelling], PASSWORDS[password])
        if self.shut(life):
            self.told(answer, CLOSED)
            return
        self.told(answer, (202, None))
        message = self.newest()
        if life.exists:
            assert (message.kind, message.token) == ("addressInUse", None)
            return
        life.latest = Invitation(token=message.token, password=password, ends=self.now + DAY)
        life.invitations.append(life.latest)

    @rule(who=numbers, spelling=spellings)
    def asks_for_the_message_again(self, who: int, spelling: int) -> None:
        life, before = self.life(who), len(self.world.messages())
        sent = {"email": life.spelled[spelling]}
        answer = life.place.public("POST", "/users/verification/send", sent)
        if self.shut(life):
            self.told(answer, CLOSED)
            return
        self.told(answer, (202, None))
        old = life.latest
        if life.exists or old is None or old.dead or self.now >= old.ends:
            assert len(self.world.messages()) == before
            return
        old.dead = True
        life.latest = Invitation(
            token=self.newest().token, password=old.password, ends=self.now + DAY, tries=old.tries
        )
        life.invitations.append(life.latest)

    @rule(who=numbers, which=numbers, password=guesses)
    def verifies(self, who: int, which: int, password: int) -> None:
        life = self.life(who)
        invitation: Invitation | None = self.pick(which, life.invitations)
        if invitation is None:
            return
        password = self.guess(password, invitation.password)
        answer = life.place.verify(invitation.token, PASSWORDS[password])
        if self.shut(life):
            self.told(answer, CLOSED)
        elif invitation.dead or self.now >= invitation.ends:
            self.told(answer, INVALID_TOKEN)
        elif password != invitation.password:
            self.told(answer, WRONG)
            invitation.tries += 1
            invitation.dead = invitation.tries >= TRIES
        else:
            self.told(answer, OK)
            for one in life.invitations:
                one.dead = True
            life.exists, life.suspended, life.password = True, False, password
            life.sessions.append(self.session_of(answer))
            life.id = body(life.place.me(life.sessions[-1].access))["id"]
            life.latest = None

    # Sign-in and sessions

    @rule(who=numbers, spelling=spellings, password=guesses)
    def signs_in(self, who: int, spelling: int, password: int) -> None:
        life = self.life(who)
        password = self.guess(password, life.password)
        answer = life.place.sign_in(life.spelled[spelling], PASSWORDS[password])
        if self.shut(life):
            self.told(answer, CLOSED)
        elif not life.exists or password != life.password:
            self.told(answer, WRONG)
        elif life.suspended:
            self.told(answer, (403, "user_suspended"))
        else:
            self.told(answer, OK)
            life.sessions.append(self.session_of(answer))

    @rule(who=numbers, which=numbers, age=st.integers(0, 2))
    def stays_signed_in(self, who: int, which: int, age: int) -> None:
        life = self.life(who)
        session: Session | None = self.pick(which, life.sessions)
        if session is None:
            return
        age = min(age, len(session.refreshes) - 1)
        answer = life.place.refresh(session.refreshes[-1 - age])
        if self.shut(life):
            self.told(answer, CLOSED)
        elif not session.lives(self.now):
            self.told(answer, REFRESH)
        elif age == 0:
            self.told(answer, OK)
            session.refreshes.append(answer.json()["refreshToken"])
            session.access, session.issued = answer.json()["accessToken"], self.now
            session.turned = self.now
        elif age == 1 and self.now - session.turned <= GRACE:
            self.told(answer, OK)
            assert answer.json()["refreshToken"] == session.refreshes[-1]
        else:
            self.told(answer, REFRESH)
            session.over = True

    @rule(who=numbers, which=numbers, seconds=st.sampled_from([0, GRACE, GRACE + 1]))
    def comes_back_with_the_token_before(self, who: int, which: int, seconds: int) -> None:
        self.stays_signed_in(who, which, 0)
        self.world.advance(seconds)
        self.stays_signed_in(who, which, 1)

    def enters(self, session: Session | None, answer: httpx.Response, life: Life, *ok: Any) -> bool:
        """Check an answer to a bearer of a session's access token; whether it was let in."""
        assert session is not None
        if self.shut(life):
            return self.told(answer, CLOSED)
        if not session.lives(self.now) or self.now >= session.issued + ACCESS:
            return self.told(answer, NO_TOKEN)
        return self.told(answer, *ok)

    @rule(who=numbers, which=numbers)
    def looks(self, who: int, which: int) -> None:
        life = self.life(who)
        session: Session | None = self.pick(which, life.sessions)
        if session and self.enters(session, life.place.me(session.access), life, OK):
            found = body(life.place.me(session.access, "GET", "/sessions?limit=100"))["items"]
            assert len(found) == sum(one.lives(self.now) for one in life.sessions)

    @rule(who=numbers, which=numbers, token=numbers)
    def signs_out(self, who: int, which: int, token: int) -> None:
        life = self.life(who)
        session: Session | None = self.pick(which, life.sessions)
        if session:
            answer = life.place.revoke(self.pick(token, session.refreshes))
            if self.told(answer, CLOSED if self.shut(life) else (204, None)):
                session.over = True

    @rule(who=numbers, which=numbers)
    def signs_out_everywhere(self, who: int, which: int) -> None:
        life = self.life(who)
        session: Session | None = self.pick(which, life.sessions)
        if session:
            answer = life.place.me(session.access, "DELETE", "/sessions")
            if self.enters(session, answer, life, (204, None)):
                life.end_sessions()
                life.good_reset = False

    # Passwords

    @rule(who=numbers, which=numbers, password=words)
    def signs_in_and_changes_the_password(self, who: int, which: int, password: int) -> None:
        """Those who were signed in before must sign in again, and links for a reset are void."""
        self.asks_for_a_reset(who, 0)
        self.signs_in(who, 0, len(PASSWORDS))
        self.changes_the_password(who, 0, len(PASSWORDS), password)
        self.looks(who, which + 1)
        self.resets(who, 0, password)

    @rule(who=numbers, which=numbers, current=guesses, new=words)
    def changes_the_password(self, who: int, which: int, current: int, new: int) -> None:
        life = self.life(who)
        current = self.guess(current, life.password)
        session: Session | None = self.pick(which, life.sessions)
        if session is None:
            return
        sent = {"currentPassword": PASSWORDS[current], "newPassword": PASSWORDS[new]}
        answer = life.place.me(session.access, "PUT", "/password", sent)
        verdict = (204, None) if current == life.password else WRONG
        if self.enters(session, answer, life, verdict):
            life.password, life.good_reset = new, False
            life.end_sessions(but=session)

    @rule(who=numbers, spelling=spellings)
    def asks_for_a_reset(self, who: int, spelling: int) -> None:
        life, before = self.life(who), len(self.world.messages())
        answer = life.place.ask_reset(life.spelled[spelling])
        if not self.told(answer, CLOSED if self.shut(life) else (202, None)):
            return
        if life.exists and not life.suspended:
            life.resets.append((self.newest().token, self.now + RESET))
            life.good_reset = True
        else:
            assert len(self.world.messages()) == before

    @rule(who=numbers, which=numbers, password=words)
    def resets(self, who: int, which: int, password: int) -> None:
        life = self.life(who)
        reset: tuple[str, float] | None = self.pick(which, life.resets)
        if reset is None:
            return
        answer = life.place.reset(reset[0], PASSWORDS[password])
        last = reset is life.resets[-1] and life.good_reset
        if self.shut(life):
            self.told(answer, CLOSED)
        elif not last or self.now >= reset[1]:
            self.told(answer, INVALID_TOKEN)
        else:
            self.told(answer, (204, None))
            life.password, life.good_reset = password, False
            life.end_sessions()

    # The end

    def gone(self, life: Life) -> None:
        life.end_sessions()
        life.exists, life.good_reset, life.latest = False, False, None

    @rule(who=numbers, which=numbers, chance=seldom)
    def leaves(self, who: int, which: int, chance: int) -> None:
        life = self.life(who)
        session: Session | None = self.pick(which, life.sessions)
        if session and not chance:
            answer = life.place.me(session.access, "DELETE")
            if self.enters(session, answer, life, (204, None)):
                self.gone(life)

    @rule(who=numbers, chance=seldom)
    def is_deleted(self, who: int, chance: int) -> None:
        life = self.life(who)
        if life.id and not chance:
            answer = life.place.admin("DELETE", f"/users/{life.id}")
            verdict = (204, None) if life.exists else (404, "user_not_found")
            if self.told(answer, verdict):
                self.gone(life)

    def teardown(self) -> None:
        for place in self.places:
            living = {life.id for life in self.lives if life.exists and life.place is place}
            assert place.read()["userCount"] == len(living)
            users = body(place.admin("GET", "/users"))["items"]
            assert {user["id"] for user in users} == living


@pytest.fixture(scope="module", params=["sqlite", "dynamodb"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    told: dict[str, Any] = {}
    with ExitStack() as stack:
        if request.param == "dynamodb":
            endpoint = stack.enter_context(dynamodb_local())
            stack.enter_context(spoken_to(endpoint))
            told = {"store": "dynamodb", "table_name": create_table(client(endpoint))}
        folder: Path = tmp_path_factory.mktemp("model")
        opened = stack.enter_context(open_world(folder, **told))
        opened.spoilt = True  # whoever is deleted may come back under another spelling
        cheapen(opened)
        yield opened
        rows = invariants.read_rows(folder, opened.hour.now.timestamp()) if not told else []
        findings = invariants.Findings()
        invariants.check_store(rows, findings, at_rest=False)
        assert findings.lines == []


def machine(world: World) -> type[Lives]:
    return type("LivesHere", (Lives,), {"world": world})


def test_every_answer_is_the_models(world: World) -> None:
    run_state_machine_as_test(
        machine(world),
        settings=settings(
            max_examples=12 if is_full() else 5,
            stateful_step_count=60,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
