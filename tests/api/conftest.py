"""Worlds: one for each test that changes something, one for each module that only reads."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.world import Tenant, World, open_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        yield opened


@pytest.fixture
def tenant(world: World) -> Tenant:
    """An application in a world of its own."""
    return world.tenant()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world that the tests of a module share: each makes what it changes itself."""
    with open_world(tmp_path_factory.mktemp("shared")) as opened:
        yield opened
