"""What an owner does with applications."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.applications.store import ApplicationStore
from app.applications.types import (
    Application,
    ApplicationSettings,
    ApplicationState,
    ApplicationSuspended,
)
from app.audit.logic import Journal
from app.common.clock import Clock, rfc3339
from app.common.errors import ApplicationNotFound
from app.common.ids import ApplicationId, Ids, is_id
from app.common.paging import Paged
from app.common.principals import Caller
from app.events.types import Operation
from app.signing.logic import KeyRings
from app.signing.store import RingStore
from app.signing.types import Ring, SigningKey
from app.storage.work import Json, Work


@dataclass(frozen=True, kw_only=True, eq=False)
class Applications:
    """The applications of this deployment and their key rings."""

    store: ApplicationStore
    rings: RingStore
    key_rings: KeyRings
    journal: Journal
    work: Work
    clock: Clock
    ids: Ids

    def require(self, application_id: str) -> Application:
        """The application of that id, perhaps as it was a few seconds ago.

        Raises:
            ApplicationNotFound: there is none.
        """
        found = self.store.find(ApplicationId(application_id)) if is_id(application_id) else None
        if found is None:
            raise ApplicationNotFound
        return found

    def require_active(self, application_id: str) -> Application:
        """The application, if its users may do anything at all.

        Raises:
            ApplicationNotFound: there is none.
            ApplicationSuspended: its owner has suspended it.
        """
        found = self.require(application_id)
        if found.settings.application_state is ApplicationState.SUSPENDED:
            raise ApplicationSuspended
        return found

    def create(self, settings: ApplicationSettings, by: Caller) -> Application:
        """A new application; it can sign at once."""
        now = rfc3339(self.clock.now())
        application = Application(
            id=ApplicationId(self.ids.new()), settings=settings, created=now, updated=now
        )
        ring = self.key_rings.fresh(application.id, settings.signing_algorithm)
        self.work.commit(
            *self.store.creation(application),
            self.rings.save(application.id, ring),
            *self.journal.record(Operation.APPLICATION_CREATED, application.id, by),
        )
        return application

    def page(self, *, limit: int, after: str | None) -> Paged[tuple[Application, int]]:
        """Applications with their numbers of users, oldest first."""
        return self.store.page(limit=limit, after=after)

    def read(self, application_id: str) -> tuple[Application, int]:
        """An application as it is now, with its number of users.

        Raises:
            ApplicationNotFound: there is none.
        """
        ids = [ApplicationId(application_id)] if is_id(application_id) else []
        for found in self.store.counted(ids):
            return found
        raise ApplicationNotFound

    def update(self, application_id: str, changes: Mapping[str, Any], by: Caller) -> None:
        """Change settings; another signing algorithm takes effect at once, with new keys.

        Raises:
            ApplicationNotFound: there is none.
            TooManyKeys: the new algorithm needs keys, and the ring is full.
        """
        self.work.retried(lambda: self._update(application_id, changes, by))

    def _update(self, application_id: str, changes: Mapping[str, Any], by: Caller) -> None:
        old = self._require_now(application_id)
        settings = replace(old.settings, **changes)
        if settings == old.settings:
            return
        new = replace(old, settings=settings, updated=rfc3339(self.clock.now()))
        writes = []
        if settings.signing_algorithm is not old.settings.signing_algorithm:
            ring = self._ring_now(old.id)
            turned = self.key_rings.rotated(old.id, ring, settings.signing_algorithm)
            writes = [
                self.rings.save(old.id, turned),
                *self.journal.record(Operation.APPLICATION_KEY_ROTATED, old.id, by),
            ]
            new = replace(new, keys_number=old.keys_number + 1)
        data: dict[str, Json] = {"changed": [_camel(name) for name in sorted(changes)]}
        self.work.commit(
            self.store.change(new),
            *self.journal.record(Operation.APPLICATION_UPDATED, old.id, by, data=data),
            *writes,
        )
        self.store.forget(old.id)

    def delete(self, application_id: str, by: Caller) -> None:
        """Delete an application without users, and its keys with it.

        Raises:
            ApplicationNotFound: there is none.
            ApplicationHasUsers: a user is left.
        """
        self.work.retried(lambda: self._delete(application_id, by))

    def _delete(self, application_id: str, by: Caller) -> None:
        old = self._require_now(application_id)
        self.work.commit(
            *self.store.deletion(old),
            self.rings.remove(old.id),
            *self.journal.record(Operation.APPLICATION_DELETED, old.id, by),
        )
        self.store.forget(old.id)

    def ring(self, application: Application) -> Ring:
        """The key ring of an application.

        Raises:
            ApplicationNotFound: it was deleted a moment ago.
        """
        ring = self.rings.read(application.id, number=application.keys_number)
        if ring is None:
            raise ApplicationNotFound
        return ring

    def published_keys(self, application: Application) -> list[SigningKey]:
        """What verifiers may meet."""
        return self.ring(application).published(self.clock.seconds())

    def rotate_keys(self, application_id: str, by: Caller) -> SigningKey:
        """Make the published `next` key sign; the key that signs from now on.

        Raises:
            ApplicationNotFound: there is no such application.
            TooManyKeys: rotated too often within the life of a token.
        """
        return self.work.retried(lambda: self._rotate(application_id, by))

    def _rotate(self, application_id: str, by: Caller) -> SigningKey:
        application = self._require_now(application_id)
        old = self._ring_now(application.id)
        algorithm = application.settings.signing_algorithm
        ring = self.key_rings.rotated(application.id, old, algorithm)
        self._save_ring(application.id, ring, {"kid": ring.current.kid}, by)
        return ring.current

    def revoke_key(self, application_id: str, kid: str, by: Caller) -> None:
        """Take a key out of the ring: tokens that it signed are refused at once.

        Raises:
            ApplicationNotFound: there is no such application.
            KeyNotFound: the ring has no such key.
            KeyInUse: it is the one that signs.
        """
        self.work.retried(lambda: self._revoke(application_id, kid, by))

    def _revoke(self, application_id: str, kid: str, by: Caller) -> None:
        application = self._require_now(application_id)
        old = self._ring_now(application.id)
        ring = self.key_rings.without(application.id, old, kid)
        self._save_ring(application.id, ring, {"revoked": kid}, by)

    def _save_ring(
        self, application_id: ApplicationId, ring: Ring, data: dict[str, str], by: Caller
    ) -> None:
        rotated = Operation.APPLICATION_KEY_ROTATED
        self.work.commit(
            self.rings.save(application_id, ring),
            self.store.new_keys(application_id),
            *self.journal.record(rotated, application_id, by, data={**data}),
        )
        self.store.forget(application_id)

    def _require_now(self, application_id: str) -> Application:
        found = (
            self.store.find_now(ApplicationId(application_id)) if is_id(application_id) else None
        )
        if found is None:
            raise ApplicationNotFound
        return found

    def _ring_now(self, application_id: ApplicationId) -> Ring:
        ring = self.rings.read_now(application_id)
        if ring is None:
            raise ApplicationNotFound
        return ring


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
