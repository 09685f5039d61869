"""API keys over the table."""

from dataclasses import dataclass

from app.api_keys.types import ApiKey, ApiKeyNotFound
from app.common.clock import parse_rfc3339
from app.common.ids import ApiKeyId, ApplicationId
from app.common.paging import Paged
from app.storage import keys
from app.storage.table import Absent, Delete, Exists, Item, Put, Table, Update, Write


@dataclass(frozen=True, kw_only=True, eq=False)
class ApiKeyStore:
    """Reads and writes API keys."""

    table: Table

    def find(self, key_id: ApiKeyId) -> ApiKey | None:
        item = self.table.get(keys.api_key(key_id))
        return None if item is None else _api_key(item)

    def page(self, *, limit: int, after: str | None) -> Paged[ApiKey]:
        """Keys in the order of their creation."""
        page = self.table.query(keys.API_KEYS, limit=limit, after=after)
        position = page.items[-1].key.sk if page.more else None
        return Paged(entries=[_api_key(item) for item in page.items], position=position)

    def creation(self, key: ApiKey) -> Write:
        return Put(
            key=keys.api_key(key.id),
            body={
                "name": key.name,
                "applicationId": key.application_id,
                "shown": key.shown,
                "digest": key.digest,
                "created": key.created,
                "expires": key.expires,
                "lastUsed": None,
            },
            when=(Absent(),),
            expires_at=None if key.expires is None else int(parse_rfc3339(key.expires).timestamp()),
        )

    def used(self, key_id: ApiKeyId, *, at: str) -> Write:
        return Update(key=keys.api_key(key_id), set={"lastUsed": at}, lost=ApiKeyNotFound)

    def deletion(self, key_id: ApiKeyId) -> Write:
        return Delete(key=keys.api_key(key_id), when=(Exists(),), lost=ApiKeyNotFound)


def _api_key(item: Item) -> ApiKey:
    body = item.body
    application = body["applicationId"]
    return ApiKey(
        id=ApiKeyId(item.key.sk),
        name=str(body["name"]),
        application_id=None if application is None else ApplicationId(str(application)),
        shown=str(body["shown"]),
        digest=str(body["digest"]),
        created=str(body["created"]),
        expires=None if body["expires"] is None else str(body["expires"]),
        last_used=None if body["lastUsed"] is None else str(body["lastUsed"]),
    )
