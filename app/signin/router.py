"""Signing in on the wire."""

from functools import partial
from typing import Annotated, Any

from pydantic import ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from app.applications.types import Application, ApplicationSuspended
from app.limits.types import TooManyAttempts
from app.passwords.types import InvalidCredentials
from app.sessions.types import InvalidRefreshToken
from app.signin.logic import SignIns
from app.tokens.views import GrantView, grant_view
from app.users.types import InvalidEmail, UserSuspended
from app.web.access import Asking, ByApplication
from app.web.blocking import blocking
from app.web.bodies import Body, Email, Password, Token, examples
from app.web.inject import provided
from app.web.lane import Lane
from app.web.openapi import refusals
from app.web.pace import Pace
from app.web.routes import router

BASE = "/v1/applications/{application_id}/users"
Uses = Annotated[SignIns, provided(SignIns)]
Hashing = Annotated[Lane, provided(Lane)]
Paced = Annotated[Pace, provided(Pace)]
OpenApplication = Annotated[Application, ByApplication]

public = router("Sign-in")


def _texts(*names: str) -> dict[str, Any]:
    """The named members are texts, the others are not there."""
    every = ("email", "password", "refreshToken")
    return {name: {"type": "string"} if name in names else False for name in every}


class RequestUserTokenBody(Body):
    """Either an address and a password, or a refresh token."""

    model_config = ConfigDict(
        json_schema_extra={
            **examples(
                {"email": "ada@example.com", "password": "correct horse battery staple"},
                {"refreshToken": "AZWfPmsscjqdV0ug06HF8gGVnz5r…"},
            ),
            "oneOf": [
                {"required": ["email", "password"], "properties": _texts("email", "password")},
                {"required": ["refreshToken"], "properties": _texts("refreshToken")},
            ],
        }
    )

    email: Email | None = None
    password: Password | None = None
    refresh_token: Token | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_of_two(cls, body: Any) -> Any:
        """Refuse both, neither and halves: whose tokens are asked for must be plain."""
        if isinstance(body, dict):
            by_password = {"email", "password"} & body.keys()
            if by_password and "refreshToken" in body:
                raise PydanticCustomError("ambiguous", "send a password or a refresh token")
            if not by_password and "refreshToken" not in body:
                raise PydanticCustomError("missing", "send email and password, or refreshToken")
            for name in ("email", "password"):
                if by_password and name not in by_password:
                    raise PydanticCustomError("missing", f"{name} is required")
            if None in body.values():
                raise PydanticCustomError("missing", "null is no credential")
        return body


class RevokeUserTokenBody(Body):
    """Whose session is over."""

    refresh_token: Token


@public.post(
    BASE + "/token",
    operation_id="requestUserToken",
    summary="Sign in, or stay signed in",
    responses=refusals(
        ApplicationSuspended,
        InvalidEmail,
        InvalidCredentials,
        InvalidRefreshToken,
        UserSuspended,
        TooManyAttempts,
    ),
)
async def request_user_token(
    application: OpenApplication,
    by: Asking,
    body: RequestUserTokenBody,
    uses: Uses,
    hashing: Hashing,
    pace: Paced,
) -> GrantView:
    """Give an address and a password, or a refresh token, for a new pair of tokens.

    A refresh token is good once. Used again within 10 seconds it gets the session's current one;
    used later, the whole session ends.
    """
    if body.refresh_token is not None:
        token = body.refresh_token
        call = partial(uses.with_refresh_token, application, token=token, by=by)
        return grant_view(await blocking(call))
    assert body.email is not None
    assert body.password is not None
    email, password = body.email, body.password
    sign_in = partial(uses.with_password, application, email=email, password=password, by=by)
    return grant_view(await pace.keep(sign_in, lane=hashing, refusals_alone=True))


@public.post(
    BASE + "/token/revoke",
    operation_id="revokeUserToken",
    summary="Sign out",
    status_code=204,
    responses=refusals(ApplicationSuspended),
)
def revoke_user_token(
    application: OpenApplication, by: Asking, body: RevokeUserTokenBody, uses: Uses
) -> None:
    """End the session of a refresh token (RFC 7009); an unknown one is answered alike."""
    uses.revoke(application, token=body.refresh_token, by=by)
