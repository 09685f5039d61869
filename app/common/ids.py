"""Identifiers: opaque strings that sort by creation time (UUID version 7, RFC 9562 section 5.7)."""

import re
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NewType

from app.common.clock import Clock

ApplicationId = NewType("ApplicationId", str)
UserId = NewType("UserId", str)
SessionId = NewType("SessionId", str)
ApiKeyId = NewType("ApiKeyId", str)
EventId = NewType("EventId", str)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
_CANONICAL = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VERSION_AND_VARIANT = (7 << 76) | (0b10 << 62)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ids:
    """Makes identifiers, each greater than the one before it in this process."""

    clock: Clock
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _last: list[int] = field(default_factory=lambda: [0])

    def new(self) -> str:
        """A UUIDv7 in its canonical text form.

        The 12 bits after the milliseconds count up within a millisecond (RFC 9562 section 6.2,
        method 1), so that two events of one commit keep their order.
        """
        stamp = ((self.clock.now() - EPOCH) // MILLISECOND) << 12
        with self._lock:
            stamp = max(stamp, self._last[0] + 1)
            self._last[0] = stamp
        high = ((stamp >> 12) << 80) | ((stamp & 0xFFF) << 64)
        return _text(high | _VERSION_AND_VARIANT | secrets.randbits(62))


def first_id(moment: datetime) -> str:
    """The least identifier of a moment: what was made earlier is less, what is made then is not."""
    milliseconds = max(0, (moment - EPOCH) // MILLISECOND)
    return _text((milliseconds << 80) | _VERSION_AND_VARIANT)


def is_id(text: str) -> bool:
    """Whether a client's text has the form of one of our identifiers; others never reach a key."""
    return _CANONICAL.fullmatch(text) is not None


def _text(number: int) -> str:
    """The canonical form (RFC 9562 section 4); every request needs one, and has three checked."""
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
