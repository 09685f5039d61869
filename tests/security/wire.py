"""Bytes over a socket, as no honest client would send them."""

import re
import socket
from dataclasses import dataclass

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
CLOSE = b"Connection: close\r\n"
PATIENCE_SECONDS = 10.0
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """Everything that came back until the other side closed, or had answered."""

    raw: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in STATUS.findall(self.raw)]

    @property
    def headers(self) -> list[str]:
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]


def send(port: int, *pieces: bytes, and_leave: bool = False) -> Reply:
    """Send bytes, if need be say that no more will come, and read until the other side hangs up."""
    raw = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            if and_leave:
                connection.shutdown(socket.SHUT_WR)
            while received := connection.recv(65_536):
                raw += received
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up on us
    return Reply(raw=raw, closed=True)


def ask(port: int, *pieces: bytes) -> Reply:
    """Send bytes, read one answer, and see whether the other side then hangs up."""
    raw = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            while not _whole(raw) and (received := connection.recv(65_536)):
                raw += received
            # A question of ours that is only answered on a connection that lives on.
            connection.sendall(
                b"GET /nothing-more HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
            )
            more = connection.recv(65_536)
        except (BrokenPipeError, ConnectionResetError):
            more = b""
    return Reply(raw=raw, closed=not more)


def _whole(raw: bytes) -> bool:
    """Whether a first answer is there, head and body."""
    head, gap, rest = raw.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    if length is None:
        return bool(gap) and rest.endswith(b"0\r\n\r\n")
    return len(rest) >= int(length[1])
