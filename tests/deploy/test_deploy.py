"""The stack's life on the emulator: the same twice, new code over it, its rights, its end."""

import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import __version__
from tests.cdk import STACK, Stack, deployed, lambdas_python, role_of, synthesize
from tests.flows.client import sign_up
from tests.flows.conftest import connected, deployment_of

PASSWORD = "a horse that nobody staples"
# Runs under the role of the function that is tested.
PROBE = """
import botocore.exceptions, botocore.session

def handler(asked, context):
    session, found = botocore.session.get_session(), {}
    for name, (service, method, arguments) in asked.items():
        try:
            getattr(session.create_client(service), method)(**arguments)
            found[name] = "allowed"
        except botocore.exceptions.ClientError as error:
            found[name] = error.response["Error"]["Code"]
    return found
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, assembly: Path) -> Iterator[Stack]:
    with deployed(tmp_path_factory.mktemp("stack"), assembly) as opened:
        yield opened


def described(assembly: Path) -> dict[str, Any]:
    """Templates and what they name assets by."""
    return {
        path.name: path.read_bytes()
        for pattern in ("*.template.json", "*.assets.json")
        for path in assembly.glob(pattern)
    }


def test_two_syntheses_are_the_same(assembly: Path, tmp_path: Path) -> None:
    first = described(assembly)
    assert len(first) == 2
    assert described(synthesize(tmp_path / "again")) == first


def probe(stack: Stack, asked: dict[str, tuple[str, str, dict[str, Any]]]) -> dict[str, str]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("probe.py", PROBE)
    client = stack.client("lambda")
    client.create_function(
        FunctionName="probe",
        Runtime="python3.13",
        Role=role_of(stack),
        Handler="probe.handler",
        Code={"ZipFile": packed.getvalue()},
        Timeout=60,
    )
    client.get_waiter("function_active_v2").wait(FunctionName="probe")
    answer = client.invoke(FunctionName="probe", Payload=json.dumps(asked).encode())
    found: dict[str, str] = json.loads(answer["Payload"].read())
    client.delete_function(FunctionName="probe")
    return found


def test_the_functions_role_may_do_nothing_else(stack: Stack) -> None:
    table, topic = stack.outputs["TableName"], stack.outputs["EventsTopic"]
    secret, alarms = stack.outputs["AdminKeySecret"], stack.outputs["AlarmsTopic"]
    key = {"pk": {"S": "x"}, "sk": {"S": "x"}}
    stack.client("dynamodb").create_table(
        TableName="another",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    allowed: dict[str, tuple[str, str, dict[str, Any]]] = {
        "its table": ("dynamodb", "get_item", {"TableName": table, "Key": key}),
        "its secret": ("secretsmanager", "get_secret_value", {"SecretId": secret}),
    }
    refused: dict[str, tuple[str, str, dict[str, Any]]] = {
        "all items": ("dynamodb", "scan", {"TableName": table}),
        "the table's end": ("dynamodb", "delete_table", {"TableName": table}),
        "another table": (
            "dynamodb", "get_item", {"TableName": "another", "Key": {"pk": {"S": "x"}}},
        ),
        "all tables": ("dynamodb", "list_tables", {}),
        "the secret's change": ("secretsmanager", "put_secret_value", {
            "SecretId": secret, "SecretString": "x" * 32,
        }),
        "all secrets": ("secretsmanager", "list_secrets", {}),
        "a new key": ("kms", "create_key", {}),
        "all keys": ("kms", "list_keys", {}),
        "the alarms": ("sns", "publish", {"TopicArn": alarms, "Message": "x"}),
        "the topic's end": ("sns", "delete_topic", {"TopicArn": topic}),
        "all queues": ("sqs", "list_queues", {}),
        "all functions": ("lambda", "list_functions", {}),
        "all buckets": ("s3", "list_buckets", {}),
        "all roles": ("iam", "list_roles", {}),
    }  # fmt: skip
    found = probe(stack, {**allowed, **refused})
    assert {name for name, said in found.items() if said == "allowed"} == set(allowed), found
    denied = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}
    assert {found[name] for name in refused} <= denied


def changed(assembly: Path, folder: Path, version: str) -> Path:
    """The assembly with other code: the same service, of another version."""
    code = folder / "code"
    shutil.copytree(assembly / "bundle", code)
    module = code / "app" / "__init__.py"
    text = module.read_text()
    assert __version__ in text
    module.write_text(text.replace(__version__, version))
    compiling = ["-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
    subprocess.run(
        [lambdas_python(), *compiling, "-s", code, "-p", "/var/task", module], check=True
    )
    return synthesize(folder / "assembly", code=str(code))


def test_new_code_loses_no_user_and_the_end_leaves_nothing(
    stack: Stack, assembly: Path, tmp_path: Path
) -> None:
    deployment = deployment_of(stack)
    with connected(deployment) as client:
        app = client.create_application(name="Songbook").done()["id"]
        email = "ada@example.com"
        grant = sign_up(client, deployment.inbox(client), app, email, PASSWORD)
        assert (
            client.http.get(f"{client.url}/openapi.json").json()["info"]["version"] == __version__
        )

        newer = changed(assembly, tmp_path, "9.9.9")
        stack.deploy(newer)
        assert client.http.get(f"{client.url}/openapi.json").json()["info"]["version"] == "9.9.9"
        assert client.read_me(app, grant["accessToken"]).done()["email"] == email
        client.refresh(app, grant["refreshToken"]).done()
        client.sign_in(app, email, PASSWORD).done()
        assert client.read_application(app).done()["userCount"] == 1

    stack.destroy(newer)
    left = stack.client("cloudformation").list_stacks(StackStatusFilter=["DELETE_COMPLETE"])
    assert STACK in {one["StackName"] for one in left["StackSummaries"]}
    assert stack.outputs["TableName"] not in stack.client("dynamodb").list_tables()["TableNames"]
