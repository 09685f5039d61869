"""Lambda's Runtime API, as far as `awslambdaric` asks it, and a function measured behind it.

The function is the process that Lambda would start: `python -m awslambdaric MODULE.handler`. It
polls this API for invocations as it does on Lambda
(https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html). What it costs is read from
`/proc`, so this measures on Linux alone.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 30.0
VERSION = "/2018-06-01/runtime"
MEBIBYTE = 1024
NANOSECONDS = 1e6  # in a millisecond


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a function answered, and when: seconds of `time.perf_counter`."""

    body: Any
    asked: float
    answered: float

    @property
    def milliseconds(self) -> float:
        return (self.answered - self.asked) * 1000


class _Api(ThreadingHTTPServer):
    """One execution environment's API."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.polled: queue.Queue[float] = queue.Queue()
        self.snapped: queue.Queue[float] = queue.Queue()
        self.restored = threading.Event()
        self.events: queue.Queue[bytes] = queue.Queue()
        self.answers: queue.Queue[tuple[float, str, bytes]] = queue.Queue()
        self.asked = 0.0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        api = self._api()
        if self.path == f"{VERSION}/restore/next":
            api.snapped.put(time.perf_counter())
            api.restored.wait()
            self._send(200, b"")
            return
        api.polled.put(time.perf_counter())
        event = api.events.get()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": "00000000-0000-4000-8000-000000000000",
            "Lambda-Runtime-Deadline-Ms": str(round(time.time() * 1000) + 20_000),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:1:function:bench",
            "Content-Type": "application/json",
        }
        api.asked = time.perf_counter()
        self._send(200, event, headers)

    def do_POST(self) -> None:
        arrived = time.perf_counter()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._api().answers.put((arrived, self.path, body))
        self._send(202, b"{}")

    def _api(self) -> _Api:
        assert isinstance(self.server, _Api)
        return self.server

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


@dataclass(frozen=True, kw_only=True)
class Function:
    """A running function.

    Attributes:
        init_ms: from the start of the process to its first poll.
        init_cpu_ms: that it worked for it.
        restore_ms: from the restoring of the snapshot to the first poll; 0 without one.
    """

    init_ms: float
    init_cpu_ms: float
    restore_ms: float
    process: "subprocess.Popen[bytes]" = field(repr=False)
    api: _Api = field(repr=False)

    def invoke(self, event: Mapping[str, Any]) -> Answer:
        """The answer to an event; the function waits for the next one when this returns."""
        self.api.events.put(json.dumps(event).encode())
        arrived, path, body = self.api.answers.get(timeout=PATIENCE_SECONDS)
        assert path.endswith("/response"), f"{path}: {body!r}"
        self.api.polled.get(timeout=PATIENCE_SECONDS)
        return Answer(body=json.loads(body), asked=self.api.asked, answered=arrived)

    def cpu_ms(self) -> float:
        """CPU time of all its threads so far."""
        return _cpu_ms(self.process.pid)

    def peak_mb(self) -> float:
        """The most memory that was resident (VmHWM), in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(one for one in status.splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) / MEBIBYTE


@contextmanager
def function(
    handler: str, environment: Mapping[str, str], *, folder: Path, snap_start: bool = False
) -> Iterator[Function]:
    """Start a function; the process ends with the block.

    Args:
        handler: `module.name`.
        environment: its variables, beside those that Lambda sets.
        folder: of its code.
        snap_start: whether it is snapped after init and restored.
    """
    api = _Api()
    thread = threading.Thread(target=api.serve_forever, daemon=True)
    thread.start()
    variables = {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_address[1]}",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start" if snap_start else "on-demand",
        "LAMBDA_TASK_ROOT": str(folder),
        "_HANDLER": handler,
        **environment,
    }
    command = [sys.executable, "-m", "awslambdaric", handler]
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        restore = 0.0
        if snap_start:
            polled = _wait(api.snapped, process)
            cpu, restore = _cpu_ms(process.pid), time.perf_counter()
            api.restored.set()
            restore = (_wait(api.polled, process) - restore) * 1000
        else:
            polled = _wait(api.polled, process)
            cpu = _cpu_ms(process.pid)
        yield Function(
            init_ms=(polled - begun) * 1000,
            init_cpu_ms=cpu,
            restore_ms=restore,
            process=process,
            api=api,
        )
    finally:
        process.kill()
        process.wait()
        api.shutdown()
        api.server_close()


def _wait(there: "queue.Queue[float]", process: "subprocess.Popen[bytes]") -> float:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            return there.get(timeout=0.1)
        except queue.Empty:
            assert process.poll() is None, "the function ended at its start"
    raise TimeoutError("the function did not ask for an invocation")


def _cpu_ms(pid: int) -> float:
    """The first member of `schedstat` is the time on a CPU in nanoseconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / NANOSECONDS
