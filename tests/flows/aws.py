"""Deployments over AWS's services, as its emulators give them.

DynamoDB is AWS's own DynamoDB Local; KMS, SES, SNS and Secrets Manager are ministack's.
"""

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.adapters.aws import Aws
from app.lambda_handler import Handler
from app.settings import load
from app.wiring import build
from tests.aws_emulator import aws_emulator, environment, mail
from tests.dynamodb_local import create_table, dynamodb_local
from tests.flows.client import CHANGED, IN_USE, RESET, VERIFICATION, Client, Message
from tests.gateway import Gateway, Shape
from tests.unlimited import unlimited

PUBLIC_URL = "https://auth.example.com"
ADMIN_KEY = "an-admin-key-of-the-emulator-0123456789"
SENDER = "no-reply@example.com"
POLL_SECONDS = 0.05
# How a person tells what a message is about.
KINDS = {
    "Confirm your email address": VERIFICATION,
    "You already have an account": IN_USE,
    "Reset the password": RESET,
    "The password of your account": CHANGED,
}
LINK = re.compile(r"https?://\S+[?&]token=(\S+)")


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """An account with everything that a deployment needs.

    Attributes:
        settings: of the service, without their prefix.
        variables: of the SDK.
        queue: takes what the topic publishes.
    """

    endpoint: str
    settings: dict[str, str]
    variables: dict[str, str]
    queue: str
    aws: Aws = field(repr=False)

    def published(self) -> list[dict[str, Any]]:
        """The events that reached a subscriber of the topic since the last look."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self.aws.ask(
                "sqs", "receive_message", QueueUrl=self.queue, MaxNumberOfMessages=10
            )
            messages = answer.get("Messages", [])
            for message in messages:
                found.append(json.loads(json.loads(message["Body"])["Message"]))
                self.aws.ask(
                    "sqs",
                    "delete_message",
                    QueueUrl=self.queue,
                    ReceiptHandle=message["ReceiptHandle"],
                )
            if not messages:
                return found


@contextmanager
def cloud(folder: Path) -> Iterator[Cloud]:
    """An account of its own, gone with the block; this process's SDK speaks to it."""
    with ExitStack() as stack:
        table_endpoint = stack.enter_context(dynamodb_local())
        endpoint = stack.enter_context(aws_emulator(folder))
        variables = {**environment(endpoint), "AWS_ENDPOINT_URL_DYNAMODB": table_endpoint}
        variables["AWS_ENDPOINT_URL_DYNAMODB_STREAMS"] = table_endpoint
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in variables.items():
            patch.setenv(name, value)
        aws = Aws()
        stack.callback(aws.forget)
        aws.ask("sesv2", "create_email_identity", EmailIdentity=SENDER)
        topic = aws.ask("sns", "create_topic", Name="events")["TopicArn"]
        queue = aws.ask("sqs", "create_queue", QueueName="events")["QueueUrl"]
        arn = queue_arn(aws, queue)
        aws.ask("sns", "subscribe", TopicArn=topic, Protocol="sqs", Endpoint=arn)
        secret = aws.ask("secretsmanager", "create_secret", Name="admin", SecretString=ADMIN_KEY)
        settings = {
            "STORE": "dynamodb",
            "TABLE_NAME": create_table(aws.client("dynamodb"), stream=True),
            "KMS_KEY_ID": aws.ask("kms", "create_key")["KeyMetadata"]["Arn"],
            "EVENTS_TOPIC_ARN": topic,
            "ADMIN_API_KEY_SECRET": secret["ARN"],
            "EMAIL": "ses",
            "EMAIL_FROM": f"Passerine <{SENDER}>",
            **{name.upper(): value for name, value in unlimited("dynamodb").items()},
        }
        yield Cloud(endpoint=endpoint, settings=settings, variables=variables, queue=queue, aws=aws)


def queue_arn(aws: Aws, queue: str) -> str:
    answer = aws.ask("sqs", "get_queue_attributes", QueueUrl=queue, AttributeNames=["QueueArn"])
    found: str = answer["Attributes"]["QueueArn"]
    return found


@contextmanager
def function(there: Cloud, shape: Shape) -> Iterator[Gateway]:
    """The function behind a gateway of a shape, woken by the table's stream."""
    told = {f"PASSERINE_{name}": value for name, value in there.settings.items()}
    settings = load({**told, "PASSERINE_PUBLIC_URL": PUBLIC_URL})
    settings.check_for_lambda()
    services = build(settings, probe=False)
    with closing(services), closing(Handler(services=services)) as handler:
        gateway = Gateway(shape=shape, function=handler)
        with _streaming(there, gateway):
            yield gateway


@contextmanager
def _streaming(there: Cloud, gateway: Gateway) -> Iterator[None]:
    """What Lambda does: hand the records of the table's stream over, and again what failed."""
    stop = threading.Event()
    stream = there.aws.client("dynamodbstreams")
    arn = stream.list_streams(TableName=there.settings["TABLE_NAME"])["Streams"][0]["StreamArn"]
    faults: list[BaseException] = []

    def run() -> None:
        try:
            _read(stream, arn, stop, gateway.invoke)
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run, name="stream")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not faults, faults


def _read(
    stream: Any, arn: str, stop: threading.Event, invoke: Callable[[dict[str, Any]], Any]
) -> None:
    shards = stream.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    reading = {
        shard["ShardId"]: stream.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for shard in shards
    }
    while not stop.wait(POLL_SECONDS):
        for shard, where in list(reading.items()):
            answer = stream.get_records(ShardIterator=where)
            records = answer["Records"]
            while records and not stop.is_set():
                failed = invoke({"Records": records})["batchItemFailures"]
                lowest = {failure["itemIdentifier"] for failure in failed}
                numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
                first = next((i for i, one in enumerate(numbers) if one in lowest), len(numbers))
                records = records[first:]
                stop.wait(POLL_SECONDS)
            if "NextShardIterator" in answer:
                reading[shard] = answer["NextShardIterator"]


@dataclass(frozen=True, kw_only=True)
class SesInbox:
    """What the emulator's SES was given to send."""

    client: Client
    endpoint: str
    tls: ssl.SSLContext | None = None

    def messages(self, to: str) -> list[Message]:
        sent = mail(self.endpoint, self.tls)
        found = [_message(one) for one in reversed(sent) if one["To"] == [to]]
        self.client.ledger.keep(*(message.token for message in found if message.token))
        return found


def _message(members: dict[str, Any]) -> Message:
    text = members["BodyText"].replace("\r\n", "\n")
    link = LINK.search(text)
    subject = members["Subject"]
    return Message(
        id=members["MessageId"],
        application_id="",
        to=members["To"][0],
        kind=next(kind for start, kind in KINDS.items() if subject.startswith(start)),
        subject=subject,
        text=text,
        url=link[0] if link else None,
        token=link[1] if link else None,
    )
