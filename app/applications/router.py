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
    ApplicationSuspended,
    SignUpMode,
    check_origin,
    check_text,
    check_url,
)
from app.common.paging import Cursors
from app.signing.types import Algorithm, KeyInUse, KeyNotFound, KeyState, SigningKey, TooManyKeys
from app.web.access import AdministeredApplication, Asking, ByApplication, DeploymentAdmin
from app.web.bodies import DEFAULT_LIMIT, Body, Cursor, Limit, Listing, View, examples
from app.web.context import Context
from app.web.inject import provided
from app.web.openapi import refusals
from app.web.routes import router

BASE = "/v1/applications/{application_id}"
MAX_NAME = 100
MAX_ORIGINS = 50
JWKS_SECONDS = 300

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
OpenApplication = Annotated[Application, ByApplication]

admin = router("Applications")
keys = router("Keys")
public = router("Keys and discovery")


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


class SigningKeyView(View):
    """A signing key, without its private half."""

    kid: str
    algorithm: Algorithm
    state: KeyState
    created: str


class KeysView(View):
    """RFC 7517, section 5."""

    keys: list[dict[str, Any]]


class ConfigurationView(View):
    """OpenID Provider metadata, as far as verifying tokens needs it (RFC 8414)."""

    model_config = ConfigDict(alias_generator=None)

    issuer: str
    jwks_uri: str
    id_token_signing_alg_values_supported: list[str]
    response_types_supported: list[str]
    subject_types_supported: list[str]


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


def _key_view(key: SigningKey) -> SigningKeyView:
    return SigningKeyView(
        kid=key.kid, algorithm=key.algorithm, state=key.state, created=key.created
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
    application_id: AdministeredApplication, uses: Uses, context: Context
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


@keys.post(
    BASE + "/keys",
    operation_id="rotateApplicationKeys",
    summary="Rotate the signing keys",
    status_code=201,
    responses=refusals(TooManyKeys),
)
def rotate_application_keys(
    application_id: AdministeredApplication, by: Asking, uses: Uses
) -> SigningKeyView:
    """The published `next` key signs from now on, the current one retires, a new `next` is made.

    `next` is published ahead because gateways cache the set for up to 2 hours: let that much time
    pass between two rotations.
    """
    return _key_view(uses.rotate_keys(application_id, by))


@keys.get(BASE + "/keys", operation_id="listApplicationKeys", summary="List the signing keys")
def list_application_keys(
    application_id: AdministeredApplication,
    uses: Uses,
    cursors: Signs,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Listing[SigningKeyView]:
    """The ring of an application, oldest key first; never private material."""
    scope = f"keys {application_id}"
    found = uses.published_keys(uses.require(application_id))
    after = cursors.read(scope, cursor)
    start = next((n + 1 for n, key in enumerate(found) if key.kid == after), 0)
    page = found[start : start + limit]
    more = start + limit < len(found)
    return Listing(
        items=[_key_view(key) for key in page],
        next_cursor=cursors.issue(scope, page[-1].kid if more else None),
    )


@keys.delete(
    BASE + "/keys/{kid}",
    operation_id="revokeApplicationKey",
    summary="Revoke a signing key",
    status_code=204,
    responses=refusals(KeyNotFound, KeyInUse),
)
def revoke_application_key(
    application_id: AdministeredApplication, by: Asking, kid: str, uses: Uses
) -> None:
    """Tokens signed by the key are refused at once, and it leaves the published set."""
    uses.revoke_key(application_id, kid, by)


@public.get(
    BASE + "/jwks.json",
    operation_id="readApplicationJwks",
    summary="Public keys",
    responses=refusals(ApplicationSuspended),
)
def read_application_jwks(application: OpenApplication, uses: Uses, response: Response) -> KeysView:
    """The RFC 7517 set of public keys, also at `{base}/.well-known/jwks.json`."""
    response.headers["Cache-Control"] = f"public, max-age={JWKS_SECONDS}"
    return KeysView(keys=[dict(key.jwk) for key in uses.published_keys(application)])


public.add_api_route(
    BASE + "/.well-known/jwks.json",
    read_application_jwks,
    methods=["GET"],
    response_model=KeysView,
    include_in_schema=False,
)


@public.get(
    BASE + "/.well-known/openid-configuration",
    operation_id="readOpenIdConfiguration",
    summary="Issuer metadata",
    responses=refusals(ApplicationSuspended),
)
def read_open_id_configuration(
    application: OpenApplication, uses: Uses, context: Context, response: Response
) -> ConfigurationView:
    """What a JWT verifier that knows the issuer alone needs to find the keys."""
    response.headers["Cache-Control"] = f"public, max-age={JWKS_SECONDS}"
    issuer = application.issuer(context.origin)
    algorithms = {key.algorithm.value for key in uses.published_keys(application)}
    return ConfigurationView(
        issuer=issuer,
        jwks_uri=f"{issuer}/jwks.json",
        id_token_signing_alg_values_supported=sorted(algorithms),
        response_types_supported=[],
        subject_types_supported=["public"],
    )
