"""Those of AWS's services that speak JSON, over the standard library's HTTP.

botocore would cost each cold start some 200 ms and 20 MiB, and each call half a millisecond: it
reads a model of the whole service to make a client. What stands on a request's path (DynamoDB,
KMS, Secrets Manager) needs one POST with a signature.
"""

import contextlib
import hashlib
import hmac
import json
import os
import random
import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import SplitResult, urlsplit

CONNECT_SECONDS = 1.0
READ_SECONDS = 3.0
IDLE = 50  # connections that are kept for the next call
FIRST_WAIT = 0.05  # seconds, at most, before a second try; doubled after each
ALGORITHM = "AWS4-HMAC-SHA256"
# API references, "Common Errors": another try may be answered.
PASSING = frozenset(
    {
        "InternalFailure",
        "InternalServiceError",
        "KMSInternalException",
        "DependencyTimeoutException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
    }
)
NO_ANSWER = "NoAnswer"


class AwsFault(Exception):
    """A call was not answered as it should be; its text is AWS's code or the kind of failure.

    AWS's own words are not in it: they may quote an address or a name.

    Attributes:
        code: AWS's, or `NO_ANSWER` where nobody knows whether the call was done.
        status: of HTTP; 0 without an answer.
        answer: what came with the code.
    """

    def __init__(self, code: str, *, status: int = 0, answer: Any = None) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.answer: Any = {} if answer is None else answer


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Who calls, as AWS's environment or its services tell it."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a service is called in its requests."""

    name: str
    target: str
    version: str


SERVICES = {
    "dynamodb": Service(name="dynamodb", target="DynamoDB_20120810", version="1.0"),
    "kms": Service(name="kms", target="TrentService", version="1.1"),
    "secretsmanager": Service(name="secretsmanager", target="secretsmanager", version="1.1"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class JsonClient:
    """Calls one service (AWS JSON protocol 1.0 and 1.1).

    Attributes:
        endpoint: scheme, host and port.
        credentials: those of this moment; they are asked for with each call.
        attempts: how often a call is tried where a second try may be answered.
    """

    service: Service
    endpoint: str
    region: str
    credentials: Callable[[], Credentials] = field(repr=False)
    attempts: int = 1
    _idle: list[socket.socket] = field(default_factory=list, repr=False)

    def call(self, operation: str, request: Mapping[str, Any]) -> Any:
        """The answer to a call.

        Raises:
            AwsFault: there is none, or it is an error.
        """
        body = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
        longest = FIRST_WAIT
        for _ in range(self.attempts - 1):
            try:
                return self._once(operation, body)
            except AwsFault as fault:
                if fault.status < HTTPStatus.INTERNAL_SERVER_ERROR and not _passing(fault):
                    raise
            time.sleep(random.uniform(0, longest))  # noqa: S311 - it parts callers, it hides nothing
            longest *= 2
        return self._once(operation, body)

    def close(self) -> None:
        """Let go of the connections."""
        with contextlib.suppress(IndexError):  # other threads take some meanwhile
            while True:
                self._idle.pop().close()

    def __del__(self) -> None:
        """A client that nobody holds any more holds no connection."""
        self.close()

    def _once(self, operation: str, body: bytes) -> Any:
        headers = {
            "host": urlsplit(self.endpoint).netloc,
            "x-amz-target": f"{self.service.target}.{operation}",
        }
        headers = signed(self, headers, body, time.gmtime())
        headers["content-type"] = f"application/x-amz-json-{self.service.version}"
        try:
            status, raw = self._exchange(headers, body)
        except (OSError, HTTPException):  # refused, cut off, timed out, or no HTTP
            raise AwsFault(NO_ANSWER) from None
        try:
            answer = json.loads(raw) if raw else None
        except (ValueError, RecursionError):
            raise AwsFault(NO_ANSWER, status=status) from None
        if status != HTTPStatus.OK:
            code = str(answer.get("__type", "")) if isinstance(answer, dict) else ""
            raise AwsFault(code.rpartition("#")[2], status=status, answer=answer)
        if not isinstance(answer, dict):  # each operation answers with an object, never with none
            raise AwsFault(NO_ANSWER, status=status)
        return answer

    def _exchange(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        # One packet: http.client's own connection would send the head and the body apart.
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        asked = f"POST / HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n".encode() + body
        connection = self._connection()
        answer = HTTPResponse(connection, method="POST")
        try:
            connection.sendall(asked)
            answer.begin()
            raw = answer.read()
        except BaseException:
            answer.close()
            connection.close()
            self.close()  # what cut this one off may have cut them all, each for a whole wait
            raise
        if answer.will_close or len(self._idle) >= IDLE:
            connection.close()
        else:
            self._idle.append(connection)
        return answer.status, raw

    def _connection(self) -> socket.socket:
        """One that is open, the last used first."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took it
                break
            if _open(connection):
                return connection
            connection.close()
        return _connect(urlsplit(self.endpoint))


def _connect(there: SplitResult) -> socket.socket:
    secure = there.scheme == "https"
    address = (there.hostname or "", there.port or (443 if secure else 80))
    made = socket.create_connection(address, timeout=CONNECT_SECONDS)
    try:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if secure:
            made = _tls().wrap_socket(made, server_hostname=there.hostname)
        made.settimeout(READ_SECONDS)
    except BaseException:
        made.close()
        raise
    return made


def signed(
    client: JsonClient, headers: Mapping[str, str], body: bytes, now: time.struct_time
) -> dict[str, str]:
    """The headers with AWS's Signature Version 4 of a POST to `/`.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    who, moment = client.credentials(), time.strftime("%Y%m%dT%H%M%SZ", now)
    scope = f"{moment[:8]}/{client.region}/{client.service.name}/aws4_request"
    whole = {**headers, "x-amz-date": moment}
    if who.token is not None:
        whole["x-amz-security-token"] = who.token
    names = sorted(whole)
    listed = ";".join(names)
    lines = "".join(f"{name}:{whole[name]}\n" for name in names)
    canonical = f"POST\n/\n\n{lines}\n{listed}\n{hashlib.sha256(body).hexdigest()}"
    text = f"{ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _key(who.secret_key, moment[:8], client.region, client.service.name)
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    whole["authorization"] = (
        f"{ALGORITHM} Credential={who.access_key}/{scope}, "
        f"SignedHeaders={listed}, Signature={signature}"
    )
    return whole


@lru_cache(maxsize=8)
def _key(secret: str, *parts: str) -> bytes:
    """The key of one day, region and service."""
    key = b"AWS4" + secret.encode()
    for part in (*parts, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _passing(fault: AwsFault) -> bool:
    return fault.code == NO_ANSWER or fault.code in PASSING


def _open(connection: socket.socket) -> bool:
    """Whether the other end has kept it: an idle connection is readable when it was closed."""
    looked = select.poll()  # select(2) ends at 1,024 open files
    looked.register(connection, select.POLLIN)
    return not looked.poll(0)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    # Reading the authorities' certificates takes 20 ms.
    return ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
