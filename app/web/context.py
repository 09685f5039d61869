"""What a request brings besides its body: where it was sent to and where it came from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.types import Scope

from app.common.principals import Device
from app.web.problems import UnknownHost

Network = IPv4Network | IPv6Network

HOST = re.compile(
    r"(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:(?P<port>[0-9]{1,5}))?\Z"
)
LONGEST_USER_AGENT = 256
HIGHEST_PORT = 65535
KNOWN = 1024  # hosts and addresses that need not be parsed again
UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """One request's surroundings.

    Attributes:
        origin: scheme, host and port under which clients know this service.
    """

    request_id: str
    origin: str
    device: Device


@dataclass(frozen=True, kw_only=True, eq=False)
class Surroundings:
    """Reads the surroundings of requests.

    Attributes:
        public_url: what clients call this service; `None` takes each request's own host, which
            must then be a loopback name.
        trusted_proxies: networks whose `X-Forwarded-For` is believed.
    """

    public_url: str | None
    trusted_proxies: Sequence[Network]

    def origin(self, scope: Scope, headers: Headers) -> str:
        """Scheme, host and port.

        Raises:
            UnknownHost: the host is malformed, or it is not this machine and there is no
                public URL.
        """
        # RFC 9110 section 7.2: exactly one, and well-formed, whoever is asked for.
        hosts = headers.getlist("host")
        match = HOST.match(hosts[0]) if len(hosts) == 1 else None
        if match is None or (match["port"] and not 1 <= int(match["port"]) <= HIGHEST_PORT):
            raise UnknownHost
        if self.public_url is not None:
            return self.public_url
        if not loopback(match["host"].lower()):
            raise UnknownHost
        # Uvicorn may have taken the scheme from a header that any local client can send.
        forged = "x-forwarded-proto" in headers
        scheme = "https" if scope["scheme"] == "https" and not forged else "http"
        return f"{scheme}://{hosts[0].lower()}"

    def device(self, scope: Scope, headers: Headers) -> Device:
        """What asks, and from where."""
        agent = UNPRINTABLE.sub("", headers.get("user-agent", ""))[:LONGEST_USER_AGENT]
        return Device(user_agent=agent, ip_address=self._client(scope, headers))

    def _client(self, scope: Scope, headers: Headers) -> str:
        """The address of the client: the nearest one that is not a trusted proxy."""
        host, port = scope.get("client") or ("", None)
        if port == 0:
            # No socket has port 0: uvicorn put a forwarded address here. It does so, unasked,
            # for peers on loopback, so that is where the request came from.
            host = "127.0.0.1"
        nearest = _address(host)
        if not self.trusted_proxies:
            return nearest or ""
        hops = [
            hop.strip() for value in headers.getlist("x-forwarded-for") for hop in value.split(",")
        ]
        while nearest is not None and self._trusted(nearest) and hops:
            host, nearest = hops[-1], _address(hops.pop())
        return nearest or ""

    def _trusted(self, address: str) -> bool:
        return any(ip_address(address) in network for network in self.trusted_proxies)


@lru_cache(maxsize=KNOWN)
def loopback(host: str) -> bool:
    """Whether a host name is this very machine (RFC 6761 section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host.strip("[]"))
    return address is not None and ip_address(address).is_loopback


def loopback_origin(origin: str) -> bool:
    """Whether an origin is one under which a service on this very machine is reached."""
    scheme, _, authority = origin.partition("://")
    match = HOST.match(authority)
    return scheme in {"http", "https"} and match is not None and loopback(match["host"])


@lru_cache(maxsize=KNOWN)
def _address(text: str) -> str | None:
    """An address in its canonical form; IPv4 mapped into IPv6 is IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def context_of(request: Request) -> RequestContext:
    """What the frame has found out about a request."""
    context = request.state.context
    assert isinstance(context, RequestContext)
    return context


async def _context(request: Request) -> RequestContext:
    return context_of(request)


Context = Annotated[RequestContext, Depends(_context)]
