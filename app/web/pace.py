"""Answers that take the same time whatever was found, so that a stopwatch learns nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.to_thread

from app.web.lane import Lane

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Keeps answers back until so many seconds after the question.

    For routes whose work differs between a known address and an unknown one by more than a
    password's hash hides. The thread is free again while the answer waits.
    """

    seconds: float

    async def keep(self, call: Callable[[], T], *, lane: Lane | None = None) -> T:
        """A call's result, or its refusal, no sooner than that.

        Args:
            call: the work.
            lane: where it runs, if it hashes.
        """
        due = anyio.current_time() + self.seconds
        try:
            run = anyio.to_thread.run_sync if lane is None else lane.run
            return await run(call)
        finally:
            await anyio.sleep_until(due)
