"""Routes that are built when the first request for one of them comes."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from fastapi import APIRouter
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from app.web.routes import Route


@dataclass(frozen=True, eq=False)
class Area(BaseRoute):
    """The routes of some routers.

    FastAPI works out what each route takes and gives when the route is made: half a millisecond
    each, and its bodies and views as much again. A function that answers one kind of request
    makes those alone.

    Attributes:
        paths: a pattern that the path of every one of the routes fits; it may fit others too.
        build: imports the routers.
    """

    paths: re.Pattern[str]
    build: Callable[[], Iterable[APIRouter]]

    @cached_property
    def routes(self) -> Sequence[Route]:
        """All of them, in the order in which they are asked."""
        found = [route for router in self.build() for route in router.routes]
        assert all(isinstance(route, Route) for route in found)
        return found  # type: ignore[return-value] # as just asserted

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """The first route that takes the path and the method, or else the first for the path."""
        partial: tuple[Match, Scope] = Match.NONE, {}
        if scope["type"] != "http" or not self.paths.fullmatch(_path(scope)):
            return partial
        for route in self.routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                return match, found
            if match is Match.PARTIAL and partial[0] is Match.NONE:
                partial = match, found
        return partial

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route answer that `matches` has put into the scope."""
        await scope["route"].handle(scope, receive, send)


def area(paths: str, build: Callable[[], Iterable[APIRouter]]) -> Area:
    """An area for the paths of a pattern."""
    return Area(re.compile(paths), build)


def methods(areas: Iterable[Area], scope: Scope) -> set[str]:
    """The methods that the address of a request takes."""
    path = _path(scope)
    there = (route for one in areas if one.paths.fullmatch(path) for route in one.routes)
    taken = (route.methods or () for route in there if route.path_regex.match(path))
    return {method for some in taken for method in some}


def _path(scope: Scope) -> str:
    """The path behind the prefix that a server was told to take off (ASGI's `root_path`)."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
