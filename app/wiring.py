"""The one place that constructs adapters and use cases, each once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from app import __version__
from app.adapters.courier import Courier
from app.adapters.housekeeper import Housekeeper
from app.adapters.local_keys import LocalSealer, key_file, secret_file
from app.adapters.mailbox import Mailbox
from app.adapters.sqlite_table import SqliteTable, open_table
from app.api_keys.logic import ApiKeys
from app.api_keys.store import ApiKeyStore
from app.api_keys.types import PREFIX
from app.applications.logic import Applications
from app.applications.store import ApplicationStore
from app.applications.types import Application
from app.common.clock import Clock
from app.common.errors import CannotStart
from app.common.ids import Ids
from app.common.paging import Cursors
from app.common.secrets import SealBroken, digest, new_token
from app.events.logic import Dispatcher
from app.events.store import Outbox
from app.messages.logic import Composer
from app.messages.ports import Inbox, Mailer
from app.passwords.logic import Passwords
from app.recovery.logic import Recoveries
from app.recovery.store import ResetStore
from app.sessions.logic import Sessions
from app.sessions.store import SessionStore
from app.settings import Settings
from app.signin.logic import SignIns
from app.signing.logic import KeyRings
from app.signing.store import RingStore
from app.signup.logic import SignUps
from app.signup.store import InvitationStore
from app.storage import keys
from app.storage.deployment import DeploymentSecret
from app.storage.work import Work
from app.tokens.logic import Tokens
from app.tokens.types import InvalidToken
from app.users.logic import Users
from app.users.store import UserStore
from app.web.access import Callers
from app.web.context import Surroundings, loopback_origin
from app.web.lane import Lane
from app.web.site import Site

DATABASE = "passerine.db"
KEY_FILE = "local.key"
ADMIN_KEY_FILE = "admin-api-key"
MAILBOX_FOLDER = "mailbox"
LOCK_FILE = "housekeeper.lock"
REFRESH_PURPOSE = "refresh-token"
CURSOR_PURPOSE = "cursor"
HASHES_WAITING = 256


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that the app runs on.

    Attributes:
        provided: use cases by their class, for the endpoints.
        local: whether this is a deployment on one machine, with a start page and a mailbox.
        notes: what its owner should read at the start.
    """

    provided: Mapping[type[Any], Any]
    callers: Callers
    surroundings: Surroundings
    applications: Applications
    ids: Ids
    housekeeper: Housekeeper
    table: SqliteTable
    local: bool
    has_mailbox: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What every area stands on."""

    table: SqliteTable
    sealer: LocalSealer
    clock: Clock
    ids: Ids
    work: Work
    secret: DeploymentSecret
    outbox: Outbox


def build(settings: Settings, *, clock: Clock | None = None) -> Services:
    """Make everything once.

    Raises:
        CannotStart: a file or the database is not what it must be.
    """
    folder = _data_folder(settings.data_dir)
    admin_key, place, notes = _admin_key(settings, folder)
    mailer = _mailer(settings, folder)
    ground = _ground(folder, clock or Clock())
    applications = _applications(ground)
    areas = _areas(ground, applications, settings)
    api_keys = _api_keys(ground, admin_key)
    site = Site(
        version=__version__,
        store=settings.store,
        check=lambda: ground.table.get(keys.deployment_secret()),
        admin_key_place=place,
    )
    lane = Lane(limiter=anyio.CapacityLimiter((os.cpu_count() or 1) + 1), queue=HASHES_WAITING)
    cursors = Cursors(key=lambda: ground.secret.derive(CURSOR_PURPOSE))
    provided = {type(one): one for one in (*areas, api_keys, site, lane, cursors, applications)}
    if isinstance(mailer, Inbox):
        provided[Inbox] = mailer
    tokens = provided[Tokens]
    return Services(
        provided=provided,
        callers=Callers(
            admin=api_keys.authenticate,
            application=applications.require,
            open_application=applications.require_active,
            user=tokens.authenticate,
            no_token=InvalidToken,
        ),
        surroundings=Surroundings(
            public_url=settings.public_url, trusted_proxies=settings.trusted_proxies
        ),
        applications=applications,
        ids=ground.ids,
        housekeeper=_housekeeper(ground, mailer, folder),
        table=ground.table,
        local=True,
        has_mailbox=Inbox in provided,
        notes=notes,
    )


def _ground(folder: Path, clock: Clock) -> Ground:
    sealer = LocalSealer(key=key_file(folder / KEY_FILE))
    table = open_table(str(folder / DATABASE), clock=clock)
    ids = Ids(clock=clock)
    secret = DeploymentSecret(table=table, sealer=sealer)
    try:
        secret.derive(CURSOR_PURPOSE)
    except SealBroken:
        table.close()
        raise CannotStart(
            f"The key file {folder / KEY_FILE} is not the one that this database was made with."
        ) from None
    return Ground(
        table=table,
        sealer=sealer,
        clock=clock,
        ids=ids,
        work=Work(table=table),
        secret=secret,
        outbox=Outbox(table=table, sealer=sealer, clock=clock, ids=ids),
    )


def _applications(ground: Ground) -> Applications:
    return Applications(
        # A read takes microseconds here: every change is seen at once by every process.
        store=ApplicationStore(table=ground.table, clock=ground.clock, cache_seconds=0),
        rings=RingStore(table=ground.table),
        key_rings=KeyRings(sealer=ground.sealer, clock=ground.clock),
        outbox=ground.outbox,
        work=ground.work,
        clock=ground.clock,
        ids=ground.ids,
    )


def _api_keys(ground: Ground, admin_key: str) -> ApiKeys:
    return ApiKeys(
        store=ApiKeyStore(table=ground.table),
        work=ground.work,
        clock=ground.clock,
        ids=ground.ids,
        bootstrap_digest=digest(admin_key),
    )


def _areas(ground: Ground, applications: Applications, settings: Settings) -> tuple[Any, ...]:
    """The use cases of users, from the bottom to the top."""
    table, outbox, work, clock = ground.table, ground.outbox, ground.work, ground.clock
    users, session_store, passwords = UserStore(table=table), SessionStore(table=table), Passwords()
    sessions = Sessions(
        store=session_store,
        users=users,
        outbox=outbox,
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
        known_issuer=_known_issuer(settings),
    )
    recoveries = Recoveries(
        users=users,
        store=ResetStore(table=table),
        sessions=session_store,
        passwords=passwords,
        outbox=outbox,
        work=work,
        clock=clock,
    )
    accounts = Users(store=users, outbox=outbox, work=work, clock=clock)
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
        outbox=ground.outbox,
        work=ground.work,
        clock=ground.clock,
        ids=ground.ids,
    )
    sign_ins = SignIns(
        users=users,
        passwords=passwords,
        sessions=tokens.sessions,
        tokens=tokens,
        outbox=ground.outbox,
        work=ground.work,
        clock=ground.clock,
    )
    return sign_ups, sign_ins


def _known_issuer(settings: Settings) -> Any:
    """Whether a token's issuer is our name for an application.

    Without a public URL one service has several names: localhost, 127.0.0.1, another port of
    the same data folder. Each of them is this very machine, and the signature decides.
    """

    def known(issuer: str, application: Application, origin: str) -> bool:
        if issuer == application.issuer(origin):
            return True
        if settings.public_url is not None or not issuer.endswith(application.path):
            return False
        return loopback_origin(issuer.removesuffix(application.path))

    return known


def _housekeeper(ground: Ground, mailer: Mailer, folder: Path) -> Housekeeper:
    courier = Courier(composer=Composer(), mailer=mailer)
    dispatcher = Dispatcher(outbox=ground.outbox, consumers=(courier,), clock=ground.clock)
    return Housekeeper(dispatcher=dispatcher, table=ground.table, lock_path=folder / LOCK_FILE)


def _mailer(settings: Settings, folder: Path) -> Mailer:
    if settings.email == "smtp":
        # Only the chosen adapter is imported: smtplib and ssl cost a start 20 ms.
        from app.adapters.smtp_mailer import SmtpMailer, parse_smtp_url

        try:
            server = parse_smtp_url(settings.smtp_url or "")
            return SmtpMailer(server=server, sender=settings.email_from)
        except ValueError as error:
            raise CannotStart(f"PASSERINE_SMTP_URL or PASSERINE_EMAIL_FROM: {error}") from None
    return Mailbox(folder=folder / MAILBOX_FOLDER, sender=settings.email_from)


def _data_folder(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"PASSERINE_DATA_DIR: {path}: {error.strerror}.") from None
    return path.resolve()


def _admin_key(settings: Settings, folder: Path) -> tuple[str, str, tuple[str, ...]]:
    """The first API key, where its owner finds it, and what to print now."""
    if settings.admin_api_key is not None:
        return settings.admin_api_key, "the setting PASSERINE_ADMIN_API_KEY", ()
    path = folder / ADMIN_KEY_FILE
    key, made = secret_file(path, PREFIX + new_token())
    notes = (f"First start: the admin API key is {key}",) if made else ()
    return key, str(path), notes
