"""Who may call a route: said in its signature, refused by default.

Every route takes exactly one of the four callers below; `Route` refuses to be built otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Request

from app.common.errors import ApplicationNotFound
from app.common.ids import ApplicationId
from app.common.principals import ActorKind, AdminPrincipal, Caller
from app.web.blocking import blocking
from app.web.context import Context, context_of
from app.web.problems import InvalidApiKey, NotPermitted

API_KEY_HEADER = "X-Api-Key"


@dataclass(frozen=True, kw_only=True, eq=False)
class Callers:
    """How callers are told from one another; wiring puts the areas' answers in.

    Attributes:
        admin: whose API key it is.
        application: the application of an id, or a refusal.
        open_application: the same, and refuses a suspended one.
        user: the user of an access token at an application and origin, or a refusal.
        no_token: the refusal for a request without one usable access token.
    """

    admin: Callable[[str], AdminPrincipal | None]
    application: Callable[[str], Any]
    open_application: Callable[[str], Any]
    user: Callable[[str, str, str], Any]
    no_token: Callable[[], Exception]


def _callers(request: Request) -> Callers:
    callers = request.app.state.callers
    assert isinstance(callers, Callers)
    return callers


async def _key_holder(request: Request) -> AdminPrincipal:
    offered = request.headers.getlist(API_KEY_HEADER)
    if len(offered) != 1:
        raise InvalidApiKey
    admin = await blocking(partial(_callers(request).admin, offered[0]))
    if admin is None:
        raise InvalidApiKey
    request.state.actor = ActorKind.ADMIN, admin.key_id
    return admin


async def deployment_admin(request: Request) -> AdminPrincipal:
    """The holder of a key for the whole deployment."""
    admin = await _key_holder(request)
    if admin.application_id is not None:
        raise NotPermitted
    return admin


async def addressed_application(request: Request, application_id: str) -> ApplicationId:
    """The id of an application that the key administers; others do not exist for it.

    For use cases that read the application anyway, and refuse one that does not exist.
    """
    admin = await _key_holder(request)
    if admin.application_id not in {None, application_id}:
        raise ApplicationNotFound
    return ApplicationId(application_id)


async def application_admin(request: Request, application_id: str) -> ApplicationId:
    """The id of an application that exists and that the key administers."""
    found = await addressed_application(request, application_id)
    await blocking(partial(_callers(request).application, application_id))
    return found


async def open_application(request: Request, application_id: str) -> Any:
    """The application of a public route, unless it is suspended."""
    request.state.actor = ActorKind.PUBLIC, None
    return await blocking(partial(_callers(request).open_application, application_id))


async def signed_in_user(request: Request, application_id: str) -> Any:
    """The user whose access token came with the request (RFC 6750 section 2.1)."""
    callers = _callers(request)
    headers = request.headers.getlist("authorization")
    scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token or " " in token:
        raise callers.no_token()
    principal = await blocking(
        partial(callers.user, application_id, token, context_of(request).origin)
    )
    request.state.actor = ActorKind.USER, principal.user.id
    return principal


async def anyone() -> None:
    """A route of the deployment that says nothing about anybody."""


ADMIN, USER, PUBLIC = "admin", "user", "public"
KINDS: dict[Callable[..., Any], str] = {
    deployment_admin: ADMIN,
    addressed_application: ADMIN,
    application_admin: ADMIN,
    signed_in_user: USER,
    open_application: PUBLIC,
    anyone: PUBLIC,
}

DeploymentAdmin = Annotated[AdminPrincipal, Depends(deployment_admin)]
AddressedApplication = Annotated[ApplicationId, Depends(addressed_application)]
AdministeredApplication = Annotated[ApplicationId, Depends(application_admin)]
ByUser = Depends(signed_in_user)
ByApplication = Depends(open_application)
Anyone = Annotated[None, Depends(anyone)]


async def _asking(request: Request, context: Context) -> Caller:
    actor, actor_id = request.state.actor
    return Caller(
        actor=actor,
        actor_id=actor_id,
        origin=context.origin,
        device=context.device,
        request_id=context.request_id,
    )


# Who asks, as the route's own caller has shown; stands behind that one in the signature.
Asking = Annotated[Caller, Depends(_asking)]


async def _require_application(request: Request) -> Callable[[str], Any]:
    return _callers(request).application


# For a body that names an application: refuses one that does not exist.
RequireApplication = Annotated[Callable[[str], Any], Depends(_require_application)]
