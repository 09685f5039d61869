"""An emulator of AWS: PyPI's `ministack`, as a process on a free port of this machine.

To have it: a virtual environment with `ministack` and `cryptography`, and its `bin/ministack`
named. It is no dependency of ours: it wants another botocore.
"""

import http.client
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.needs import missing

COMMAND = "PASSERINE_TEST_AWS_EMULATOR"
START_SECONDS = 30.0
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """A running emulator.

    Attributes:
        endpoint: of every service.
        authority: the file of the certificate that it shows, if it speaks TLS.
    """

    endpoint: str
    authority: Path | None = None

    def variables(self) -> dict[str, str]:
        """What leads the SDKs to it."""
        found = environment(self.endpoint)
        if self.authority is not None:
            found["AWS_CA_BUNDLE"] = found["NODE_EXTRA_CA_CERTS"] = str(self.authority)
        return found

    def tls(self) -> ssl.SSLContext | None:
        """What a client needs to believe it."""
        return ssl.create_default_context(cafile=self.authority) if self.authority else None


@contextmanager
def aws_emulator(folder: Path) -> Iterator[str]:
    """The endpoint of an emulator without IAM."""
    with emulated(folder) as emulator:
        yield emulator.endpoint


@contextmanager
def emulated(folder: Path, *, enforced: bool = False) -> Iterator[Emulator]:
    """An emulator; without it the test is skipped, and in CI fails.

    Args:
        enforced: whether it asks each call's right of IAM; it then speaks TLS alone.
    """
    command = os.environ.get(COMMAND)
    if command is None:
        missing(f"{COMMAND} naming the command of an installed ministack")
    port = _free_port()
    # Its functions inherit its whole environment: it gets nothing but what it needs.
    environment = {
        **CREDENTIALS,
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "localhost",
        "IOT_MTLS_ENABLED": "0",  # it would listen on every address
    }
    emulator = Emulator(endpoint=f"http://127.0.0.1:{port}")
    if enforced:
        authority, key = _certificate(folder)
        emulator = Emulator(endpoint=f"https://localhost:{port}", authority=authority)
        environment |= {
            "AUTH": "true",
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(authority),
            "MINISTACK_SSL_KEY": str(key),
            "AWS_CA_BUNDLE": str(authority),
            "SSL_CERT_FILE": str(authority),
        }
    log = folder / "emulator.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [command], cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            _wait_for(port, process, log, emulator.tls())
            yield emulator
        finally:
            process.terminate()


def environment(endpoint: str) -> dict[str, str]:
    """The SDK's own variables that lead to it."""
    return {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint, "AWS_EC2_METADATA_DISABLED": "true"}


def mail(endpoint: str, tls: ssl.SSLContext | None = None) -> list[dict[str, Any]]:
    """What SES was given, oldest first."""
    connection = _connection(int(endpoint.rpartition(":")[2]), tls)
    try:
        connection.request("GET", "/_ministack/ses/messages")
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    (messages,) = answer["messages"].values() or ([],)
    return list(messages)


def _connection(port: int, tls: ssl.SSLContext | None) -> http.client.HTTPConnection:
    if tls is None:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    return http.client.HTTPSConnection("localhost", port, timeout=10, context=tls)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine's names, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.DNSName("*.localhost")]
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    shown, held = folder / "authority.pem", folder / "authority.key"
    shown.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    held.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return shown, held


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(
    port: int, process: "subprocess.Popen[bytes]", log: Path, tls: ssl.SSLContext | None
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        connection = _connection(port, tls)
        try:
            connection.request("GET", "/_ministack/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    pytest.fail(log.read_text())
