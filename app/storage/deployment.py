"""The deployment's own secret, from which keys for single purposes are derived."""

import secrets
import threading
from dataclasses import dataclass, field

from app.common.errors import StoreUnavailable
from app.common.secrets import Sealer, decode, encode, mac
from app.storage import keys
from app.storage.table import Absent, ConditionFailed, Put, Table

CONTEXT = "deployment/secret"


@dataclass(frozen=True, kw_only=True, eq=False)
class DeploymentSecret:
    """256 bits made at the first start, sealed in the table, opened once in each process."""

    table: Table
    sealer: Sealer
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _opened: list[bytes] = field(default_factory=list, repr=False)

    def derive(self, *purpose: str) -> bytes:
        """A key for one purpose; keys of different purposes tell nothing about each other."""
        return mac(self._secret(), *purpose)

    def _secret(self) -> bytes:
        with self._lock:
            if not self._opened:
                self._opened.append(self._read() or self._make())
            return self._opened[0]

    def _read(self) -> bytes | None:
        item = self.table.get(keys.deployment_secret())
        if item is None:
            return None
        return decode(self.sealer.open(str(item.body["sealed"]), context=CONTEXT).decode())

    def _make(self) -> bytes:
        made = secrets.token_bytes(32)
        sealed = self.sealer.seal(encode(made).encode(), context=CONTEXT)
        try:
            self.table.commit(
                Put(key=keys.deployment_secret(), body={"sealed": sealed}, when=(Absent(),))
            )
        except ConditionFailed:  # another process was first: its secret is the deployment's
            found = self._read()
            if found is None:
                raise StoreUnavailable from None
            return found
        return made
