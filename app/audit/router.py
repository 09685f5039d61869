"""Audit trails on the wire."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from app.audit.logic import Journal
from app.audit.types import Audited, AuditEvent, InvalidPeriod, Wanted
from app.common.clock import rfc3339
from app.common.ids import ApplicationId, UserId
from app.common.paging import Cursors
from app.common.principals import ActorKind
from app.web.access import AdministeredApplication, DeploymentAdmin
from app.web.bodies import DEFAULT_LIMIT, Cursor, Limit, Listing, Moment, View
from app.web.inject import provided
from app.web.openapi import refusals
from app.web.routes import router

Uses = Annotated[Journal, provided(Journal)]
Signs = Annotated[Cursors, provided(Cursors)]
What = Annotated[Audited | None, Query(description="Only what is of this operation.")]
Whom = Annotated[str | None, Query(alias="userId", max_length=64, description="Only this user.")]
From = Annotated[
    Moment | None, Query(alias="from", description="RFC 3339; only what happened then or later.")
]
To = Annotated[Moment | None, Query(description="RFC 3339; only what happened before.")]

admin = router("Audit")


class ActorView(View):
    """Who did it."""

    type: ActorKind
    id: str | None = Field(description="Of the API key or the user; null if nobody was proved.")


class AuditEventView(View):
    """One thing that somebody did, or tried."""

    id: str
    time: str
    operation: str
    outcome: str = Field(description="`success` or `failure`.")
    application_id: str | None
    actor: ActorView
    user_id: str | None = Field(description="To whom.")
    email: str | None = Field(description="Whose address it is about.")
    ip_address: str
    user_agent: str
    request_id: str = Field(description="As the response and the log name it.")
    data: dict[str, Any]


def _view(event: AuditEvent) -> AuditEventView:
    by = event.caller
    return AuditEventView(
        id=event.id,
        time=event.time,
        operation=event.operation,
        outcome="success" if event.succeeded else "failure",
        application_id=event.application_id,
        actor=ActorView(type=by.actor, id=by.actor_id),
        user_id=event.user_id,
        email=event.email,
        ip_address=by.device.ip_address,
        user_agent=by.device.user_agent,
        request_id=by.request_id,
        data=event.data,
    )


@admin.get(
    "/v1/applications/{application_id}/audit-events",
    operation_id="listAuditEvents",
    summary="List what was done in an application",
    responses=refusals(InvalidPeriod),
)
def list_audit_events(
    application_id: AdministeredApplication,
    uses: Uses,
    cursors: Signs,
    operation: What = None,
    user_id: Whom = None,
    since: From = None,
    to: To = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Listing[AuditEventView]:
    """Who did what to whom, from where, newest first; kept for 400 days.

    A page may hold fewer items than asked for while `nextCursor` leads on to others.
    """
    whom = None if user_id is None else UserId(user_id)
    wanted = Wanted(user_id=whom, operation=operation, since=_text(since), until=_text(to))
    return _listing(uses, cursors, application_id, wanted, limit, cursor)


@admin.get(
    "/v1/audit-events",
    operation_id="listDeploymentAuditEvents",
    summary="List what was done to the deployment",
    responses=refusals(InvalidPeriod),
)
def list_deployment_audit_events(
    _: DeploymentAdmin,
    uses: Uses,
    cursors: Signs,
    operation: What = None,
    since: From = None,
    to: To = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Listing[AuditEventView]:
    """Applications that were created and deleted, API keys that were made and revoked."""
    wanted = Wanted(operation=operation, since=_text(since), until=_text(to))
    return _listing(uses, cursors, None, wanted, limit, cursor)


def _listing(
    uses: Journal,
    cursors: Cursors,
    application_id: ApplicationId | None,
    wanted: Wanted,
    limit: int,
    cursor: str | None,
) -> Listing[AuditEventView]:
    scope = f"audit {application_id or '-'} {wanted.user_id or '-'}"
    page = uses.page(application_id, wanted, limit=limit, after=cursors.read(scope, cursor))
    return Listing(
        items=[_view(event) for event in page.entries],
        next_cursor=cursors.issue(scope, page.position),
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
