"""Audit trails over the table."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from app.audit.types import LIFETIME_SECONDS, OF_DEPLOYMENT, AuditEvent, Wanted
from app.common.clock import parse_rfc3339
from app.common.ids import ApplicationId, UserId, first_id
from app.common.paging import Paged
from app.common.principals import ActorKind, Caller, Device
from app.storage import keys
from app.storage.table import Body, Item, Key, Put, Table, Write

PAGE = 100
MOST_LOOKED_AT = 2000  # records of one request; a rarer operation takes a few requests more


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditStore:
    """Appends to trails and reads them; nothing changes or deletes a record but its expiry."""

    table: Table

    def append(self, event: AuditEvent, *, now: int) -> list[Write]:
        """Lay a record down in every trail that it belongs to."""
        return [
            Put(key=Key(trail, event.id), body=_body(event), expires_at=now + LIFETIME_SECONDS)
            for trail in _trails(event)
        ]

    def page(
        self, application_id: ApplicationId | None, wanted: Wanted, *, limit: int, after: str | None
    ) -> Paged[AuditEvent]:
        """Records, newest first; a page may hold fewer than there are, and even none."""
        trails = _trails_of(application_id, wanted.user_id)
        start = after
        if wanted.until is not None:
            bound = first_id(parse_rfc3339(wanted.until))
            start = bound if after is None else min(after, bound)
        end = "" if wanted.since is None else first_id(parse_rfc3339(wanted.since))
        found: list[AuditEvent] = []
        position, looked_at = None, 0
        merged = heapq.merge(
            *(self._newest(trail, start, limit) for trail in trails),
            key=lambda item: item.key.sk,
            reverse=True,
        )
        for item in merged:
            if item.key.sk < end:
                break
            if len(found) == limit or looked_at == MOST_LOOKED_AT:
                return Paged(entries=found, position=position)
            position, looked_at = item.key.sk, looked_at + 1
            if wanted.operation in {None, item.body["operation"]}:
                found.append(_event(item))
        return Paged(entries=found, position=None)

    def _newest(self, trail: str, after: str | None, limit: int) -> Iterator[Item]:
        chunk = min(limit + 1, PAGE)
        while True:
            page = self.table.query(trail, limit=chunk, after=after, newest_first=True)
            yield from page.items
            if not page.more:
                return
            after = page.items[-1].key.sk


def _trails(event: AuditEvent) -> list[str]:
    application, found = event.application_id, []
    if application is not None:
        found.append(keys.application_audit(application, keys.shard_of(event.id)))
        if event.user_id is not None:
            found.append(keys.user_audit(application, event.user_id))
    if event.operation in OF_DEPLOYMENT:
        found.append(keys.DEPLOYMENT_AUDIT)
    return found


def _trails_of(application_id: ApplicationId | None, user_id: UserId | None) -> list[str]:
    if application_id is None:
        return [keys.DEPLOYMENT_AUDIT]
    if user_id is not None:
        return [keys.user_audit(application_id, user_id)]
    return [keys.application_audit(application_id, shard) for shard in range(keys.SHARDS)]


def _body(event: AuditEvent) -> Body:
    return {
        "operation": event.operation,
        "time": event.time,
        "actor": event.caller.actor.value,
        "actorId": event.caller.actor_id,
        "ipAddress": event.caller.device.ip_address,
        "userAgent": event.caller.device.user_agent,
        "requestId": event.caller.request_id,
        "applicationId": event.application_id,
        "userId": event.user_id,
        "email": event.email,
        "data": event.data,
    }


def _event(item: Item) -> AuditEvent:
    body = item.body
    device = Device(user_agent=str(body["userAgent"]), ip_address=str(body["ipAddress"]))
    actor_id, application, user = body["actorId"], body["applicationId"], body["userId"]
    return AuditEvent(
        id=item.key.sk,
        time=str(body["time"]),
        operation=str(body["operation"]),
        caller=Caller(
            actor=ActorKind(str(body["actor"])),
            actor_id=None if actor_id is None else str(actor_id),
            origin="",
            device=device,
            request_id=str(body["requestId"]),
        ),
        application_id=None if application is None else ApplicationId(str(application)),
        user_id=None if user is None else UserId(str(user)),
        email=None if body["email"] is None else str(body["email"]),
        data=body["data"] if isinstance(body["data"], dict) else {},
    )
