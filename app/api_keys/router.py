"""API keys on the wire."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from app.api_keys.logic import ApiKeys
from app.api_keys.types import ApiKey, ApiKeyNotFound, ExpiresInPast
from app.common.errors import ApplicationNotFound
from app.common.ids import ApplicationId
from app.common.paging import Cursors
from app.web.access import Asking, DeploymentAdmin, RequireApplication
from app.web.bodies import DEFAULT_LIMIT, Body, Cursor, Limit, Listing, Moment, View, examples
from app.web.inject import provided
from app.web.openapi import refusals
from app.web.routes import router

Uses = Annotated[ApiKeys, provided(ApiKeys)]
Signs = Annotated[Cursors, provided(Cursors)]

admin = router("API keys")


class CreateApiKeyBody(Body):
    """A new API key."""

    model_config = ConfigDict(json_schema_extra=examples({"name": "deploy pipeline"}))

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    application_id: str | None = Field(
        None, max_length=64, description="The only application it administers; absent: all."
    )
    expires: Moment | None = Field(None, description="RFC 3339; absent: never.")


class ApiKeyView(View):
    """An API key without its secret."""

    id: str
    name: str
    application_id: str | None
    prefix: str = Field(description="The first characters of the key.")
    created: str
    expires: str | None
    last_used: str | None = Field(description="To the minute.")


class NewApiKeyView(ApiKeyView):
    """An API key, this once with the key itself."""

    key: str


def _members(key: ApiKey) -> dict[str, str | None]:
    return {
        "id": key.id,
        "name": key.name,
        "application_id": key.application_id,
        "prefix": key.shown,
        "created": key.created,
        "expires": key.expires,
        "last_used": key.last_used,
    }


@admin.post(
    "/v1/api-keys",
    operation_id="createApiKey",
    summary="Create an API key",
    status_code=201,
    responses=refusals(ApplicationNotFound, ExpiresInPast),
)
def create_api_key(
    _: DeploymentAdmin,
    by: Asking,
    body: CreateApiKeyBody,
    uses: Uses,
    exists: RequireApplication,
) -> NewApiKeyView:
    """Make a key for another administrator. `key` is shown this once."""
    application_id = None
    if body.application_id is not None:
        exists(body.application_id)
        application_id = ApplicationId(body.application_id)
    made, secret = uses.create(
        by, name=body.name, application_id=application_id, expires=body.expires
    )
    return NewApiKeyView.model_validate({**_members(made), "key": secret})


@admin.get("/v1/api-keys", operation_id="listApiKeys", summary="List API keys")
def list_api_keys(
    _: DeploymentAdmin,
    uses: Uses,
    cursors: Signs,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Listing[ApiKeyView]:
    """All keys of the deployment, oldest first; never the keys themselves."""
    page = uses.page(limit=limit, after=cursors.read("api-keys", cursor))
    return Listing(
        items=[ApiKeyView.model_validate(_members(key)) for key in page.entries],
        next_cursor=cursors.issue("api-keys", page.position),
    )


@admin.delete(
    "/v1/api-keys/{api_key_id}",
    operation_id="deleteApiKey",
    summary="Revoke an API key",
    status_code=204,
    responses=refusals(ApiKeyNotFound),
)
def delete_api_key(_: DeploymentAdmin, by: Asking, api_key_id: str, uses: Uses) -> None:
    """The key is refused from then on."""
    uses.delete(by, api_key_id)
