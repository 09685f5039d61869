"""The outermost layer, around apps that do what ours does not."""

from typing import Any

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from app.common.clock import Clock
from app.common.errors import StoreUnavailable
from app.common.ids import Ids
from app.web.context import Surroundings
from app.web.middleware import Frame


def request() -> Scope:
    return {
        "type": "http",
        "method": "GET",
        "path": "/v1/applications/x/users",
        "scheme": "http",
        "headers": [(b"host", b"localhost"), (b"origin", b"https://app.example")],
    }


def allow(application_id: str, origin: str) -> bool:
    assert (application_id, origin) == ("x", "https://app.example")
    return True


def fail(application_id: str, origin: str) -> bool:
    raise StoreUnavailable


async def quiet(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


async def broken_off(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("in the middle of an answer")


async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RuntimeError("before an answer")


def run(app: Any, scope: Scope, allows: Any = allow) -> list[Any]:
    """What the app sends through the frame."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    here = Surroundings(public_url=None, trusted_proxies=())
    frame = Frame(
        app,
        surroundings=here,
        allows=allows,
        on_the_spot=lambda _: False,
        ids=Ids(clock=Clock()),
    )
    anyio.run(frame, scope, receive, send)
    return sent


def headers(sent: list[Any]) -> dict[str, str]:
    return {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}


def test_an_answer_is_given_its_headers() -> None:
    sent = run(quiet, request())
    found = headers(sent)
    assert found["cache-control"] == "no-store"
    assert found["access-control-allow-origin"] == "https://app.example"
    assert found["x-request-id"]
    assert sent[1]["body"] == b"x"


def test_when_the_origins_cannot_be_looked_up_none_is_allowed() -> None:
    found = headers(run(quiet, request(), allows=fail))
    assert "access-control-allow-origin" not in found
    assert found["vary"] == "Origin"


def test_a_fault_before_the_answer_becomes_one() -> None:
    sent = run(broken, request())
    assert sent[0]["status"] == 500
    assert b"before an answer" not in sent[1]["body"]
    assert headers(sent)["access-control-allow-origin"] == "https://app.example"


def test_a_fault_in_the_middle_of_an_answer_breaks_it_off() -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        run(broken_off, request())


def test_what_is_no_request_passes_untouched() -> None:
    seen: list[Scope] = []

    async def watch(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    run(watch, {"type": "lifespan"})
    assert seen == [{"type": "lifespan"}]
