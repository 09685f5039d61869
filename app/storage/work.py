"""One use case is one commit, and a lost race becomes the refusal that its write names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from app.common.errors import StoreUnavailable
from app.storage.table import ConditionFailed, Json, Table, Write

__all__ = ["Json", "Stale", "Work", "Write"]  # all that logic knows of the table

T = TypeVar("T")
ATTEMPTS = 12


class Stale(Exception):
    """What a use case has read was changed before its commit; nothing was written."""


@dataclass(frozen=True, kw_only=True)
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
        for _ in range(ATTEMPTS):
            try:
                return use_case()
            except Stale:
                continue
        raise StoreUnavailable
