"""What a deployment stands on, by its settings: one machine, or AWS."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from app.adapters.aws import Aws
from app.adapters.local_keys import LocalSealer, key_file, secret_file
from app.api_keys.types import PREFIX
from app.common.clock import Clock
from app.common.errors import CannotStart
from app.common.secrets import Sealer, digest, new_token
from app.events.ports import Consumer
from app.messages.ports import Mailer
from app.settings import Settings
from app.storage.table import Table

DATABASE = "passerine.db"
KEY_FILE = "local.key"
ADMIN_KEY_FILE = "admin-api-key"
MAILBOX_FOLDER = "mailbox"
# How long another process's change of an application may stay unseen where a read costs
# milliseconds and money. A read of SQLite takes microseconds.
CACHE_SECONDS = 10
# Each look into DynamoDB's outbox is 16 queries; one into SQLite's is next to nothing.
POLL_SECONDS = {"sqlite": 0.1, "dynamodb": 0.5}
# Longer than any function or thread of ours works on one message.
LEASE_SECONDS = 45


@dataclass(frozen=True, kw_only=True, eq=False)
class AdminKey:
    """The first API key.

    Attributes:
        digest: gives what its digest is.
        place: where its owner finds it.
        notes: what to print at this start.
    """

    digest: Callable[[], str] = field(repr=False)
    place: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Platform:
    """The adapters of one deployment, each made once.

    Attributes:
        key_place: what holds the key that everything secret is sealed under.
        consumers: who takes events besides the courier.
        cache_seconds: how long an application may be remembered.
        poll_seconds: how often the outbox is looked into.
        lease_seconds: how long a message is one dispatcher's; 0 where there is only one.
        sweep: deletes some of what has long expired; how much.
        renew: drops what must not outlive a snapshot of this process: connections, credentials.
        close: lets go of the store.
    """

    table: Table
    sealer: Sealer
    key_place: str
    mailer: Mailer
    consumers: tuple[Consumer, ...]
    admin_key: AdminKey
    cache_seconds: int
    poll_seconds: float
    lease_seconds: int
    sweep: Callable[[], int]
    renew: Callable[[], None]
    close: Callable[[], None]


def platform(settings: Settings, clock: Clock) -> Platform:
    """The platform that the settings ask for.

    Raises:
        CannotStart: a file or the database is not what it must be.
    """
    aws = Aws()
    admin_key = _admin_key(settings, aws, clock)
    mailer = _mailer(settings, aws)
    sealer, key_place = _sealer(settings, aws)
    table, sweep, close = _table(settings, aws, clock)
    local = settings.store == "sqlite"
    return Platform(
        table=table,
        sealer=sealer,
        key_place=key_place,
        mailer=mailer,
        consumers=_consumers(settings, aws),
        admin_key=admin_key,
        cache_seconds=0 if local else CACHE_SECONDS,
        poll_seconds=POLL_SECONDS[settings.store],
        lease_seconds=0 if local else LEASE_SECONDS,
        sweep=sweep,
        renew=aws.forget,
        close=close,
    )


def data_folder(settings: Settings) -> Path:
    """The data folder, made where there is none."""
    path = settings.data_dir
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"PASSERINE_DATA_DIR: {path}: {error.strerror}.") from None
    return path.resolve()


# Only what is chosen is imported: each of these costs a cold start milliseconds.


def _table(
    settings: Settings, aws: Aws, clock: Clock
) -> tuple[Table, Callable[[], int], Callable[[], None]]:
    if settings.store == "dynamodb":
        from app.adapters.dynamodb_table import DynamoDbTable

        # The driver alone tries again: it must know when an answer was lost.
        there = DynamoDbTable(
            name=settings.table_name or "",
            call=lambda *asked: aws.json("dynamodb", attempts=1).call(*asked),
            clock=clock,
        )
        return there, lambda: 0, aws.forget  # DynamoDB's time-to-live sweeps by itself
    from app.adapters.sqlite_table import open_table

    here = open_table(str(data_folder(settings) / DATABASE), clock=clock)
    return here, here.sweep, here.close


def _sealer(settings: Settings, aws: Aws) -> tuple[Sealer, str]:
    if settings.kms_key_id is not None:
        from app.adapters.kms_sealer import KmsSealer

        return KmsSealer(aws=aws, key_id=settings.kms_key_id), "KMS key"
    path = data_folder(settings) / KEY_FILE
    return LocalSealer(key=key_file(path)), f"key file {path}"


def _consumers(settings: Settings, aws: Aws) -> tuple[Consumer, ...]:
    if settings.events_topic_arn is None:
        return ()
    from app.adapters.sns_publisher import SnsPublisher

    return (SnsPublisher(aws=aws, topic_arn=settings.events_topic_arn),)


def _mailer(settings: Settings, aws: Aws) -> Mailer:
    try:
        if settings.email == "ses":
            from app.adapters.ses_mailer import SesMailer

            return SesMailer(aws=aws, sender=settings.email_from)
        if settings.email == "smtp":
            from app.adapters.smtp_mailer import SmtpMailer, parse_smtp_url

            server = parse_smtp_url(settings.smtp_url or "")
            return SmtpMailer(server=server, sender=settings.email_from)
    except ValueError as error:
        raise CannotStart(f"PASSERINE_SMTP_URL or PASSERINE_EMAIL_FROM: {error}") from None
    from app.adapters.mailbox import Mailbox

    return Mailbox(folder=data_folder(settings) / MAILBOX_FOLDER, sender=settings.email_from)


def _admin_key(settings: Settings, aws: Aws, clock: Clock) -> AdminKey:
    if settings.admin_api_key is not None:
        known = digest(settings.admin_api_key)
        return AdminKey(digest=lambda: known, place="the setting PASSERINE_ADMIN_API_KEY")
    if settings.admin_api_key_secret is not None:
        from app.adapters.secrets_manager import KeptAdminKey

        kept = KeptAdminKey(aws=aws, secret_id=settings.admin_api_key_secret, clock=clock)
        return AdminKey(digest=kept.digest, place="the secret PASSERINE_ADMIN_API_KEY_SECRET")
    path = data_folder(settings) / ADMIN_KEY_FILE
    key, made = secret_file(path, PREFIX + new_token())
    known = digest(key)
    notes = (f"First start: the admin API key is {key}",) if made else ()
    return AdminKey(digest=lambda: known, place=str(path), notes=notes)
