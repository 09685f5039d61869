"""Making, checking and revoking API keys."""

import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.api_keys.store import ApiKeyStore
from app.api_keys.types import PREFIX, SHOWN_CHARACTERS, ApiKey, ApiKeyNotFound, ExpiresInPast
from app.audit.logic import Journal
from app.audit.types import Unannounced
from app.common.clock import Clock, parse_rfc3339, rfc3339
from app.common.ids import ApiKeyId, ApplicationId, Ids, is_id
from app.common.paging import Paged
from app.common.principals import AdminPrincipal, Caller
from app.common.secrets import TOKEN_BYTES, Secret, decode, digest, encode, new_token, same
from app.storage.work import Work

BOOTSTRAP = "bootstrap"
NOTED_EVERY = timedelta(minutes=1)  # a key in heavy use costs one write a minute


@dataclass(frozen=True, kw_only=True, eq=False)
class ApiKeys:
    """The API keys of this deployment.

    A key is `psk_` and the base64url of 256 random bits and its id: the id finds the record,
    the digest of the whole decides.

    Attributes:
        bootstrap_digest: that of the key which is a setting of the deployment; it has no record.
    """

    store: ApiKeyStore
    journal: Journal
    work: Work
    clock: Clock
    ids: Ids
    bootstrap_digest: Callable[[], str] = field(repr=False)

    def authenticate(self, key: str) -> AdminPrincipal | None:
        """Whose key it is; `None` for one that is unknown, revoked or expired."""
        offered = digest(key) if key.isascii() else ""
        key_id = _id_in(key)
        found = None if key_id is None else self.store.find(key_id)
        if found is not None and same(offered, found.digest):
            self._note_use(found)
            return AdminPrincipal(key_id=found.id, application_id=found.application_id)
        if same(offered, self.bootstrap_digest()):
            return AdminPrincipal(key_id=BOOTSTRAP, application_id=None)
        return None

    def create(
        self,
        by: Caller,
        *,
        name: str,
        application_id: ApplicationId | None,
        expires: datetime | None,
    ) -> tuple[ApiKey, Secret]:
        """A new key and, this once, the key itself.

        Raises:
            ExpiresInPast: it would never work.
        """
        now = self.clock.now()
        if expires is not None and expires <= now + timedelta(seconds=1):
            raise ExpiresInPast
        key_id = ApiKeyId(self.ids.new())
        secret = Secret(PREFIX + encode(decode(new_token()) + uuid.UUID(key_id).bytes))
        made = ApiKey(
            id=key_id,
            name=name,
            application_id=application_id,
            shown=secret[:SHOWN_CHARACTERS],
            digest=digest(secret),
            created=rfc3339(now),
            expires=None if expires is None else rfc3339(expires),
        )
        told = {"apiKeyId": key_id, "applicationId": application_id}
        self.work.commit(
            self.store.creation(made),
            *self.journal.note(Unannounced.API_KEY_CREATED, None, by, data=told),
        )
        return made, secret

    def page(self, *, limit: int, after: str | None) -> Paged[ApiKey]:
        """Keys, oldest first."""
        return self.store.page(limit=limit, after=after)

    def delete(self, by: Caller, key_id: str) -> None:
        """Revoke a key.

        Raises:
            ApiKeyNotFound: there is none of that id.
        """
        if not is_id(key_id):
            raise ApiKeyNotFound
        self.work.commit(
            self.store.deletion(ApiKeyId(key_id)),
            *self.journal.note(Unannounced.API_KEY_DELETED, None, by, data={"apiKeyId": key_id}),
        )

    def _note_use(self, key: ApiKey) -> None:
        now = self.clock.now()
        if key.last_used is None or now - parse_rfc3339(key.last_used) >= NOTED_EVERY:
            # Revoked between the read and now: the caller was let in before that.
            with contextlib.suppress(ApiKeyNotFound):
                self.work.commit(self.store.used(key.id, at=rfc3339(now)))


def _id_in(key: str) -> ApiKeyId | None:
    if not key.startswith(PREFIX):
        return None
    try:
        raw = decode(key.removeprefix(PREFIX))
        return ApiKeyId(str(uuid.UUID(bytes=raw[TOKEN_BYTES:])))
    except ValueError:
        return None
