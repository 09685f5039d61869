"""The local mailbox holds a key to every account: nobody reads it from outside."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.world import World, open_world, refused

PATH = "/dev/messages"
OUTSIDE = ("203.0.113.7", 40_000)


@pytest.fixture(params=[None, "https://auth.example.com"], ids=["local", "public"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    with open_world(tmp_path, public_url=request.param) as opened:
        opened.tenant().sign_up()
        opened.deliver()
        yield opened


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "172.17.0.1", "192.168.1.20"])
def test_it_is_read_on_this_machine_and_in_its_network(world: World, peer: str) -> None:
    answer = world.send("GET", PATH, peer=(peer, 40_000))
    assert len(answer.json()["items"]) == 1


@pytest.mark.parametrize("peer", [OUTSIDE, ("2606:4700::1111", 40_000), ("", 40_000)])
def test_nobody_reads_it_from_outside(world: World, peer: tuple[str, int]) -> None:
    refused(world.send("GET", PATH, peer=peer), 404, "not_found")
    page = world.send("GET", PATH, peer=peer, headers={"Accept": "text/html"})
    refused(page, 404, "not_found")


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Forwarded-Host"]
)
def test_nobody_reads_it_through_a_proxy_on_this_machine(world: World, header: str) -> None:
    refused(world.send("GET", PATH, headers={header: OUTSIDE[0]}), 404, "not_found")


def test_nobody_reads_it_by_a_public_name(tmp_path: Path) -> None:
    with open_world(tmp_path, public_url="https://auth.example.com") as world:
        answer = world.client.get(f"https://auth.example.com{PATH}")
        refused(answer, 404, "not_found")
