"""Worlds without limits on tries: what refuses an attack here is the thing attacked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.world import Tenant, World, open_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path, rate_limits="off") as opened:
        yield opened


@pytest.fixture
def tenant(world: World) -> Tenant:
    return world.tenant()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("shared"), rate_limits="off") as opened:
        yield opened
