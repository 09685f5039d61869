"""Recording what happens, for consumers of events and for those who look back."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.audit.store import AuditStore
from app.audit.types import Audited, AuditEvent, InvalidPeriod, Unannounced, Wanted
from app.common.clock import Clock, rfc3339
from app.common.ids import ApplicationId, EventId, Ids, UserId, is_id
from app.common.paging import Paged
from app.common.principals import Caller
from app.events.store import Outbox
from app.events.types import Operation
from app.storage.work import Json, Write


@dataclass(frozen=True, kw_only=True, eq=False)
class Journal:
    """What every change is recorded in."""

    outbox: Outbox
    store: AuditStore
    clock: Clock
    ids: Ids

    def record(
        self,
        operation: Operation,
        application_id: ApplicationId,
        by: Caller,
        *,
        user_id: UserId | None = None,
        email: str | None = None,
        subject: str | None = None,
        data: Mapping[str, Json] | None = None,
        confidential: Mapping[str, str | None] | None = None,
    ) -> list[Write]:
        """The writes that lay down an event and its audit record.

        Args:
            operation: what happened.
            application_id: where.
            by: who did it.
            user_id: to whom.
            email: whose address it is about; the audit record alone shows it.
            subject: see `Outbox.record`.
            data: what consumers may know.
            confidential: see `Outbox.record`.
        """
        event_id = EventId(self.ids.new())
        event = self.outbox.record(
            operation,
            application_id,
            event_id=event_id,
            user_id=user_id,
            subject=subject,
            data=data,
            confidential=confidential,
        )
        return [event, *self._append(event_id, operation, application_id, by, user_id, email, data)]

    def note(
        self,
        operation: Unannounced,
        application_id: ApplicationId | None,
        by: Caller,
        *,
        user_id: UserId | None = None,
        email: str | None = None,
        data: Mapping[str, Json] | None = None,
    ) -> list[Write]:
        """The writes of an audit record that no consumer is told of."""
        return self._append(self.ids.new(), operation, application_id, by, user_id, email, data)

    def page(
        self, application_id: ApplicationId | None, wanted: Wanted, *, limit: int, after: str | None
    ) -> Paged[AuditEvent]:
        """Audit records of an application, or of the deployment, newest first.

        Raises:
            InvalidPeriod: it ends before it begins.
        """
        if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
            raise InvalidPeriod
        if wanted.user_id is not None and not is_id(wanted.user_id):
            return Paged(entries=[], position=None)
        return self.store.page(application_id, wanted, limit=limit, after=after)

    def _append(
        self,
        event_id: str,
        operation: Audited,
        application_id: ApplicationId | None,
        by: Caller,
        user_id: UserId | None,
        email: str | None,
        data: Mapping[str, Json] | None,
    ) -> list[Write]:
        event = AuditEvent(
            id=event_id,
            time=rfc3339(self.clock.now()),
            operation=operation.value,
            caller=by,
            application_id=application_id,
            user_id=user_id,
            email=email,
            data=dict(data or {}),
        )
        return self.store.append(event, now=self.clock.seconds())
