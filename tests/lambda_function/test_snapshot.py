"""What a snapshot of the function holds, and what begins anew after it (SnapStart)."""

import random
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from app.lambda_handler import LATER, Handler
from app.settings import load
from app.wiring import build
from tests.answering import There, answering
from tests.aws_emulator import environment
from tests.gateway import Request, event

SETTINGS = {
    "PASSERINE_STORE": "dynamodb",
    "PASSERINE_TABLE_NAME": "table",
    "PASSERINE_KMS_KEY_ID": "key",
    "PASSERINE_ADMIN_API_KEY_SECRET": "secret",
    "PASSERINE_EMAIL": "ses",
    "PASSERINE_EMAIL_FROM": "no-reply@example.com",
    "PASSERINE_PUBLIC_URL": "https://auth.example.com",
}
HEALTH = event(
    "http",
    Request(
        method="GET", path="/health", query="", headers=[("host", "auth.example.com")], body=b""
    ),
)


@pytest.fixture
def aws() -> Iterator[There]:
    with answering() as there:
        yield there


@pytest.fixture
def handler(aws: There, monkeypatch: pytest.MonkeyPatch) -> Iterator[Handler]:
    for name, value in environment(aws.endpoint).items():
        monkeypatch.setenv(name, value)
    services = build(load(SETTINGS), probe=False)
    with closing(Handler(services=services)) as made, closing(services):
        yield made


def test_before_a_snapshot_everything_is_imported_and_aws_is_asked_nothing(
    handler: Handler, aws: There
) -> None:
    handler.warm()
    assert set(LATER) <= sys.modules.keys()
    assert aws.clients == []


def test_the_app_that_was_made_before_a_snapshot_answers_after_it(
    handler: Handler, aws: There
) -> None:
    handler.warm()
    handler.awake()
    assert handler(HEALTH, None)["statusCode"] == 200
    assert len(aws.clients) == 1


def test_after_a_restore_no_connection_of_before_is_used(handler: Handler, aws: There) -> None:
    for _ in range(2):
        handler(HEALTH, None)
    assert len(set(aws.clients)) == 1
    handler.awake()
    handler(HEALTH, None)
    assert len(set(aws.clients)) == 2


def test_after_a_restore_credentials_are_asked_for_anew(
    handler: Handler, aws: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler(HEALTH, None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    handler.awake()
    handler(HEALTH, None)
    assert "Credential=another/" in aws.heads[-1]["authorization"]


def test_restored_processes_do_not_share_their_chance(handler: Handler) -> None:
    random.seed(1)
    same = random.getstate()
    handler.awake()
    one = random.random()
    random.setstate(same)
    handler.awake()
    assert random.random() != one
