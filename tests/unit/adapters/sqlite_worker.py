"""Other processes at the same database, and the handle by which a test leads them.

`python -m tests.unit.adapters.sqlite_worker TASK PATH` says a line when it is ready, waits for
a line, and then does its task.
"""

import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from app.adapters.sqlite_table import SqliteTable, open_table
from app.common.clock import Clock
from app.common.errors import StoreUnavailable
from app.storage.table import ConditionFailed, FieldIs, Key, Put, Update

Task: TypeAlias = Callable[[str], None]
COUNTER = Key("counters", "counter")
THREADS = 4
TURNS = 25
STREAM = 20_000  # more than any test waits for
SIDES = ("left", "right")
ROOT = Path(__file__).parents[3]
PATIENCE = 30  # seconds after which a process that hangs is killed


@dataclass(frozen=True)
class Worker:
    """A test's handle of another process."""

    process: subprocess.Popen[str]

    def hear(self) -> str:
        """Its next line; an empty one when it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def hear_rest(self) -> list[str]:
        assert self.process.stdout is not None
        return self.process.stdout.read().splitlines()

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()


@contextmanager
def worker(task: Task, path: str, *more: str) -> Iterator[Worker]:
    """Another process, ended with the block."""
    command = [sys.executable, "-m", "tests.unit.adapters.sqlite_worker", task.__name__, path]
    with subprocess.Popen(
        [*command, *more], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        try:
            yield Worker(process)
        finally:
            watchdog.cancel()
            process.kill()
            with suppress(BrokenPipeError):
                process.communicate()


@contextmanager
def workers(count: int, task: Task, path: str) -> Iterator[list[Worker]]:
    """Processes for one task, each told its number, all ready to go."""
    with ExitStack() as stack:
        started = [stack.enter_context(worker(task, path, f"{me}")) for me in range(count)]
        assert [one.hear() for one in started] == ["ready"] * count
        yield started


def say(line: object) -> None:
    print(line, flush=True)


def wait() -> None:
    sys.stdin.readline()


def opened(path: str) -> closing[SqliteTable]:
    return closing(open_table(path, clock=Clock()))


def open_and_put(path: str) -> None:
    """Open what others open at the same moment, and write to it."""
    say("ready")
    wait()
    with opened(path) as table:
        key = Key("processes", sys.argv[3])
        table.commit(Put(key=key, body={}))
        say("put" if table.get(key) else "lost")


def add(path: str) -> None:
    """Count blindly, in threads."""
    with opened(path) as table:
        say("ready")
        wait()

        def run(_: int) -> None:
            for _turn in range(TURNS):
                table.commit(Update(key=COUNTER, add={"blind": 1}))

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(run, range(THREADS)))
        say("done")


def read_and_add(path: str) -> None:
    """Count on what was read, in threads; a lost race is run again."""
    with opened(path) as table:
        say("ready")
        wait()

        def run(_: int) -> None:
            done = 0
            while done < TURNS:
                found = table.get(COUNTER)
                assert found is not None
                read = found.body["read"]
                assert isinstance(read, int)
                change = Update(key=COUNTER, set={"read": read + 1}, when=(FieldIs("read", read),))
                try:
                    table.commit(change)
                except ConditionFailed:
                    continue
                done += 1

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(run, range(THREADS)))
        say("done")


def stream(path: str) -> None:
    """Commit pairs, and say the number of each pair once it is acknowledged."""
    with opened(path) as table:
        say("ready")
        wait()
        begin = len(table.query("left", limit=STREAM).items)
        for number in range(begin, begin + STREAM):
            table.commit(*(Put(key=Key(side, f"{number:06}"), body={}) for side in SIDES))
            say(number)


def hold(path: str) -> None:
    """Hold the write lock until told to let go."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        say("holding")
        wait()
        connection.execute("ROLLBACK")
        say("released")


def meet_a_full_disk(path: str) -> None:
    """Write while no file may grow, and again when it may."""
    with opened(path) as table:
        table.commit(Put(key=Key("p", "before"), body={}))
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        for turn in range(3):
            try:
                table.commit(
                    Put(key=Key("p", "a"), body={"text": "x" * 50_000}),
                    Put(key=Key("p", "b"), body={"text": "x" * 50_000}),
                )
                say(f"write {turn} went through")
            except StoreUnavailable:
                say(f"write {turn} was refused")
        say([item.key.sk for item in table.query("p", limit=10).items])
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        table.commit(Put(key=Key("p", "after"), body={}))
        say([item.key.sk for item in table.query("p", limit=10).items])


TASKS: dict[str, Task] = {
    task.__name__: task
    for task in (open_and_put, add, read_and_add, stream, hold, meet_a_full_disk)
}

if __name__ == "__main__":
    TASKS[sys.argv[1]](sys.argv[2])
