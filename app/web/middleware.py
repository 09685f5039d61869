"""The outermost layer: what is true of every request and every response."""

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.common.errors import Refusal
from app.common.ids import Ids
from app.web.blocking import ON_THE_SPOT, blocking
from app.web.context import RequestContext, Surroundings
from app.web.problems import AmbiguousLength, BodyTooLarge, of_refusal, problem

log = logging.getLogger("passerine.access")

MAX_BODY = 64 * 1024
LENGTH = re.compile("[0-9]{1,18}")
APPLICATION_PATH = re.compile(r"/v1/applications/([^/]+)")
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    # Browsers ignore it over plain http (RFC 6797 section 8.1).
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
CORS_ANSWER = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}
EXPOSED = "Location, Retry-After, WWW-Authenticate, X-Request-Id"


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


SECURITY = _raw(SECURITY_HEADERS)
VARY = _raw({"Vary": "Origin"})


@dataclass(frozen=True)
class Frame:
    """Gives a request its id and surroundings, and a response its headers.

    Attributes:
        allows: whether an application (by the id in the path) allows a browser's origin.
        on_the_spot: whether a request of a method is worked off without a thread.
    """

    app: ASGIApp
    surroundings: Surroundings
    allows: Callable[[str, str], bool]
    on_the_spot: Callable[[str], bool]
    ids: Ids = field(repr=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, request_id = time.perf_counter(), self.ids.new()
        ON_THE_SPOT.set(self.on_the_spot(scope["method"]))
        asked = Headers(scope=scope)
        cors = await self._cors_headers(scope, asked)
        statuses: list[int] = []

        async def framed(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                given = {name for name, _ in message["headers"]}
                added = [pair for pair in SECURITY if pair[0] not in given]
                added += cors
                added.append((b"x-request-id", request_id.encode()))
                message["headers"] = [*message["headers"], *added]
                if message["status"] == HTTPStatus.NO_CONTENT:
                    # It has no body to be of a type.
                    del MutableHeaders(scope=message)["Content-Type"]
                if _of_two_lengths(asked):
                    MutableHeaders(scope=message)["Connection"] = "close"  # RFC 9112 section 6.1
            await send(message)

        try:
            await self._answer(scope, asked, receive, framed, request_id, statuses)
        finally:
            took = (time.perf_counter() - started) * 1000
            _log(scope, request_id, statuses[0] if statuses else 500, took)

    async def _answer(
        self,
        scope: Scope,
        asked: Headers,
        receive: Receive,
        send: Send,
        request_id: str,
        statuses: list[int],
    ) -> None:
        answer: Response
        try:
            scope.setdefault("state", {})["request_id"] = request_id
            scope["state"]["context"] = RequestContext(
                request_id=request_id,
                origin=self.surroundings.origin(scope, asked),
                device=self.surroundings.device(scope, asked),
            )
            if _is_preflight(scope, asked):
                answer = Response(status_code=204)
            else:
                await self.app(scope, _bounded(asked, receive), send)
                return
        except Refusal as refusal:
            answer = of_refusal(refusal, request_id=request_id)
            scope["state"]["outcome"] = refusal.code
        except ClientDisconnect:  # before its body was whole: nobody is there to read this
            answer = problem(400, "bad_request", "The body broke off.", request_id=request_id)
            scope["state"]["outcome"] = "bad_request"
        except Exception:
            log.exception("request %s failed", request_id)
            scope["state"]["outcome"] = "internal_error"
            if statuses:  # an answer has begun
                raise
            detail = "Something went wrong on our side. Quote the request id when you report it."
            answer = problem(500, "internal_error", detail, request_id=request_id)
        await answer(scope, receive, send)

    async def _cors_headers(self, scope: Scope, asked: Headers) -> list[tuple[bytes, bytes]]:
        """Fetch standard, section 3.2.3: only what the application allows, never a wildcard."""
        match = APPLICATION_PATH.match(scope["path"])
        if match is None:
            return []
        origin = asked.get("origin")
        if origin is None or not await blocking(partial(self._allowed, match[1], origin)):
            return VARY
        allowed = {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED}
        return VARY + _raw(allowed | CORS_ANSWER if _is_preflight(scope, asked) else allowed)

    def _allowed(self, application_id: str, origin: str) -> bool:
        try:
            return self.allows(application_id, origin)
        except Refusal:
            return False


def _is_preflight(scope: Scope, asked: Headers) -> bool:
    asks = scope["method"] == "OPTIONS" and "origin" in asked
    return asks and "access-control-request-method" in asked


def _of_two_lengths(asked: Headers) -> bool:
    return "transfer-encoding" in asked and "content-length" in asked


def _bounded(asked: Headers, receive: Receive) -> Receive:
    """`receive`, refusing a body beyond the limit as soon as that is known."""
    if _of_two_lengths(asked):
        raise AmbiguousLength
    announced = asked.get("content-length", "0")
    if not LENGTH.fullmatch(announced) or int(announced) > MAX_BODY:
        raise BodyTooLarge
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY:
            raise BodyTooLarge
        return message

    return bounded


def _log(scope: Scope, request_id: str, status: int, milliseconds: float) -> None:
    """One line for each request: the route's template, for a path or a query may hold a secret."""
    if not log.isEnabledFor(logging.INFO):
        return
    route = scope.get("route")
    log.info(
        "%s %s %d",
        scope["method"],
        getattr(route, "path", "-"),
        status,
        extra={
            "request_id": request_id,
            "operation": getattr(route, "operation_id", None) or "-",
            "application": scope.get("path_params", {}).get("application_id", "-"),
            "status": status,
            "outcome": scope.get("state", {}).get("outcome", "ok"),
            "milliseconds": round(milliseconds, 1),
        },
    )
