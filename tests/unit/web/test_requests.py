"""How a request is read: its JSON, its origin, its client, and the lane for heavy work."""

import json
import threading
from functools import partial
from ipaddress import ip_network

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope

from app.common.errors import Kind, Refusal, StoreUnavailable
from app.main import AREAS
from app.web.areas import methods
from app.web.context import Surroundings, loopback, loopback_origin
from app.web.lane import Lane
from app.web.problems import STATUSES, InvalidJson, UnknownHost, challenge
from app.web.routes import read_json

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_json_is_read_as_it_was_meant(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert read_json(text.encode()) == value


@given(st.binary(max_size=60))
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_any_bytes_are_json_or_refused(content: bytes) -> None:
    try:
        found = read_json(content)
    except InvalidJson:
        return
    assert json.loads(content.decode()) == found


@pytest.mark.parametrize(
    "content", [b"NaN", b"[1e999]", b'{"a":1,"a":1}', b'"\\ud800"', b"\xff", b"[" * 50, b""]
)
def test_what_programs_read_in_two_ways_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidJson):
        read_json(content)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("a.b.localhost", True),
        ("127.0.0.1", True),
        ("127.255.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("", False),
        ("localhost.", False),
        ("notlocalhost", False),
        ("localhost.example", False),
        ("128.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("127.1", False),
        ("0x7f000001", False),
    ],
)
def test_what_is_this_machine(host: str, here: bool) -> None:
    assert loopback(host) is here


def test_an_origin_of_this_machine_is_exactly_that() -> None:
    assert loopback_origin("http://localhost:8000")
    for other in ("http://localhost:8000/", "localhost", "http:/localhost", "http://a b", "://x"):
        assert not loopback_origin(other)


def asked(*headers: tuple[bytes, bytes], **more: object) -> tuple[Scope, Headers]:
    scope = {"type": "http", "scheme": "http", "headers": list(headers), **more}
    return scope, Headers(scope=scope)


@pytest.mark.parametrize("prefix", ["", "/auth"])
def test_a_servers_prefix_is_no_part_of_the_path(prefix: str) -> None:
    path = prefix + "/v1/applications"
    there: Scope = {"type": "http", "method": "PUT", "path": path, "root_path": prefix}
    assert methods(AREAS, there) == {"GET", "POST"}
    found = {one.matches(there)[0] for one in AREAS}
    assert found == {Match.NONE, Match.PARTIAL}


def test_a_request_without_a_host_has_no_origin() -> None:
    here = Surroundings(public_url=None, trusted_proxies=())
    with pytest.raises(UnknownHost):
        here.origin(*asked())
    assert here.origin(*asked((b"host", b"LOCALHOST:80"))) == "http://localhost:80"


def test_a_request_without_a_socket_has_no_address() -> None:
    here = Surroundings(public_url=None, trusted_proxies=[ip_network("0.0.0.0/0")])
    assert here.device(*asked()).ip_address == ""
    assert here.device(*asked(client=None)).ip_address == ""
    assert here.device(*asked(client=("192.0.2.1", 5))).ip_address == "192.0.2.1"


def test_the_agent_is_kept_short_and_printable() -> None:
    here = Surroundings(public_url=None, trusted_proxies=())
    agent = here.device(*asked((b"user-agent", b"a\tb\x7f\xfcc" + b"d" * 400))).user_agent
    assert agent == "abc" + "d" * 253


def test_every_kind_of_refusal_has_a_status() -> None:
    assert STATUSES.keys() == set(Kind)
    assert sorted(STATUSES.values()) == [400, 401, 403, 404, 409, 413, 415, 422, 429, 503]


def test_a_challenge_names_the_scheme_that_would_help() -> None:
    assert challenge("invalid_api_key").startswith("ApiKey ")
    assert challenge("invalid_token").endswith('error="invalid_token"')
    assert challenge("invalid_credentials") == 'Bearer realm="passerine"'


def test_every_refusal_has_a_code_and_a_sentence_of_its_own() -> None:
    assert all(area.routes for area in AREAS)  # every area is there, with every refusal
    found = [one for one in subclasses(Refusal) if one.__module__.startswith("app.")]
    assert len(found) > 20
    for refusal in found:
        assert refusal.code == refusal.code.lower().replace("-", "_")
        assert refusal.detail.endswith(".")
        assert isinstance(refusal.kind, Kind)
    shared = {one.code for one in found if [two.code for two in found].count(one.code) > 1}
    assert shared == {"invalid_token"}  # of a message's link, and of an access token


def subclasses(kind: type[Refusal]) -> list[type[Refusal]]:
    return [found for one in kind.__subclasses__() for found in (one, *subclasses(one))]


def test_a_lane_runs_a_few_at_a_time_and_refuses_what_would_wait_too_long() -> None:
    places, queue, callers = 2, 3, 10
    # Nobody gets through before as many have met here as there are places.
    full = threading.Barrier(places)

    def work(number: int) -> int:
        if number < places:
            full.wait(timeout=10)
        return number

    async def crowd() -> tuple[list[int], int]:
        lane = Lane(threads=places, queue=queue)
        done: list[int] = []
        refused: list[int] = []

        async def ask(number: int) -> None:
            try:
                done.append(await lane.run(partial(work, number)))
            except StoreUnavailable:
                refused.append(number)

        async with anyio.create_task_group() as group:
            for number in range(callers):
                group.start_soon(ask, number)
        return sorted(done), len(refused)

    done, refused = anyio.run(crowd)
    assert (len(done), refused) == (places + queue, callers - places - queue)


def test_a_lane_hands_on_what_a_call_raises() -> None:
    async def fail() -> None:
        lane = Lane(threads=1, queue=1)
        with pytest.raises(ValueError, match="invalid literal"):
            await lane.run(partial(int, "x"))
        assert await lane.run(lambda: 7) == 7

    anyio.run(fail)
