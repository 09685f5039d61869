"""The storage port on one DynamoDB table.

Every read is strongly consistent. A commit of one write is one conditional call where that call
may be repeated safely; every other commit is one transaction under one ClientRequestToken. What
AWS answers is told apart by its code alone: the texts differ from place to place.
"""

import logging
import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from app.adapters.aws_json import NO_ANSWER, AwsFault
from app.adapters.dynamodb_items import LIVING, Request, item_of, key_of, number, written_by
from app.common.clock import Clock
from app.common.errors import StoreUnavailable
from app.storage.table import (
    MAX_GETS,
    Absent,
    ConditionFailed,
    Delete,
    FieldIs,
    InvalidWrite,
    Item,
    Key,
    Page,
    Put,
    Update,
    VersionIs,
    Write,
    check_key,
    check_query,
    check_writes,
)

log = logging.getLogger(__name__)

BUDGET_SECONDS = 4.0  # for all tries of one call; an API Gateway waits 30 seconds, a person less
FIRST_WAIT = 0.025  # seconds, at most; doubled after each try
LONGEST_WAIT = 0.8
PAGE_ROWS = 100  # rows of a page after the first, which held expired ones

# DynamoDB Developer Guide, "Error handling": refused before anything was written ...
REFUSED = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
# ... and those that leave open whether it was.
DOUBTFUL = frozenset({"InternalServerError", "ServiceUnavailable", NO_ANSWER})
# API reference, TransactWriteItems, "CancellationReasons".
TRANSIENT_REASONS = frozenset(
    {"ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"}
)


@dataclass(frozen=True, kw_only=True, eq=False)
class DynamoDbTable:
    """`Table` over DynamoDB.

    Attributes:
        call: one call of an operation, which must not be tried again below: that would hide that
            an answer was lost.
        sleep: waits so many seconds.
        budget_seconds: for all tries of one call together.
    """

    name: str
    call: Callable[[str, Mapping[str, Any]], Any]
    clock: Clock
    sleep: Callable[[float], None] = time.sleep
    budget_seconds: float = BUDGET_SECONDS

    def get(self, key: Key) -> Item | None:
        check_key(key)
        answer = self._call("GetItem", TableName=self.name, Key=key_of(key), ConsistentRead=True)
        rows = [answer["Item"]] if "Item" in answer else []
        return next(iter(self._living(rows)), None)

    def get_many(self, keys: list[Key]) -> dict[Key, Item]:
        if len(keys) > MAX_GETS:
            raise InvalidWrite(f"one read takes at most {MAX_GETS} keys")
        for key in keys:
            check_key(key)
        rows: list[Any] = []
        wanted = [key_of(key) for key in dict.fromkeys(keys)]
        waits = self._waits("BatchGetItem")
        while wanted:
            request = {self.name: {"Keys": wanted, "ConsistentRead": True}}
            answer = self._call("BatchGetItem", RequestItems=request)
            rows += answer["Responses"].get(self.name, [])
            wanted = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            if wanted:
                self.sleep(next(waits))
        return {item.key: item for item in self._living(rows)}

    def query(
        self,
        partition: str,
        *,
        prefix: str = "",
        limit: int,
        after: str | None = None,
        newest_first: bool = False,
    ) -> Page:
        check_query(partition, limit=limit, prefix=prefix, after=after)
        if after is not None and not after.startswith(prefix):
            # DynamoDB takes no start outside the range: all of it lies behind `after`, or none.
            # Code points are in the order of their UTF-8.
            if (after < prefix) is newest_first:
                return Page(items=[], more=False)
            after = None
        request = self._query(partition, prefix, after, newest_first=newest_first)
        request["Limit"] = limit + 1
        items: list[Item] = []
        while len(items) <= limit:
            answer = self._call("Query", **request)
            items += self._living(answer["Items"])
            if "LastEvaluatedKey" not in answer:
                break
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
            request["Limit"] = PAGE_ROWS
        return Page(items=items[:limit], more=len(items) > limit)

    def commit(self, *writes: Write) -> None:
        check_writes(writes)
        now = self.clock.seconds()
        requests = [Request(write=write, table=self.name, now=now) for write in writes]
        first = writes[0]
        if len(writes) > 1 or not _may_repeat(first):
            self._commit_all(requests)
        elif isinstance(first, Delete):
            self._call("DeleteItem", TableName=self.name, Key=key_of(first.key))
        else:
            self._commit_one(requests[0])

    def _commit_one(self, request: Request) -> None:
        """One conditional call, which marks the item: a refusal by our own mark is a success."""
        mark = secrets.token_hex(8)
        operation = "PutItem" if isinstance(request.write, Put) else "UpdateItem"
        asked = request.alone(mark)
        waits, in_doubt = self._waits(operation), False
        while True:
            code, answer = self._try(operation, **asked)
            if code is None:
                return
            if code == "ConditionalCheckFailedException":
                if written_by(answer.get("Item", {}), mark):
                    return
                if in_doubt:
                    # Ours may have been first and another's after it: neither is known.
                    log.warning("DynamoDB did not say whether %s was done", operation)
                    raise StoreUnavailable
                raise ConditionFailed(request.write)
            self._transient(operation, code)
            in_doubt = in_doubt or code in DOUBTFUL
            self.sleep(next(waits))

    def _commit_all(self, requests: list[Request]) -> None:
        """One transaction under one token: sent again within 10 minutes, it is recognised."""
        operation = "TransactWriteItems"
        items = [request.member() for request in requests]
        token, waits = secrets.token_hex(16), self._waits(operation)
        while True:
            code, answer = self._try(operation, TransactItems=items, ClientRequestToken=token)
            if code is None:
                return
            if code == "TransactionCanceledException":
                self._cancelled(requests, answer)
            else:
                self._transient(operation, code)
            self.sleep(next(waits))

    def _cancelled(self, requests: list[Request], answer: Any) -> None:
        """Raise what a cancelled transaction means, or return when it is worth another try."""
        reasons = [reason.get("Code", "None") for reason in answer.get("CancellationReasons", [])]
        for request, reason in zip(requests, reasons, strict=False):
            if reason == "ConditionalCheckFailed":
                raise ConditionFailed(request.write)
        if not TRANSIENT_REASONS.intersection(reasons):
            raise InvalidWrite(f"DynamoDB refuses the transaction: {sorted(set(reasons))}")

    def _call(self, operation: str, **request: Any) -> Any:
        """A read, or a write that has the same effect when it is repeated."""
        waits = self._waits(operation)
        while True:
            code, answer = self._try(operation, **request)
            if code is None:
                return answer
            self._transient(operation, code)
            self.sleep(next(waits))

    def _try(self, operation: str, **request: Any) -> tuple[str | None, Any]:
        """One call: no code and the answer, or the code of its error and what came with it."""
        try:
            return None, self.call(operation, request)
        except AwsFault as fault:
            told = fault.code in REFUSED or fault.code in DOUBTFUL
            known = told or fault.status < HTTPStatus.INTERNAL_SERVER_ERROR
            return fault.code if known else NO_ANSWER, fault.answer

    def _transient(self, operation: str, code: str) -> None:
        """Return when a call is worth another try.

        Raises:
            InvalidWrite: the table refuses the request itself.
            StoreUnavailable: it refuses us: no permission, no such table.
        """
        if code in REFUSED or code in DOUBTFUL:
            return
        if code == "ValidationException":
            raise InvalidWrite(f"DynamoDB finds a request of {operation} invalid")
        log.error("DynamoDB refuses %s: %s", operation, code)
        raise StoreUnavailable

    def _query(
        self, partition: str, prefix: str, after: str | None, *, newest_first: bool
    ) -> dict[str, Any]:
        """The request of a page; the table leaves expired items out, but reads and bills them."""
        values = {":pk": {"S": partition}, ":now": number(self.clock.seconds())}
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "pk = :pk",
            "FilterExpression": LIVING,
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
        }
        if prefix:
            values[":prefix"] = {"S": prefix}
            request["KeyConditionExpression"] = "pk = :pk AND begins_with(sk, :prefix)"
        if after is not None:
            request["ExclusiveStartKey"] = key_of(Key(partition, after))
        return request

    def _living(self, rows: list[Any]) -> list[Item]:
        now = self.clock.seconds()
        items = [item_of(row) for row in rows]
        return [item for item in items if item.expires_at is None or item.expires_at > now]

    def _waits(self, operation: str) -> Iterator[float]:
        """Waits of random length in seconds (full jitter), until the budget is spent.

        https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/

        Raises:
            StoreUnavailable: it is.
        """
        started, longest = time.monotonic(), FIRST_WAIT
        while time.monotonic() - started < self.budget_seconds:
            yield random.uniform(0, longest)  # noqa: S311 - it parts callers, it hides nothing
            longest = min(longest * 2, LONGEST_WAIT)
        log.warning("DynamoDB did not answer %s in time", operation)
        raise StoreUnavailable


def _may_repeat(write: Write) -> bool:
    """Whether a call that does it, sent twice because an answer was lost, does no harm.

    It must exclude itself: once done, its own condition holds no more. A put or a deletion on
    no condition asked for no order among writers, so that it may be repeated as it is.
    """
    match write:
        case Put():
            return not write.when or any(isinstance(one, Absent | VersionIs) for one in write.when)
        case Update():
            return any(_is_undone_by(write, one) for one in write.when)
        case Delete():
            return not write.when
        case _:
            return False


def _is_undone_by(update: Update, condition: object) -> bool:
    match condition:
        case VersionIs():
            return True
        case FieldIs(name, value):
            is_set = name in update.set and update.set[name] != value
            return is_set or update.add.get(name, 0) != 0
        case _:
            return False
