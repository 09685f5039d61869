"""What bodies, answers and queries have in common."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
)
from pydantic.alias_generators import to_camel

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
LONGEST_TOKEN = 8192
DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})",
    re.IGNORECASE,
)


class Body(BaseModel):
    """What a client sends: camelCase, nothing unknown, nothing coerced."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        # FastAPI hushes what pydantic warns of when it makes a route, and not what it would warn
        # of later; so Lambda's deferring (`adapters/cold_start.py`) must not reach bodies.
        defer_build=False,
    )


class View(BaseModel):
    """What a client receives."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        defer_build=True,  # until it is shown
    )


class Listing(View, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None = Field(
        description="Send it as `cursor` to get the next page; null on the last one."
    )


class Empty(View):
    """Nothing to tell."""


def _only_rfc3339(value: object) -> object:
    """Refuse numbers and other forms that pydantic takes for a moment too (RFC 3339, 5.6)."""
    if not isinstance(value, str) or not DATE_TIME.fullmatch(value):
        raise ValueError("a date and time with its offset is needed, as RFC 3339 writes it")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("it lies outside of the years 1 to 9999") from None


Moment = Annotated[
    AwareDatetime, Field(strict=False), BeforeValidator(_only_rfc3339), AfterValidator(_in_utc)
]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many items at most.")]
Cursor = Annotated[
    str | None, Query(max_length=1024, description="`nextCursor` of the page before.")
]
Email = Annotated[
    str, StringConstraints(min_length=1, max_length=254), Field(examples=["ada@example.com"])
]
Password = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    Field(examples=["correct horse battery staple"]),
]
Token = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_TOKEN),
    Field(examples=["0PVl2WQ3m0bGJk0XJf5mYv8jvPZ1nSg3m7zYk4sUq9c"]),
]
Metadata = Annotated[dict[str, JsonValue], Field(examples=[{"theme": "dark"}])]


def examples(*values: Any) -> dict[str, Any]:
    """Examples of a whole body, for `model_config`."""
    return {"examples": list(values)}
