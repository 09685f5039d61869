"""A random history leaves every driver as it leaves a plain dict."""

import json
import uuid
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from app.storage.table import (
    Absent,
    Check,
    Condition,
    ConditionFailed,
    Delete,
    Exists,
    FieldIs,
    Item,
    Json,
    Key,
    Page,
    Put,
    Table,
    Update,
    VersionIs,
    Write,
)
from tests.contract.ground import START, Place, Store

PARTITIONS = ["p", "q"]
SORT_KEYS = ["a", "a#1", "b", "\uffff", "\U0001f600"]
PREFIXES = ["", "a", "a#", "b", "\uffff", "z"]


@dataclass
class Model:
    """The port as its documentation tells it, over a dict."""

    now: int
    items: dict[Key, Item] = field(default_factory=dict)

    def get(self, key: Key) -> Item | None:
        item = self.items.get(key)
        if item is None or (item.expires_at is not None and item.expires_at <= self.now):
            return None
        return item

    def query(
        self, partition: str, *, prefix: str, limit: int, after: str | None, newest_first: bool
    ) -> Page:
        found = [
            item
            for key in sorted(self.items, key=lambda key: key.sk.encode(), reverse=newest_first)
            if key.pk == partition
            and key.sk.startswith(prefix)
            and (item := self.get(key)) is not None
        ]
        if after is not None:
            start = after.encode()
            found = [
                item
                for item in found
                if (item.key.sk.encode() < start if newest_first else item.key.sk.encode() > start)
            ]
        return Page(items=found[:limit], more=len(found) > limit)

    def commit(self, *writes: Write) -> None:
        for write in writes:
            found = self.get(write.key)
            if not all(self._holds(one, found) for one in write.when):
                raise ConditionFailed(write)
            if isinstance(write, Update) and found is None:
                raise ConditionFailed(write)
        for write in writes:
            self._apply(write, self.get(write.key))

    def _holds(self, condition: Condition, found: Item | None) -> bool:
        match condition:
            case Absent():
                return found is None
            case Exists():
                return found is not None
            case VersionIs(version):
                return found is not None and found.version == version
            case FieldIs(name, value):
                return found is not None and repr(found.body.get(name)) == repr(value)

    def _apply(self, write: Write, found: Item | None) -> None:
        match write:
            case Put():
                asked = any(isinstance(one, VersionIs) for one in write.when)
                version = found.version + 1 if found is not None and asked else 1
                self.items[write.key] = Item(
                    key=write.key,
                    body=dict(write.body),
                    version=version,
                    expires_at=write.expires_at,
                )
            case Update():
                assert found is not None
                body = {**found.body, **write.set}
                for name, amount in write.add.items():
                    body[name] = integer(body.get(name, 0)) + amount
                expires_at = found.expires_at if write.expires_at is None else write.expires_at
                self.items[write.key] = Item(
                    key=write.key, body=body, version=found.version + 1, expires_at=expires_at
                )
            case Delete():
                self.items.pop(write.key, None)


def integer(value: Json) -> int:
    assert isinstance(value, int)
    return value


@dataclass(frozen=True)
class Wish:
    """A condition that is made when it is known what lies there, to hold or to fail."""

    of: str
    fits: bool

    def condition(self, found: Item | None) -> Condition:
        if found is None:
            return Absent() if self.fits else Exists()
        match self.of:
            case "presence":
                return Exists() if self.fits else Absent()
            case "version":
                return VersionIs(found.version if self.fits else found.version + 1)
            case name:
                held = found.body.get(name)
                if self.fits:
                    return FieldIs(name, held) if isinstance(held, (str, int)) else Exists()
                return FieldIs(name, True if held == 1 and held is not True else 1)


@dataclass(frozen=True)
class Draft:
    """A write whose place and conditions are still open."""

    write: Write
    wishes: tuple[Wish, ...]

    def settled(self, place: Place, model: Model) -> Write:
        key = place.key(self.write.key.sk, partition=self.write.key.pk)
        found = model.get(key)
        when = tuple(wish.condition(found) for wish in self.wishes)
        if isinstance(self.write, Update):
            when = tuple(Exists() if one == Absent() else one for one in when)
        return replace(self.write, key=key, when=when)


@dataclass(frozen=True)
class Commit:
    drafts: tuple[Draft, ...]


@dataclass(frozen=True)
class Read:
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class Look:
    partition: str
    prefix: str
    limit: int
    after: str | None
    newest_first: bool


@dataclass(frozen=True)
class Wait:
    seconds: int


Step: TypeAlias = Commit | Read | Look | Wait

BEGIN = int(START.timestamp())
keys = st.builds(Key, st.sampled_from(PARTITIONS), st.sampled_from(SORT_KEYS))
wishes = st.builds(
    Wish, st.sampled_from(["presence", "version", "n", "s"]), st.sampled_from([True] * 7 + [False])
)
texts = st.sampled_from(["", "x", 0, 1, True, False, None])
bodies = st.fixed_dictionaries({"n": st.integers(0, 3)}, optional={"s": texts, "é\0": texts})
changes = st.fixed_dictionaries({}, optional={"s": texts, "t": texts})
amounts = st.fixed_dictionaries({}, optional={"n": st.integers(-2, 2), "m": st.integers(-2, 2)})
expiries = st.sampled_from([None, None, None]) | st.integers(BEGIN - 1, BEGIN + 60)
puts = st.builds(Put, key=keys, body=bodies, expires_at=expiries)
updates = st.builds(Update, key=keys, set=changes, add=amounts, expires_at=expiries)
few_wishes = st.lists(wishes, max_size=2).map(tuple)
drafts = st.one_of(
    st.builds(Draft, puts, few_wishes),
    st.builds(Draft, updates, few_wishes),
    st.builds(Draft, st.builds(Delete, key=keys), few_wishes),
    st.builds(
        Draft, st.builds(Check, key=keys), st.lists(wishes, min_size=1, max_size=2).map(tuple)
    ),
)
commits = st.lists(drafts, min_size=1, max_size=4, unique_by=lambda draft: draft.write.key)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(Commit, commits.map(tuple)),
    st.builds(Commit, commits.map(tuple)),
    st.builds(Read, st.lists(keys, max_size=4).map(tuple)),
    st.builds(
        Look,
        st.sampled_from(PARTITIONS),
        st.sampled_from(PREFIXES),
        st.integers(1, 4),
        st.none() | st.sampled_from(SORT_KEYS),
        st.booleans(),
    ),
    st.builds(Wait, st.integers(1, 9)),
)


def told(item: Item) -> tuple[Key, str, int, int | None]:
    """All of an item; as JSON, 1 and true are two things, and the order of members is none."""
    return item.key, json.dumps(item.body, sort_keys=True), item.version, item.expires_at


def commit(table: Table | Model, *writes: Write) -> object:
    try:
        table.commit(*writes)
    except ConditionFailed as failed:
        return writes.index(failed.write)
    return "done"


def check(step: Step, store: Store, model: Model, place: Place) -> None:
    """Take a step in both; they must say the same."""
    match step:
        case Commit(drafted):
            writes = [draft.settled(place, model) for draft in drafted]
            expected = commit(model, *writes)
            event("a commit was done" if expected == "done" else "a commit lost")
            assert commit(store.table, *writes) == expected, writes
        case Read(read):
            there = [place.key(key.sk, partition=key.pk) for key in read]
            lying = {key: told(item) for key in there if (item := model.get(key)) is not None}
            found = store.table.get_many(there)
            assert {key: told(item) for key, item in found.items()} == lying
        case Look(partition, prefix, limit, after, newest_first):
            pages = [
                table.query(
                    place.partition(partition),
                    prefix=prefix,
                    limit=limit,
                    after=after,
                    newest_first=newest_first,
                )
                for table in (store.table, model)
            ]
            ours, models = ([told(item) for item in page.items] for page in pages)
            assert (ours, pages[0].more) == (models, pages[1].more), step
        case Wait(seconds):
            model.now += seconds
            store.hour.advance(seconds)


@settings(
    max_examples=80,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    ground=st.lists(puts, min_size=4, max_size=10, unique_by=lambda put: put.key),
    history=st.lists(steps, min_size=10, max_size=30),
)
def test_any_history_ends_as_a_dict_would_have_it(
    store: Store, ground: list[Put], history: list[Step]
) -> None:
    place = Place(prefix=f"test-{uuid.uuid4()}")
    store.hour.now = START
    model = Model(now=BEGIN)
    beginning = Commit(tuple(Draft(put, ()) for put in ground))
    ending = [Look(partition, "", 100, None, newest_first=False) for partition in PARTITIONS]
    for step in (beginning, *history, *ending):
        check(step, store, model, place)
