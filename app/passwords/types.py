"""What may be wrong with a password."""

from dataclasses import dataclass, field

from app.common.errors import Kind, Refusal
from app.limits.types import Failures

MAX_LENGTH = 256
# NFKC may make text longer or shorter; what arrives is bounded before it is normalised.
MAX_TYPED = 1024


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What is stored of a password, and of the wrong ones that were tried.

    Attributes:
        hash: a PHC string (https://github.com/P-H-C/phc-string-format); `None` where nobody has
            a password and yet somebody has tried some.
        version: of the stored item; 0 while there is none.
        mark: tells each setting of a password from every other, for which versions begin anew;
            empty where nobody has one, `None` in items of before there were marks.
    """

    hash: str | None = field(repr=False)
    version: int
    mark: str | None = None
    failures: Failures = field(default_factory=Failures)


class PasswordTooShort(Refusal):
    kind = Kind.INVALID
    code = "password_too_short"
    detail = "The password is shorter than this application asks for."
    field = "password"


class PasswordTooLong(Refusal):
    kind = Kind.INVALID
    code = "password_too_long"
    detail = "A password takes at most 256 characters."
    field = "password"


class PasswordTooCommon(Refusal):
    kind = Kind.INVALID
    code = "password_too_common"
    detail = "This password is among the first that anybody would guess. Choose another."
    field = "password"


class InvalidCredentials(Refusal):
    kind = Kind.UNAUTHENTICATED
    code = "invalid_credentials"
    detail = "The e-mail address or the password is wrong."
