"""Tens of thousands of good, odd and broken requests, of which none may get a 5xx.

    python -m tests.security.storm --requests 50000 [--store sqlite|dynamodb] [--seed n]

Over SQLite they go to two workers of uvicorn, over DynamoDB Local to the Lambda function, each
thread one execution environment. A request is a valid one (`storm_cast.py`) or one that
schemathesis drew from the document, then bent in none, one or two ways (`storm_bends.py`).
"""

import argparse
import http.client
import json
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from app.lambda_handler import Handler
from app.settings import Settings
from app.wiring import build
from tests.dynamodb_local import client, create_table
from tests.flows import invariants
from tests.flows.ledger import Ledger
from tests.flows.server import PATIENT, serving
from tests.gateway import SHAPES, Request, answered, event
from tests.security.storm_bends import bend
from tests.security.storm_cast import ADMIN_KEY, Ask, Cast, Drawn, drawn
from tests.security.twostores import living_rows, local_dynamodb
from tests.unlimited import unlimited

PUBLIC_URL = "https://auth.example.com"
THREADS = {"sqlite": 4, "dynamodb": 2}
MOST_FAULTS = 40
AS_IT_IS, FROM_THE_DOCUMENT = 0.25, 0.15
SHOWN = 1500
TIMEOUT = 60.0
NO_HTTP = "Invalid HTTP request received."  # uvicorn, to what is none


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back; `headers` by lower-case names."""

    status: int
    headers: dict[str, str]
    text: str


class Way(Protocol):
    """How a thread's requests reach the service."""

    def ask(self, request: Request) -> Answer: ...


@dataclass(kw_only=True)
class Wire:
    """A connection that sends what it is given, and no more than that."""

    port: int
    _socket: socket.socket | None = None

    def ask(self, request: Request) -> Answer:
        try:
            return self._ask(request)
        except (ConnectionError, http.client.BadStatusLine):
            if self._socket is None:  # it was not an old connection that the server had left
                raise
            self.close()
            return self._ask(request)

    def _ask(self, request: Request) -> Answer:
        fresh = self._socket is None
        connection = self._socket or socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        self._socket = None if fresh else connection
        connection.sendall(self._written(request))
        # Several workers' sockets wait for the head's acknowledgement before they send the body.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        response = http.client.HTTPResponse(connection, method=request.method)
        response.begin()
        text = response.read().decode()
        self._socket = connection
        headers = {name.lower(): value for name, value in response.getheaders()}
        if response.will_close:
            self.close()
        return Answer(status=response.status, headers=headers, text=text)

    def _written(self, request: Request) -> bytes:
        query = f"?{request.query}" if request.query else ""
        headers = [*request.headers, ("Content-Length", str(len(request.body)))]
        lines = [f"{name}: {value}" for name, value in headers]
        head = [f"{request.method} {request.path}{query} HTTP/1.1", *lines, "", ""]
        return "\r\n".join(head).encode("latin-1") + request.body

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@dataclass(kw_only=True)
class Function:
    """An execution environment of the Lambda function."""

    handler: Handler
    _count: int = 0

    def ask(self, request: Request) -> Answer:
        self._count += 1
        shape = SHAPES[self._count % len(SHAPES)]
        found = answered(self.handler(event(shape, request), None))
        headers = {name.lower(): value for name, value in found.headers.items()}
        return Answer(status=found.status_code, headers=headers, text=found.text)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A deployment to storm.

    Attributes:
        host: what clients call it.
        ways: for each thread one.
        deliver: has waiting messages sent.
        rows: what is kept, once everything is delivered.
    """

    folder: Path
    host: str
    admin_key: str
    ways: list[Way]
    deliver: Callable[[], None]
    rows: Callable[[], list[invariants.Row]]
    logs: list[Path] = field(default_factory=list)


@dataclass(kw_only=True)
class Report:
    """How a storm went."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def statuses(self) -> Counter[int]:
        found: Counter[int] = Counter()
        for (_, status), count in self.answers.items():
            found[status] += count
        return found

    def note(self, operation: str, request: Request, answer: Answer, ways: list[str]) -> None:
        with self._lock:
            self.answers[operation, answer.status] += 1
        wrong = _wrong(request, answer)
        if wrong is None:
            if "x-request-id" in answer.headers:
                self.ledger.received(
                    request.method, request.path, answer.status, answer.headers, answer.text
                )
            if answer.status < 300:  # somebody may have been written to
                with suppress(ValueError, RecursionError):
                    self.ledger.sent({}, json.loads(request.body))
        elif len(self.faults) < MOST_FAULTS:
            bent = ", ".join(ways) or "as it is"
            told = f"{operation} ({bent}): {request!r}"[:SHOWN]
            self.faults.append(f"{wrong}\n  {told}\n  {answer.status} {answer.text[:300]}")

    def lines(self) -> Iterator[str]:
        """The counts, as they are printed."""
        total = sum(self.answers.values())
        yield f"{total} requests in {self.seconds:.0f} s, {total / self.seconds:.0f} a second"
        columns = sorted(self.statuses)
        yield f"{'':32}" + "".join(f"{status:>7}" for status in columns)
        for operation in sorted({operation for operation, _ in self.answers}):
            counts = [self.answers[operation, status] for status in columns]
            yield f"{operation:32}" + "".join(f"{count or '':>7}" for count in counts)
        yield f"{'all':32}" + "".join(f"{self.statuses[status]:>7}" for status in columns)
        yield from self.faults


def _wrong(request: Request, answer: Answer) -> str | None:
    """What no answer may be; `None` if it is fine."""
    if answer.status >= 500:
        return "a 5xx"
    kind = answer.headers.get("content-type", "")
    if answer.status >= 400 and "x-request-id" in answer.headers and request.method != "HEAD":
        if kind == "application/problem+json":
            problem = json.loads(answer.text)
            fine = problem["status"] == answer.status and problem["code"] and problem["requestId"]
            return None if fine else "a problem that is none"
        return None if kind.startswith("text/html") else "an error that is no problem"
    if "x-request-id" not in answer.headers and answer.status != 400:
        return "an answer without its id"  # 400 is what uvicorn says to what is no HTTP
    return None


def _complaints(log: Path) -> list[str]:
    """What a service says that has met something which it did not expect."""
    lines = [line for line in log.read_text().splitlines() if NO_HTTP not in line]
    words = ("Traceback", " error ", " warning ", "Exception")
    return [line for line in lines if any(word in line for word in words)]


@dataclass(frozen=True, kw_only=True)
class Storm:
    """One run."""

    place: Place
    requests: int
    seed: int
    report: Report = field(default_factory=Report)

    def run(self) -> Report:
        ledger, place = self.report.ledger, self.place
        pool = drawn(place.ways[0].ask, place.host, self.seed, max(1, self.requests // 4000))
        began = time.monotonic()
        with ThreadPoolExecutor(len(place.ways)) as threads:
            tasks = [threads.submit(self._rain, n, pool) for n in range(len(place.ways))]
            for task in tasks:
                task.result()
        self.report.seconds = time.monotonic() - began
        for log in place.logs:
            self.report.faults.extend(_complaints(log))
        try:
            invariants.check_at_work(place.folder, place.rows(), ledger, content=[], log="")
        except AssertionError as broken:
            self.report.faults.append(str(broken))
        return self.report

    def _rain(self, number: int, pool: Drawn) -> None:
        dice = random.Random(f"{self.seed}-{number}")
        way = self.place.ways[number]
        ask = self._ask_of(way)
        cast = Cast(
            ask=ask,
            host=self.place.host,
            admin_key=self.place.admin_key,
            dice=dice,
            name=f"{self.seed}-{number}",
            mailbox=self.place.folder / invariants.MAILBOX,
            deliver=self.place.deliver,
        )
        for _ in range(self.requests // len(self.place.ways)):
            from_document = dice.random() < FROM_THE_DOCUMENT
            operation, request = cast.fill(pool) if from_document else cast.valid()
            ways: list[str] = []
            if dice.random() > AS_IT_IS:
                request, ways = bend(dice, request)
            try:
                answer = way.ask(request)
            except Exception as error:
                answer = Answer(status=599, headers={}, text=repr(error))
            self.report.note(operation, request, answer, ways)
            cast.learn(operation, request, answer.status, answer.text)

    def _ask_of(self, way: Way) -> Ask:
        """What the cast asks for itself: it is noted too, for the tokens that it brings."""

        def ask(request: Request) -> Answer:
            answer = way.ask(request)
            self.report.note("(the cast)", request, answer, [])
            return answer

        return ask


@contextmanager
def on_sqlite(folder: Path, threads: int = THREADS["sqlite"]) -> Iterator[Place]:
    """Two workers of uvicorn over one data folder."""
    settings = {**unlimited(), "LOG_LEVEL": "warning"}
    told = {name.upper(): value for name, value in settings.items()}
    with serving(folder, "--no-access-log", *PATIENT, workers=2, settings=told) as server:
        ways = [Wire(port=server.port) for _ in range(threads)]

        def rows() -> list[invariants.Row]:
            invariants.wait_for_rest(folder)
            return invariants.read_rows(folder)

        with ExitStack() as stack:
            for way in ways:
                stack.callback(way.close)
            yield Place(
                folder=folder,
                host=f"127.0.0.1:{server.port}",
                admin_key=server.admin_key,
                ways=list(ways),
                deliver=lambda: time.sleep(0.02),  # the service does it by itself
                rows=rows,
                logs=[server.log],
            )


@contextmanager
def on_dynamodb(folder: Path, threads: int = THREADS["dynamodb"]) -> Iterator[Place]:
    """The function in as many environments as there are threads, over DynamoDB Local."""
    with ExitStack() as stack:
        plain = stack.enter_context(closing(client(stack.enter_context(local_dynamodb()))))
        table = create_table(plain)
        settings = Settings(
            data_dir=folder,
            admin_api_key=ADMIN_KEY,
            public_url=PUBLIC_URL,
            store="dynamodb",
            table_name=table,
            **unlimited("dynamodb"),
        )
        handlers = [
            stack.enter_context(closing(Handler(services=build(settings, probe=False))))
            for _ in range(threads)
        ]
        dispatcher = handlers[0].services.dispatcher
        lock = threading.Lock()

        def deliver() -> None:
            with lock:
                dispatcher.run_once()

        def rows() -> list[invariants.Row]:
            deliver()
            return living_rows(plain, table, time.time())

        yield Place(
            folder=folder,
            host=PUBLIC_URL.removeprefix("https://"),
            admin_key=ADMIN_KEY,
            ways=[Function(handler=handler) for handler in handlers],
            deliver=deliver,
            rows=rows,
        )


PLACES: dict[str, Callable[[Path], Any]] = {"sqlite": on_sqlite, "dynamodb": on_dynamodb}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--store", choices=sorted(PLACES), default="sqlite")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    told = parser.parse_args()
    print(f"seed {told.seed}")
    with (
        tempfile.TemporaryDirectory() as folder,
        PLACES[told.store](Path(folder) / "data") as place,
    ):
        report = Storm(place=place, requests=told.requests, seed=told.seed).run()
    print("\n".join(report.lines()))
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
