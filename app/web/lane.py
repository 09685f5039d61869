"""A lane of its own for work that keeps a core busy, so that everything else goes on beside it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import anyio

from app.common.errors import StoreUnavailable
from app.web.blocking import blocking

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Runs calls in threads, `limiter.total_tokens` at a time, and keeps `queue` waiting."""

    limiter: anyio.CapacityLimiter = field(repr=False)
    queue: int
    # Counted here: the limiter learns of a call only when the event loop comes round again.
    _inside: list[None] = field(default_factory=list, repr=False)

    async def run(self, call: Callable[[], T]) -> T:
        """The call's result.

        Raises:
            StoreUnavailable: too many are waiting already.
        """
        if len(self._inside) >= self.limiter.total_tokens + self.queue:
            raise StoreUnavailable
        self._inside.append(None)
        try:
            return await blocking(call, limiter=self.limiter)
        finally:
            self._inside.pop()
