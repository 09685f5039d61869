"""A wrapper of SQLite's connections that fails where a disk, or another process, makes it fail."""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.adapters.sqlite_table import SqliteTable

DELAY_SECONDS = 0.02

Statement = Callable[[], Any]
Fault = Callable[[str, Statement], Any]


def failing(text: str) -> Fault:
    """A statement fails, and was not done."""

    def fault(_: str, __: Statement) -> Any:
        raise sqlite3.OperationalError(text)

    return fault


locked = failing("database is locked")
full = failing("database or disk is full")
unreadable = failing("disk I/O error")
read_only = failing("attempt to write a readonly database")


def untold(_: str, statement: Statement) -> Any:
    """A statement is done, and fails all the same."""
    statement()
    raise sqlite3.OperationalError("disk I/O error")


def delayed(_: str, statement: Statement) -> Any:
    time.sleep(DELAY_SECONDS)
    return statement()


@dataclass(kw_only=True)
class Faults:
    """The plan for the statements to come, and those that came."""

    seen: list[str] = field(default_factory=list)
    _plan: Callable[[int], Fault | None] = lambda _: None

    def meets(self, fault: Fault, *, at: int, for_ever: bool = False) -> None:
        """From now on count statements from 1, and fail one of them, or all from there on."""
        self.seen = []
        self._plan = lambda call: fault if call == at or (for_ever and call > at) else None

    def calm(self) -> None:
        self.seen, self._plan = [], lambda _: None

    def run(self, text: str, statement: Statement) -> Any:
        self.seen.append(text)
        fault = None if text == "ROLLBACK" else self._plan(len(self.seen))
        return statement() if fault is None else fault(text, statement)


class Connection:
    """A connection whose statements pass through `Faults`."""

    def __init__(self, real: sqlite3.Connection, faults: Faults) -> None:
        self._real = real
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, text: str, *values: Any) -> Any:
        return self._faults.run(text, lambda: self._real.execute(text, *values))


def wrap(table: SqliteTable) -> Faults:
    """Let every connection of a table fail on demand."""
    faults, connect = Faults(), table._connect  # noqa: SLF001 - the driver's own way to its file
    object.__setattr__(table, "_connect", lambda: Connection(connect(), faults))
    table._idle.clear()  # noqa: SLF001 - those made before pass through nothing
    return faults
