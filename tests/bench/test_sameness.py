"""Known and unknown get the same bytes; how alike they are in time, the benchmark says."""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from app.common.secrets import new_token
from tests.api.world import NEW_PASSWORD, PASSWORD, Tenant, World, alike, open_world
from tests.bench.sameness import LIMIT, PLACES, Case, Place, Timed, area, cases, compare, line
from tests.flows.client import Answer, Call, opened_client

PAIRS = 3
DAY = 24 * 3600
ADDRESS = "ada@example.com"
# As long as the other one, and like it in everything that an answer might repeat.
UNKNOWN = "eve@example.com"
OK = {"x-request-id": "4711"}


@pytest.mark.parametrize(
    ("known", "unknown", "expected"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 0.5),
        ([7.0], [7.0], 0.5),
        ([4.0, 5.0, 6.0], [1.0, 2.0, 3.0], 1.0),
        ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], 1.0),
        ([1.0, 3.0], [2.0, 4.0], 0.75),
        ([2.0, 4.0], [1.0, 3.0], 0.75),
        ([1.0, 2.0], [2.0, 3.0], 0.875),
        ([5.0, 5.0, 5.0, 9.0], [5.0], 0.625),
    ],
)
def test_the_area_of_known_cases(known: list[float], unknown: list[float], expected: float) -> None:
    assert area(known, unknown) == pytest.approx(expected)
    assert area(unknown, known) == pytest.approx(expected)


def test_the_area_is_how_often_one_of_either_kind_is_told_apart() -> None:
    chance = random.Random(7)
    for _ in range(50):
        known = [float(chance.randrange(12)) for _ in range(chance.randrange(1, 30))]
        unknown = [float(chance.randrange(9)) for _ in range(chance.randrange(1, 30))]
        won = [(a > b) + (a == b) / 2 for a, b in itertools.product(known, unknown)]
        share = sum(won) / len(won)
        assert area(known, unknown) == pytest.approx(max(share, 1 - share))


@dataclass(frozen=True, kw_only=True)
class Script:
    """A service that answers what it is told to, in no time."""

    folder: Path
    took: dict[str, float]
    answers: dict[str, Answer[None]]
    asked: list[str] = field(default_factory=list)

    def exchange(self, call: Call[None]) -> Timed:
        self.asked.append(call.path)
        return self.took.get(call.path, 0.001), self.answers.get(call.path, answer())

    def compared(self) -> tuple[str | None, float, bool]:
        """What differs, the area, and whether both are good."""
        with opened_client("http://localhost", "key") as client:
            place = Place(
                name="a script",
                folder=self.folder,
                client=client,
                exchange=self.exchange,
                rest=lambda: None,
                deliver=lambda: None,
            )
            pair = asking("/known"), asking("/unknown")
            case = Case(route="a route", known="a user", pairs=[pair] * 20)
            row = compare(place, case, random.Random(1))
            assert ("FAILED" in line(place, row)) == (not row.good)
            return row.difference, row.area, row.good


def asking(path: str) -> Call[None]:
    return Call(method="GET", path=path, success=202, headers={}, sender=lambda _: answer())


def answer(status: int = 202, text: str = "{}", **headers: str) -> Answer[None]:
    return Answer(status=status, headers={**OK, **headers}, text=text)


def test_what_is_the_same_passes_and_is_asked_in_either_order(tmp_path: Path) -> None:
    script = Script(folder=tmp_path, took={}, answers={"/known": answer(date="now")})
    assert script.compared() == (None, 0.5, True)
    firsts = script.asked[::2]
    assert {"/known", "/unknown"} == set(firsts)
    assert len(script.asked) == 40


@pytest.mark.parametrize(
    "other",
    [answer(status=200), answer(text='{"a": 1}'), answer(server="x"), answer(etag="")],
)
def test_a_difference_is_found(tmp_path: Path, other: Answer[None]) -> None:
    for which in ("/known", "/unknown"):
        difference, _, good = Script(folder=tmp_path, took={}, answers={which: other}).compared()
        assert difference is not None
        assert not good


def test_a_request_that_takes_longer_is_found(tmp_path: Path) -> None:
    for which in ("/known", "/unknown"):
        difference, found, good = Script(
            folder=tmp_path, took={which: 0.002}, answers={}
        ).compared()
        assert (difference, found, good) == (None, 1.0, False)
        assert found > LIMIT


@pytest.mark.parametrize("store", PLACES)
def test_no_pair_differs_in_a_byte_or_a_header(tmp_path: Path, store: str) -> None:
    chance = random.Random()
    with PLACES[store](tmp_path / "data", chance) as place:
        rows = [compare(place, case, chance) for case in cases(place, PAIRS, chance)]
    assert [row.difference for row in rows] == [None] * 9
    assert sum(row.case.judged for row in rows) == 7


# What an address may be to an application.


def a_user(tenant: Tenant) -> None:
    tenant.user(ADDRESS)


def a_suspended_user(tenant: Tenant) -> None:
    tenant.user(ADDRESS).admin("PATCH", {"state": "suspended"})


def a_deleted_user(tenant: Tenant) -> None:
    tenant.user(ADDRESS).call("DELETE")


def a_user_who_reset(tenant: Tenant) -> None:
    tenant.user(ADDRESS)
    tenant.reset(tenant.reset_token(ADDRESS))


def an_invitation(tenant: Tenant) -> None:
    tenant.invitation(ADDRESS)


def an_expired_invitation(tenant: Tenant) -> None:
    tenant.invitation(ADDRESS)
    tenant.world.advance(DAY + 1)


def a_user_of_another_application(tenant: Tenant) -> None:
    tenant.world.tenant().user(ADDRESS)


ASKED: dict[str, Callable[[Tenant, str], httpx.Response]] = {
    "requestUserToken": lambda tenant, email: tenant.sign_in(email, "not the password"),
    "createUser": lambda tenant, email: tenant.sign_up(email, "not the password"),
    "sendEmailVerification": lambda tenant, email: tenant.public(
        "POST", "/users/verification/send", {"email": email}
    ),
    "requestPasswordReset": lambda tenant, email: tenant.ask_reset(email),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("sameness")) as opened:
        yield opened


@pytest.mark.parametrize("route", ASKED)
@pytest.mark.parametrize(
    "become",
    [
        a_user,
        a_suspended_user,
        a_deleted_user,
        a_user_who_reset,
        an_invitation,
        an_expired_invitation,
        a_user_of_another_application,
    ],
)
@pytest.mark.parametrize("closed", [False, True])
def test_whatever_an_address_is_the_answer_is_that_of_an_unknown_one(
    world: World, route: str, become: Callable[[Tenant], None], closed: bool
) -> None:
    tenant = world.tenant()
    become(tenant)
    if closed:
        tenant.update(signUp="closed")
    known, unknown = (ASKED[route](tenant, email) for email in (ADDRESS, UNKNOWN))
    assert alike(known, unknown)
    assert known.status_code == (
        401 if route == "requestUserToken" else 403 if route == "createUser" and closed else 202
    )


# What a token may have been.


def verification(tenant: Tenant, token: str) -> httpx.Response:
    return tenant.verify(token)


def reset(tenant: Tenant, token: str) -> httpx.Response:
    return tenant.reset(token)


def form(tail: str, password: str) -> Callable[[Tenant, str], httpx.Response]:
    def post(tenant: Tenant, token: str) -> httpx.Response:
        content = urlencode({"token": token, "password": password}).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return tenant.public("POST", tail, content=content, headers=kind)

    return post


VERIFYING = {"verifyUser": verification, "the form": form("/users/verification/form", PASSWORD)}
RESETTING = {"updatePassword": reset, "the form": form("/users/password/reset/form", NEW_PASSWORD)}


def used_invitation(tenant: Tenant) -> str:
    token = tenant.invitation(ADDRESS)
    assert tenant.verify(token).is_success
    return token


def resent_invitation(tenant: Tenant) -> str:
    token = tenant.invitation(ADDRESS)
    assert ASKED["sendEmailVerification"](tenant, ADDRESS).is_success
    return token


def overtaken_invitation(tenant: Tenant) -> str:
    token = tenant.invitation(ADDRESS)
    tenant.user(ADDRESS)
    return token


def guessed_invitation(tenant: Tenant) -> str:
    token = tenant.invitation(ADDRESS)
    for _ in range(5):
        assert tenant.verify(token, "not the password").status_code == 401
    return token


def old_invitation(tenant: Tenant) -> str:
    token = tenant.invitation(ADDRESS)
    tenant.world.advance(DAY + 1)
    return token


def foreign_invitation(tenant: Tenant) -> str:
    return tenant.world.tenant().invitation(ADDRESS)


def used_reset(tenant: Tenant) -> str:
    tenant.user(ADDRESS)
    token = tenant.reset_token(ADDRESS)
    assert tenant.reset(token).is_success
    return token


def renewed_reset(tenant: Tenant) -> str:
    tenant.user(ADDRESS)
    token = tenant.reset_token(ADDRESS)
    assert tenant.ask_reset(ADDRESS).is_success
    return token


def old_reset(tenant: Tenant) -> str:
    tenant.user(ADDRESS)
    token = tenant.reset_token(ADDRESS)
    tenant.world.advance(1801)
    return token


def reset_of_a_suspended_user(tenant: Tenant) -> str:
    person = tenant.user(ADDRESS)
    token = tenant.reset_token(ADDRESS)
    assert person.admin("PATCH", {"state": "suspended"}).is_success
    return token


def reset_of_a_deleted_user(tenant: Tenant) -> str:
    person = tenant.user(ADDRESS)
    token = tenant.reset_token(ADDRESS)
    assert person.call("DELETE").is_success
    return token


def foreign_reset(tenant: Tenant) -> str:
    other = tenant.world.tenant()
    other.user(ADDRESS)
    return other.reset_token(ADDRESS)


OLD_INVITATIONS = [
    used_invitation,
    resent_invitation,
    overtaken_invitation,
    guessed_invitation,
    old_invitation,
    foreign_invitation,
    used_reset,
]
OLD_RESETS = [
    used_reset,
    renewed_reset,
    old_reset,
    reset_of_a_suspended_user,
    reset_of_a_deleted_user,
    foreign_reset,
    used_invitation,
]
SPENT = [
    *((VERIFYING, way, make) for way in VERIFYING for make in OLD_INVITATIONS),
    *((RESETTING, way, make) for way in RESETTING for make in OLD_RESETS),
]


@pytest.mark.parametrize(
    ("ways", "way", "make"), SPENT, ids=[f"{way}-{make.__name__}" for _, way, make in SPENT]
)
def test_a_token_that_was_good_is_answered_like_one_that_never_was(
    world: World,
    ways: dict[str, Callable[[Tenant, str], httpx.Response]],
    way: str,
    make: Callable[[Tenant], str],
) -> None:
    tenant = world.tenant()
    token = make(tenant)
    spent, unknown = (ways[way](tenant, one) for one in (token, new_token()))
    assert alike(spent, unknown)
    assert spent.status_code == 400
