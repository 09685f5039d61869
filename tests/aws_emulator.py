"""An emulator of AWS: PyPI's `ministack`, as a process on a free port of this machine.

To have it: a virtual environment with `ministack` and `cryptography`, and its `bin/ministack`
named. It is no dependency of ours: it wants another botocore.
"""

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

COMMAND = "PASSERINE_TEST_AWS_EMULATOR"
START_SECONDS = 30.0
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def aws_emulator(folder: Path) -> Iterator[str]:
    """Its endpoint; without it the test is skipped, and in CI fails."""
    command = os.environ.get(COMMAND)
    if command is None:
        reason = f"needs {COMMAND} naming the command of an installed ministack"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
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
    log = folder / "emulator.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [command], cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            _wait_for(port, process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def environment(endpoint: str) -> dict[str, str]:
    """The SDK's own variables that lead to it."""
    return {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint, "AWS_EC2_METADATA_DISABLED": "true"}


def mail(endpoint: str) -> list[dict[str, Any]]:
    """What SES was given, oldest first."""
    connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET", "/_ministack/ses/messages")
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    (messages,) = answer["messages"].values() or ([],)
    return list(messages)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/_ministack/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    pytest.fail(log.read_text())
