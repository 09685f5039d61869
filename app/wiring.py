"""The one place that constructs adapters and use cases, each once."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app import __version__
from app.adapters.courier import Courier
from app.adapters.housekeeper import Housekeeper
from app.adapters.platform import Platform, platform
from app.api_keys.logic import ApiKeys
from app.api_keys.store import ApiKeyStore
from app.applications.logic import Applications
from app.applications.store import ApplicationStore
from app.audit.logic import Journal
from app.audit.store import AuditStore
from app.common.clock import Clock
from app.common.errors import CannotStart, StoreUnavailable
from app.common.ids import Ids
from app.common.paging import Cursors
from app.common.secrets import SealBroken, Sealer
from app.events.logic import Dispatcher
from app.events.store import Outbox
from app.limits.logic import Allowances
from app.limits.store import TallyStore
from app.limits.types import Limits
from app.messages.logic import Composer
from app.messages.ports import Inbox
from app.passwords.logic import Guesses, Passwords
from app.recovery.logic import Recoveries
from app.recovery.store import ResetStore
from app.sessions.logic import Sessions
from app.sessions.store import SessionStore
from app.settings import Settings
from app.signin.logic import SignIns
from app.signin.store import EntranceStore
from app.signing.logic import KeyRings
from app.signing.store import RingStore
from app.signup.logic import SignUps
from app.signup.store import InvitationStore
from app.storage import keys
from app.storage.deployment import DeploymentSecret
from app.storage.table import Table
from app.storage.work import Work
from app.tokens.logic import Tokens
from app.tokens.types import InvalidToken
from app.users.logic import Users
from app.users.store import UserStore
from app.web.access import Callers
from app.web.context import Surroundings
from app.web.lane import Lane
from app.web.pace import Pace
from app.web.site import Site

LOCK_FILE = "housekeeper.lock"
REFRESH_PURPOSE = "refresh-token"
CURSOR_PURPOSE = "cursor"
HASHES_WAITING = 256
# More than any of the routes that must not tell takes, with a call to KMS, on a machine at ease.
PACE_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Services:
    """Everything that the app runs on.

    Attributes:
        provided: use cases by their class, for the endpoints.
        dispatcher: delivers events, in the housekeeper's thread or on a table's stream.
        renew: drops what must not outlive a snapshot of this process.
        close: lets go of the store.
        quick_reads: whether a read takes less time than handing it to a thread.
        local: whether this is a deployment on one machine, with a start page and a mailbox.
        notes: what its owner should read at the start.
    """

    provided: Mapping[type[Any], Any]
    callers: Callers
    surroundings: Surroundings
    applications: Applications
    ids: Ids
    dispatcher: Dispatcher
    housekeeper: Housekeeper
    table: Table
    renew: Callable[[], None]
    close: Callable[[], None]
    quick_reads: bool
    local: bool
    has_mailbox: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ground:
    """What every area stands on."""

    table: Table
    sealer: Sealer
    clock: Clock
    ids: Ids
    work: Work
    secret: DeploymentSecret
    journal: Journal
    limits: Limits


def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    probe: bool = True,
    pace_seconds: float = PACE_SECONDS,
) -> Services:
    """Make everything once.

    Args:
        settings: of the deployment.
        clock: the system's, if none is given.
        probe: whether to fail now if store and key do not answer or do not fit each other,
            which a process that starts with its first request has no time for.
        pace_seconds: how long the answers that must not tell take at least.

    Raises:
        CannotStart: a file or the database is not what it must be.
    """
    hour = clock or Clock()
    stands_on = platform(settings, hour)
    ground = _ground(stands_on, hour, settings.limits)
    if probe:
        _probe(ground, stands_on)
    provided = _use_cases(settings, ground, stands_on, Pace(seconds=pace_seconds))
    return _services(settings, ground, stands_on, provided)


def _use_cases(
    settings: Settings, ground: Ground, stands_on: Platform, pace: Pace
) -> Mapping[type[Any], Any]:
    applications = _applications(ground, stands_on.cache_seconds)
    site = Site(
        version=__version__,
        store=settings.store,
        check=lambda: ground.table.get(keys.deployment_secret()),
        admin_key_place=stands_on.admin_key.place,
    )
    lane = Lane(threads=os.cpu_count() or 1, queue=HASHES_WAITING)
    cursors = Cursors(key=lambda: ground.secret.derive(CURSOR_PURPOSE))
    areas = (*_areas(ground, applications, settings), applications, _api_keys(ground, stands_on))
    made = (*areas, site, lane, pace, cursors, ground.journal)
    provided: dict[type[Any], Any] = {type(one): one for one in made}
    if settings.store == "sqlite" and isinstance(stands_on.mailer, Inbox):
        provided[Inbox] = stands_on.mailer
    return provided


def _services(
    settings: Settings, ground: Ground, stands_on: Platform, provided: Mapping[type[Any], Any]
) -> Services:
    dispatcher = _dispatcher(ground, stands_on)
    housekeeper = Housekeeper(
        dispatcher=dispatcher,
        sweep=stands_on.sweep,
        lock_path=settings.data_dir / LOCK_FILE,
        poll_seconds=stands_on.poll_seconds,
    )
    return Services(
        provided=provided,
        callers=_callers(provided[ApiKeys], provided[Applications], provided[Tokens]),
        surroundings=Surroundings(
            public_url=settings.public_url, trusted_proxies=settings.trusted_proxies
        ),
        applications=provided[Applications],
        ids=ground.ids,
        dispatcher=dispatcher,
        housekeeper=housekeeper,
        table=ground.table,
        renew=stands_on.renew,
        close=stands_on.close,
        quick_reads=settings.store == "sqlite"
        and settings.kms_key_id is None
        and settings.admin_api_key_secret is None,
        local=settings.store == "sqlite",
        has_mailbox=Inbox in provided,
        notes=stands_on.admin_key.notes,
    )


def _ground(stands_on: Platform, clock: Clock, limits: Limits) -> Ground:
    table, sealer, ids = stands_on.table, stands_on.sealer, Ids(clock=clock)
    outbox = Outbox(table=table, sealer=sealer, clock=clock, ids=ids)
    return Ground(
        table=table,
        sealer=sealer,
        clock=clock,
        ids=ids,
        work=Work(table=table),
        secret=DeploymentSecret(table=table, sealer=sealer),
        journal=Journal(outbox=outbox, store=AuditStore(table=table), clock=clock, ids=ids),
        limits=limits,
    )


def _probe(ground: Ground, stands_on: Platform) -> None:
    try:
        ground.secret.derive(CURSOR_PURPOSE)
    except SealBroken:
        stands_on.close()
        raise CannotStart(
            f"The {stands_on.key_place} is not the one that this database was made with."
        ) from None
    except StoreUnavailable:
        stands_on.close()
        raise CannotStart("The store or its key does not answer; the log says why.") from None


def _callers(api_keys: ApiKeys, applications: Applications, tokens: Tokens) -> Callers:
    return Callers(
        admin=api_keys.authenticate,
        application=applications.require,
        open_application=applications.require_active,
        user=tokens.authenticate,
        no_token=InvalidToken,
    )


def _applications(ground: Ground, cache_seconds: int) -> Applications:
    return Applications(
        store=ApplicationStore(table=ground.table, clock=ground.clock, cache_seconds=cache_seconds),
        rings=RingStore(table=ground.table),
        key_rings=KeyRings(sealer=ground.sealer, clock=ground.clock),
        journal=ground.journal,
        work=ground.work,
        clock=ground.clock,
        ids=ground.ids,
    )


def _api_keys(ground: Ground, stands_on: Platform) -> ApiKeys:
    return ApiKeys(
        store=ApiKeyStore(table=ground.table),
        journal=ground.journal,
        work=ground.work,
        clock=ground.clock,
        ids=ground.ids,
        bootstrap_digest=stands_on.admin_key.digest,
    )


def _areas(ground: Ground, applications: Applications, settings: Settings) -> tuple[Any, ...]:
    """The use cases of users, from the bottom to the top."""
    table, journal, work, clock = ground.table, ground.journal, ground.work, ground.clock
    users, session_store, passwords = UserStore(table=table), SessionStore(table=table), Passwords()
    sessions = Sessions(
        store=session_store,
        users=users,
        journal=journal,
        limits=ground.limits,
        work=work,
        clock=clock,
        ids=ground.ids,
        mac_key=lambda application: ground.secret.derive(REFRESH_PURPOSE, application),
    )
    tokens = Tokens(
        applications=applications,
        key_rings=applications.key_rings,
        sessions=sessions,
        clock=clock,
        known_issuer=settings.known_issuer,
    )
    recoveries = Recoveries(
        users=users,
        store=ResetStore(table=table),
        sessions=session_store,
        passwords=passwords,
        guesses=_guesses(ground),
        allowances=_allowances(ground),
        journal=journal,
        work=work,
        clock=clock,
    )
    accounts = Users(store=users, journal=journal, work=work, clock=clock)
    return accounts, sessions, tokens, recoveries, *_entrances(ground, users, passwords, tokens)


def _entrances(
    ground: Ground, users: UserStore, passwords: Passwords, tokens: Tokens
) -> tuple[SignUps, SignIns]:
    """The flows that end in a session."""
    sign_ups = SignUps(
        users=users,
        store=InvitationStore(table=ground.table),
        passwords=passwords,
        sessions=tokens.sessions,
        tokens=tokens,
        journal=ground.journal,
        allowances=_allowances(ground),
        work=ground.work,
        clock=ground.clock,
        ids=ground.ids,
    )
    sign_ins = SignIns(
        users=users,
        store=EntranceStore(table=ground.table),
        passwords=passwords,
        guesses=_guesses(ground),
        allowances=_allowances(ground),
        sessions=tokens.sessions,
        tokens=tokens,
        journal=ground.journal,
        work=ground.work,
        clock=ground.clock,
    )
    return sign_ups, sign_ins


def _guesses(ground: Ground) -> Guesses:
    return Guesses(limits=ground.limits, clock=ground.clock)


def _allowances(ground: Ground) -> Allowances:
    tallies = TallyStore(table=ground.table)
    return Allowances(limits=ground.limits, store=tallies, clock=ground.clock)


def _dispatcher(ground: Ground, platform: Platform) -> Dispatcher:
    # The publisher comes first: what fails at the courier may be published again, since
    # consumers drop repeats by the id, and a person cannot.
    courier = Courier(composer=Composer(), mailer=platform.mailer)
    return Dispatcher(
        outbox=ground.journal.outbox,
        consumers=(*platform.consumers, courier),
        clock=ground.clock,
        lease_seconds=platform.lease_seconds,
    )
