"""Refusals: one class per business fact, each with a code that programs may rely on."""

from enum import Enum
from typing import ClassVar


class Kind(Enum):
    """What sort of refusal it is; the web turns each kind into one status."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not found"
    CONFLICT = "conflict"
    TOO_LARGE = "too large"
    UNSUPPORTED = "unsupported"
    INVALID = "invalid"
    TOO_MANY = "too many"
    UNAVAILABLE = "unavailable"


class Refusal(Exception):
    """A request that is not granted.

    Attributes:
        code: a stable snake_case word.
        detail: a sentence for people; it never holds what the client sent.
        field: the member of the body or query that is to blame, for `Kind.INVALID`.
        retry_after: seconds to wait before the next try, for `TOO_MANY` and `UNAVAILABLE`.
    """

    kind: ClassVar[Kind]
    code: ClassVar[str]
    detail: ClassVar[str]
    field: ClassVar[str | None] = None

    def __init__(self, *, field: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(self.code)
        self.at = field or self.field
        self.retry_after = retry_after


class InvalidCursor(Refusal):
    kind = Kind.MALFORMED
    code = "invalid_cursor"
    detail = "The cursor was not issued for this list. Start again without a cursor."
    field = "cursor"


class ApplicationNotFound(Refusal):
    """There is no such application, or it is none of the caller's business."""

    kind = Kind.NOT_FOUND
    code = "application_not_found"
    detail = "There is no such application."


class StoreUnavailable(Refusal):
    """The store did not answer in time; nothing is known about what was asked."""

    kind = Kind.UNAVAILABLE
    code = "temporarily_unavailable"
    detail = "The service cannot answer right now. Try again shortly."

    def __init__(self, *, retry_after: int = 1) -> None:
        super().__init__(retry_after=retry_after)


class CannotStart(Exception):
    """The deployment is set up wrongly; the message is the one line that its owner needs."""
