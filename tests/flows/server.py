"""The real service as its owner starts it: uvicorn in processes of its own, on a data folder.

Each server is the leader of a process group; leaving its block ends the whole group.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.unlimited import unlimited

ROOT = Path(__file__).parents[2]
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
ADMIN_KEY_FILE = "admin-api-key"
# Idle connections of a test's clients live longer than its pauses.
PATIENT = ("--timeout-keep-alive", "120")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running service.

    Attributes:
        folder: its data folder.
        output: the file that takes its standard output.
        log: the file that takes its standard error.
    """

    process: subprocess.Popen[bytes] = field(repr=False)
    port: int
    folder: Path
    output: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_key(self) -> str:
        return (self.folder / ADMIN_KEY_FILE).read_text().strip()

    def stop(self) -> int:
        """End it as a process manager does; what it exited with."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        """End every process of its group at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        deadline = time.monotonic() + STOP_SECONDS
        while left := self.processes():  # they were killed, and die in their own time
            assert time.monotonic() < deadline, f"{left} are left"
            time.sleep(0.02)

    def processes(self) -> list[int]:
        """The living processes of its group."""
        return [pid for pid in _pids() if _group(pid) == self.process.pid]


def command(port: int, *options: str) -> list[str]:
    """How the service is started."""
    uvicorn = [sys.executable, "-m", "uvicorn", "app.main:app", "--host", "127.0.0.1"]
    return [*uvicorn, "--port", str(port), *options]


def environment(folder: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with no settings of ours but the given ones, and no limits."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PASSERINE_", "UVICORN_"))}
    given = dict(settings or {})
    free = unlimited(given.get("STORE", "sqlite"))
    named = {f"PASSERINE_{name.upper()}": value for name, value in {**free, **given}.items()}
    return {**kept, "PASSERINE_DATA_DIR": str(folder), **named}


@contextmanager
def serving(
    folder: Path,
    *options: str,
    workers: int = 1,
    settings: Mapping[str, str] | None = None,
    name: str = "server",
) -> Iterator[Server]:
    """A service on a data folder, ready to answer, ended with the block.

    Args:
        folder: the data folder; output and log lie beside it, under `name`.
        options: more of uvicorn's.
        workers: how many processes answer.
        settings: of the service, without their prefix.
        name: tells several servers of one folder apart.
    """
    server = start(folder, *options, workers=workers, settings=settings, name=name)
    try:
        wait_until_ready(server, workers)
        yield server
    finally:
        server.stop()


def start(
    folder: Path,
    *options: str,
    workers: int = 1,
    settings: Mapping[str, str] | None = None,
    name: str = "server",
    port: int | None = None,
) -> Server:
    """Start a service and do not wait; whoever calls it stops it."""
    port = port or free_port()
    output = folder.with_name(f"{folder.name}.{name}.out")
    log = folder.with_name(f"{folder.name}.{name}.err")
    many = ("--workers", str(workers)) if workers > 1 else ()
    with output.open("ab") as out, log.open("ab") as err:
        process = subprocess.Popen(
            command(port, *many, *options),
            cwd=ROOT,
            env=environment(folder, settings),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    return Server(process=process, port=port, folder=folder, output=output, log=log)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(server: Server, workers: int = 1) -> None:
    """Return once every worker answers."""
    deadline = time.monotonic() + READY_SECONDS
    while not (_healthy(server.port) and _started(server.log) >= workers):
        assert server.process.poll() is None, server.log.read_text()
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.05)


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _started(log: Path) -> int:
    return log.read_text().count("Application startup complete")


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _group(pid: int) -> int | None:
    """The process group of a living process (proc_pid_stat(5)); a zombie is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, _, group = stat.rpartition(")")[2].split()[:3]
    return None if state in {"Z", "X"} else int(group)
