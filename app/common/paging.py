"""Lists are answered in pages; a cursor says where the next one starts."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.common.errors import InvalidCursor
from app.common.secrets import decode, encode, mac, same

T = TypeVar("T")
MAC_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Paged(Generic[T]):
    """Some entries of a list and the position after them, `None` at the end."""

    entries: list[T]
    position: str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Cursors:
    """Turns positions into opaque, authenticated cursors and back."""

    key: Callable[[], bytes]

    def issue(self, scope: str, position: str | None) -> str | None:
        """A cursor that only the list named by `scope` accepts."""
        if position is None:
            return None
        return encode(self._mac(scope, position) + position.encode())

    def read(self, scope: str, cursor: str | None) -> str | None:
        """The position in a cursor.

        Raises:
            InvalidCursor: it is forged, changed, or of another list.
        """
        if cursor is None:
            return None
        try:
            raw = decode(cursor)
            position = raw[MAC_BYTES:].decode()
        except ValueError:
            raise InvalidCursor from None
        if not same(raw[:MAC_BYTES], self._mac(scope, position)):
            raise InvalidCursor
        return position

    def _mac(self, scope: str, position: str) -> bytes:
        return mac(self.key(), json.dumps([scope, position]))[:MAC_BYTES]
