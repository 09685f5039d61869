"""What a session is."""

from dataclasses import dataclass

from app.common.errors import Kind, Refusal
from app.common.ids import ApplicationId, SessionId, UserId


@dataclass(frozen=True, kw_only=True)
class Session:
    """A sign-in that has not ended.

    Attributes:
        created: RFC 3339; also when the user proved who they are.
        counter: of the current refresh token.
        rotated: when the current refresh token came.
        epoch: the user's epoch that it belongs to.
        ends: seconds since 1970 when it ends however busy it is.
        expires_at: seconds since 1970 when it ends unless it is used before.
        turns: how often it was turned since `turns_since`, seconds since 1970; for the limit.
    """

    id: SessionId
    user_id: UserId
    application_id: ApplicationId
    created: str
    last_used: str
    user_agent: str
    ip_address: str
    counter: int
    rotated: str
    epoch: int
    ends: int
    expires_at: int
    turns: int = 0
    turns_since: int = 0


@dataclass(frozen=True, kw_only=True)
class RefreshToken:
    """What a refresh token says: whose session, and which turn of it."""

    user_id: UserId
    session_id: SessionId
    counter: int


class InvalidRefreshToken(Refusal):
    kind = Kind.UNAUTHENTICATED
    code = "invalid_refresh_token"
    detail = "The refresh token is not valid any more. Sign in again."


class SessionNotFound(Refusal):
    kind = Kind.NOT_FOUND
    code = "session_not_found"
    detail = "This user has no such session."
