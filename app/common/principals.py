"""Who may be calling, as far as every area understands it."""

from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import ip_address, ip_network

from app.common.ids import ApplicationId, UserId

NETWORK_BITS = 64
COARSE_BITS = {4: 24, 6: 48}
UNKNOWN_NETWORK = "unknown"  # all who come from nowhere share one


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

    @property
    def network(self) -> str:
        """What counts as one place: an IPv4 address, or the /64 that one IPv6 customer has."""
        if not self.ip_address:
            return UNKNOWN_NETWORK
        address = ip_address(self.ip_address)
        if address.version == 4:  # noqa: PLR2004 - the version itself
            return str(address)
        return str(ip_network((address.packed, NETWORK_BITS), strict=False))

    @property
    def place(self) -> str:
        """Where it was, roughly, for a message that may be read by others; empty if unknown."""
        if not self.ip_address:
            return ""
        address = ip_address(self.ip_address)
        bits = COARSE_BITS[address.version]
        return str(ip_network((address.packed, bits), strict=False))


class ActorKind(StrEnum):
    """In which role somebody acts."""

    ADMIN = "admin"
    USER = "user"
    PUBLIC = "public"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks for something, as whom and from where.

    Attributes:
        actor_id: the API key's or the user's; `None` for somebody whom nothing has identified.
        origin: scheme, host and port under which they reached the service.
    """

    actor: ActorKind
    actor_id: str | None
    origin: str
    device: Device
    request_id: str

    def as_user(self, user_id: UserId) -> "Caller":
        """The same caller, once they have proved to be a user."""
        return replace(self, actor=ActorKind.USER, actor_id=user_id)
