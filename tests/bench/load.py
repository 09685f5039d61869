"""HTTP load on a server of this machine, and the servers that it is put on."""

import os
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_SECONDS = 30.0
END_OF_HEAD = b"\r\n\r\n"
OK = b"HTTP/1.1 200 "


@dataclass(frozen=True, kw_only=True)
class Load:
    """What was answered, and in how many milliseconds each."""

    seconds: float
    times: list[float]

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return len(self.times) / self.seconds

    def percentile(self, share: float) -> float:
        """The time that a share of the answers took at most."""
        return sorted(self.times)[min(len(self.times) - 1, int(len(self.times) * share))]

    @property
    def median(self) -> float:
        return statistics.median(self.times)


def put_load(port: int, request: bytes, *, connections: int, seconds: float) -> Load:
    """Send a request over and over, the next on each connection when the last is answered.

    Every answer must be 200; a slow client would be what is measured, so this is plain sockets.
    """
    selector, times = selectors.DefaultSelector(), list[float]()
    begun: dict[socket.socket, float] = {}
    received: dict[socket.socket, bytes] = {}
    started = time.perf_counter()

    def send(connection: socket.socket) -> None:
        received[connection], begun[connection] = b"", time.perf_counter()
        connection.sendall(request)

    try:
        for _ in range(connections):
            connection = socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS)
            selector.register(connection, selectors.EVENT_READ)
            send(connection)
        while (now := time.perf_counter()) - started < seconds:
            for key, _ in selector.select(timeout=1):
                there = key.fileobj
                assert isinstance(there, socket.socket)
                received[there] += there.recv(65_536)
                if _whole(received[there]):
                    times.append((time.perf_counter() - begun[there]) * 1000)
                    send(there)
    finally:
        for connection in received:
            connection.close()
        selector.close()
    return Load(seconds=now - started, times=times)


def _whole(answer: bytes) -> bool:
    head, end, body = answer.partition(END_OF_HEAD)
    if not end:
        assert answer or answer == b"", "the server hung up"
        return False
    assert head.startswith(OK), answer
    lines = head.lower().split(b"\r\n")
    (length,) = [line[16:] for line in lines if line.startswith(b"content-length: ")]
    return len(body) >= int(length)


def request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def served(app: str, environment: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """An app under uvicorn with one worker and no access log; its port and process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", app, "--host", "127.0.0.1", "--port", str(port)]
    told = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment}
    process = subprocess.Popen(
        [*command, "--no-access-log"],
        cwd=ROOT,
        env=told,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended at its start"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the server did not start")
