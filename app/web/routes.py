"""The route class of every router: strict about who calls and about what a body is."""

import json
import math
import re
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from app.common.errors import Refusal
from app.web.access import KINDS
from app.web.blocking import unblocked
from app.web.problems import InvalidJson, UnsupportedMediaType

DEEPEST = 32
UNREADABLE: list[Any] = []  # no body of ours is a list
NO_BODY = {"type": "missing", "loc": ("body",), "msg": "Field required"}
# Whatever else a header may add would change what the body means, or is nothing of JSON's.
JSON = re.compile(r'application/json[ \t]*(;[ \t]*charset=("?)utf-8\2[ \t]*)?', re.IGNORECASE)
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ParsedRequest(Request):
    """A request whose JSON body has been read."""

    def __init__(self, request: Request, body: bytes, parsed: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._body = body
        self._parsed = parsed

    async def json(self) -> Any:
        """The body as `read_json` took it."""
        return self._parsed


class Route(APIRoute):
    """A route that names its caller and takes nothing but strict JSON."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, unblocked(endpoint), **options)
        self.caller = _caller(self.dependant, path)

    def get_route_handler(self) -> Handler:
        """FastAPI's handler behind our reading of the body."""
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler

        async def strict(request: Request) -> Response:
            body = await request.body()
            if not body:
                return await handler(request)
            fault: Exception | None = None
            parsed: Any = UNREADABLE
            try:
                parsed = _read(request, body)
            except (Refusal, RequestValidationError) as found:
                fault = found
            try:
                return await handler(ParsedRequest(request, body, parsed))
            except RequestValidationError:
                # FastAPI asks for the body before it asks who calls, and looks into it after: so
                # that whoever may not call hears that, and not what is wrong with the body.
                if fault is None:
                    raise
            raise fault

        return strict


def router(tag: str) -> APIRouter:
    """A router whose routes are `Route`s."""
    return APIRouter(route_class=Route, tags=[tag])


def read_json(body: bytes) -> Any:
    """JSON in UTF-8 (RFC 8259), without repeated names, NaN, lone surrogates or deep nesting.

    Raises:
        InvalidJson: it is anything else.
    """
    try:
        parsed = json.loads(
            body.decode(),
            object_pairs_hook=_once_each,
            parse_constant=_refuse,
            parse_float=_finite,
        )
    except (ValueError, RecursionError):
        raise InvalidJson from None
    _check_value(parsed, DEEPEST)
    return parsed


def _read(request: Request, body: bytes) -> Any:
    _check_type(request.headers.getlist("content-type"))
    parsed = read_json(body)
    if parsed is None:  # FastAPI takes it for no body at all, where none is needed
        raise RequestValidationError([NO_BODY])
    return parsed


def _check_type(content_types: list[str]) -> None:
    if len(content_types) != 1 or not JSON.fullmatch(content_types[0]):
        raise UnsupportedMediaType


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidJson
    return found


def _refuse(_: str) -> NoReturn:
    raise InvalidJson


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise InvalidJson
    return number


def _check_value(value: Any, depth: int) -> None:
    if depth < 0:
        raise InvalidJson
    if isinstance(value, str):
        _check_string(value)
    elif isinstance(value, list):
        for member in value:
            _check_value(member, depth - 1)
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_string(name)
            _check_value(member, depth - 1)


def _check_string(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate is no character
        raise InvalidJson from None


def _caller(dependant: Dependant, path: str) -> str:
    """The kind of caller that a route's signature names."""
    kinds = [KINDS[call.call] for call in dependant.dependencies if call.call in KINDS]
    if len(kinds) != 1:
        raise TypeError(f"{path} must say who may call it, once")
    return kinds[0]
