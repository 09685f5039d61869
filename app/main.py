"""The app: routers, error handlers, middleware; `app` is what uvicorn serves."""

import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app import __version__
from app.account import router as account
from app.adapters import logs
from app.api_keys import router as api_keys
from app.applications import router as applications
from app.audit import router as audit
from app.common.errors import CannotStart, Refusal
from app.messages import router as messages
from app.recovery import pages as recovery_pages
from app.recovery import router as recovery
from app.settings import load
from app.signin import router as signin
from app.signup import pages as signup_pages
from app.signup import router as signup
from app.users import router as users
from app.web import openapi, site
from app.web.middleware import Frame
from app.web.problems import on_http_exception, on_invalid, on_refusal
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
# `me` and the pages stand before `{userId}`, so that none of them is taken for somebody's id.
ROUTERS = (
    applications.admin,
    applications.keys,
    applications.public,
    signup.public,
    signin.public,
    recovery.public,
    recovery.own,
    account.own,
    signup_pages.pages,
    recovery_pages.pages,
    users.admin,
    api_keys.admin,
    audit.admin,
    site.public,
)


def create_app(services: Services) -> FastAPI:
    """The app over its services; each call makes one of its own."""
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
    )
    app.state.services = services
    app.state.provided = services.provided
    app.state.callers = services.callers
    routers = [*ROUTERS]
    if services.local:
        routers.append(site.local)
    if services.has_mailbox:
        routers.append(messages.local)
    for router in routers:
        app.include_router(router)
    # FastAPI keeps the routers; what each of them holds is asked for by `Allow` and the document.
    app.state.routes = [route for router in routers for route in router.routes]
    app.add_exception_handler(Refusal, on_refusal)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_middleware(
        Frame,
        surroundings=services.surroundings,
        allows=lambda application_id, origin: (
            origin in services.applications.require(application_id).settings.allowed_origins
        ),
        ids=services.ids,
    )
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign] # FastAPI's own way to extend it
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = openapi.document(app, app.state.routes)
    return app.openapi_schema


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
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
    lines.append(f"  admin key  {services.provided[site.Site].admin_key_place}")
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
