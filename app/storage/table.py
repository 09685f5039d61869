"""The port that every store speaks to and every driver implements.

It is at item level: what is here must be simple for DynamoDB and for SQLite alike. Both keep
the stricter one's limits. An item whose `expires_at` has passed does not exist for any
operation of this port, though its row may stay for days.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Body: TypeAlias = Mapping[str, Json]

MAX_WRITES = 100  # DynamoDB TransactWriteItems: 100 actions
MAX_GETS = 100  # DynamoDB BatchGetItem: 100 keys
MAX_MEMBERS = 64  # so that an update stays below DynamoDB's expressions of 4 KB and 300 operators
MAX_ITEM_BYTES = 400 * 1024  # DynamoDB: 400 KB an item
MAX_PK_BYTES = 2048  # DynamoDB: partition key
MAX_SK_BYTES = 1024  # DynamoDB: sort key


@dataclass(frozen=True, slots=True)
class Key:
    """Where an item lies; neither part may be empty."""

    pk: str
    sk: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What lies there.

    Attributes:
        version: 1 after a `Put`, one more after each `Update` and each `Put` on `VersionIs`.
        expires_at: seconds since 1970 from which on the item does not exist.
    """

    key: Key
    body: dict[str, Json]
    version: int
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Items of one partition in byte order of their sort keys; `more` when the limit cut it."""

    items: list[Item]
    more: bool


@dataclass(frozen=True, slots=True)
class Absent:
    """No item lies there, or only an expired one."""


@dataclass(frozen=True, slots=True)
class Exists:
    """A living item lies there."""


@dataclass(frozen=True, slots=True)
class VersionIs:
    """A living item of exactly this version lies there."""

    version: int


@dataclass(frozen=True, slots=True)
class FieldIs:
    """A living item lies there and this top-level member of its body is exactly this scalar."""

    name: str
    value: str | int | bool


Condition: TypeAlias = Absent | Exists | VersionIs | FieldIs
Conditions: TypeAlias = tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One member of a commit; all of `when` must hold.

    Attributes:
        lost: the refusal to raise when this write's condition fails; without one the caller
            gets `ConditionFailed` and may try again on what it then reads.
    """

    key: Key
    when: Conditions = ()
    lost: type[Exception] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Put(Write):
    """Lay down a whole item, in place of what was there."""

    body: Body
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(Write):
    """Change a living item; it never makes one.

    Attributes:
        set: members of the body to set.
        add: integer members to add to, none of them in `set`; an absent one counts as 0.
        expires_at: the new expiry in seconds; `None` keeps the old one.
    """

    when: Conditions = (Exists(),)
    set: Body = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete(Write):
    """Remove an item; nothing to remove is no fault unless `when` says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Write):
    """Write nothing, but let the commit pass only while `when` holds."""


class ConditionFailed(Exception):
    """A commit was refused whole, because this write's condition did not hold."""

    def __init__(self, write: Write) -> None:
        super().__init__(f"{type(write).__name__} on {write.key.sk} lost")
        self.write = write


class InvalidWrite(ValueError):
    """A programming fault: a write or a question beyond the limits that every driver keeps."""


class Table(Protocol):
    """Items and transactions. Reads see every commit acknowledged before them.

    Any method raises `StoreUnavailable` when the store does not answer in time.
    """

    def get(self, key: Key) -> Item | None:
        """The living item at a key."""
        ...

    def get_many(self, keys: list[Key]) -> dict[Key, Item]:
        """The living items among up to 100 keys, in one round trip."""
        ...

    def query(
        self,
        partition: str,
        *,
        prefix: str = "",
        limit: int,
        after: str | None = None,
        newest_first: bool = False,
    ) -> Page:
        """Living items of a partition whose sort keys begin with `prefix`.

        Args:
            partition: the partition key.
            prefix: what the sort keys begin with.
            limit: at most this many items; `more` tells whether there are others.
            after: a sort key; the page starts behind it, in the direction of reading.
            newest_first: descending instead of ascending byte order.
        """
        ...

    def commit(self, *writes: Write) -> None:
        """Do all writes or none; acknowledged only when durable.

        Raises:
            ConditionFailed: naming the first write whose condition did not hold.
            InvalidWrite: no write, more than 100, two on one key, or an item beyond the limits.
        """
        ...


def check_writes(writes: tuple[Write, ...]) -> None:
    """Refuse what the strictest driver would refuse, before any driver is asked."""
    if not 1 <= len(writes) <= MAX_WRITES:
        raise InvalidWrite(f"a commit takes 1 to {MAX_WRITES} writes, not {len(writes)}")
    if len({write.key for write in writes}) != len(writes):
        raise InvalidWrite("a commit writes each key once")
    for write in writes:
        check_key(write.key)
        if isinstance(write, Check) and not write.when:
            raise InvalidWrite("a check without a condition checks nothing")
        if isinstance(write, Update) and any(isinstance(when, Absent) for when in write.when):
            raise InvalidWrite("an update cannot ask for absence")
        if isinstance(write, Update) and write.set.keys() & write.add.keys():
            raise InvalidWrite("an update cannot set what it adds to")
        if isinstance(write, Update) and len(write.set) + len(write.add) > MAX_MEMBERS:
            raise InvalidWrite(f"an update names at most {MAX_MEMBERS} members")


def check_query(partition: str, *, limit: int, prefix: str, after: str | None) -> None:
    """Refuse a question that the strictest driver would refuse."""
    if limit < 1:
        raise InvalidWrite("a page has room for at least one item")
    check_key(Key(partition, prefix or " "))
    if after is not None:
        check_key(Key(partition, after))


def check_key(key: Key) -> None:
    """Refuse a key that no item can have: a part is empty, too long, or no text in UTF-8."""
    try:
        pk, sk = len(key.pk.encode()), len(key.sk.encode())
    except UnicodeEncodeError:
        raise InvalidWrite("a key part holds half of a surrogate pair") from None
    if not 1 <= pk <= MAX_PK_BYTES or not 1 <= sk <= MAX_SK_BYTES:
        raise InvalidWrite("a key part is empty or too long")
