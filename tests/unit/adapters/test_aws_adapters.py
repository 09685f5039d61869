"""KMS, SES, SNS and Secrets Manager behind our ports, on an emulator of AWS."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.adapters.aws import Aws
from app.adapters.aws_json import AwsFault
from app.adapters.kms_sealer import KmsSealer, encryption_context
from app.adapters.secrets_manager import CACHE_SECONDS, KeptAdminKey
from app.adapters.ses_mailer import SesMailer
from app.adapters.sns_publisher import SnsPublisher
from app.common.clock import Clock
from app.common.errors import StoreUnavailable
from app.common.ids import ApplicationId, EventId, UserId
from app.common.secrets import SealBroken, digest
from app.events.types import Event, Operation
from app.messages.types import MailerUnavailable, Message, MessageKind, MessageRefused
from tests.aws_emulator import aws_emulator, environment, mail
from tests.flows.aws import queue_arn

SENDER = "no-reply@example.com"
APP = "019ca945-0a00-7001-9c76-e6773e9f1b85"
CONTEXT = f"{APP}/signing-key/some-kid"
MESSAGE = Message(
    id="019ca945-0a00-7001-9c76-e6773e9f1b86",
    application_id=APP,
    kind=MessageKind.EMAIL_VERIFICATION,
    to="ada@example.com",
    from_name="Söngbook",
    subject="Confirm your email address for Söngbook",
    text="Open https://example.com/verify?token=secret\n",
    html="<p>Grüße</p>\n",
    url="https://example.com/verify?token=secret",
    token="secret",
    created="2026-03-01T12:00:00.000Z",
)
EVENT = Event(
    id=EventId("019ca945-0a00-7001-9c76-e6773e9f1b87"),
    operation=Operation.USER_CREATED,
    application_id=ApplicationId(APP),
    user_id=UserId("019ca945-0a00-7001-9c76-e6773e9f1b88"),
    time="2026-03-01T12:00:00.000Z",
    data={"number": 1},
)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with aws_emulator(tmp_path_factory.mktemp("aws")) as opened:
        yield opened


@pytest.fixture
def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name, value in environment(endpoint).items():
        monkeypatch.setenv(name, value)
    made = Aws()
    yield made
    made.forget()


@pytest.fixture
def sealer(aws: Aws) -> KmsSealer:
    return KmsSealer(aws=aws, key_id=aws.ask("kms", "create_key")["KeyMetadata"]["Arn"])


def test_a_client_is_made_once_and_anew_after_it_was_forgotten(aws: Aws) -> None:
    first = aws.client("kms")
    assert aws.client("kms") is first
    assert first.meta.config.retries["total_max_attempts"] == 3
    assert (first.meta.config.connect_timeout, first.meta.config.read_timeout) == (1, 3)
    other = aws.json("kms")
    assert aws.json("kms") is other
    aws.forget()
    assert aws.client("kms") is not first
    assert aws.json("kms") is not other


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 100_000])
def test_what_was_sealed_opens_under_its_context(sealer: KmsSealer, size: int) -> None:
    plain = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    sealed = sealer.seal(plain, context=CONTEXT)
    assert sealer.open(sealed, context=CONTEXT) == plain
    assert sealed != sealer.seal(plain, context=CONTEXT)


@pytest.mark.parametrize(
    "context", [f"{APP}/signing-key/other", f"{APP}/message/some-kid", "x/signing-key/some-kid", ""]
)
def test_under_another_context_nothing_opens(sealer: KmsSealer, context: str) -> None:
    sealed = sealer.seal(b"a private key", context=CONTEXT)
    with pytest.raises(SealBroken):
        sealer.open(sealed, context=context)


def test_a_changed_text_does_not_open(sealer: KmsSealer) -> None:
    sealed = sealer.seal(b"a private key", context=CONTEXT)
    for place in (0, 1, 3, 40, len(sealed) // 2, len(sealed) - 2):
        changed = sealed[:place] + ("A" if sealed[place] != "A" else "B") + sealed[place + 1 :]
        with pytest.raises(SealBroken):
            sealer.open(changed, context=CONTEXT)
    for broken in ("", "k1.", "k1.AA", "k1.AA.v1.AA", "v1.AAAA", sealed[:-8], sealed + "AAAA"):
        with pytest.raises(SealBroken):
            sealer.open(broken, context=CONTEXT)


def test_another_key_opens_nothing(aws: Aws, sealer: KmsSealer) -> None:
    sealed = sealer.seal(b"a private key", context=CONTEXT)
    other = KmsSealer(aws=aws, key_id=aws.ask("kms", "create_key")["KeyMetadata"]["Arn"])
    with pytest.raises((SealBroken, StoreUnavailable)):
        other.open(sealed, context=CONTEXT)


def test_a_key_that_is_switched_off_is_unavailable_and_not_broken(
    aws: Aws, sealer: KmsSealer
) -> None:
    sealed = sealer.seal(b"a private key", context=CONTEXT)
    aws.ask("kms", "disable_key", KeyId=sealer.key_id)
    with pytest.raises(StoreUnavailable):
        sealer.open(sealed, context=CONTEXT)
    with pytest.raises(StoreUnavailable):
        sealer.seal(b"another", context=CONTEXT)
    aws.ask("kms", "enable_key", KeyId=sealer.key_id)
    assert sealer.open(sealed, context=CONTEXT) == b"a private key"


def test_the_encryption_context_names_application_purpose_and_item() -> None:
    expected = {"application": APP, "purpose": "signing-key", "item": "some-kid"}
    assert encryption_context(CONTEXT) == expected
    assert encryption_context("deployment/secret") == {
        "application": "deployment",
        "purpose": "secret",
    }


def test_a_message_arrives_as_it_was_written(aws: Aws, endpoint: str) -> None:
    aws.ask("sesv2", "create_email_identity", EmailIdentity=SENDER)
    SesMailer(aws=aws, sender=f"Passerine <{SENDER}>").send(MESSAGE)
    got = mail(endpoint)[-1]
    assert (got["To"], got["Source"], got["Subject"]) == ([MESSAGE.to], SENDER, MESSAGE.subject)
    assert got["BodyText"].replace("\r\n", "\n") == MESSAGE.text
    assert got["BodyHtml"].replace("\r\n", "\n") == MESSAGE.html


def test_a_sender_that_is_not_verified_yet_is_tried_again(aws: Aws) -> None:
    mailer = SesMailer(aws=aws, sender="stranger@elsewhere.example")
    with pytest.raises(MailerUnavailable) as raised:
        mailer.send(MESSAGE)
    assert MESSAGE.to not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_recipient_that_is_none_is_refused_for_good(aws: Aws, endpoint: str) -> None:
    before = len(mail(endpoint))
    with pytest.raises(MessageRefused):
        SesMailer(aws=aws, sender=SENDER).send(replace(MESSAGE, to="ada@example.com, eve@evil.ex"))
    assert len(mail(endpoint)) == before


def test_a_malformed_sender_is_refused_at_the_start(aws: Aws) -> None:
    with pytest.raises(ValueError, match="sender"):
        SesMailer(aws=aws, sender="nobody")


@pytest.mark.parametrize("fifo", [False, True])
def test_an_event_is_published_with_its_operation_and_no_secret(aws: Aws, fifo: bool) -> None:
    name, attributes = ("events.fifo", {"FifoTopic": "true"}) if fifo else ("events", {})
    queue_attributes = {"FifoQueue": "true"} if fifo else {}
    topic = aws.ask("sns", "create_topic", Name=name, Attributes=attributes)["TopicArn"]
    queue = aws.ask("sqs", "create_queue", QueueName=name, Attributes=queue_attributes)["QueueUrl"]
    aws.ask(
        "sns",
        "subscribe",
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=queue_arn(aws, queue),
        Attributes={"FilterPolicy": json.dumps({"operation": ["userCreated"]})},
    )
    publisher = SnsPublisher(aws=aws, topic_arn=topic)
    publisher.take(EVENT, {"token": "a secret token"})
    publisher.take(replace(EVENT, operation=Operation.USER_DELETED), None)
    assert [json.loads(one["Message"]) for one in received(aws, queue)] == [EVENT.body()]
    if fifo:  # the same event once more is dropped by its id
        publisher.take(EVENT, None)
        assert received(aws, queue) == []


def received(aws: Aws, queue: str) -> list[dict[str, Any]]:
    answer = aws.ask("sqs", "receive_message", QueueUrl=queue, MaxNumberOfMessages=10)
    found = answer.get("Messages", [])
    for one in found:
        aws.ask("sqs", "delete_message", QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
    assert "a secret token" not in str(found)
    return [json.loads(one["Body"]) for one in found]


def test_a_topic_that_is_gone_is_a_fault(aws: Aws) -> None:
    arn = "arn:aws:sns:us-east-1:000000000000:gone"
    with pytest.raises(AwsFault):
        SnsPublisher(aws=aws, topic_arn=arn).take(EVENT, None)


def test_a_replaced_admin_key_counts_within_a_minute(aws: Aws) -> None:
    hour = [datetime(2026, 3, 1, 12, tzinfo=UTC)]
    made = aws.ask("secretsmanager", "create_secret", Name="first", SecretString="old")
    kept = KeptAdminKey(aws=aws, secret_id=made["ARN"], clock=Clock(source=lambda: hour[0]))
    assert kept.digest() == digest("old")
    aws.ask("secretsmanager", "put_secret_value", SecretId=made["ARN"], SecretString="new")
    assert kept.digest() == digest("old")
    hour[0] += timedelta(seconds=CACHE_SECONDS)
    assert kept.digest() == digest("new")


def test_without_its_secret_nobody_is_the_administrator(aws: Aws) -> None:
    kept = KeptAdminKey(aws=aws, secret_id="gone", clock=Clock())
    with pytest.raises(StoreUnavailable):
        kept.digest()


def test_a_service_that_cannot_be_reached_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    aws = Aws()
    with pytest.raises(StoreUnavailable):
        KmsSealer(aws=aws, key_id="key").seal(b"x", context=CONTEXT)
    with pytest.raises(MailerUnavailable):
        SesMailer(aws=aws, sender=SENDER).send(MESSAGE)
    with pytest.raises(AwsFault):
        SnsPublisher(aws=aws, topic_arn="arn:aws:sns:us-east-1:0:t").take(EVENT, None)
    aws.forget()
