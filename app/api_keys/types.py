"""What an API key is."""

from dataclasses import dataclass, field

from app.common.errors import Kind, Refusal
from app.common.ids import ApiKeyId, ApplicationId

PREFIX = "psk_"
SHOWN_CHARACTERS = 12


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """An API key without its secret.

    Attributes:
        shown: its first characters, by which its owner recognises it.
        application_id: the only application it administers; `None` means the deployment.
        expires: RFC 3339, or never.
    """

    id: ApiKeyId
    name: str
    application_id: ApplicationId | None
    shown: str
    digest: str = field(repr=False)
    created: str
    expires: str | None
    last_used: str | None = None


class ApiKeyNotFound(Refusal):
    kind = Kind.NOT_FOUND
    code = "api_key_not_found"
    detail = "There is no such API key."


class ExpiresInPast(Refusal):
    kind = Kind.INVALID
    code = "expires_in_past"
    detail = "The key would have expired already."
    field = "expires"
