"""Users on the wire, for administrators."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import ConfigDict, Field

from app.common.paging import Cursors
from app.users.logic import UserChanges, Users
from app.users.types import InvalidEmail, MetadataTooLarge, UserNotFound, UserState
from app.users.views import AdminUserView, admin_user_view
from app.web.access import AdministeredApplication, Asking
from app.web.bodies import (
    DEFAULT_LIMIT,
    Body,
    Cursor,
    Limit,
    Listing,
    Metadata,
    examples,
)
from app.web.inject import provided
from app.web.openapi import refusals
from app.web.routes import router

BASE = "/v1/applications/{application_id}/users"
Uses = Annotated[Users, provided(Users)]
Signs = Annotated[Cursors, provided(Cursors)]
State = Annotated[UserState, Field(strict=False)]

admin = router("Users")


class UpdateUserBody(Body):
    """What an administrator may change; what is absent stays."""

    model_config = ConfigDict(json_schema_extra=examples({"state": "suspended"}))

    state: State | None = Field(None, description="`suspended` ends every session.")
    metadata: Metadata | None = Field(None, description="The user may change it too.")
    app_metadata: Metadata | None = Field(None, description="For administrators alone.")

    def changes(self) -> UserChanges:
        """What the client named; `null` resets to the default."""
        defaults: dict[str, Any] = {"state": UserState.ACTIVE, "metadata": {}, "app_metadata": {}}
        named = {name: getattr(self, name) for name in self.model_fields_set}
        return UserChanges(**{n: defaults[n] if v is None else v for n, v in named.items()})


@admin.get(BASE, operation_id="listUsers", summary="List users", responses=refusals(InvalidEmail))
def list_users(
    application_id: AdministeredApplication,
    uses: Uses,
    cursors: Signs,
    email: Annotated[
        str | None, Query(max_length=254, description="Only the user of exactly this address.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Listing[AdminUserView]:
    """The users of an application, newest first."""
    scope = f"users {application_id}"
    after = cursors.read(scope, cursor)
    if email is not None:
        found = uses.find_by_email(application_id, email)
        items = [] if found is None else [admin_user_view(found)]
        return Listing(items=items, next_cursor=None)
    page = uses.page(application_id, limit=limit, after=after)
    return Listing(
        items=[admin_user_view(user) for user in page.entries],
        next_cursor=cursors.issue(scope, page.position),
    )


@admin.get(
    BASE + "/{user_id}",
    operation_id="readUser",
    summary="Read a user",
    responses=refusals(UserNotFound),
)
def read_user(application_id: AdministeredApplication, user_id: str, uses: Uses) -> AdminUserView:
    """One user of an application."""
    return admin_user_view(uses.require(application_id, user_id))


@admin.patch(
    BASE + "/{user_id}",
    operation_id="updateUser",
    summary="Change a user",
    responses=refusals(UserNotFound, MetadataTooLarge),
)
def update_user(
    application_id: AdministeredApplication,
    by: Asking,
    user_id: str,
    body: UpdateUserBody,
    uses: Uses,
) -> AdminUserView:
    """Suspend a user or let them in again, and keep data about them."""
    return admin_user_view(uses.update(application_id, user_id, body.changes(), by))


@admin.delete(
    BASE + "/{user_id}",
    operation_id="deleteUser",
    summary="Delete a user",
    status_code=204,
    responses=refusals(UserNotFound),
)
def delete_user(
    application_id: AdministeredApplication, by: Asking, user_id: str, uses: Uses
) -> None:
    """Delete a user with their sign-in records, sessions and pending tokens."""
    uses.delete(application_id, user_id, by)
