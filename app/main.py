"""The app: routers, error handlers, middleware; `app` is what uvicorn serves."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from app import __version__
from app.adapters import logs
from app.common.errors import CannotStart, Refusal
from app.settings import load
from app.web.areas import area, methods
from app.web.middleware import Frame
from app.web.problems import on_http_exception, on_invalid, on_refusal
from app.web.site import Site
from app.wiring import Services, build

DESCRIPTION = """\
One deployment serves many applications, each with its own users, signing keys and issuer.

**Try it here:** press *Authorize* and give the admin API key that the start names as `apiKey`.
Create an application, sign a user up, read the message in the local mailbox (`/dev/messages`),
verify, and give the `accessToken` of the answer as `accessToken`.
"""
# In the order in which a newcomer meets them.
TAGS = (
    "Applications",
    "Sign-up",
    "Sign-in",
    "Own account",
    "Password reset",
    "Users",
    "Keys",
    "Keys and discovery",
    "API keys",
    "Audit",
    "Deployment",
)
APPLICATION = "/v1/applications/[^/]+"
# FastAPI's own traces name paths and queries, and a query may hold a message's token.
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}


def _applications() -> Iterable[APIRouter]:
    from app.applications import router

    return (router.admin,)


def _keys() -> Iterable[APIRouter]:
    from app.applications import keys_router

    return keys_router.keys, keys_router.public


def _signup() -> Iterable[APIRouter]:
    from app.signup import router

    return (router.public,)


def _signin() -> Iterable[APIRouter]:
    from app.signin import router

    return (router.public,)


def _recovery() -> Iterable[APIRouter]:
    from app.recovery import router

    return router.public, router.own


def _account() -> Iterable[APIRouter]:
    from app.account import router

    return (router.own,)


def _pages() -> Iterable[APIRouter]:
    from app.recovery.pages import pages as recovery
    from app.signup.pages import pages as signup

    return signup, recovery


def _users() -> Iterable[APIRouter]:
    from app.users import router

    return (router.admin,)


def _api_keys() -> Iterable[APIRouter]:
    from app.api_keys import router

    return (router.admin,)


def _audit() -> Iterable[APIRouter]:
    from app.audit import router

    return (router.admin,)


def _site() -> Iterable[APIRouter]:
    from app.web import site_router

    return (site_router.public,)


def _start() -> Iterable[APIRouter]:
    from app.web import site_router

    return (site_router.local,)


def _messages() -> Iterable[APIRouter]:
    from app.messages import router

    return (router.local,)


# Each is imported with the first request for one of its paths, which spares a cold start 60 ms.
# `me` and the pages stand before `{userId}`, so that none of them is taken for somebody's id.
AREAS = (
    area(rf"/v1/applications|{APPLICATION}", _applications),
    area(rf"{APPLICATION}/(keys(/[^/]+)?|jwks\.json|\.well-known/[^/]+)", _keys),
    area(rf"{APPLICATION}/users(/verification(/send)?)?", _signup),
    area(rf"{APPLICATION}/users/token(/revoke)?", _signin),
    area(rf"{APPLICATION}/users(/me)?/password(/reset)?", _recovery),
    area(rf"{APPLICATION}/users/me(/sessions(/[^/]+)?)?", _account),
    area(rf"{APPLICATION}/users/(verification|password/reset)(/form)?", _pages),
    area(rf"{APPLICATION}/users(/[^/]+)?", _users),
    area(r"/v1/api-keys(/[^/]+)?", _api_keys),
    area(rf"({APPLICATION}|/v1)/audit-events", _audit),
    area(r"/(health|openapi\.json|(docs|static)(/[^/]+)?)", _site),
)
START = area("/", _start)
MAILBOX = area("/dev/messages", _messages)


def create_app(services: Services, *, one_at_a_time: bool = False) -> FastAPI:
    """The app over its services; each call makes one of its own.

    Args:
        services: what it runs on.
        one_at_a_time: whether it gets a request only when the last one is answered, as on Lambda.
    """
    app = FastAPI(
        title="Passerine",
        summary="A self-hosted authentication service.",
        description=DESCRIPTION,
        version=__version__,
        openapi_tags=[{"name": tag} for tag in TAGS],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        telemetry=NO_TELEMETRY,
    )
    app.state.services = services
    app.state.provided = services.provided
    app.state.callers = services.callers
    areas = [*AREAS]
    if services.local:
        areas.append(START)
    if services.has_mailbox:
        areas.append(MAILBOX)
    app.router.routes.extend(areas)
    app.state.areas = areas
    app.state.methods = partial(methods, areas)
    app.add_exception_handler(Refusal, on_refusal)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_middleware(
        Frame,
        surroundings=services.surroundings,
        allows=lambda application_id, origin: (
            origin in services.applications.require(application_id).settings.allowed_origins
        ),
        on_the_spot=lambda method: (
            one_at_a_time or (services.quick_reads and method in {"GET", "HEAD"})
        ),
        ids=services.ids,
    )
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign] # FastAPI's own way to extend it
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    from app.web import openapi

    if app.openapi_schema is None:
        app.openapi_schema = openapi.document(
            app, [route for one in app.state.areas for route in one.routes]
        )
    return app.openapi_schema


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    for one in app.state.areas:  # a server has the time for it now, and not in a request
        _ = one.routes
    if services.housekeeper.start():
        _print_start(services)
    yield
    services.housekeeper.stop()
    services.close()


def _print_start(services: Services) -> None:
    """Say where things are; of several workers one says it."""
    address = services.surroundings.public_url or _address()
    lines = [f"Passerine {__version__}", f"  docs       {address}/docs"]
    if services.has_mailbox:
        lines.append(f"  mailbox    {address}/dev/messages")
    lines.append(f"  admin key  {services.provided[Site].admin_key_place}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _address() -> str:
    """Where uvicorn was told to listen; it does not tell the app."""
    words = sys.argv[1:]
    given = dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
    given |= dict(pairwise(words))
    host = given.get("--host", os.environ.get("UVICORN_HOST", "127.0.0.1"))
    port = given.get("--port", os.environ.get("UVICORN_PORT", "8000"))
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - only what is printed
    return f"http://{shown}:{port}"


def _from_environment() -> FastAPI:
    try:
        settings = load(os.environ)
        logs.configure(level=settings.log_level, style=settings.log_format)
        services = build(settings)
    except CannotStart as error:
        import multiprocessing  # what only a server needs

        # With several workers uvicorn would start this one again and again.
        supervisor = multiprocessing.parent_process()
        if supervisor is not None and supervisor.pid is not None:
            os.kill(supervisor.pid, signal.SIGTERM)
        raise SystemExit(f"passerine cannot start: {error}") from None
    for note in services.notes:
        sys.stdout.write(note + "\n")
        sys.stdout.flush()
    return create_app(services)


def __getattr__(name: str) -> FastAPI:
    """`app`, made when uvicorn asks for it and not when a test imports this module."""
    if name != "app":
        raise AttributeError(name)
    made = _from_environment()
    globals()["app"] = made
    return made
