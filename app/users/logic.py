"""What administrators and users do with accounts."""

from dataclasses import dataclass

from app.audit.logic import Journal
from app.common.clock import Clock, rfc3339
from app.common.ids import ApplicationId, UserId, is_id
from app.common.paging import Paged
from app.common.principals import Caller
from app.events.types import Operation
from app.storage.work import Json, Work, Write
from app.users.store import ROWS_A_COMMIT, UserStore, as_text
from app.users.types import (
    MAX_METADATA_BYTES,
    EmailAddress,
    MetadataTooLarge,
    Owner,
    User,
    UserNotFound,
    UserState,
)


@dataclass(frozen=True, kw_only=True)
class UserChanges:
    """What to change in an account; `None` leaves it."""

    state: UserState | None = None
    metadata: dict[str, Json] | None = None
    app_metadata: dict[str, Json] | None = None

    def named(self) -> list[str]:
        """The members of the wire that are to change."""
        given = {
            "state": self.state,
            "metadata": self.metadata,
            "appMetadata": self.app_metadata,
        }
        return [name for name, value in given.items() if value is not None]

    def check(self) -> None:
        """Refuse metadata beyond its bounds.

        Raises:
            MetadataTooLarge: naming the member.
        """
        check_metadata(self.metadata, field="metadata")
        check_metadata(self.app_metadata, field="appMetadata")


def check_metadata(metadata: dict[str, Json] | None, *, field: str) -> None:
    """Refuse metadata of more than 8 KiB of JSON.

    Raises:
        MetadataTooLarge: it is larger.
    """
    if metadata is not None and len(as_text(metadata).encode()) > MAX_METADATA_BYTES:
        raise MetadataTooLarge(field=field)


@dataclass(frozen=True, kw_only=True, eq=False)
class Users:
    """The accounts of an application."""

    store: UserStore
    journal: Journal
    work: Work
    clock: Clock

    def require(self, application_id: ApplicationId, user_id: str) -> User:
        """The user of that id.

        Raises:
            UserNotFound: this application has none.
        """
        found = self.store.find(application_id, UserId(user_id)) if is_id(user_id) else None
        if found is None:
            raise UserNotFound
        return found

    def find_by_email(self, application_id: ApplicationId, email: str) -> User | None:
        """The user who owns an address.

        Raises:
            InvalidEmail: it is no address.
        """
        owner = self.store.under(application_id, EmailAddress.parse(email)).owner
        return None if owner is None else self.store.find(application_id, owner.user_id)

    def page(self, application_id: ApplicationId, *, limit: int, after: str | None) -> Paged[User]:
        """Users, newest first."""
        return self.store.page(application_id, limit=limit, after=after)

    def update(
        self, application_id: ApplicationId, user_id: str, changes: UserChanges, by: Caller
    ) -> User:
        """Change an account; suspending it ends every session.

        Raises:
            UserNotFound: this application has no such user.
            MetadataTooLarge: the metadata is.
        """
        changes.check()
        return self.work.retried(lambda: self._update(application_id, user_id, changes, by))

    def _update(
        self, application_id: ApplicationId, user_id: str, changes: UserChanges, by: Caller
    ) -> User:
        user = self.require(application_id, user_id)
        values: dict[str, Json] = {}
        if changes.metadata is not None:
            values["metadata"] = as_text(changes.metadata)
        if changes.app_metadata is not None:
            values["appMetadata"] = as_text(changes.app_metadata)
        new_state = None if changes.state is user.state else changes.state
        if not values and new_state is None:
            return user
        values["updated"] = rfc3339(self.clock.now())
        operation = Operation.USER_UPDATED
        writes: list[Write] = [self.store.change(user, values)]
        if new_state is not None:
            # Either way the epoch moves on: no session survives, or comes back with, a suspension.
            writes = self.store.new_epoch(
                application_id, _owner(user), values=values, state=new_state
            )
            if new_state is UserState.SUSPENDED:
                operation = Operation.USER_SUSPENDED
        told: dict[str, Json] = {"changed": [*changes.named()]}
        recorded = self.journal.record(
            operation, application_id, by, user_id=user.id, email=user.email, data=told
        )
        self.work.commit(*writes, *recorded)
        return self.require(application_id, user_id)

    def delete(self, application_id: ApplicationId, user_id: str, by: Caller) -> None:
        """Delete an account with its sign-in records, sessions and pending tokens.

        Raises:
            UserNotFound: this application has no such user.
        """
        self.work.retried(lambda: self._delete(application_id, user_id, by))

    def _delete(self, application_id: ApplicationId, user_id: str, by: Caller) -> None:
        # The two records are read before what hangs on them: whatever is added later changes
        # one of them, and the commit is refused.
        user = self.require(application_id, user_id)
        owner_version = self.store.owner_version(user)
        sessions = self.store.of_user(user)
        while len(sessions) == ROWS_A_COMMIT:
            self.store.clear(sessions)
            sessions = self.store.of_user(user)
        belongings = [*sessions, *self.store.of_address(user)]
        self.work.commit(
            *self.store.deletion(user, owner_version, belongings),
            *self.journal.record(
                Operation.USER_DELETED, application_id, by, user_id=user.id, email=user.email
            ),
        )


def _owner(user: User) -> Owner:
    return Owner(user_id=user.id, email=user.email, state=user.state, epoch=user.epoch)
