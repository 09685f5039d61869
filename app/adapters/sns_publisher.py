"""A consumer that publishes every event to an Amazon SNS topic."""

import json
from dataclasses import dataclass
from typing import Any

from app.adapters.aws import Aws
from app.events.types import Confidential, Event


@dataclass(frozen=True, kw_only=True, eq=False)
class SnsPublisher:
    """Publishes an event as JSON, with its `operation` as the attribute to filter by.

    To a FIFO topic events of one user arrive in order, and a repeat within 5 minutes is dropped
    by its id. Subscribers of a standard topic drop repeats, and sort, by the event's id.
    """

    aws: Aws
    topic_arn: str

    def take(self, event: Event, confidential: Confidential | None) -> None:  # noqa: ARG002 - for the courier alone
        text = {"DataType": "String", "StringValue": event.operation.value}
        request: dict[str, Any] = {
            "TopicArn": self.topic_arn,
            "Message": json.dumps(event.body()),
            "MessageAttributes": {"operation": text},
        }
        if self.topic_arn.endswith(".fifo"):
            request["MessageGroupId"] = event.user_id or event.application_id
            request["MessageDeduplicationId"] = event.id
        self.aws.ask("sns", "publish", **request)
