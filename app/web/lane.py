"""A lane of its own for work that keeps a core busy, so that everything else goes on beside it."""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from app.common.errors import StoreUnavailable
from app.web.blocking import ON_THE_SPOT

T = TypeVar("T")

NICE = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Lane:
    """Runs calls in `threads` threads, and keeps `queue` waiting."""

    threads: int
    queue: int
    # Counted here: a pool does not tell how many wait.
    _inside: list[None] = field(default_factory=list, repr=False)

    async def run(self, call: Callable[[], T]) -> T:
        """The call's result.

        Raises:
            StoreUnavailable: too many are waiting already.
        """
        if len(self._inside) >= self.threads + self.queue:
            raise StoreUnavailable
        self._inside.append(None)
        try:
            if ON_THE_SPOT.get():
                return call()
            work = copy_context().run
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, call)
        finally:
            self._inside.pop()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, "lane", initializer=_step_back)


def _step_back() -> None:
    """Let every other thread go first: where all cores hash, the loop must not wait for one."""
    if sys.platform == "linux":  # elsewhere the number would name a process, of whomever
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
