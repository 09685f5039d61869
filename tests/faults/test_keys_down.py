"""The key store does not answer: nothing is signed, nothing is sealed, and nobody hears why."""

import base64
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.applications.logic import Applications
from tests.api.world import ADMIN_KEY, PASSWORD, Person, World, open_world, refused
from tests.dynamodb_local import spoken_to

KEY = "arn:aws:kms:us-east-1:000000000000:key/test"
FAULTS = ["ThrottlingException", "AccessDeniedException", "KMSInternalException", None]


@dataclass(kw_only=True)
class Kms:
    """What KMS is to us: it wraps data keys, or answers with an error, or breaks the connection."""

    url: str = ""
    well: bool = True
    fault: str | None = None
    wrapped: dict[str, tuple[str, Any]] = field(default_factory=dict)

    def answer(self, operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        if not self.well:
            status = 500 if self.fault == "KMSInternalException" else 400
            return None if self.fault is None else (status, {"__type": self.fault})
        context = asked["EncryptionContext"]
        if operation == "GenerateDataKey":
            blob, plain = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
            self.wrapped[blob] = plain, context
            return 200, {"CiphertextBlob": blob, "Plaintext": plain, "KeyId": KEY}
        plain, bound = self.wrapped[asked["CiphertextBlob"]]
        assert bound == context
        return 200, {"Plaintext": plain, "KeyId": KEY}


@contextmanager
def serving() -> Iterator[Kms]:
    kms = Kms()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = kms.answer(self.headers["X-Amz-Target"].partition(".")[2], asked)
            if reply is None:
                return
            text = json.dumps(reply[1]).encode()
            self.send_response(reply[0])
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kms.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield kms
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def kms() -> Iterator[Kms]:
    with serving() as served, spoken_to(served.url):
        yield served


@pytest.fixture
def person(kms: Kms, tmp_path: Path) -> Iterator[Person]:
    with open_world(tmp_path, kms_key_id=KEY) as world:
        world.spoilt = True  # the keys lie under no key file, and 503 is what is looked for
        yield world.tenant().user()


def forget(world: World) -> None:
    """As in a process that has opened no key yet."""
    applications: Any = world.services.provided[Applications]
    applications.key_rings._opened.clear()  # noqa: SLF001 - what a new process has not


@pytest.mark.parametrize("fault", FAULTS)
def test_key_12_and_flt_18_without_kms_nothing_is_signed_and_nothing_is_sealed(
    kms: Kms, person: Person, fault: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    tenant, world = person.tenant, person.tenant.world
    forget(world)
    kms.well, kms.fault = False, fault
    rows = world.kept(tenant.id)
    answers: list[httpx.Response] = [
        tenant.sign_in(),
        tenant.sign_up("new@example.com"),
        tenant.ask_reset(),
        tenant.admin("POST", "/keys"),
        world.admin("POST", "/v1/applications", {"signingAlgorithm": "EdDSA"}),
    ]
    for answer in answers:
        refused(answer, 503, "temporarily_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    assert person.call("GET").status_code == 200  # verifying asks for no secret
    assert world.kept(tenant.id) == rows
    for secret in (PASSWORD, ADMIN_KEY, person.access, person.refresh):
        assert secret not in caplog.text
    kms.well = True
    assert tenant.sign_in().status_code == 200
    assert tenant.refresh(person.refresh).status_code == 200


def test_flt_18_a_refresh_that_could_not_be_signed_was_not_begun(kms: Kms, person: Person) -> None:
    tenant, world = person.tenant, person.tenant.world
    forget(world)
    kms.well = False
    refused(tenant.refresh(person.refresh), 503, "temporarily_unavailable")
    kms.well = True
    world.advance(60)
    again = tenant.refresh(person.refresh)
    assert again.status_code == 200
    assert tenant.refresh(again.json()["refreshToken"]).status_code == 200
