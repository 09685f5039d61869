"""What a client holds."""

from dataclasses import dataclass, field

from app.applications.types import Application
from app.common.errors import Kind, Refusal
from app.common.secrets import Secret
from app.sessions.types import Session
from app.users.types import User


@dataclass(frozen=True, kw_only=True)
class Grant:
    """The answer to a sign-in or a refresh; `expires_in` is in seconds."""

    access_token: Secret
    refresh_token: Secret
    expires_in: int


@dataclass(frozen=True, kw_only=True)
class UserPrincipal:
    """A signed-in user, as of this request.

    Attributes:
        expires: seconds since 1970 when the access token does.
    """

    application: Application
    user: User
    session: Session
    expires: int


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What our own verifier takes from an access token."""

    user_id: str = field(repr=False)
    session_id: str = field(repr=False)
    expires: int = field(repr=False)


class InvalidToken(Refusal):
    """RFC 6750 section 3.1."""

    kind = Kind.UNAUTHENTICATED
    code = "invalid_token"
    detail = "The access token is missing, expired, or not of this application."
