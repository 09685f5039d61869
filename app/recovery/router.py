"""Resetting and changing passwords on the wire."""

from functools import partial
from typing import Annotated

from pydantic import ConfigDict

from app.applications.types import Application, ApplicationSuspended
from app.limits.types import TooManyAttempts
from app.passwords.types import (
    InvalidCredentials,
    PasswordTooCommon,
    PasswordTooLong,
    PasswordTooShort,
)
from app.recovery.logic import Recoveries
from app.recovery.types import InvalidResetToken
from app.tokens.types import InvalidToken
from app.tokens.views import SignedIn
from app.users.types import InvalidEmail
from app.web.access import Asking, ByApplication
from app.web.bodies import Body, Email, Empty, Password, Token, examples
from app.web.inject import provided
from app.web.lane import Lane
from app.web.openapi import refusals
from app.web.pace import Pace
from app.web.routes import router

BASE = "/v1/applications/{application_id}/users"
POLICY = (PasswordTooShort, PasswordTooLong, PasswordTooCommon)
Uses = Annotated[Recoveries, provided(Recoveries)]
Hashing = Annotated[Lane, provided(Lane)]
Paced = Annotated[Pace, provided(Pace)]
OpenApplication = Annotated[Application, ByApplication]

public = router("Password reset")
own = router("Own account")


class RequestPasswordResetBody(Body):
    """Whose password."""

    model_config = ConfigDict(json_schema_extra=examples({"email": "ada@example.com"}))

    email: Email


class UpdatePasswordBody(Body):
    """What the message brought, and the new password."""

    token: Token
    password: Password


class ChangePasswordBody(Body):
    """The password as it is and as it shall be."""

    current_password: Password
    new_password: Password


@public.post(
    BASE + "/password/reset",
    operation_id="requestPasswordReset",
    summary="Ask for a reset message",
    status_code=202,
    response_description="The same answer, whether or not the address is known.",
    responses=refusals(ApplicationSuspended, InvalidEmail),
)
async def request_password_reset(
    application: OpenApplication,
    by: Asking,
    body: RequestPasswordResetBody,
    uses: Uses,
    pace: Paced,
) -> Empty:
    """Send a link that is good for 30 minutes; the link before it is void."""
    await pace.keep(partial(uses.request, application, email=body.email, by=by))
    return Empty()


@public.put(
    BASE + "/password",
    operation_id="updatePassword",
    summary="Set a new password by a reset token",
    status_code=204,
    responses=refusals(ApplicationSuspended, InvalidResetToken, *POLICY),
)
async def update_password(
    application: OpenApplication,
    by: Asking,
    body: UpdatePasswordBody,
    uses: Uses,
    hashing: Hashing,
) -> None:
    """Every session of the user ends, and a notice goes to the user."""
    await hashing.run(
        partial(uses.complete, application, token=body.token, password=body.password, by=by)
    )


@own.put(
    BASE + "/me/password",
    operation_id="changeCurrentUserPassword",
    summary="Change the own password",
    status_code=204,
    responses=refusals(
        ApplicationSuspended, InvalidToken, InvalidCredentials, TooManyAttempts, *POLICY
    ),
)
async def change_current_user_password(
    principal: SignedIn, by: Asking, body: ChangePasswordBody, uses: Uses, hashing: Hashing
) -> None:
    """Every other session of the user ends, and a notice goes to the user."""
    current, new = body.current_password, body.new_password
    await hashing.run(partial(uses.change, principal, current=current, new=new, by=by))
