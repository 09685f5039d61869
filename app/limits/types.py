"""What a limit is."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from app.common.errors import Kind, Refusal
from app.storage.table import Item

SECONDS = {"s": 1, "m": 60, "h": 3600}
RATE = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,4})([smh])")
MOST_COUNTED = 10_000  # every one of them is a number in an item
LONGEST_PERIOD = 24 * 3600


@dataclass(frozen=True, slots=True)
class Rate:
    """So many within any period of so many seconds."""

    count: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Read `10/15m`: a number, and a period in seconds, minutes or hours.

        Raises:
            ValueError: it is nothing of the kind.
        """
        match = RATE.fullmatch(text.strip().lower())
        if match is None:
            raise ValueError("must be a number and a period, such as 10/15m (s, m or h)")
        rate = cls(int(match[1]), int(match[2]) * SECONDS[match[3]])
        if rate.count > MOST_COUNTED or rate.seconds > LONGEST_PERIOD:
            raise ValueError(f"must be at most {MOST_COUNTED} in at most 24h")
        return rate


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a deployment; they hold within each application on its own.

    Attributes:
        on: whether anything is limited at all.
        sign_in: wrong passwords for one account from one network; then each further one is
            followed by a wait that doubles from a minute up to `longest_wait` seconds.
        sign_in_account: wrong passwords for one account, from wherever.
        sign_in_network: wrong passwords from one network, for whomever.
        messages: messages of one kind to one address.
        messages_network: messages that one network asks for.
        sign_up_network: sign-ups from one network.
        refresh: turns of one session, and refused refresh tokens from one network.
    """

    FIRST_WAIT: ClassVar[int] = 60

    on: bool = True
    sign_in: Rate = Rate(10, 900)
    longest_wait: int = 3600
    sign_in_account: Rate = Rate(100, 3600)
    sign_in_network: Rate = Rate(100, 900)
    messages: tuple[Rate, ...] = (Rate(1, 60), Rate(5, 3600))
    messages_network: Rate = Rate(60, 3600)
    sign_up_network: Rate = Rate(30, 300)
    refresh: Rate = Rate(150, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """What one network has coming at one account.

    Attributes:
        times: of its latest failures, in seconds since 1970.
        waits: how many waits it has been given.
        until: when the latest of them ends.
    """

    times: tuple[int, ...] = ()
    waits: int = 0
    until: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """The wrong passwords at one account: all of them, and by network."""

    times: tuple[int, ...] = ()
    networks: dict[str, Penalty] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was counted lately under one key: names with times in seconds since 1970."""

    item: Item | None
    times: dict[str, tuple[int, ...]]


def recent(times: Iterable[int], seconds: int, now: int) -> tuple[int, ...]:
    """The times that still count, in order.

    A time counts while it is less than a period away from now, in either direction: what a clock
    that ran ahead has counted keeps nobody out for longer than twice the period.
    """
    return tuple(sorted(time for time in times if abs(now - time) < seconds))


class TooManyAttempts(Refusal):
    """The same for every account, existing or not; `retry_after` is the real wait."""

    kind = Kind.TOO_MANY
    code = "too_many_attempts"
    detail = "Too many attempts. Wait as long as Retry-After says, in seconds."
