"""The function in this process, on the data folder of a real uvicorn beside it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from app.lambda_handler import Handler
from app.settings import Settings
from app.wiring import build
from tests.api.world import ADMIN_KEY, World, open_world
from tests.flows.server import serving

PUBLIC_URL = "https://auth.example.com"


@dataclass(frozen=True, kw_only=True)
class Twins:
    """One deployment, served twice."""

    handler: Handler
    uvicorn: httpx.Client = field(repr=False)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    folder: Path = tmp_path_factory.mktemp("twins") / "data"
    told = {"PUBLIC_URL": PUBLIC_URL, "ADMIN_API_KEY": ADMIN_KEY}
    with serving(folder, settings=told) as server, httpx.Client(base_url=server.url) as client:
        given = Settings(data_dir=folder, public_url=PUBLIC_URL, admin_api_key=ADMIN_KEY)
        services = build(given)
        with closing(Handler(services=services)) as handler, closing(services):
            yield Twins(handler=handler, uvicorn=client)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path, public_url=PUBLIC_URL) as opened:
        yield opened


@pytest.fixture
def function(world: World) -> Iterator[Handler]:
    with closing(Handler(services=world.services)) as handler:
        yield handler
