"""Who may be calling, as far as every area understands it."""

from dataclasses import dataclass

from app.common.ids import ApplicationId


@dataclass(frozen=True, kw_only=True)
class AdminPrincipal:
    """The holder of an API key.

    Attributes:
        key_id: of the API key; `bootstrap` for the key of the process's settings.
        application_id: the only application it administers; `None` means the deployment.
    """

    key_id: str
    application_id: ApplicationId | None


@dataclass(frozen=True, kw_only=True)
class Device:
    """Where a request came from.

    Attributes:
        user_agent: as the client says, cut to 256 characters.
        ip_address: of the client or of the nearest machine that is not a trusted proxy.
    """

    user_agent: str
    ip_address: str
