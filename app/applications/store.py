"""Applications over the table."""

from dataclasses import asdict, dataclass, field

from app.applications.types import (
    Application,
    ApplicationHasUsers,
    ApplicationSettings,
    ApplicationState,
    SignUpMode,
)
from app.common.clock import Clock
from app.common.errors import ApplicationNotFound
from app.common.ids import ApplicationId
from app.common.paging import Paged
from app.signing.types import Algorithm
from app.storage import keys
from app.storage.table import (
    MAX_GETS,
    Absent,
    Body,
    Delete,
    FieldIs,
    Item,
    Key,
    Put,
    Table,
    Update,
    VersionIs,
    Write,
)

CACHED_APPLICATIONS = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class ApplicationStore:
    """Reads and writes applications.

    Attributes:
        cache_seconds: how long another process's change may stay unseen; 0 reads every time,
            which is right where a read costs microseconds.
    """

    table: Table
    clock: Clock
    cache_seconds: int
    _cache: dict[ApplicationId, tuple[int, Application]] = field(default_factory=dict)

    def find(self, application_id: ApplicationId) -> Application | None:
        """The application, perhaps as it was `cache_seconds` ago."""
        cached = self._cache.get(application_id)
        if cached is not None and 0 <= self.clock.seconds() - cached[0] < self.cache_seconds:
            return cached[1]
        found = self.find_now(application_id)
        if found is not None and self.cache_seconds:
            while len(self._cache) >= CACHED_APPLICATIONS:
                self._cache.pop(next(iter(self._cache)), None)
            self._cache[application_id] = (self.clock.seconds(), found)
        return found

    def find_now(self, application_id: ApplicationId) -> Application | None:
        self.forget(application_id)
        item = self.table.get(keys.application(application_id))
        return None if item is None else _application(application_id, item)

    def forget(self, application_id: ApplicationId) -> None:
        """Drop what is remembered of an application that this process has changed."""
        self._cache.pop(application_id, None)

    def counted(self, ids: list[ApplicationId]) -> list[tuple[Application, int]]:
        """The living ones among some applications, each with its number of users."""
        wanted: list[Key] = []
        for application_id in ids:
            wanted += [keys.application(application_id), *_counters(application_id)]
        found: dict[Key, Item] = {}
        for start in range(0, len(wanted), MAX_GETS):
            found |= self.table.get_many(wanted[start : start + MAX_GETS])
        answer = []
        for application_id in ids:
            item = found.get(keys.application(application_id))
            if item is not None:
                shards = (found.get(key) for key in _counters(application_id))
                users = sum(int(str(shard.body["users"])) for shard in shards if shard)
                answer.append((_application(application_id, item), users))
        return answer

    def page(self, *, limit: int, after: str | None) -> Paged[tuple[Application, int]]:
        """Applications in the order of their creation."""
        page = self.table.query(keys.APPLICATIONS, limit=limit, after=after)
        entries = self.counted([ApplicationId(item.key.sk) for item in page.items])
        return Paged(entries=entries, position=page.items[-1].key.sk if page.more else None)

    def creation(self, application: Application) -> list[Write]:
        counters = [
            Put(key=key, body={"users": 0}, when=(Absent(),)) for key in _counters(application.id)
        ]
        return [
            Put(key=keys.application(application.id), body=_body(application), when=(Absent(),)),
            Put(key=keys.application_entry(application.id), body={}),
            *counters,
        ]

    def change(self, application: Application) -> Write:
        """Lay down a changed application, if it is still the version that was read."""
        when = (VersionIs(application.version),)
        return Put(key=keys.application(application.id), body=_body(application), when=when)

    def new_keys(self, application_id: ApplicationId) -> Write:
        """Tell every process that the key ring is another one."""
        key = keys.application(application_id)
        return Update(key=key, add={"keysNumber": 1}, lost=ApplicationNotFound)

    def deletion(self, application: Application) -> list[Write]:
        """Delete an application that nobody has signed up to; its counters are the proof.

        A sign-up adds to a counter that must exist, so none can slip in beside this commit.
        """
        counters = [
            Delete(key=key, when=(FieldIs("users", 0),), lost=ApplicationHasUsers)
            for key in _counters(application.id)
        ]
        return [
            Delete(key=keys.application(application.id), when=(VersionIs(application.version),)),
            Delete(key=keys.application_entry(application.id)),
            *counters,
        ]


def _counters(application_id: ApplicationId) -> list[Key]:
    return [keys.user_counter(application_id, shard) for shard in range(keys.SHARDS)]


def _body(application: Application) -> Body:
    settings = asdict(application.settings)
    settings["allowed_origins"] = list(application.settings.allowed_origins)
    return {
        "settings": settings,
        "created": application.created,
        "updated": application.updated,
        "keysNumber": application.keys_number,
    }


def _application(application_id: ApplicationId, item: Item) -> Application:
    stored = item.body["settings"]
    assert isinstance(stored, dict)
    values: dict[str, object] = dict(stored)
    origins = stored["allowed_origins"]
    assert isinstance(origins, list)
    values["allowed_origins"] = tuple(str(origin) for origin in origins)
    values["application_state"] = ApplicationState(str(stored["application_state"]))
    values["sign_up"] = SignUpMode(str(stored["sign_up"]))
    values["signing_algorithm"] = Algorithm(str(stored["signing_algorithm"]))
    return Application(
        id=application_id,
        settings=ApplicationSettings(**values),  # type: ignore[arg-type] # as it was written by _body
        created=str(item.body["created"]),
        updated=str(item.body["updated"]),
        keys_number=int(str(item.body["keysNumber"])),
        version=item.version,
    )
