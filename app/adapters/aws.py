"""AWS's clients, each made once and on its first use, and one way in which a call fails."""

import threading
from dataclasses import dataclass, field
from typing import Any

CONNECT_SECONDS = 1.0
READ_SECONDS = 3.0
ATTEMPTS = 3
POOL = 50


class AwsFault(Exception):
    """A call was not answered as it should be; its text is AWS's code or the kind of failure.

    AWS's own words are left out: they may quote an address or a name.
    """


@dataclass(frozen=True, kw_only=True)
class Aws:
    """The clients of one process.

    Region, credentials and endpoints come from the SDK's own variables (`AWS_REGION`,
    `AWS_ENDPOINT_URL`, ...). botocore alone, without boto3: its clients are all that is used.
    """

    _clients: dict[str, Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def client(self, service: str, *, attempts: int = ATTEMPTS) -> Any:
        """The client of a service; making it reads the service's model, some 50 ms."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make(service, attempts)
            return self._clients[service]

    def forget(self) -> None:
        """Drop every client, with its connections and credentials."""
        with self._lock:
            self._clients.clear()

    def ask(self, service: str, operation: str, **request: Any) -> Any:
        """The answer to a call.

        Raises:
            AwsFault: there is none, also after `ATTEMPTS` tries where another could help.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self.client(service), operation)(**request)
        except ClientError as error:
            raise AwsFault(error.response.get("Error", {}).get("Code", "Unknown")) from None
        except BotoCoreError as error:  # no connection, no credentials, no region
            raise AwsFault(type(error).__name__) from None

    def _make(self, service: str, attempts: int) -> Any:
        # Some 100 ms of imports, for those deployments alone that are on AWS.
        from botocore.config import Config
        from botocore.session import Session

        if "session" not in self._clients:
            self._clients["session"] = Session()
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=POOL,
            tcp_keepalive=True,
        )
        return self._clients["session"].create_client(service, config=config)
