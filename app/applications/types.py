"""What an application is, and how it may refuse."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import urlsplit

from app.common.errors import Kind, Refusal
from app.common.ids import ApplicationId
from app.signing.types import Algorithm

MAX_URL = 2048
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?\Z")


class ApplicationState(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"


class SignUpMode(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True)
class ApplicationSettings:
    """What its owner chooses; lifetimes are in seconds.

    Attributes:
        refresh_token_lifetime: how long a session may lie idle.
        session_lifetime: how long a session may last however busy it is.
        audience: the `aud` of access tokens; the application's id where there is none.
    """

    name: str = ""
    application_state: ApplicationState = ApplicationState.ACTIVE
    email_from_name: str = ""
    verification_url: str | None = None
    reset_password_url: str | None = None
    allowed_origins: tuple[str, ...] = ()
    sign_up: SignUpMode = SignUpMode.OPEN
    audience: str | None = None
    signing_algorithm: Algorithm = Algorithm.RS256
    access_token_lifetime: int = 900
    refresh_token_lifetime: int = 2_592_000
    session_lifetime: int = 7_776_000
    password_min_length: int = 8


@dataclass(frozen=True, kw_only=True)
class Application:
    """A tenant.

    Attributes:
        keys_number: grows with each change of its key ring.
        version: of the stored item.
    """

    id: ApplicationId
    settings: ApplicationSettings
    created: str
    updated: str
    keys_number: int = 1
    version: int = field(default=0, compare=False)

    @property
    def audience(self) -> str:
        return self.settings.audience or self.id

    def issuer(self, origin: str) -> str:
        """The issuer (RFC 8414 section 2) as seen from an origin."""
        return f"{origin}{self.path}"

    @property
    def path(self) -> str:
        return f"/v1/applications/{self.id}"


class ApplicationSuspended(Refusal):
    kind = Kind.FORBIDDEN
    code = "application_suspended"
    detail = "This application is suspended."


class ApplicationHasUsers(Refusal):
    kind = Kind.CONFLICT
    code = "application_has_users"
    detail = "This application still has users. Delete them first."


def check_text(text: str) -> str:
    """Text that may stand in a message's header or on a page.

    Raises:
        ValueError: it holds control characters or ones that turn the direction of writing.
    """
    if CONTROL.search(text):
        raise ValueError("control characters are not allowed")
    return text


def check_url(text: str) -> str:
    """An address that messages may link to: https, or http on this very machine.

    Raises:
        ValueError: it is none.
    """
    check_text(text)
    parts = urlsplit(text)
    if "#" in text or "\\" in text or " " in text or "@" in parts.netloc:
        raise ValueError("a fragment, user information, spaces and backslashes are not allowed")
    _check_host(parts.scheme, parts.netloc, text)
    return text


def check_origin(text: str) -> str:
    """A web origin (RFC 6454 section 6.2) in the form in which browsers send it.

    Raises:
        ValueError: it is none; wildcards and `null` are none.
    """
    check_text(text)
    parts = urlsplit(text)
    if text != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        raise ValueError("an origin is a scheme, a host and a port, without a path")
    _check_host(parts.scheme, parts.netloc, text)
    if (parts.scheme, parts.port) in {("https", 443), ("http", 80)}:
        raise ValueError("browsers leave a default port out")
    return text


def _check_host(scheme: str, netloc: str, text: str) -> None:
    parts = urlsplit(text)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("the port is not a number from 1 to 65535") from None
    if not text.startswith(f"{scheme}://") or netloc != netloc.lower() or netloc.endswith(":"):
        raise ValueError("it must begin with https:// and name its host in lower case")
    # What stands beside the brackets of an address is no part of `hostname`, but may be of a host.
    shown = f"[{host}]" if ":" in host else host
    whole = netloc in {shown, f"{shown}:{port}"}
    if port == 0 or "%" in host or not whole or not (HOST.match(host) or _address(host)):
        raise ValueError("the host is not a name or an address")
    if scheme != "https" and not (scheme == "http" and is_loopback(host)):
        raise ValueError("https is required, save for http on a loopback host")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this very machine (RFC 6761 section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return _address(host) and ip_address(host.strip("[]")).is_loopback


def _address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
