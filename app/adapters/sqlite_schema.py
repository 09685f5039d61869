"""The schema of the SQLite file: laid into an empty one, checked in every other."""

import sqlite3
import time

from app.common.errors import CannotStart

SCHEMA_VERSION = 1
APPLICATION_ID = 0x50415353  # "PASS": marks the file as ours (PRAGMA application_id)
SCHEMA = """
CREATE TABLE items (
    pk TEXT NOT NULL, sk TEXT NOT NULL, body TEXT NOT NULL,
    version INTEGER NOT NULL, expires_at INTEGER,
    PRIMARY KEY (pk, sk)
) WITHOUT ROWID;
CREATE INDEX items_by_expiry ON items (expires_at) WHERE expires_at IS NOT NULL;
"""


def prepare(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Lay the schema into an empty file; one that is not ours is only looked at."""
    marks = _marks(connection)
    if marks is not None:
        _refuse_others(*marks)
    _write_ahead(connection, busy_seconds)
    if marks is not None:
        return
    connection.execute("BEGIN IMMEDIATE")  # processes that start together take turns
    try:
        if _marks(connection) is None:
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    _refuse_others(*(_marks(connection) or (0, 0)))


def _marks(connection: sqlite3.Connection) -> tuple[int, int] | None:
    """Whose file it is and of which schema version; `None` while it is empty."""
    tables, *marks = connection.execute(
        "SELECT (SELECT count(*) FROM sqlite_master), application_id, user_version "
        "FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    return (marks[0], marks[1]) if tables or any(marks) else None


def _refuse_others(application_id: int, schema_version: int) -> None:
    if application_id != APPLICATION_ID:
        raise CannotStart("The database file belongs to another program: choose another DATA_DIR.")
    if schema_version != SCHEMA_VERSION:
        raise CannotStart(
            f"The database has schema version {schema_version}, not {SCHEMA_VERSION}: another "
            "release of this service made it."
        )


def _write_ahead(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Switch to write-ahead logging; the switch alone does not wait for other processes."""
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # less its extension
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
