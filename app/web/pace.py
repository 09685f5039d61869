"""Answers that take the same time whatever was found, so that a stopwatch learns nothing."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from app.web.blocking import blocking
from app.web.lane import Lane

T = TypeVar("T")

FRACTIONS = 10_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Pace:
    """Keeps answers back until so many seconds after the question, and up to a fifth more.

    For routes whose work differs between a known address and an unknown one by more than a
    password's hash hides. The thread is free again while the answer waits.
    """

    seconds: float

    async def keep(
        self, call: Callable[[], T], *, lane: Lane | None = None, refusals_alone: bool = False
    ) -> T:
        """A call's result, or its refusal, no sooner than that.

        Args:
            call: the work.
            lane: where it runs, if it hashes.
            refusals_alone: a result does not wait; whoever gets it knows all that it tells.
        """
        # Timers of the loop are rounded to milliseconds from the moment that they are set, which
        # is when the work ends: only a random end keeps that moment to itself.
        late = secrets.randbelow(FRACTIONS) / FRACTIONS / 5
        due = anyio.current_time() + self.seconds * (1 + late)
        run = blocking if lane is None else lane.run
        try:
            result = await run(call)
        except Exception:
            await anyio.sleep_until(due)
            raise
        if not refusals_alone:
            await anyio.sleep_until(due)
        return result
