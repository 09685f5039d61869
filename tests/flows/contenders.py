"""Many callers that act at one moment, each over a connection of its own, at several servers."""

import http.client
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tests.flows.client import Answer, Call
from tests.flows.ledger import Ledger

B = TypeVar("B")

TIMEOUT = 60.0


@dataclass(frozen=True, kw_only=True)
class Contenders:
    """Threads with a connection each, which stays open from one volley to the next."""

    connections: list[http.client.HTTPConnection]
    pool: ThreadPoolExecutor
    ledger: Ledger = field(repr=False)

    def fire(self, calls: Sequence[Call[B]]) -> list[Answer[B]]:
        """Send all calls at once, in turns to each server; their answers in the same order."""
        assert len(calls) <= len(self.connections)
        ready = threading.Barrier(len(calls))
        tasks = [
            self.pool.submit(self._send, connection, call, ready)
            for connection, call in zip(self.connections, calls, strict=False)
        ]
        return [task.result(2 * TIMEOUT) for task in tasks]

    def _send(
        self, connection: http.client.HTTPConnection, call: Call[Any], ready: threading.Barrier
    ) -> Answer[Any]:
        self.ledger.sent(call.headers, call.members)
        content, headers = call.content, dict(call.headers)
        ready.wait(TIMEOUT)
        connection.request(call.method, call.path, body=content, headers=headers)
        found = connection.getresponse()
        text = found.read().decode()
        received = {name.lower(): value for name, value in found.getheaders()}
        self.ledger.received(call.method, call.path, found.status, received, text)
        return Answer(status=found.status, headers=received, text=text)


@contextmanager
def contending(urls: Sequence[str], count: int, ledger: Ledger) -> Iterator[Contenders]:
    """So many contenders, spread over the servers."""
    connections = [
        http.client.HTTPConnection(urlsplit(urls[n % len(urls)]).netloc, timeout=TIMEOUT)
        for n in range(count)
    ]
    try:
        for connection in connections:
            connection.connect()
        with ThreadPoolExecutor(count) as pool:
            yield Contenders(connections=connections, pool=pool, ledger=ledger)
    finally:
        for connection in connections:
            connection.close()
