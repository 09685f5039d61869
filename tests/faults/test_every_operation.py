"""Every operation, and a fault at each of its calls: done or not done, and never a wrong verdict.

A store that does not answer is 503 with `Retry-After`, whatever was asked; what is over in a moment
is not seen at all (on DynamoDB, whose driver tries again).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
import pytest

from app.adapters.dynamodb_table import DynamoDbTable
from app.adapters.sqlite_table import SqliteTable
from tests.api.operations import operations
from tests.api.world import Tenant, World, open_world, refused
from tests.dynamodb_local import client, create_table, dynamodb_local, spoken_to
from tests.faults import proxy, sqlite_faults
from tests.faults.proxy import proxied
from tests.faults.recipes import RECIPES, Recipe, Request, cheapen
from tests.flows import invariants
from tests.flows.effort import rounds
from tests.security.twostores import living_rows

BUDGET_SECONDS = 0.08
EVERYTHING = 500  # of PASSERINE_TEST_ROUNDS
# In a moment over, and answered in the end.
MOMENTARY: list[proxy.Fault] = [
    proxy.throttled,
    proxy.broken,
    proxy.conflict,
    proxy.busy_member,
    proxy.dropped,
    proxy.untold,
    proxy.delayed,
]
# For ever: nothing of it is done, or nobody is told.
LASTING: list[proxy.Fault] = [proxy.throttled, proxy.dropped, proxy.untold, proxy.conflict]
OF_SQLITE: list[sqlite_faults.Fault] = [
    sqlite_faults.locked,
    sqlite_faults.full,
    sqlite_faults.unreadable,
    sqlite_faults.read_only,
]


class Plan(Protocol):
    """What meets the calls of a store."""

    seen: list[Any]

    def calm(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Place:
    """A service on a store that fails when it is told to."""

    world: World
    plan: Any
    rows: Callable[[], list[invariants.Row]] = field(repr=False)

    def calls(self, recipe: Recipe, tenant: Tenant) -> int:
        """How many calls an operation makes."""
        request = recipe.prepare(tenant)
        self.plan.calm()
        answer = request.send(self.world)
        assert answer.status_code == recipe.success, answer.text
        return len(self.plan.seen)

    def check(self) -> None:
        findings = invariants.Findings()
        invariants.check_store(self.rows(), findings, at_rest=False)
        assert findings.lines == []


@pytest.fixture(scope="module")
def on_dynamodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        endpoint = stack.enter_context(dynamodb_local())
        between = stack.enter_context(proxied(endpoint))
        stack.enter_context(spoken_to(between.url))
        direct = client(endpoint)
        table = create_table(direct)
        folder = tmp_path_factory.mktemp("faults")
        world = stack.enter_context(open_world(folder, store="dynamodb", table_name=table))
        assert isinstance(world.services.table, DynamoDbTable)
        object.__setattr__(world.services.table, "budget_seconds", BUDGET_SECONDS)
        cheapen(world)
        yield Place(
            world=world,
            plan=between,
            rows=lambda: living_rows(direct, table, world.hour.now.timestamp()),
        )


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("faults")
    with open_world(folder) as world:
        world.spoilt = True  # it answers 503, as it should here
        assert isinstance(world.services.table, SqliteTable)
        cheapen(world)
        faults = sqlite_faults.wrap(world.services.table)
        yield Place(
            world=world,
            plan=faults,
            rows=lambda: invariants.read_rows(folder, world.hour.now.timestamp()),
        )


def unavailable(answer: httpx.Response) -> None:
    refused(answer, 503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


def send(place: Place, request: Request) -> tuple[httpx.Response, int]:
    """The answer, and how many calls it took."""
    answer = request.send(place.world)
    calls = len(place.plan.seen)
    place.plan.calm()
    return answer, calls


def settle(place: Place, recipe: Recipe, request: Request, *, done: bool) -> None:
    """The same request once more, when all is well: it says that it was done, or does it."""
    again = request.send(place.world)
    if done and recipe.again is not None:
        refused(again, *recipe.again)
    else:
        assert again.status_code == recipe.success, again.text


def chosen(cases: Sequence[Any], seed: str) -> Sequence[Any]:
    """Some cases, others for each operation; all in `EVERYTHING` rounds."""
    wanted = len(cases) if rounds() >= EVERYTHING else 2
    step = max(1, len(cases) // wanted)
    return cases[sum(seed.encode()) % step :: step]


def test_there_is_a_recipe_for_every_operation(on_sqlite: Place) -> None:
    known = {name.partition(" ")[0] for name in RECIPES}
    assert known == {operation.id for operation in operations(on_sqlite.world)}


@pytest.mark.parametrize("name", RECIPES)
def test_flt_02_and_05_a_fault_of_a_moment_is_not_seen(on_dynamodb: Place, name: str) -> None:
    place, recipe, tenant = on_dynamodb, RECIPES[name], on_dynamodb.world.tenant()
    calls = place.calls(recipe, tenant)
    for fault, call in chosen([(f, k + 1) for k in range(calls) for f in MOMENTARY], name):
        request = recipe.prepare(tenant)
        before = recipe.records(tenant)
        place.plan.meets(fault, at=call)
        answer, _ = send(place, request)
        where = f"{fault.__name__} at call {call} of {calls}"
        assert answer.status_code == recipe.success, f"{where}: {answer.text}"
        if recipe.audited:
            assert recipe.records(tenant) == before + 1, where
        settle(place, recipe, request, done=True)


@pytest.mark.parametrize("name", RECIPES)
def test_flt_01_a_lasting_fault_is_503_and_done_once_or_not_at_all(
    on_dynamodb: Place, name: str
) -> None:
    place, recipe, tenant = on_dynamodb, RECIPES[name], on_dynamodb.world.tenant()
    calls = place.calls(recipe, tenant)
    for fault, call in chosen([(f, k + 1) for k in range(calls) for f in LASTING], name):
        request = recipe.prepare(tenant)
        before = recipe.records(tenant)
        place.plan.meets(fault, at=call, for_ever=True)
        answer, made = send(place, request)
        if made < call:  # what it read then is remembered
            assert answer.status_code == recipe.success
            continue
        unavailable(answer)
        done = recipe.records(tenant) - before
        assert done in {0, 1}
        if recipe.audited or fault is not proxy.untold:
            settle(place, recipe, request, done=bool(done))


@pytest.mark.parametrize("name", RECIPES)
def test_flt_19_a_failing_disk_is_503_and_nothing_was_done(on_sqlite: Place, name: str) -> None:
    place, recipe, tenant = on_sqlite, RECIPES[name], on_sqlite.world.tenant()
    calls = place.calls(recipe, tenant)
    for fault, call in chosen([(f, k + 1) for k in range(calls) for f in OF_SQLITE], name):
        request = recipe.prepare(tenant)
        before = recipe.records(tenant)
        place.plan.meets(fault, at=call, for_ever=True)
        answer, made = send(place, request)
        if made < call:  # what it read then is remembered
            assert answer.status_code == recipe.success
            continue
        unavailable(answer)
        done = recipe.records(tenant) - before
        assert done in {0, 1}
        settle(place, recipe, request, done=bool(done))


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.audited])
def test_flt_19_a_commit_whose_end_is_not_heard_of_was_done_once(
    on_sqlite: Place, name: str
) -> None:
    place, recipe, tenant = on_sqlite, RECIPES[name], on_sqlite.world.tenant()
    place.calls(recipe, tenant)
    commit = place.plan.seen.index("COMMIT") + 1
    request = recipe.prepare(tenant)
    before = recipe.records(tenant)
    place.plan.meets(sqlite_faults.untold, at=commit)
    answer, _ = send(place, request)
    done = recipe.records(tenant) - before
    assert done == (name != "verifyUser")  # whose first commit is that of the attempt
    unavailable(answer)
    settle(place, recipe, request, done=bool(done))


def test_enu_08_a_store_that_fails_says_the_same_of_known_and_unknown(on_dynamodb: Place) -> None:
    place, tenant = on_dynamodb, on_dynamodb.world.tenant()
    for known, unknown in (
        ("requestUserToken by a wrong password", "requestUserToken of an unknown address"),
        ("createUser of a taken address", "createUser"),
    ):
        answers = []
        for name in (known, unknown):
            request = RECIPES[name].prepare(tenant)
            place.plan.meets(proxy.dropped, at=1, for_ever=True)
            answers.append(send(place, request)[0])
        for answer in answers:
            unavailable(answer)


def test_every_read_asks_for_what_was_written_last(on_dynamodb: Place) -> None:
    place, tenant = on_dynamodb, on_dynamodb.world.tenant()
    for recipe in RECIPES.values():
        place.calls(recipe, tenant)
        for passing in place.plan.seen:
            assert passing.consistent or passing.operation not in proxy.READS, passing.operation


def test_flt_08_each_transaction_has_a_token_of_its_own(on_dynamodb: Place) -> None:
    place, tokens, tenant = on_dynamodb, list[str](), on_dynamodb.world.tenant()
    for name in ("requestUserToken", "updateUser", "createUser"):
        place.calls(RECIPES[name], tenant)
        tokens += [
            one.request["ClientRequestToken"]
            for one in place.plan.seen
            if one.operation == "TransactWriteItems"
        ]
    assert len(set(tokens)) == len(tokens) >= 3


@pytest.mark.parametrize(
    "name", ["verifyUser", "updatePassword", "deleteUser", "deleteCurrentUserSession"]
)
def test_a_stale_read_spends_nothing_twice(on_dynamodb: Place, name: str) -> None:
    """Reads answer as before the first use, once each; the commit is what decides."""
    place, recipe, tenant = on_dynamodb, RECIPES[name], on_dynamodb.world.tenant()
    assert recipe.again is not None
    request = recipe.prepare(tenant)
    kept: dict[str, proxy.Reply] = {}

    def record(passing: proxy.Passing) -> proxy.Reply:
        reply = passing.forward()
        if passing.operation in proxy.READS:
            kept.setdefault(repr(passing.request), reply)
        return reply

    def stale(passing: proxy.Passing) -> proxy.Reply:
        return kept.pop(repr(passing.request), None) or passing.forward()

    before = recipe.records(tenant)
    place.plan.plan(lambda _: record)
    assert request.send(place.world).status_code == recipe.success
    assert kept
    recorded = len(kept)
    place.plan.plan(lambda _: stale)
    answer = request.send(place.world)
    assert len(kept) < recorded, "nothing stale was read"
    refused(answer, *recipe.again)
    place.plan.calm()
    assert recipe.records(tenant) == before + 1


def test_i3_the_store_is_whole_after_all_this(on_dynamodb: Place, on_sqlite: Place) -> None:
    for place in (on_dynamodb, on_sqlite):
        place.plan.calm()
        place.check()
