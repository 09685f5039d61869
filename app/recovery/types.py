"""What a reset is."""

from dataclasses import dataclass

from app.common.errors import Kind, Refusal

LIFETIME_SECONDS = 30 * 60


@dataclass(frozen=True, kw_only=True)
class Reset:
    """A request for a new password; good once, and until the next request.

    Attributes:
        epoch: the user's when it was made; a suspension or another new password voids it.
    """

    token_digest: str
    email: str
    epoch: int
    expires_at: int


class InvalidResetToken(Refusal):
    """Unknown, used, void and expired look alike."""

    kind = Kind.MALFORMED
    code = "invalid_token"
    detail = "The link is not valid any more. Ask for a new one."
    field = "token"
