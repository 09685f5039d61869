"""What a user is, and how an address is compared."""

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum

from app.common.errors import Kind, Refusal
from app.common.ids import ApplicationId, UserId
from app.common.secrets import digest
from app.storage.table import Item, Json

MAX_EMAIL = 254
MAX_METADATA_BYTES = 8192


class UserState(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, kw_only=True)
class EmailAddress:
    """An address of a person.

    Attributes:
        text: normalised: Unicode NFC, the domain in its IDNA lower-case form.
        digest: of the text without case; addresses of one digest are one address.
    """

    text: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> "EmailAddress":
        """Read what a person typed (RFC 5321, RFC 6531); no DNS is asked.

        Raises:
            InvalidEmail: it is not one address.
        """
        # email-validator costs a cold start 50 ms.
        import email_validator

        # What is reserved (RFC 2606) is nobody's, and fit for tests and examples.
        email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
        try:
            # Strict: the local part takes 64 characters (RFC 5321 section 4.5.3.1.1).
            found = email_validator.validate_email(text, check_deliverability=False, strict=True)
        except email_validator.EmailNotValidError:
            raise InvalidEmail from None
        except UnicodeError:  # a domain that the IDNA tables choke on
            raise InvalidEmail from None
        domain = (found.ascii_domain or found.domain).lower()
        normal = f"{found.local_part}@{domain}"
        if len(normal) > MAX_EMAIL:
            raise InvalidEmail
        return cls.of(normal)

    @classmethod
    def of(cls, normal: str) -> "EmailAddress":
        """An address that `parse` has normalised before."""
        folded = unicodedata.normalize("NFC", normal.casefold())
        return cls(text=normal, digest=digest(folded))


@dataclass(frozen=True, kw_only=True)
class User:
    """A person who has proved the address.

    Attributes:
        epoch: sessions of an earlier epoch have ended.
        version: of the stored profile.
    """

    id: UserId
    application_id: ApplicationId
    email: str
    state: UserState = UserState.ACTIVE
    metadata: dict[str, Json] = field(default_factory=dict)
    app_metadata: dict[str, Json] = field(default_factory=dict)
    created: str
    updated: str
    last_sign_in: str | None
    epoch: int = 1
    version: int = field(default=0, compare=False)

    @property
    def address(self) -> EmailAddress:
        return EmailAddress.of(self.email)


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who an address belongs to, as sign-in reads it; it follows the profile in each commit."""

    user_id: UserId
    email: str
    state: UserState
    epoch: int


@dataclass(frozen=True, kw_only=True)
class AddressRecords:
    """Everything that lies under one address: its owner and what factors have put there."""

    address: EmailAddress
    owner: Owner | None
    items: tuple[Item, ...]

    def item(self, name: str) -> Item | None:
        return next((item for item in self.items if item.key.sk == name), None)


class InvalidEmail(Refusal):
    kind = Kind.INVALID
    code = "invalid_email"
    detail = "This is not one valid e-mail address."
    field = "email"


class UserNotFound(Refusal):
    kind = Kind.NOT_FOUND
    code = "user_not_found"
    detail = "This application has no such user."


class UserSuspended(Refusal):
    kind = Kind.FORBIDDEN
    code = "user_suspended"
    detail = "This account is suspended."


class MetadataTooLarge(Refusal):
    kind = Kind.INVALID
    code = "metadata_too_large"
    detail = "Metadata takes at most 8 KiB of JSON."
    field = "metadata"
