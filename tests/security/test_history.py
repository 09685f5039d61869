"""Random things done to an address at once, while the store fails: some order explains them all."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.common.errors import StoreUnavailable
from tests.api.world import NEW_PASSWORD, PASSWORD, Person, Tenant, World, open_world
from tests.dynamodb_local import client, create_table, dynamodb_local, spoken_to
from tests.faults.recipes import cheapen
from tests.flows.effort import is_full
from tests.security.linear import FIRST, NOBODY, Call, State, explains

THREADS, CALLS = 4, 5
ROUNDS = 12 if is_full() else 5
SEED = 20261124
WORDS = [PASSWORD, NEW_PASSWORD, "a third set of other words"]
BEFORE, AFTER, READING = 0.06, 0.06, 0.03  # how often a commit, or a read, meets a fault
SETTLED = State(owner=FIRST, password=PASSWORD, session=True, reset=True)
INVITED = State(invitations=frozenset({1, 2}))


# The checker can fail


def call(kind: Any, began: int, ended: int, verdict: int | None, **more: Any) -> Call:
    return Call(kind=kind, began=began, ended=ended, verdict=verdict, **more)


OLD, NEW = {"password": PASSWORD}, {"password": NEW_PASSWORD}
CHANGE = {"password": PASSWORD, "new": NEW_PASSWORD}
WRONG = {
    "an old password is good after its change": [
        call("change", 1, 2, 204, **CHANGE),
        call("sign in", 3, 4, 200, **OLD),
    ],
    "the right password is wrong": [call("sign in", 1, 2, 401, **OLD)],
    "a link for a reset is good twice": [
        call("reset", 1, 5, 204, **NEW),
        call("reset", 2, 6, 204, **OLD),
    ],
    "a reset is good after a change": [
        call("change", 1, 2, 204, **CHANGE),
        call("reset", 3, 4, 204, **OLD),
    ],
    "a deleted user signs in": [
        call("delete", 1, 2, 204),
        call("sign in", 3, 4, 200, **OLD),
    ],
    "a user is deleted twice": [call("delete", 1, 4, 204), call("delete", 2, 5, 204)],
    "a suspended user signs in": [
        call("suspend", 1, 2, 200),
        call("sign in", 3, 4, 200, **OLD),
    ],
    "a session outlives a suspension": [
        call("suspend", 1, 2, 200),
        call("activate", 3, 4, 200),
        call("change", 5, 6, 204, **CHANGE),
    ],
    "an unknown end took effect before its beginning": [
        call("sign in", 1, 2, 200, **NEW),
        call("change", 3, 4, None, **CHANGE),
    ],
    "an unknown end took effect and was taken back": [
        call("change", 1, 2, None, **CHANGE),
        call("sign in", 3, 4, 200, **NEW),
        call("sign in", 5, 6, 200, **OLD),
    ],
}
RIGHT = {
    "a sign-in beside a change": [
        call("change", 1, 4, 204, **CHANGE),
        call("sign in", 2, 3, 200, **OLD),
        call("sign in", 2, 5, 200, **NEW),
    ],
    "an unknown end that took effect": [
        call("change", 1, 2, None, **CHANGE),
        call("sign in", 3, 4, 200, **NEW),
    ],
    "an unknown end that did not": [
        call("change", 1, 2, None, **CHANGE),
        call("sign in", 3, 4, 200, **OLD),
    ],
    "two resets of which one wins": [
        call("reset", 1, 5, 400, **NEW),
        call("reset", 2, 6, 204, **OLD),
    ],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_history_that_no_order_explains_is_found_out(name: str) -> None:
    assert not explains(WRONG[name], SETTLED)


@pytest.mark.parametrize("name", RIGHT)
def test_a_history_that_some_order_explains_passes(name: str) -> None:
    assert explains(RIGHT[name], SETTLED)


def test_two_completions_of_one_address_are_found_out_and_so_is_a_lost_one() -> None:
    one = call("verify", 1, 5, 200, invitation=1, **OLD)
    other = call("verify", 2, 6, 200, invitation=2, **NEW)
    assert explains([one], INVITED)
    assert not explains([one, other], INVITED)
    assert not explains([one], INVITED, State())
    assert explains([one], INVITED, State(owner=1, password=PASSWORD))


# Real histories


def failing(world: World, dice: random.Random) -> Callable[[bool], None]:
    """Let the store of a world fail now and then, once it is switched on."""
    table, lock, on = world.services.table, threading.Lock(), [False]
    commit = table.commit

    def chance() -> float:
        with lock:
            return dice.random() if on[0] else 1.0

    def faulty(*writes: Any) -> None:
        fate = chance()
        if fate < BEFORE:
            raise StoreUnavailable
        commit(*writes)
        if fate < BEFORE + AFTER:
            raise StoreUnavailable

    object.__setattr__(table, "commit", faulty)
    for name in ("get", "get_many", "query"):
        object.__setattr__(table, name, _sometimes(getattr(table, name), chance))

    def switch(to: bool) -> None:
        on[0] = to

    return switch


def _sometimes(read: Callable[..., Any], chance: Callable[[], float]) -> Callable[..., Any]:
    def reading(*args: Any, **named: Any) -> Any:
        if chance() < READING:
            raise StoreUnavailable
        return read(*args, **named)

    return reading


@contextmanager
def two_workers(store: str, folder: Path) -> Iterator[list[World]]:
    with ExitStack() as stack:
        told: dict[str, Any] = {}
        if store == "dynamodb":
            endpoint = stack.enter_context(dynamodb_local())
            stack.enter_context(spoken_to(endpoint))
            told = {"store": "dynamodb", "table_name": create_table(client(endpoint))}
        one = stack.enter_context(open_world(folder, **told))
        other = stack.enter_context(open_world(folder, hour=one.hour, **told))
        for world in (one, other):
            world.spoilt = True  # 503 is what is asked for
            cheapen(world)
            assert world.send("GET", "/health").status_code == 200
        yield [one, other]


class History:
    """What a few threads do to one address of one application."""

    def __init__(self, worlds: list[World], dice: random.Random) -> None:
        self.worlds = worlds
        self.dice = dice
        self.tenant = worlds[0].tenant()
        self.email = "ada@example.com"
        self.calls: list[Call] = []
        self.person: Person | None = None
        self.reset = ""
        self.invitations: dict[int, str] = {}

    def settle(self) -> State:
        """A user with a session and a link for a reset."""
        self.person = self.tenant.user(self.email, PASSWORD)
        self.reset = self.tenant.reset_token(self.email)
        return SETTLED

    def invite(self) -> State:
        """Nobody yet, and two invitations."""
        for number in (1, 2):
            self.invitations[number] = self.tenant.invitation(self.email, WORDS[number - 1])
        return INVITED

    def choose(self) -> Call:
        password, new = self.dice.choice(WORDS), self.dice.choice(WORDS)
        if self.invitations and self.dice.random() < 0.5:
            number = self.dice.choice([1, 2])
            return Call(kind="verify", invitation=number, password=WORDS[number - 1])
        if self.person is None or self.dice.random() < 0.35:
            return Call(kind="sign in", password=password)
        kinds: list[Any] = ["reset", "change", "change", "suspend", "activate", "delete"]
        weights = [2, 3, 3, 1, 2, 1]
        (kind,) = self.dice.choices(kinds, weights)
        return Call(kind=kind, password=password, new=new)

    def send(self, asked: Call, world: World) -> httpx.Response:
        place = Tenant(world=world, id=self.tenant.id)
        match asked.kind:
            case "sign in":
                return place.sign_in(self.email, asked.password)
            case "verify":
                return place.verify(self.invitations[asked.invitation], asked.password)
            case "reset":
                return place.reset(self.reset, asked.password)
        assert self.person is not None
        user = f"/users/{self.person.id}"
        if asked.kind == "delete":
            return place.admin("DELETE", user)
        if asked.kind == "change":
            sent = {"currentPassword": asked.password, "newPassword": asked.new}
            return place.me(self.person.access, "PUT", "/password", sent)
        state = {"state": "suspended" if asked.kind == "suspend" else "active"}
        return place.admin("PATCH", user, state)

    def run(self) -> None:
        """Everybody at once, each over the one worker or the other."""
        plans = [[self.choose() for _ in range(CALLS)] for _ in range(THREADS)]
        ready = threading.Barrier(THREADS)

        def live(number: int) -> list[Call]:
            ready.wait()
            return [self.timed(asked, self.worlds[number % 2]) for asked in plans[number]]

        with ThreadPoolExecutor(THREADS) as pool:
            self.calls = [done for lived in pool.map(live, range(THREADS)) for done in lived]

    def timed(self, asked: Call, world: World) -> Call:
        began = time.monotonic_ns()
        status = self.send(asked, world).status_code
        ended = time.monotonic_ns()
        verdict = None if status == 503 else status
        values = {**vars(asked), "began": began, "ended": ended, "verdict": verdict}
        return Call(**values)

    def left(self) -> State:
        """What is there when all is over: who can sign in, and by what."""
        users = self.tenant.admin("GET", "/users").json()["items"]
        if not users:
            return State()
        self.tenant.admin("PATCH", f"/users/{users[0]['id']}", {"state": "active"})
        good = [word for word in WORDS if self.tenant.sign_in(self.email, word).status_code == 200]
        assert len(good) == 1, f"{len(users)} users, {len(good)} passwords"
        return State(owner=FIRST, password=good[0])


@pytest.mark.parametrize("store", ["sqlite", "dynamodb"])
def test_some_order_explains_whatever_happens_to_an_address(tmp_path: Path, store: str) -> None:
    unknown = told = 0
    with two_workers(store, tmp_path) as worlds:
        dice = random.Random(SEED)
        switches = [failing(world, random.Random(SEED + n)) for n, world in enumerate(worlds)]
        for number in range(ROUNDS):
            history = History(worlds, dice)
            begin = history.settle() if number % 3 else history.invite()
            for switch in switches:
                switch(True)
            history.run()
            for switch in switches:
                switch(False)
            end = history.left()
            assert (end.owner == NOBODY) == (history.tenant.read()["userCount"] == 0)
            ordered = sorted(history.calls, key=lambda one: one.began)
            assert explains(history.calls, begin, end), f"round {number}: {end} of {ordered}"
            unknown += sum(one.verdict is None for one in history.calls)
            told += len(history.calls)
    assert 0 < unknown < told / 2
