"""Log lines: text for people, JSON for machines, one line for each event."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from app.common.clock import rfc3339

EXTRA = ("request_id", "operation", "application", "status", "outcome", "milliseconds")


class TextLines(logging.Formatter):
    """`time level text key=value …`; control characters are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        extra = " ".join(f"{name}={value}" for name, value in _extra(record).items())
        lines = [f"{record.getMessage()} {extra}".rstrip()]
        if record.exc_info:
            lines += self.formatException(record.exc_info).split("\n")
        shown = "\n".join(_printable(line) for line in lines)
        return f"{_time(record)} {record.levelname.lower():7} {shown}"


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(*, level: str, style: str) -> None:
    """Send every line of this process to standard error in one style.

    Uvicorn's own access lines are turned off: they hold queries, and a query may hold a token.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else TextLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        theirs = logging.getLogger(name)
        theirs.handlers, theirs.propagate = [], True
    logging.getLogger("uvicorn.access").disabled = True
    # It tells where it found its credentials, at each start.
    logging.getLogger("botocore").setLevel(logging.WARNING)


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in EXTRA if hasattr(record, name)}


def _time(record: logging.LogRecord) -> str:
    return rfc3339(datetime.fromtimestamp(record.created, UTC))
