"""What a reset is."""

from dataclasses import dataclass

from app.common.errors import Kind, Refusal

LIFETIME_SECONDS = 30 * 60


@dataclass(frozen=True, kw_only=True)
class Reset:
    """A request for a new password; good once, and until the next request."""

    token_digest: str
    email: str
    expires_at: int


class InvalidResetToken(Refusal):
    """Unknown, used, void and expired look alike."""

    kind = Kind.MALFORMED
    code = "invalid_token"
    detail = "The link is not valid any more. Ask for a new one."
    field = "token"
