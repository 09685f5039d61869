"""AWS's DynamoDB Local: a Java archive, here as npm's `amplify-dynamodb-simulator` packs it.

To have it: `npm pack amplify-dynamodb-simulator`, unpack that, and name its `package/emulator`.
It holds everything in memory and can only listen on every address of the machine: it knows no
option for one. The port is a free one, and the process ends with the test run.
"""

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

from app.adapters.aws_json import SERVICES, Credentials, JsonClient
from tests.needs import missing

FOLDER = "PASSERINE_TEST_DYNAMODB_LOCAL"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
START_SECONDS = 30.0


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Its endpoint; without it the test is skipped, and in CI fails."""
    java, folder = shutil.which("java"), os.environ.get(FOLDER)
    if java is None or folder is None:
        missing(f"Java 17, and {FOLDER} naming a folder with DynamoDBLocal.jar")
    port = _free_port()
    command = [
        java,
        "-Xmx512m",
        f"-Djava.library.path={folder}/DynamoDBLocal_lib",
        "-jar",
        str(Path(folder) / "DynamoDBLocal.jar"),
        "-inMemory",
        "-disableTelemetry",
        "-port",
        str(port),
    ]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@contextmanager
def spoken_to(endpoint: str) -> Iterator[str]:
    """Let the SDK of this process speak to an endpoint until the block ends."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}.items():
            patch.setenv(name, value)
        yield endpoint


def client(endpoint: str) -> Any:
    """A client that tries once, as the driver wants it."""
    return botocore.session.Session().create_client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(
            retries={"total_max_attempts": 1},
            connect_timeout=2,
            read_timeout=10,
            max_pool_connections=64,
        ),
    )


def calls(endpoint: str) -> JsonClient:
    """Our own client, as the driver has it."""
    return JsonClient(
        service=SERVICES["dynamodb"],
        endpoint=endpoint,
        region="us-east-1",
        credentials=lambda: Credentials(access_key="test", secret_key="test"),
    )


def create_table(dynamodb: Any, *, stream: bool = False) -> str:
    """The name of a new table."""
    name = f"passerine-{uuid.uuid4()}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
        if stream
        else {"StreamEnabled": False},
    )
    return name


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "DynamoDB Local ended at its start"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"DynamoDB Local did not answer within {START_SECONDS:.0f} s")
