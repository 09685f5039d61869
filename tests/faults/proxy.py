"""An HTTP proxy before DynamoDB Local that does to calls what a network and a busy table do."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

READS = {"GetItem", "BatchGetItem", "Query"}
DELAY_SECONDS = 0.05
OF_ONE_HOP = {"connection", "content-length", "date", "server", "transfer-encoding"}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer on its way back."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Passing:
    """A call on its way.

    Attributes:
        forward: does it at the table; its answer.
    """

    operation: str
    request: dict[str, Any]
    forward: Callable[[], Reply]

    @property
    def consistent(self) -> bool:
        """Whether a read asks for what was written last."""
        if self.operation == "BatchGetItem":
            return all(one.get("ConsistentRead") for one in self.request["RequestItems"].values())
        return bool(self.request.get("ConsistentRead"))


# What happens to a call; `None`: its connection breaks.
Fault = Callable[[Passing], Reply | None]


def error(code: str, status: int = 400, **more: Any) -> Reply:
    """DynamoDB's error of a code."""
    told = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "-", **more}
    headers = {"Content-Type": "application/x-amz-json-1.0"}
    return Reply(status=status, headers=headers, body=json.dumps(told).encode())


def throttled(_: Passing) -> Reply:
    return error("ProvisionedThroughputExceededException")


def broken(_: Passing) -> Reply:
    return error("InternalServerError", 500)


def cancelled(*reasons: str) -> Fault:
    """A transaction is cancelled for these reasons; what is none is throttled."""

    def fault(passing: Passing) -> Reply:
        members = passing.request.get("TransactItems")
        if members is None:
            return throttled(passing)
        told = [*reasons, *["None"] * (len(members) - len(reasons))]
        listed = [{"Code": reason, "Message": "-"} for reason in told]
        return error("TransactionCanceledException", CancellationReasons=listed)

    return fault


def conflict(passing: Passing) -> Reply | None:
    return cancelled("TransactionConflict")(passing)


def busy_member(passing: Passing) -> Reply | None:
    return cancelled("None", "ThrottlingError")(passing)


def delayed(passing: Passing) -> Reply:
    time.sleep(DELAY_SECONDS)
    return passing.forward()


def dropped(_: Passing) -> None:
    """The request never arrives."""


def untold(passing: Passing) -> None:
    """It is done, and nobody hears of it."""
    passing.forward()


@dataclass(kw_only=True)
class Proxy:
    """The proxy, and its plan for the calls to come.

    Attributes:
        seen: every call since the plan was made.
    """

    target: str
    url: str = ""
    seen: list[Passing] = field(default_factory=list)
    _plan: Callable[[int], Fault | None] = lambda _: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def meets(self, fault: Fault, *, at: int, for_ever: bool = False) -> None:
        """From now on count calls from 1, and do this to one of them, or to all from there on."""
        self.plan(lambda call: fault if call == at or (for_ever and call > at) else None)

    def calm(self) -> None:
        """Count calls anew, and let them pass."""
        self.plan(lambda _: None)

    def plan(self, what: Callable[[int], Fault | None]) -> None:
        with self._lock:
            self.seen, self._plan = [], what

    def answer(self, passing: Passing) -> Reply | None:
        with self._lock:
            self.seen.append(passing)
            fault = self._plan(len(self.seen))
        return passing.forward() if fault is None else fault(passing)


@contextmanager
def proxied(target: str) -> Iterator[Proxy]:
    """A proxy before the service at `target`, on loopback, until the block ends."""
    proxy = Proxy(target=target)
    host = urlsplit(target).netloc
    own = threading.local()
    opened: list[http.client.HTTPConnection | socket.socket] = []

    def forward(path: str, headers: dict[str, str], body: bytes) -> Reply:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(host, timeout=30)
            opened.append(own.connection)
        own.connection.request("POST", path, body=body, headers=headers)
        got = own.connection.getresponse()
        return Reply(status=got.status, headers=dict(got.getheaders()), body=got.read())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            opened.append(self.connection)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            passing = Passing(
                operation=self.headers["X-Amz-Target"].partition(".")[2],
                request=json.loads(body),
                forward=lambda: forward(self.path, headers, body),
            )
            reply = proxy.answer(passing)
            if reply is None:
                self.close_connection = True
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                if name.lower() not in OF_ONE_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: Any) -> None:
            """Nothing: what is seen is in `Proxy.seen`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        for one in opened:
            if isinstance(one, socket.socket):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        server.server_close()  # once the thread of each connection has ended
        for one in opened:
            one.close()
