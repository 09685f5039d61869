"""The app for uvicorn under a clock that a test sets while it runs: `tests.flows.clocked:app`.

The clock is the machine's and as many seconds more as the file named by `TEST_CLOCK` holds.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import FastAPI

from app.common.clock import Clock
from app.main import create_app
from app.settings import load
from app.wiring import build
from tests.flows.server import ROOT, Server, environment, free_port, wait_until_ready

FILE = "TEST_CLOCK"


@dataclass(frozen=True, kw_only=True)
class Clocked:
    """A server, and its clock."""

    server: Server
    file: Path

    def set(self, seconds: float) -> None:
        """Let it be so many seconds later than it is."""
        set_clock(self.file, seconds)


def set_clock(file: Path, seconds: float) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(str(seconds))
    fresh.rename(file)


@contextmanager
def clocked(folder: Path, *, name: str, seconds: float = 0) -> Iterator[Clocked]:
    """A server on a data folder, under a clock of its own."""
    file, port = folder.with_name(f"{folder.name}.{name}.clock"), free_port()
    set_clock(file, seconds)
    output, log = (folder.with_name(f"{folder.name}.{name}.{end}") for end in ("out", "err"))
    command = [sys.executable, "-m", "uvicorn", "tests.flows.clocked:app", "--port", str(port)]
    with output.open("ab") as out, log.open("ab") as err:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**environment(folder), FILE: str(file)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    server = Server(process=process, port=port, folder=folder, output=output, log=log)
    try:
        wait_until_ready(server)
        yield Clocked(server=server, file=file)
    finally:
        server.stop()


def _from_environment() -> FastAPI:
    file = Path(os.environ[FILE])

    def now() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(file.read_text()))

    return create_app(build(load(os.environ), clock=Clock(source=now)))


def __getattr__(name: str) -> FastAPI:
    if name != "app":
        raise AttributeError(name)
    made = _from_environment()
    globals()["app"] = made
    return made
