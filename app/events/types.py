"""What an event is."""

from dataclasses import dataclass, field
from enum import StrEnum

from app.common.ids import ApplicationId, EventId, UserId
from app.storage.table import Json


class Operation(StrEnum):
    """What happened, as consumers read it."""

    APPLICATION_CREATED = "applicationCreated"
    APPLICATION_UPDATED = "applicationUpdated"
    APPLICATION_DELETED = "applicationDeleted"
    APPLICATION_KEY_ROTATED = "applicationKeyRotated"
    USER_SIGN_UP_REQUESTED = "userSignUpRequested"
    USER_CREATED = "userCreated"
    USER_UPDATED = "userUpdated"
    USER_DELETED = "userDeleted"
    USER_SIGNED_IN = "userSignedIn"
    USER_SIGN_IN_FAILED = "userSignInFailed"
    USER_SIGNED_OUT = "userSignedOut"
    EMAIL_VERIFICATION_REQUESTED = "emailVerificationRequested"
    PASSWORD_RESET_REQUESTED = "passwordResetRequested"
    PASSWORD_CHANGED = "passwordChanged"
    REFRESH_TOKEN_REUSED = "refreshTokenReused"
    USER_SUSPENDED = "userSuspended"


@dataclass(frozen=True, kw_only=True)
class Event:
    """A change that was committed; never holds a token, a password or a hash.

    Attributes:
        id: grows with time; the same at each delivery, so that consumers can drop repeats.
        time: RFC 3339.
    """

    id: EventId
    operation: Operation
    application_id: ApplicationId
    user_id: UserId | None
    time: str
    data: dict[str, Json]

    def body(self) -> dict[str, Json]:
        """The event as it is published."""
        body: dict[str, Json] = {
            "id": self.id,
            "operation": self.operation.value,
            "applicationId": self.application_id,
            "time": self.time,
            "data": self.data,
        }
        if self.user_id is not None:
            body["userId"] = self.user_id
        return body


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An event on its way.

    Attributes:
        subject: events of one subject are delivered in order.
        sealed: what a message to a person is made of, for its sender alone.
        attempts: how often the delivery failed before.
        not_before: seconds since 1970 before which it is not tried again.
    """

    event: Event
    shard: int
    subject: str
    sealed: str | None = field(repr=False)
    attempts: int
    not_before: int


Confidential = dict[str, str | None]


class Undeliverable(Exception):
    """A consumer will never take this event; it goes to the dead letters."""
