"""The own account on the wire."""

from typing import Annotated

from pydantic import ConfigDict, Field

from app.applications.types import ApplicationSuspended
from app.common.paging import Cursors
from app.sessions.logic import Sessions
from app.sessions.types import Session, SessionNotFound
from app.tokens.types import InvalidToken
from app.tokens.views import SignedIn
from app.users.logic import UserChanges, Users
from app.users.types import MetadataTooLarge
from app.users.views import UserView, user_view
from app.web.access import Asking
from app.web.bodies import DEFAULT_LIMIT, Body, Cursor, Limit, Listing, Metadata, View, examples
from app.web.inject import provided
from app.web.openapi import refusals
from app.web.routes import router

ME = "/v1/applications/{application_id}/users/me"
SESSIONS = ME + "/sessions"
ALWAYS = (ApplicationSuspended, InvalidToken)
UsesUsers = Annotated[Users, provided(Users)]
UsesSessions = Annotated[Sessions, provided(Sessions)]
Signs = Annotated[Cursors, provided(Cursors)]

own = router("Own account")


class UpdateCurrentUserBody(Body):
    """What users may change in their own account."""

    model_config = ConfigDict(json_schema_extra=examples({"metadata": {"theme": "dark"}}))

    metadata: Metadata | None = Field(
        None, description="Takes the place of the old; at most 8 KiB of JSON."
    )


class SessionView(View):
    """A sign-in that has not ended."""

    id: str
    created: str
    last_used: str
    user_agent: str
    ip_address: str
    current: bool = Field(description="Whether this request belongs to it.")


def _view(session: Session, current: Session) -> SessionView:
    return SessionView(
        id=session.id,
        created=session.created,
        last_used=session.last_used,
        user_agent=session.user_agent,
        ip_address=session.ip_address,
        current=session.id == current.id,
    )


@own.get(
    ME, operation_id="readCurrentUser", summary="Read the own account", responses=refusals(*ALWAYS)
)
async def read_current_user(principal: SignedIn) -> UserView:
    """Who is signed in."""
    return user_view(principal.user)


@own.patch(
    ME,
    operation_id="updateCurrentUser",
    summary="Change the own account",
    responses=refusals(*ALWAYS, MetadataTooLarge),
)
def update_current_user(
    principal: SignedIn, by: Asking, body: UpdateCurrentUserBody, uses: UsesUsers
) -> UserView:
    """Set the own metadata; `null` empties it."""
    named = "metadata" in body.model_fields_set
    changes = UserChanges(metadata=(body.metadata or {}) if named else None)
    return user_view(uses.update(principal.application.id, principal.user.id, changes, by))


@own.delete(
    ME,
    operation_id="deleteCurrentUser",
    summary="Delete the own account",
    status_code=204,
    responses=refusals(*ALWAYS),
)
def delete_current_user(principal: SignedIn, by: Asking, uses: UsesUsers) -> None:
    """User, sign-in records, sessions and pending tokens are gone."""
    uses.delete(principal.application.id, principal.user.id, by)


@own.get(
    SESSIONS,
    operation_id="listCurrentUserSessions",
    summary="List the own sessions",
    responses=refusals(*ALWAYS),
)
def list_current_user_sessions(
    principal: SignedIn,
    uses: UsesSessions,
    cursors: Signs,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Listing[SessionView]:
    """Where the user is signed in, newest first."""
    scope = f"sessions {principal.application.id} {principal.user.id}"
    page = uses.page(principal.user, limit=limit, after=cursors.read(scope, cursor))
    return Listing(
        items=[_view(session, principal.session) for session in page.entries],
        next_cursor=cursors.issue(scope, page.position),
    )


@own.delete(
    SESSIONS,
    operation_id="deleteCurrentUserSessions",
    summary="Sign out everywhere",
    status_code=204,
    responses=refusals(*ALWAYS),
)
def delete_current_user_sessions(principal: SignedIn, by: Asking, uses: UsesSessions) -> None:
    """Every session ends, this one too."""
    uses.end_all(principal.user, by)


@own.delete(
    SESSIONS + "/{session_id}",
    operation_id="deleteCurrentUserSession",
    summary="End one of the own sessions",
    status_code=204,
    responses=refusals(*ALWAYS, SessionNotFound),
)
def delete_current_user_session(
    principal: SignedIn, by: Asking, session_id: str, uses: UsesSessions
) -> None:
    """The session's tokens are refused from then on."""
    uses.end(principal.user, session_id, by)
