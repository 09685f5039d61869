"""Nobody tries, signs up or has people written to more often than the limits let them."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.events.types import Operation
from app.messages.types import MessageKind
from tests.api.world import (
    EMAIL,
    NEW_PASSWORD,
    PASSWORD,
    Person,
    Tenant,
    World,
    alike,
    open_world,
    refused,
)
from tests.dynamodb_local import client, create_table, dynamodb_local, spoken_to

MINUTE, HOUR = 60, 3600
UNKNOWN = "nobody@example.com"
HOME, ELSEWHERE = ("198.51.100.7", 40_000), ("203.0.113.9", 40_000)
PER_NETWORK = 10
BURST = 5 * PER_NETWORK


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path, rate_limits="on") as opened:
        opened.bystander()
        yield opened


@pytest.fixture
def tenant(world: World) -> Tenant:
    return world.tenant()


@pytest.fixture
def person(tenant: Tenant) -> Person:
    return tenant.user()


def wrong(tenant: Tenant, times: int, email: str = EMAIL, **more: Any) -> list[httpx.Response]:
    return [tenant.sign_in(email, NEW_PASSWORD, **more) for _ in range(times)]


def statuses(answers: list[httpx.Response]) -> list[int]:
    return [answer.status_code for answer in answers]


def waits(answer: httpx.Response) -> int:
    """Seconds, as a refusal for too many attempts tells."""
    refused(answer, 429, "too_many_attempts")
    return int(answer.headers["Retry-After"])


# Sign-in


def test_rat_01_after_ten_wrong_passwords_the_right_one_is_refused_too_until_the_wait_is_over(
    world: World, tenant: Tenant, person: Person
) -> None:
    assert statuses(wrong(tenant, PER_NETWORK)) == [401] * PER_NETWORK
    right, another = tenant.sign_in(), tenant.sign_in(EMAIL, NEW_PASSWORD)
    assert waits(right) == MINUTE
    assert alike(right, another)
    world.advance(MINUTE)
    assert tenant.sign_in().status_code == 200


def test_rat_01_each_further_wrong_password_doubles_the_wait_up_to_an_hour(
    world: World, tenant: Tenant, person: Person
) -> None:
    wrong(tenant, PER_NETWORK)
    found = []
    for _ in range(8):
        wait = waits(tenant.sign_in())
        found.append(wait)
        world.advance(wait)
        assert statuses(wrong(tenant, 1)) == [401]
    assert found == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    world.advance(2 * HOUR)
    assert statuses(wrong(tenant, PER_NETWORK)) == [401] * PER_NETWORK


def test_ten_wrong_passwords_over_a_longer_time_cost_no_wait(
    world: World, tenant: Tenant, person: Person
) -> None:
    for _ in range(2 * PER_NETWORK):
        assert statuses(wrong(tenant, 1)) == [401]
        world.advance(100)
    assert tenant.sign_in().status_code == 200


def test_the_owner_on_another_network_is_not_locked_out(tenant: Tenant, person: Person) -> None:
    wrong(tenant, PER_NETWORK, peer=ELSEWHERE)
    waits(tenant.sign_in(peer=ELSEWHERE))
    assert tenant.sign_in(peer=HOME).status_code == 200


def test_rat_02_an_account_has_a_ceiling_over_all_networks(tmp_path: Path) -> None:
    proxy: dict[str, Any] = {
        "trusted_proxies": "127.0.0.1/32",
        "limit_sign_in_account": "12/1h",
    }
    with open_world(tmp_path, rate_limits="on", **proxy) as world:
        tenant = world.tenant()
        tenant.user()

        def from_network(number: int, password: str = NEW_PASSWORD) -> httpx.Response:
            forwarded = {"X-Forwarded-For": f"192.0.2.{number}"}
            return tenant.sign_in(EMAIL, password, headers=forwarded)

        for number in range(12):
            assert from_network(number).status_code == 401
            world.advance(1)
        assert waits(from_network(200)) == HOUR - 12
        assert waits(from_network(201, PASSWORD)) == HOUR - 12
        world.advance(HOUR - 12)
        assert from_network(201, PASSWORD).status_code == 200


def test_a_network_has_a_ceiling_over_all_accounts_known_or_not(tmp_path: Path) -> None:
    with open_world(tmp_path, rate_limits="on", limit_sign_in_network="12/15m") as world:
        tenant = world.tenant()
        tenant.user()
        for number in range(12):
            answer = tenant.sign_in(f"{number}@example.com", NEW_PASSWORD, peer=ELSEWHERE)
            assert answer.status_code == 401
        known = tenant.sign_in(peer=ELSEWHERE)
        assert waits(known) == 15 * MINUTE
        assert alike(known, tenant.sign_in(UNKNOWN, PASSWORD, peer=ELSEWHERE))
        assert tenant.sign_in(peer=HOME).status_code == 200
        world.advance(15 * MINUTE)
        assert tenant.sign_in(peer=ELSEWHERE).status_code == 200


@pytest.mark.parametrize("email", [EMAIL, UNKNOWN], ids=["known", "unknown"])
def test_enu_05_known_and_unknown_addresses_are_limited_alike(
    world: World, tenant: Tenant, person: Person, email: str
) -> None:
    answers = wrong(tenant, PER_NETWORK + 2, email)
    assert statuses(answers) == [401] * PER_NETWORK + [429] * 2
    assert waits(answers[-1]) == MINUTE
    world.advance(30)
    assert waits(tenant.sign_in(email)) == 30


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:fffe"),
        ("2001:db8:1:2::1", "2001:0DB8:0001:0002:0000:0000:0000:0009"),
        ("198.51.100.7", "::ffff:198.51.100.7"),
        ("", "not an address"),
    ],
)
def test_rat_04_and_14_addresses_of_one_network_share_their_attempts(
    world: World, tenant: Tenant, person: Person, one: str, other: str
) -> None:
    for number in range(PER_NETWORK):
        peer = (one if number % 2 else other, 40_000)
        assert statuses(wrong(tenant, 1, peer=peer)) == [401]
    for address in (one, other):
        waits(tenant.sign_in(peer=(address, 40_000)))
    assert tenant.sign_in(peer=("2001:db8:1:3::1", 40_000)).status_code == 200


def test_rat_06_an_own_success_forgives_neither_ones_own_nor_anybody_elses_failures(
    tenant: Tenant, person: Person
) -> None:
    attacker = tenant.user("eve@example.com")
    for _ in range(PER_NETWORK):
        assert statuses(wrong(tenant, 1)) == [401]
        assert tenant.sign_in(attacker.email).status_code == 200
    waits(tenant.sign_in())
    wrong(tenant, PER_NETWORK - 1, attacker.email)
    assert tenant.sign_in(attacker.email).status_code == 200
    wrong(tenant, 1, attacker.email)
    waits(tenant.sign_in(attacker.email))


def test_rat_08_every_spelling_of_an_address_is_one_account(tenant: Tenant, person: Person) -> None:
    spellings = ["ADA@example.com", "ada@EXAMPLE.com", "Ada@Example.Com", "ada@ｅxample.com"]
    for number in range(PER_NETWORK):
        email = spellings[number % len(spellings)]
        assert statuses(wrong(tenant, 1, email)) == [401]
    waits(tenant.sign_in())


def test_rat_09_a_wrong_current_password_counts_with_those_of_sign_in(
    world: World, tenant: Tenant, person: Person
) -> None:
    change = {"currentPassword": NEW_PASSWORD, "newPassword": "yet another string of words"}
    for _ in range(PER_NETWORK // 2):
        refused(person.call("PUT", "/password", change), 401, "invalid_credentials")
        assert statuses(wrong(tenant, 1)) == [401]
    right = {**change, "currentPassword": PASSWORD}
    waits(tenant.sign_in())
    waits(person.call("PUT", "/password", right))
    world.advance(MINUTE)
    assert person.call("PUT", "/password", right).status_code == 204


def test_rat_09_applications_are_limited_apart(world: World, tenant: Tenant) -> None:
    other = world.tenant()
    other.user()
    wrong(tenant, PER_NETWORK)
    waits(tenant.sign_in())
    assert other.sign_in().status_code == 200


def test_rat_12_the_wait_is_true_to_the_second(
    world: World, tenant: Tenant, person: Person
) -> None:
    wrong(tenant, PER_NETWORK)
    world.advance(waits(tenant.sign_in()) - 1)
    assert waits(tenant.sign_in()) == 1
    world.advance(1)
    assert tenant.sign_in().status_code == 200


def test_rat_15_what_was_counted_leaves_with_its_expiry(world: World, tenant: Tenant) -> None:
    wrong(tenant, 3, UNKNOWN)
    rows = world.services.table
    (password,) = [row for row in world.kept(tenant.id) if row[1] == "password"]
    (tally,) = [row for row in world.kept(tenant.id) if row[1] == "tally"]
    assert "hash" not in password[2]
    world.advance(2 * HOUR)
    for row in (password, tally):
        assert rows.query(row[0], limit=10).items == []


def test_a_suspended_account_tells_so_no_more_often_than_it_would_let_in(
    tenant: Tenant, person: Person
) -> None:
    person.admin("PATCH", {"state": "suspended"})
    refused(tenant.sign_in(), 403, "user_suspended")
    wrong(tenant, PER_NETWORK)
    waits(tenant.sign_in())


def test_a_new_password_by_a_message_lets_its_owner_in_again(
    tenant: Tenant, person: Person
) -> None:
    wrong(tenant, PER_NETWORK)
    waits(tenant.sign_in())
    assert tenant.reset(tenant.reset_token()).status_code == 204
    assert tenant.sign_in(EMAIL, NEW_PASSWORD).status_code == 200


def test_a_good_sign_in_counts_nothing_and_a_wrong_one_costs_no_second_commit(
    world: World, tenant: Tenant, person: Person
) -> None:
    def counted() -> list[tuple[str, str, str]]:
        return [row for row in world.kept(tenant.id) if row[1] in {"password", "tally"}]

    before = counted()
    assert tenant.sign_in().status_code == 200
    assert counted() == before
    commits = Commits(world)
    wrong(tenant, 1)
    assert commits.seen == 1
    assert counted() != before


class Commits:
    """Counts the commits of a world from now on."""

    def __init__(self, world: World) -> None:
        self.seen = 0
        table = world.services.table
        commit: Callable[..., None] = table.commit

        def counting(*writes: Any) -> None:
            self.seen += 1
            commit(*writes)

        object.__setattr__(table, "commit", counting)


def test_a_wait_given_by_a_clock_that_ran_ahead_ends(world: World, tenant: Tenant) -> None:
    tenant.user()
    wrong(tenant, PER_NETWORK)
    world.advance(-HOUR / 2)
    world.advance(waits(tenant.sign_in()))
    assert tenant.sign_in().status_code == 200
    wrong(tenant, PER_NETWORK)
    world.advance(-HOUR)
    assert tenant.sign_in().status_code == 200


# Sign-in at once


@contextmanager
def two_workers(store: str, folder: Path) -> Iterator[tuple[World, World]]:
    """Two processes' worth of service on one store; each has its own of everything else."""
    with ExitStack() as stack:
        settings: dict[str, Any] = {"rate_limits": "on"}
        if store == "dynamodb":
            endpoint = stack.enter_context(dynamodb_local())
            stack.enter_context(spoken_to(endpoint))
            settings |= {"store": "dynamodb", "table_name": create_table(client(endpoint))}
        one = stack.enter_context(open_world(folder, **settings))
        other = stack.enter_context(open_world(folder, hour=one.hour, **settings))
        for world in (one, other):  # an app completes its routes at its first request
            assert world.send("GET", "/health").status_code == 200
        yield one, other


@pytest.mark.parametrize("store", ["sqlite", "dynamodb"])
def test_rac_13_fifty_parallel_attempts_learn_no_more_than_ten_do(
    store: str, tmp_path: Path
) -> None:
    with two_workers(store, tmp_path) as (one, other):
        tenant = one.tenant()
        places = [tenant, Tenant(world=other, id=tenant.id)]
        with ThreadPoolExecutor(BURST) as pool:
            for email in ("first@example.com", "second@example.com"):

                def attempt(number: int, email: str = email) -> int:
                    answer = places[number % 2].sign_in(email, f"{NEW_PASSWORD} {number}")
                    return answer.status_code

                found = Counter(pool.map(attempt, range(BURST)))
                assert found == {401: PER_NETWORK, 429: BURST - PER_NETWORK}


@pytest.mark.parametrize("store", ["sqlite", "dynamodb"])
def test_rac_13_a_right_password_among_parallel_wrong_ones_is_in_the_count(
    store: str, tmp_path: Path
) -> None:
    with two_workers(store, tmp_path) as (one, other):
        tenant = one.tenant()
        tenant.user()
        places = [tenant, Tenant(world=other, id=tenant.id)]
        passwords = [
            PASSWORD if number == BURST // 2 else f"wrong {number}" for number in range(BURST)
        ]
        with ThreadPoolExecutor(BURST) as pool:
            answers = list(
                pool.map(
                    lambda n: places[n % 2].sign_in(EMAIL, passwords[n]).status_code, range(BURST)
                )
            )
        assert set(answers) <= {200, 401, 429}
        assert answers.count(401) == PER_NETWORK
        assert answers[BURST // 2] in {200, 429}


# Sign-up


def sign_up_from(peer: tuple[str, int], tenant: Tenant, email: str) -> httpx.Response:
    body = {"email": email, "password": PASSWORD}
    return tenant.public("POST", "/users", body, peer=peer)


def test_reg_20_a_network_signs_up_thirty_times_in_five_minutes(
    world: World, tenant: Tenant
) -> None:
    before = len(world.messages())
    for number in range(30):
        assert tenant.sign_up(f"{number}@example.com").status_code == 202
        world.advance(1)
    assert waits(tenant.sign_up("31@example.com")) == 5 * MINUTE - 30
    assert sign_up_from(ELSEWHERE, tenant, "31@example.com").status_code == 202
    assert len(world.messages()) == before + 31
    world.advance(5 * MINUTE - 30)
    assert tenant.sign_up("31@example.com").status_code == 202


def test_sign_ups_that_nobody_is_written_to_about_count_too(tenant: Tenant) -> None:
    for _ in range(30):
        assert tenant.sign_up().status_code == 202
    waits(tenant.sign_up())


# Messages


def sent(world: World, kind: MessageKind, to: str = EMAIL) -> int:
    return sum(message.kind is kind for message in world.messages(to))


def test_rst_18_a_mailbox_gets_one_reset_a_minute_and_five_an_hour(
    world: World, tenant: Tenant, person: Person
) -> None:
    reset = MessageKind.PASSWORD_RESET
    for _ in range(20):
        assert tenant.ask_reset().status_code == 202
    assert sent(world, reset) == 1
    for _ in range(60):
        world.advance(MINUTE)
        assert alike(tenant.ask_reset(), tenant.ask_reset(UNKNOWN))
    assert sent(world, reset) <= 6
    assert sent(world, reset) >= 5
    assert sent(world, reset, UNKNOWN) == 0
    assert tenant.sign_in().status_code == 200
    world.advance(HOUR)
    before = sent(world, reset)
    token = tenant.reset_token()
    assert sent(world, reset) == before + 1
    assert tenant.reset(token).status_code == 204


def test_a_reset_that_is_not_sent_leaves_the_one_before_good(
    tenant: Tenant, person: Person
) -> None:
    token = tenant.reset_token()
    assert tenant.ask_reset().status_code == 202
    assert tenant.reset(token).status_code == 204


def test_an_invitation_that_is_not_sent_leaves_the_one_before_good(
    world: World, tenant: Tenant
) -> None:
    token = tenant.invitation()
    again = {"email": EMAIL}
    assert tenant.public("POST", "/users/verification/send", again).status_code == 202
    assert tenant.sign_up(EMAIL, NEW_PASSWORD).status_code == 202
    assert sent(world, MessageKind.EMAIL_VERIFICATION) == 1
    assert tenant.verify(token).status_code == 200


def test_kinds_of_messages_are_limited_apart(world: World, tenant: Tenant, person: Person) -> None:
    for _ in range(2):
        tenant.sign_up()
        tenant.ask_reset()
    kinds = Counter(message.kind for message in world.messages(EMAIL))
    assert kinds == {
        MessageKind.EMAIL_VERIFICATION: 1,
        MessageKind.ADDRESS_IN_USE: 1,
        MessageKind.PASSWORD_RESET: 1,
    }


def test_rat_10_a_network_has_sixty_messages_an_hour_sent(tmp_path: Path) -> None:
    with open_world(tmp_path, rate_limits="on", limit_messages_network="6/1h") as world:
        tenant = world.tenant()
        for number in range(10):
            assert tenant.sign_up(f"{number}@example.com").status_code == 202
        assert len(world.messages()) == 6
        assert sign_up_from(ELSEWHERE, tenant, "elsewhere@example.com").status_code == 202
        assert len(world.messages()) == 7
        world.advance(HOUR)
        assert tenant.sign_up("later@example.com").status_code == 202
        assert len(world.messages()) == 8


def test_notices_of_a_new_password_are_always_sent(
    world: World, tenant: Tenant, person: Person
) -> None:
    passwords = [PASSWORD, NEW_PASSWORD, PASSWORD]
    for current, new in itertools.pairwise(passwords):
        body = {"currentPassword": current, "newPassword": new}
        assert person.call("PUT", "/password", body).status_code == 204
    assert sent(world, MessageKind.PASSWORD_CHANGED) == 2


@pytest.mark.parametrize("route", ["/users/password/reset", "/users/verification/send"])
def test_parallel_requests_send_one_message(tmp_path: Path, route: str) -> None:
    with two_workers("sqlite", tmp_path) as (one, other):
        tenant = one.tenant()
        if route.endswith("reset"):
            tenant.user()
        else:
            tenant.invitation()
        one.advance(MINUTE)
        before = len(one.messages(EMAIL))
        places = [tenant, Tenant(world=other, id=tenant.id)]
        with ThreadPoolExecutor(20) as pool:
            answers = pool.map(
                lambda n: places[n % 2].public("POST", route, {"email": EMAIL}).status_code,
                range(20),
            )
            assert set(answers) == {202}
        assert len(one.messages(EMAIL)) == before + 1


# Refresh


def test_a_session_is_turned_150_times_in_five_minutes(world: World, person: Person) -> None:
    tenant, token = person.tenant, person.refresh
    for _ in range(150):
        answer = tenant.refresh(token)
        token = answer.json()["refreshToken"]
    assert waits(tenant.refresh(token)) == 5 * MINUTE
    assert person.signed_in().call("GET").status_code == 200
    world.advance(5 * MINUTE)
    assert tenant.refresh(token).status_code == 200


def test_rat_13_refused_refresh_tokens_are_limited_and_good_ones_go_on(
    tmp_path: Path,
) -> None:
    with open_world(tmp_path, rate_limits="on", limit_refresh="5/5m") as world:
        person = world.tenant().user()
        for number in range(5):
            refused(person.tenant.refresh(f"x{number}"), 401, "invalid_refresh_token")
        assert waits(person.tenant.refresh("x")) == 5 * MINUTE
        assert person.tenant.refresh(person.refresh).status_code == 200
        world.advance(5 * MINUTE)
        refused(person.tenant.refresh("x"), 401, "invalid_refresh_token")


def test_reg_08_five_wrong_passwords_void_an_invitation_whatever_the_limits(
    tenant: Tenant,
) -> None:
    token = tenant.invitation()
    for _ in range(5):
        refused(tenant.verify(token, NEW_PASSWORD), 401, "invalid_credentials")
    refused(tenant.verify(token), 400, "invalid_token")


def test_without_limits_nothing_is_counted(tmp_path: Path) -> None:
    with open_world(tmp_path, rate_limits="off") as world:
        tenant = world.tenant()
        tenant.user()
        assert statuses(wrong(tenant, 2 * PER_NETWORK)) == [401] * 2 * PER_NETWORK
        assert [row for row in world.kept(tenant.id) if row[1] in {"tally", "messages"}] == []
        assert len(world.events(Operation.USER_SIGN_IN_FAILED)) == 2 * PER_NETWORK
