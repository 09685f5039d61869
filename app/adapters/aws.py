"""AWS's clients, each made once and on its first use, and one way in which a call fails."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from app.adapters.aws_json import (
    CONNECT_SECONDS,
    READ_SECONDS,
    SERVICES,
    AwsFault,
    Credentials,
    JsonClient,
)

ATTEMPTS = 3
POOL = 50
SESSION = "session"
# AWS General Reference, "Endpoints"; other partitions are named by AWS_ENDPOINT_URL.
DOMAINS = {"cn-": "amazonaws.com.cn"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Aws:
    """The clients of one process.

    Region, credentials and endpoints come from the SDK's own variables (`AWS_REGION`,
    `AWS_ENDPOINT_URL`, ...). Where a variable does not tell region or credentials, botocore finds
    them as everywhere: profiles, containers, instances.
    """

    _clients: dict[str, Any] = field(default_factory=dict, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def json(self, service: str, *, attempts: int = ATTEMPTS) -> JsonClient:
        """The client of a service that speaks JSON and stands on a request's path."""
        name = f"json {service}"
        found: JsonClient | None = self._clients.get(name)
        if found is None:  # else nobody waits while another thread makes a client of botocore's
            with self._lock:
                found = self._clients.get(name) or self._json(service, attempts)
                self._clients[name] = found
        return found

    def client(self, service: str) -> Any:
        """Botocore's client of a service; making it reads the service's model, some 50 ms."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    def forget(self) -> None:
        """Drop every client, with its connections and credentials."""
        with self._lock:
            for client in self._clients.values():
                if isinstance(client, JsonClient):
                    client.close()
            self._clients.clear()

    def ask(self, service: str, operation: str, **request: Any) -> Any:
        """Botocore's answer to a call.

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

    def _json(self, service: str, attempts: int) -> JsonClient:
        region = self._region()
        return JsonClient(
            service=SERVICES[service],
            endpoint=_endpoint(service, region),
            region=region,
            credentials=self._credentials,
            attempts=attempts,
        )

    def _region(self) -> str:
        """The one that all clients speak to.

        Raises:
            AwsFault: there is none.
        """
        named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if named:
            return named
        with _failing():
            found = self._session().get_config_variable("region")
        if not found:
            raise AwsFault("NoRegionError")
        return str(found)

    def _credentials(self) -> Credentials:
        """Those of this moment: a role's are exchanged every few hours.

        Raises:
            AwsFault: there are none.
        """
        access, secret = (
            os.environ.get(f"AWS_{name}") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
        )
        if access and secret:
            token = os.environ.get("AWS_SESSION_TOKEN") or None
            return Credentials(access_key=access, secret_key=secret, token=token)
        with _failing():
            found = self._session().get_credentials()
            frozen = None if found is None else found.get_frozen_credentials()
        if frozen is None:
            raise AwsFault("NoCredentialsError")
        return Credentials(
            access_key=frozen.access_key, secret_key=frozen.secret_key, token=frozen.token
        )

    def _session(self) -> Any:
        # Some 100 ms of imports, for what needs more than a signed POST.
        from botocore.session import Session

        with self._lock:
            if SESSION not in self._clients:
                self._clients[SESSION] = Session()
            return self._clients[SESSION]

    def _make(self, service: str) -> Any:
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=POOL,
            tcp_keepalive=True,
        )
        return self._session().create_client(service, region_name=self._region(), config=config)


@contextmanager
def _failing() -> Iterator[None]:
    """Whatever botocore meets while it looks for region and credentials, by its name alone."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, RuntimeError) as error:  # RuntimeError: expired ones
        raise AwsFault(type(error).__name__) from None


def _endpoint(service: str, region: str) -> str:
    """AWS SDKs and Tools Reference Guide, "Service-specific endpoints"."""
    # Secrets Manager's id is of two words; the others are one.
    own = f"AWS_ENDPOINT_URL_{'SECRETS_MANAGER' if service == 'secretsmanager' else service}"
    given = os.environ.get(own.upper()) or os.environ.get("AWS_ENDPOINT_URL")
    if given:
        return given.rstrip("/")
    domain = next((d for start, d in DOMAINS.items() if region.startswith(start)), "amazonaws.com")
    return f"https://{service}.{region}.{domain}"
