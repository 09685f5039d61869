"""Sign-up on the wire."""

from functools import partial
from typing import Annotated

from pydantic import ConfigDict, Field

from app.applications.types import Application, ApplicationSuspended
from app.limits.types import TooManyAttempts
from app.passwords.types import (
    InvalidCredentials,
    PasswordTooCommon,
    PasswordTooLong,
    PasswordTooShort,
)
from app.signup.logic import SignUps
from app.signup.types import InvalidVerificationToken, SignUpClosed
from app.tokens.views import GrantView, grant_view
from app.users.types import InvalidEmail, MetadataTooLarge
from app.web.access import Asking, ByApplication
from app.web.bodies import Body, Email, Empty, Metadata, Password, Token, examples
from app.web.inject import provided
from app.web.lane import Lane
from app.web.openapi import refusals
from app.web.pace import Pace
from app.web.routes import router

BASE = "/v1/applications/{application_id}/users"
Uses = Annotated[SignUps, provided(SignUps)]
Hashing = Annotated[Lane, provided(Lane)]
Paced = Annotated[Pace, provided(Pace)]
OpenApplication = Annotated[Application, ByApplication]

public = router("Sign-up")


class CreateUserBody(Body):
    """Who wants to be a user."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {"email": "ada@example.com", "password": "correct horse battery staple"}
        )
    )

    email: Email
    password: Password
    metadata: Metadata = Field(default={}, description="At most 8 KiB of JSON.")


class EmailBody(Body):
    """Whose address."""

    model_config = ConfigDict(json_schema_extra=examples({"email": "ada@example.com"}))

    email: Email


class VerifyUserBody(Body):
    """What the message brought, and the password chosen at sign-up."""

    token: Token
    password: Password


@public.post(
    BASE,
    operation_id="createUser",
    summary="Sign up",
    status_code=202,
    response_description="A message is on its way, whoever the address belongs to.",
    responses=refusals(
        ApplicationSuspended,
        SignUpClosed,
        InvalidEmail,
        PasswordTooShort,
        PasswordTooLong,
        PasswordTooCommon,
        MetadataTooLarge,
        TooManyAttempts,
    ),
)
async def create_user(
    application: OpenApplication,
    by: Asking,
    body: CreateUserBody,
    uses: Uses,
    hashing: Hashing,
    pace: Paced,
) -> Empty:
    """Invite an address. A new one gets a verification link, a taken one a notice.

    The user exists once the link's token has come back with the same password.
    """
    request = partial(
        uses.request,
        application,
        email=body.email,
        password=body.password,
        metadata=body.metadata,
        by=by,
    )
    await pace.keep(request, lane=hashing)
    return Empty()


@public.post(
    BASE + "/verification/send",
    operation_id="sendEmailVerification",
    summary="Send the verification message again",
    status_code=202,
    response_description="The same answer, whether or not there was anything to send.",
    responses=refusals(ApplicationSuspended, InvalidEmail),
)
async def send_email_verification(
    application: OpenApplication, by: Asking, body: EmailBody, uses: Uses, pace: Paced
) -> Empty:
    """Send the latest invitation of an address again; its earlier link is void from then on."""
    await pace.keep(partial(uses.send_again, application, email=body.email, by=by))
    return Empty()


@public.post(
    BASE + "/verification",
    operation_id="verifyUser",
    summary="Verify the address and sign in",
    responses=refusals(ApplicationSuspended, InvalidVerificationToken, InvalidCredentials),
)
async def verify_user(
    application: OpenApplication,
    by: Asking,
    body: VerifyUserBody,
    uses: Uses,
    hashing: Hashing,
) -> GrantView:
    """Complete a sign-up with the token of the message and the password of the sign-up.

    The fifth wrong password voids the token.
    """
    grant = await hashing.run(
        partial(
            uses.complete,
            application,
            token=body.token,
            password=body.password,
            by=by,
        )
    )
    return grant_view(grant)
