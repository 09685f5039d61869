"""Time is injected: whoever needs the hour is given a `Clock`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """A moment as RFC 3339 in UTC with milliseconds and `Z`, which sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_rfc3339(text: str) -> datetime:
    return datetime.fromisoformat(text)


@dataclass(frozen=True, kw_only=True, eq=False)
class Clock:
    """The hour, in UTC; tests put their own source in."""

    source: Callable[[], datetime] = lambda: datetime.now(UTC)

    def now(self) -> datetime:
        return self.source()

    def seconds(self) -> int:
        """Whole seconds since 1970; an item whose `expires_at` is this or less is gone."""
        return int(self.source().timestamp())
