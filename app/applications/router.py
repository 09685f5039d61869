"""Applications and their keys on the wire."""

from dataclasses import fields
from typing import Annotated, Any

from fastapi import Response
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from app.applications.logic import Applications
from app.applications.types import (
    MAX_URL,
    Application,
    ApplicationHasUsers,
    ApplicationSettings,
    ApplicationState,
    SignUpMode,
    check_origin,
    check_text,
    check_url,
)
from app.common.paging import Cursors
from app.signing.types import Algorithm, TooManyKeys
from app.web.access import (
    AddressedApplication,
    AdministeredApplication,
    Asking,
    DeploymentAdmin,
)
from app.web.bodies import DEFAULT_LIMIT, Body, Cursor, Limit, Listing, View, examples
from app.web.context import Context
from app.web.inject import provided
from app.web.openapi import refusals
from app.web.routes import router

BASE = "/v1/applications/{application_id}"
MAX_NAME = 100
MAX_ORIGINS = 50

Text = Annotated[str, StringConstraints(max_length=MAX_NAME), AfterValidator(check_text)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL), AfterValidator(check_url)]
Origin = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_URL), AfterValidator(check_origin)
]
Audience = Annotated[
    str, StringConstraints(min_length=1, max_length=255), AfterValidator(check_text)
]
# Enumerations come as JSON strings: they alone are read by value.
State = Annotated[ApplicationState, Field(strict=False)]
SignUp = Annotated[SignUpMode, Field(strict=False)]
SigningAlgorithm = Annotated[Algorithm, Field(strict=False)]
Uses = Annotated[Applications, provided(Applications)]
Signs = Annotated[Cursors, provided(Cursors)]

admin = router("Applications")


class ApplicationBody(Body):
    """Settings of an application. What is absent stays; `null` means the default."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {"name": "Songbook", "emailFromName": "Songbook", "accessTokenLifetime": 600}
        )
    )

    name: Text | None = Field(None, description="Shown to users in messages and on pages.")
    application_state: State | None = Field(
        None, description="`suspended` refuses every public and user operation."
    )
    email_from_name: Text | None = Field(None, description="The sender's name in messages.")
    verification_url: Url | None = Field(
        None, description="Your page for verification links; `token` is added to its query."
    )
    reset_password_url: Url | None = Field(
        None, description="Your page for reset links; `token` is added to its query."
    )
    allowed_origins: list[Origin] | None = Field(
        None, max_length=MAX_ORIGINS, description="Origins whose pages may call (CORS)."
    )
    sign_up: SignUp | None = Field(None, description="`closed` takes no new users.")
    audience: Audience | None = Field(
        None, description="`aud` of access tokens; default: the application's id."
    )
    signing_algorithm: SigningAlgorithm | None = Field(
        None, description="Default RS256, which API Gateway's JWT authorizers understand."
    )
    access_token_lifetime: Annotated[int, Field(ge=60, le=86_400)] | None = Field(
        None, description="Seconds; default 900."
    )
    refresh_token_lifetime: Annotated[int, Field(ge=60, le=31_536_000)] | None = Field(
        None, description="Seconds that a session may lie idle; default 2,592,000 (30 days)."
    )
    session_lifetime: Annotated[int, Field(ge=60, le=31_536_000)] | None = Field(
        None, description="Seconds that a session may last; default 7,776,000 (90 days)."
    )
    password_min_length: Annotated[int, Field(ge=8, le=64)] | None = Field(
        None, description="Characters; default 8."
    )

    def changes(self) -> dict[str, Any]:
        """The settings that the client named, `null` as the default."""
        named = {name: getattr(self, name) for name in self.model_fields_set}
        if named.get("allowed_origins") is not None:
            named["allowed_origins"] = tuple(dict.fromkeys(named["allowed_origins"]))
        defaults = {field.name: field.default for field in fields(ApplicationSettings)}
        return {name: defaults[name] if v is None else v for name, v in named.items()}


class ApplicationView(View):
    """An application."""

    id: str
    name: str
    application_state: ApplicationState
    email_from_name: str
    verification_url: str | None
    reset_password_url: str | None
    allowed_origins: list[str]
    sign_up: SignUpMode
    audience: str | None
    signing_algorithm: Algorithm
    access_token_lifetime: int
    refresh_token_lifetime: int
    session_lifetime: int
    password_min_length: int
    user_count: int = Field(description="Verified users, counted exactly.")
    issuer: str = Field(description="`iss` of its tokens; give this to JWT verifiers.")
    jwks_uri: str
    created: str
    updated: str


def _view(application: Application, users: int, origin: str) -> ApplicationView:
    settings = {f.name: getattr(application.settings, f.name) for f in fields(ApplicationSettings)}
    return ApplicationView(
        **{**settings, "allowed_origins": list(application.settings.allowed_origins)},
        id=application.id,
        user_count=users,
        issuer=application.issuer(origin),
        jwks_uri=f"{application.issuer(origin)}/jwks.json",
        created=application.created,
        updated=application.updated,
    )


@admin.post(
    "/v1/applications",
    operation_id="createApplication",
    summary="Create an application",
    status_code=201,
    response_description="The application, ready to take users.",
)
def create_application(
    _: DeploymentAdmin,
    by: Asking,
    uses: Uses,
    response: Response,
    body: ApplicationBody | None = None,
) -> ApplicationView:
    """Make a tenant with its own users, signing keys and issuer. Every setting has a default."""
    settings = ApplicationSettings(**(body.changes() if body else {}))
    application = uses.create(settings, by)
    response.headers["Location"] = f"{by.origin}{application.path}"
    return _view(application, 0, by.origin)


@admin.get("/v1/applications", operation_id="listApplications", summary="List applications")
def list_applications(
    _: DeploymentAdmin,
    uses: Uses,
    cursors: Signs,
    context: Context,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Listing[ApplicationView]:
    """All applications of the deployment, oldest first."""
    page = uses.page(limit=limit, after=cursors.read("applications", cursor))
    return Listing(
        items=[_view(application, users, context.origin) for application, users in page.entries],
        next_cursor=cursors.issue("applications", page.position),
    )


@admin.get(BASE, operation_id="readApplication", summary="Read an application")
def read_application(
    application_id: AddressedApplication, uses: Uses, context: Context
) -> ApplicationView:
    """An application with its settings and its number of users."""
    return _view(*uses.read(application_id), context.origin)


@admin.patch(
    BASE,
    operation_id="updateApplication",
    summary="Change an application",
    responses=refusals(TooManyKeys),
)
def update_application(
    application_id: AdministeredApplication, by: Asking, body: ApplicationBody, uses: Uses
) -> ApplicationView:
    """JSON merge: what is absent stays, `null` resets to the default.

    Another `signingAlgorithm` signs at once with new keys; verifiers fetch the set again when
    they meet the unknown `kid`.
    """
    uses.update(application_id, body.changes(), by)
    return _view(*uses.read(application_id), by.origin)


@admin.delete(
    BASE,
    operation_id="deleteApplication",
    summary="Delete an application",
    status_code=204,
    responses=refusals(ApplicationHasUsers),
)
def delete_application(application_id: AdministeredApplication, by: Asking, uses: Uses) -> None:
    """Delete an application and destroy its keys. Refused while one user is left."""
    uses.delete(application_id, by)
