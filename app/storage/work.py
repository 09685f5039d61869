"""One use case is one commit, and a lost race becomes the refusal that its write names."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from app.common.errors import StoreUnavailable
from app.storage.table import ConditionFailed, Json, Table, Write

__all__ = ["Json", "Stale", "Work", "Write"]  # all that logic knows of the table

T = TypeVar("T")
# Enough for fifty contenders for one item, of whom one gets through at a time; about 2 seconds.
ATTEMPTS = 60
FIRST_PAUSE = 0.002  # seconds, at most; doubled after each attempt
LONGEST_PAUSE = 0.05


class Stale(Exception):
    """What a use case has read was changed before its commit; nothing was written."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Work:
    """What logic uses instead of the table: it commits write values that stores made."""

    table: Table

    def commit(self, *writes: Write) -> None:
        """Commit all writes or none.

        Raises:
            Refusal: the one that the losing write names as `lost`.
            Stale: the losing write names none.
        """
        try:
            self.table.commit(*writes)
        except ConditionFailed as failed:
            raise (failed.write.lost or Stale) from None

    def retried(self, use_case: Callable[[], T]) -> T:
        """Run a use case again from its first read while its commit finds that read stale.

        Raises:
            StoreUnavailable: it was stale every time.
        """
        for attempt in range(ATTEMPTS):
            try:
                return use_case()
            except Stale:
                # Losers that came back at once would meet the same winner again.
                longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)
                time.sleep(random.uniform(0, longest))  # noqa: S311 - it parts, it hides nothing
        raise StoreUnavailable
