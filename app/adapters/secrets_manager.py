"""The first admin key, kept in AWS Secrets Manager."""

import logging
import threading
from dataclasses import dataclass, field

from app.adapters.aws import Aws
from app.adapters.aws_json import AwsFault
from app.common.clock import Clock
from app.common.errors import StoreUnavailable
from app.common.secrets import digest

log = logging.getLogger(__name__)

CACHE_SECONDS = 60  # how long a key that was replaced still works


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptAdminKey:
    """The digest of the key, read when a key is offered and remembered for a minute."""

    aws: Aws
    secret_id: str
    clock: Clock
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _read: list[tuple[int, str]] = field(default_factory=list, repr=False)

    def digest(self) -> str:
        """What the digest of the right key is.

        Raises:
            StoreUnavailable: Secrets Manager did not give the key.
        """
        now = self.clock.seconds()
        with self._lock:
            if not self._read or not 0 <= now - self._read[0][0] < CACHE_SECONDS:
                self._read[:] = [(now, digest(self._fetch()))]
            return self._read[0][1]

    def _fetch(self) -> str:
        try:
            answer = self.aws.json("secretsmanager").call(
                "GetSecretValue", {"SecretId": self.secret_id}
            )
            return str(answer["SecretString"])
        except AwsFault as fault:
            log.error("Secrets Manager does not give the admin key: %s", fault)  # noqa: TRY400 - its trace may quote AWS
            raise StoreUnavailable from None
