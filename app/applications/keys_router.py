"""An application's signing keys on the wire: for its owner, and for who verifies its tokens."""

from typing import Annotated, Any

from fastapi import Response
from pydantic import ConfigDict

from app.applications.logic import Applications
from app.applications.types import Application, ApplicationSuspended
from app.common.paging import Cursors
from app.signing.types import Algorithm, KeyInUse, KeyNotFound, KeyState, SigningKey, TooManyKeys
from app.web.access import AdministeredApplication, Asking, ByApplication
from app.web.bodies import DEFAULT_LIMIT, Cursor, Limit, Listing, View
from app.web.context import Context
from app.web.inject import provided
from app.web.openapi import refusals
from app.web.routes import router

BASE = "/v1/applications/{application_id}"
JWKS_SECONDS = 300

Uses = Annotated[Applications, provided(Applications)]
Signs = Annotated[Cursors, provided(Cursors)]
OpenApplication = Annotated[Application, ByApplication]

keys = router("Keys")
public = router("Keys and discovery")


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


def _key_view(key: SigningKey) -> SigningKeyView:
    return SigningKeyView(
        kid=key.kid, algorithm=key.algorithm, state=key.state, created=key.created
    )


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
