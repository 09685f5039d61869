"""Users over the table."""

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from app.common.ids import ApplicationId, UserId
from app.common.paging import Paged
from app.storage import keys
from app.storage.table import (
    MAX_GETS,
    Absent,
    Body,
    Delete,
    Exists,
    FieldIs,
    Item,
    Json,
    Key,
    Put,
    Table,
    Update,
    VersionIs,
    Write,
)
from app.users.types import AddressRecords, EmailAddress, Owner, User, UserNotFound, UserState

RECORDS = 100  # an address holds a handful of records
SPARE = 4  # ids a shard gives beyond its even share, before it is asked again
ROWS_A_COMMIT = 80  # leaves room for the other members of a deletion


@dataclass(frozen=True, kw_only=True, eq=False)
class UserStore:
    """Reads users and addresses, and makes the writes that keep the two in step."""

    table: Table

    def find(self, application_id: ApplicationId, user_id: UserId) -> User | None:
        item = self.table.get(keys.profile(application_id, user_id))
        return None if item is None else user_of(application_id, user_id, item)

    def under(self, application_id: ApplicationId, address: EmailAddress) -> AddressRecords:
        """Everything that lies under an address, in one read."""
        page = self.table.query(
            keys.address_partition(application_id, address.digest), limit=RECORDS
        )
        owner_key = keys.owner(application_id, address.digest)
        owner = next((owner_of(item) for item in page.items if item.key == owner_key), None)
        return AddressRecords(address=address, owner=owner, items=tuple(page.items))

    def page(self, application_id: ApplicationId, *, limit: int, after: str | None) -> Paged[User]:
        """Users, newest first, merged from the directory's shards."""
        chunk = limit // keys.SHARDS + SPARE
        shards = [
            self._newest(keys.user_directory(application_id, shard), after, chunk)
            for shard in range(keys.SHARDS)
        ]
        ids = list(islice(heapq.merge(*shards, reverse=True), limit + 1))
        users = self._many(application_id, ids[:limit])
        return Paged(entries=users, position=ids[limit - 1] if len(ids) > limit else None)

    def _newest(self, partition: str, after: str | None, chunk: int) -> Iterator[UserId]:
        """The ids of a shard, newest first, read as far as they are asked for."""
        while True:
            page = self.table.query(partition, limit=chunk, after=after, newest_first=True)
            for item in page.items:
                yield UserId(item.key.sk)
            if not page.more:
                return
            after = page.items[-1].key.sk

    def creation(self, user: User, *, taken: type[Exception], gone: type[Exception]) -> list[Write]:
        """The writes that make a user.

        Args:
            user: who.
            taken: the refusal when the address has an owner already.
            gone: the refusal when the application was deleted meanwhile.
        """
        application, address = user.application_id, user.address
        counter = keys.user_counter(application, keys.shard_of(user.id))
        return [
            Put(key=keys.profile(application, user.id), body=_profile(user), when=(Absent(),)),
            Put(
                key=keys.owner(application, address.digest),
                body={
                    "userId": user.id,
                    "email": user.email,
                    "state": user.state.value,
                    "epoch": user.epoch,
                },
                when=(Absent(),),
                lost=taken,
            ),
            Put(key=keys.user_entry(application, user.id), body={}),
            Update(key=counter, add={"users": 1}, lost=gone),
        ]

    def change(self, user: User, values: Body) -> Write:
        """Set members of a profile that is still the version that was read."""
        key = keys.profile(user.application_id, user.id)
        return Update(key=key, set=values, when=(VersionIs(user.version),))

    def signed_in(self, application_id: ApplicationId, owner: Owner, *, at: str) -> Write:
        """Note a sign-in, if nothing that would forbid it has happened since the owner was read."""
        return Update(
            key=keys.profile(application_id, owner.user_id),
            set={"lastSignIn": at},
            when=(FieldIs("state", owner.state.value), FieldIs("epoch", owner.epoch)),
        )

    def new_epoch(
        self,
        application_id: ApplicationId,
        owner: Owner,
        *,
        values: Mapping[str, Json],
        state: UserState | None = None,
    ) -> list[Write]:
        """End every session of a user, and set members of the profile beside."""
        states: Body = {} if state is None else {"state": state.value}
        when = (FieldIs("epoch", owner.epoch),)
        address = EmailAddress.of(owner.email)
        return [
            Update(
                key=keys.profile(application_id, owner.user_id),
                set={**values, **states},
                add={"epoch": 1},
                when=when,
            ),
            Update(
                key=keys.owner(application_id, address.digest),
                set=states,
                add={"epoch": 1},
                when=when,
            ),
        ]

    def touch(self, application_id: ApplicationId, address: EmailAddress) -> Write:
        """A member of every commit that hangs a record on an owned address.

        It changes the owner's version, so that a deletion that has read the address before
        is refused and reads again.
        """
        return Update(key=keys.owner(application_id, address.digest), when=(Exists(),))

    def of_user(self, user: User) -> list[Key]:
        """Up to 80 items of the user's own partition besides the profile: the sessions."""
        profile = keys.profile(user.application_id, user.id)
        page = self.table.query(profile.pk, limit=ROWS_A_COMMIT + 1)
        return [item.key for item in page.items if item.key != profile][:ROWS_A_COMMIT]

    def of_address(self, user: User) -> list[Key]:
        """The items of the address besides its owner: what factors have put there.

        What an item names in `lookup`, such as the entry by which its token is found, belongs
        to it. The note of voided invitations is the address's own and stays.
        """
        application, address = user.application_id, user.address
        kept = {
            keys.owner(application, address.digest),
            keys.voided_invitations(application, address.digest),
        }
        found: list[Key] = []
        for item in self.under(application, address).items:
            lookup = item.body.get("lookup")
            if isinstance(lookup, list):
                found.append(Key(str(lookup[0]), str(lookup[1])))
            if item.key not in kept:
                found.append(item.key)
        return found

    def clear(self, sessions: list[Key]) -> None:
        """Delete sessions ahead of a deletion that has too many of them for one commit."""
        self.table.commit(*(Delete(key=key) for key in sessions))

    def deletion(self, user: User, owner_version: int, belongings: list[Key]) -> list[Write]:
        """Delete a user and every belonging, if both records are still as they were read."""
        application = user.application_id
        counter = keys.user_counter(application, keys.shard_of(user.id))
        return [
            Delete(key=keys.profile(application, user.id), when=(VersionIs(user.version),)),
            Delete(
                key=keys.owner(application, user.address.digest), when=(VersionIs(owner_version),)
            ),
            Delete(key=keys.user_entry(application, user.id)),
            Update(key=counter, add={"users": -1}),
            *(Delete(key=key) for key in belongings),
        ]

    def owner_version(self, user: User) -> int:
        """The version of the owner's record.

        Raises:
            UserNotFound: there is none: the user was deleted meanwhile.
        """
        item = self.table.get(keys.owner(user.application_id, user.address.digest))
        if item is None:
            raise UserNotFound
        return item.version

    def _many(self, application_id: ApplicationId, ids: list[UserId]) -> list[User]:
        wanted = [keys.profile(application_id, user_id) for user_id in ids]
        found = self.table.get_many(wanted[:MAX_GETS]) if wanted else {}
        return [
            user_of(application_id, user_id, found[key])
            for user_id, key in zip(ids, wanted, strict=True)
            if key in found
        ]


def user_of(application_id: ApplicationId, user_id: UserId, item: Item) -> User:
    """The user that a stored profile tells of."""
    body = item.body
    last = body["lastSignIn"]
    return User(
        id=user_id,
        application_id=application_id,
        email=str(body["email"]),
        state=UserState(str(body["state"])),
        metadata=json.loads(str(body["metadata"])),
        app_metadata=json.loads(str(body["appMetadata"])),
        created=str(body["created"]),
        updated=str(body["updated"]),
        last_sign_in=None if last is None else str(last),
        epoch=int(str(body["epoch"])),
        version=item.version,
    )


def as_text(metadata: dict[str, Json]) -> str:
    """Metadata as it is stored: text, so that its keys and numbers are no store's concern."""
    return json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))


def _profile(user: User) -> Body:
    return {
        "email": user.email,
        "state": user.state.value,
        "metadata": as_text(user.metadata),
        "appMetadata": as_text(user.app_metadata),
        "created": user.created,
        "updated": user.updated,
        "lastSignIn": user.last_sign_in,
        "epoch": user.epoch,
    }


def owner_of(item: Item) -> Owner:
    """The owner that a stored record tells of."""
    return Owner(
        user_id=UserId(str(item.body["userId"])),
        email=str(item.body["email"]),
        state=UserState(str(item.body["state"])),
        epoch=int(str(item.body["epoch"])),
    )
