"""What an invitation is."""

from dataclasses import dataclass, field, replace

from app.common.errors import Kind, Refusal
from app.storage.table import Json

LIFETIME_SECONDS = 24 * 3600
MAX_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """A sign-up that waits for its address to be verified.

    Attributes:
        email: normalised.
        note: what the address's note of voided invitations said when this one was made; when
            it says something else, this one is void.
        attempts: how many passwords were tried with it.
    """

    token_digest: str
    email: str
    password_hash: str = field(repr=False)
    metadata: dict[str, Json]
    note: str
    expires_at: int
    attempts: int = 0

    def renewed(self, token_digest: str, *, expires_at: int) -> "Invitation":
        """The same sign-up under another token."""
        return replace(self, token_digest=token_digest, expires_at=expires_at)


class SignUpClosed(Refusal):
    kind = Kind.FORBIDDEN
    code = "sign_up_closed"
    detail = "This application takes no sign-ups."


class InvalidVerificationToken(Refusal):
    """Unknown, used, void and expired look alike."""

    kind = Kind.MALFORMED
    code = "invalid_token"
    detail = "The link is not valid any more. Ask for a new one."
    field = "token"
