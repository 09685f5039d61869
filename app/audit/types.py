"""What an audit record is."""

from dataclasses import dataclass
from enum import StrEnum

from app.common.errors import Kind, Refusal
from app.common.ids import ApplicationId, UserId
from app.common.principals import Caller
from app.events.types import Operation
from app.storage.table import Json

LIFETIME_SECONDS = 400 * 24 * 3600


class Unannounced(StrEnum):
    """What is audited but told to no consumer of events."""

    API_KEY_CREATED = "apiKeyCreated"
    API_KEY_DELETED = "apiKeyDeleted"
    EMAIL_VERIFICATION_FAILED = "emailVerificationFailed"
    PASSWORD_CHANGE_FAILED = "passwordChangeFailed"


Audited = Operation | Unannounced
FAILURES = frozenset(
    {
        Operation.USER_SIGN_IN_FAILED,
        Operation.REFRESH_TOKEN_REUSED,
        Unannounced.EMAIL_VERIFICATION_FAILED,
        Unannounced.PASSWORD_CHANGE_FAILED,
    }
)
# What is done to the deployment; an application's own trail cannot be read once it is gone.
OF_DEPLOYMENT = frozenset(
    {
        Operation.APPLICATION_CREATED,
        Operation.APPLICATION_DELETED,
        Unannounced.API_KEY_CREATED,
        Unannounced.API_KEY_DELETED,
    }
)


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """One thing that somebody did or tried. It holds no secret.

    Attributes:
        id: the event's, where consumers were told of it too; grows with time.
        time: RFC 3339.
        user_id: to whom it was done.
        email: whose address it was about.
    """

    id: str
    time: str
    operation: str
    caller: Caller
    application_id: ApplicationId | None
    user_id: UserId | None
    email: str | None
    data: dict[str, Json]

    @property
    def succeeded(self) -> bool:
        return self.operation not in FAILURES


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which records to list.

    Attributes:
        since: RFC 3339, the earliest moment.
        until: RFC 3339, the first moment that is too late.
    """

    user_id: UserId | None = None
    operation: Audited | None = None
    since: str | None = None
    until: str | None = None


class InvalidPeriod(Refusal):
    kind = Kind.INVALID
    code = "invalid_period"
    detail = "`from` must lie before `to`."
    field = "from"
