"""The stack, by AWS CDK's own command, on the emulator.

Needs Node, `PASSERINE_TEST_NODE_MODULES` naming a folder with npm's `aws-cdk`, Python 3.13 and the
emulator; without one of them a test is skipped, and in CI fails.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.session
import httpx
import uv

from infra.bundle import PYTHON, ROOT
from tests.aws_emulator import CREDENTIALS, Emulator, emulated
from tests.needs import missing
from tests.unlimited import unlimited

NODE_MODULES = "PASSERINE_TEST_NODE_MODULES"
STACK = "Passerine"
SENDER = "no-reply@example.com"
# Emulators run the code on this machine, which is no Graviton.
PLATFORM = "x86_64-manylinux_2_28"
ACCOUNT = "000000000000"
LONG = 300.0


def lambdas_python() -> str:
    """The interpreter of Lambda's version."""
    found = os.environ.get("PASSERINE_TEST_PYTHON") or shutil.which(f"python{PYTHON}")
    return found or missing(f"Python {PYTHON}, on the PATH or named by PASSERINE_TEST_PYTHON")


def command() -> str:
    """The CLI of AWS CDK."""
    if shutil.which("node") is None:
        missing("Node")
    modules = os.environ.get(NODE_MODULES)
    found = modules and Path(modules) / "node_modules" / ".bin" / "cdk"
    if not found or not found.exists():
        missing(f"{NODE_MODULES} naming a folder with npm's aws-cdk")
    return str(found)


def synthesize(folder: Path, **context: str) -> Path:
    """`cdk synth` into a folder; the folder."""
    told = {
        "email_from": SENDER,
        "email_identity": SENDER,
        "removable": "true",
        "limits": " ".join(
            f"{name.removeprefix('limit_')}={rate}" for name, rate in unlimited("dynamodb").items()
        ),
        "platform": PLATFORM,
        "python": lambdas_python(),
        **context,
    }
    words = [word for name, value in told.items() for word in ("-c", f"passerine:{name}={value}")]
    app = f"{sys.executable} -m infra.app"
    environment = {
        **os.environ,
        "UV": uv.find_uv_bin(),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        # Not this machine's account, whatever it is signed in to.
        "AWS_EC2_METADATA_DISABLED": "true",
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    _run(["synth", "--quiet", "--output", str(folder), "--app", app, *words], ROOT, environment)
    return folder


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The stack on an emulator of its own.

    Attributes:
        folder: a folder that belongs to it.
        outputs: of the last deployment.
    """

    emulator: Emulator
    folder: Path
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.outputs["Url"]

    @property
    def admin_key(self) -> str:
        answer = self.client("secretsmanager").get_secret_value(
            SecretId=self.outputs["AdminKeySecret"]
        )
        found: str = answer["SecretString"]
        return found

    def client(self, service: str) -> Any:
        """The SDK's client of the account's owner."""
        return botocore.session.get_session().create_client(
            service,
            region_name=CREDENTIALS["AWS_REGION"],
            endpoint_url=self.emulator.endpoint,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            verify=str(self.emulator.authority) if self.emulator.authority else None,
        )

    def transport(self) -> httpx.BaseTransport:
        """Carries requests to its names, which nothing but a browser resolves."""
        return _ToThisMachine(verify=self.emulator.tls() or True)

    def deploy(self, assembly: Path) -> None:
        outputs = self.folder / "outputs.json"
        self._cdk(
            *("deploy", "--app", str(assembly), "--require-approval", "never"),
            *("--outputs-file", str(outputs)),
        )
        self.outputs.clear()
        self.outputs.update(json.loads(outputs.read_text())[STACK])

    def destroy(self, assembly: Path) -> None:
        self._cdk("destroy", "--app", str(assembly), "--force")

    def bootstrap(self) -> None:
        self._cdk("bootstrap", f"aws://{ACCOUNT}/{CREDENTIALS['AWS_REGION']}")

    def _cdk(self, *words: str) -> None:
        # An empty folder: beside a `cdk.json` each command would synthesize first.
        empty = self.folder / "empty"
        empty.mkdir(exist_ok=True)
        environment = {
            **self.emulator.variables(),
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "CDK_DISABLE_CLI_TELEMETRY": "true",
        }
        _run(list(words), empty, environment)


@contextmanager
def deployed(folder: Path, assembly: Path) -> Iterator[Stack]:
    """The stack, bootstrapped and deployed, on an emulator that asks each call's right of IAM."""
    with ExitStack() as stack:
        emulator = stack.enter_context(emulated(folder, enforced=True))
        there = Stack(emulator=emulator, folder=folder)
        there.bootstrap()
        there.deploy(assembly)
        _where_the_emulator_differs(there)
        yield there


def _where_the_emulator_differs(there: Stack) -> None:
    """Two rights whose resources the emulator reads in its own way.

    Its SES asks for the right to send from everywhere, where AWS asks for the identity's; and a
    template's reference to a secret is its name there, on AWS its ARN.
    """
    secret = there.client("secretsmanager").describe_secret(
        SecretId=there.outputs["AdminKeySecret"]
    )
    rights = (("ses:SendEmail", "*"), ("secretsmanager:GetSecretValue", secret["ARN"]))
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": action, "Resource": resource}
            for action, resource in rights
        ],
    }
    there.client("iam").put_role_policy(
        RoleName=role_of(there).rpartition("/")[2],
        PolicyName="Emulator",
        PolicyDocument=json.dumps(policy),
    )


def role_of(there: Stack) -> str:
    """The ARN of the function's role."""
    function = there.client("lambda").get_function(FunctionName=there.outputs["FunctionName"])
    found: str = function["Configuration"]["Role"]
    return found


class _ToThisMachine(httpx.HTTPTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, "sni_hostname": "localhost"}
        if request.url.path == "/health":  # which the emulator keeps for itself on every host
            api = request.url.host.partition(".")[0]
            request.url = request.url.copy_with(path=f"/_aws/execute-api/{api}/$default/health")
            request.headers["host"] = f"localhost:{request.url.port}"
        request.url = request.url.copy_with(host="127.0.0.1")
        return super().handle_request(request)


def _run(words: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [command(), "--no-notices", "--no-color", *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert done.returncode == 0, f"cdk {' '.join(words)}\n{done.stdout}\n{done.stderr}"
