"""kill -9 at any call of any operation that changes something: done or not, once, and repeatable.

Each moment is tried on a copy of what was there before. What is left is opened again: one audit
record or none tells whether it was done, everything waiting is delivered, the invariants hold, and
the same request once more does it or says that it was done.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.api.world import ABSENT, Hour, Tenant, World, open_world, refused
from tests.dynamodb_local import client, create_table, dynamodb_local, spoken_to
from tests.faults.recipes import CHANGING, RECIPES, Recipe, Request
from tests.faults.test_every_operation import EVERYTHING
from tests.flows import invariants
from tests.flows.effort import rounds
from tests.flows.mortal import Order, killing
from tests.security.twostores import living_rows
from tests.unlimited import unlimited

MOST_CALLS = 40
KILLED = [name for name in CHANGING if RECIPES[name].success < 300]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A store that can be copied.

    Attributes:
        fresh: the settings that open a new one.
        copy: makes a copy, data folder included; the settings that open it.
        rows: what lives in the store of some settings.
    """

    kill: Callable[[Order], dict[str, bool]] = field(repr=False)
    fresh: Callable[[], dict[str, str]] = field(repr=False)
    copy: Callable[[dict[str, str], Path, Path], dict[str, str]] = field(repr=False)
    rows: Callable[[Path, dict[str, str], World], list[invariants.Row]] = field(repr=False)

    @contextmanager
    def opened(self, folder: Path, settings: dict[str, str]) -> Iterator[World]:
        told: dict[str, Any] = settings
        with open_world(folder, hour=Hour(now=datetime.now(UTC)), **told) as world:
            yield world


@pytest.fixture(scope="module", params=["sqlite", "dynamodb"])
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield Ground(
                kill=stack.enter_context(killing()),
                fresh=unlimited,
                copy=_copied_folder,
                rows=lambda folder, _, world: invariants.read_rows(
                    folder, world.hour.now.timestamp()
                ),
            )
            return
        endpoint = stack.enter_context(dynamodb_local())
        stack.enter_context(spoken_to(endpoint))
        direct = client(endpoint)
        settings = {"store": "dynamodb", **unlimited("dynamodb")}

        def fresh() -> dict[str, str]:
            return {**settings, "table_name": create_table(direct)}

        def copied(told: dict[str, str], source: Path, target: Path) -> dict[str, str]:
            shutil.copytree(source, target)
            made = fresh()
            for page in direct.get_paginator("scan").paginate(TableName=told["table_name"]):
                for item in page["Items"]:
                    direct.put_item(TableName=made["table_name"], Item=item)
            return made

        yield Ground(
            kill=stack.enter_context(killing()),
            fresh=fresh,
            copy=copied,
            rows=lambda _, told, world: living_rows(
                direct, told["table_name"], world.hour.now.timestamp()
            ),
        )


def _copied_folder(_: dict[str, str], source: Path, target: Path) -> dict[str, str]:
    shutil.copytree(source, target)
    return unlimited()


def moments(name: str) -> list[int]:
    """At which calls to die: at all of them, or at one that differs from name to name."""
    if rounds() >= EVERYTHING:
        return list(range(1, MOST_CALLS))
    return [sum(name.encode()) % 3 + 1]


def check(ground: Ground, folder: Path, settings: dict[str, str], world: World) -> None:
    findings = invariants.Findings()
    invariants.check_store(ground.rows(folder, settings, world), findings, at_rest=False)
    assert findings.lines == []


def done(recipe: Recipe, request: Request, before: int, world: World, tenant: Tenant) -> None:
    """Once or not at all; and the same request once more."""
    records = recipe.records(tenant) - before
    assert records in {0, 1}
    world.deliver()
    again = request.send(world)
    if records and recipe.again is not None:
        refused(again, *recipe.again)
    else:
        assert again.status_code == recipe.success, again.text


@pytest.mark.parametrize("name", KILLED)
def test_flt_01_whenever_it_is_killed_an_operation_was_done_once_or_not_at_all(
    ground: Ground, tmp_path: Path, name: str
) -> None:
    recipe, first = RECIPES[name], ground.fresh()
    with ground.opened(tmp_path / "before", first) as world:
        tenant = world.tenant()
        request = recipe.prepare(tenant)
        before = recipe.records(tenant)
    order = Order(
        folder="",
        call=0,
        after=False,
        method=request.method,
        path=request.path,
        members=None if request.json is ABSENT else request.json,
        token=request.token,
    )
    for call in moments(name):
        folder = tmp_path / f"call-{call}"
        settings = ground.copy(first, tmp_path / "before", folder)
        died = replace(
            order, folder=str(folder), call=call, after=bool(call % 2), settings=settings
        )
        ended = ground.kill(died)
        assert ended["fine"]
        with ground.opened(folder, settings) as world:
            done(recipe, request, before, world, Tenant(world=world, id=tenant.id))
            check(ground, folder, settings, world)
        if not ended["killed"]:
            break
