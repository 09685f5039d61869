"""Resets over the table."""

from dataclasses import dataclass

from app.common.ids import ApplicationId
from app.recovery.types import InvalidResetToken, Reset
from app.storage import keys
from app.storage.table import (
    Absent,
    Condition,
    Delete,
    Exists,
    FieldIs,
    Item,
    Put,
    Table,
    Write,
)
from app.users.types import AddressRecords

PENDING = "reset"


@dataclass(frozen=True, kw_only=True, eq=False)
class ResetStore:
    """Reads and writes resets.

    The token's entry finds the address; the address's record decides.
    """

    table: Table

    def find(self, application_id: ApplicationId, token_digest: str) -> Reset | None:
        item = self.table.get(keys.reset_token(application_id, token_digest))
        if item is None:
            return None
        return Reset(
            token_digest=token_digest,
            email=str(item.body["email"]),
            epoch=int(str(item.body["epoch"])),
            expires_at=item.expires_at or 0,
        )

    def creation(
        self, application_id: ApplicationId, records: AddressRecords, reset: Reset
    ) -> list[Write]:
        """Lay a reset down in place of the one that was read; another one since makes it stale.

        So every token's entry is known to its address, and a deletion leaves none behind.
        """
        key = keys.reset_token(application_id, reset.token_digest)
        before = pending_digest(records)
        unchanged: Condition = Absent() if before is None else FieldIs("digest", before)
        return [
            *_forget_token(application_id, records.item(PENDING)),
            Put(
                key=key,
                body={"email": reset.email, "epoch": reset.epoch},
                expires_at=reset.expires_at,
            ),
            Put(
                key=keys.pending_reset(application_id, records.address.digest),
                body={"digest": reset.token_digest, "lookup": [key.pk, key.sk]},
                expires_at=reset.expires_at,
                when=(unchanged,),
            ),
        ]

    def spend(
        self, application_id: ApplicationId, address_digest: str, reset: Reset
    ) -> list[Write]:
        """Use a reset up: one caller wins."""
        return [
            Delete(
                key=keys.reset_token(application_id, reset.token_digest),
                when=(Exists(),),
                lost=InvalidResetToken,
            ),
            Delete(
                key=keys.pending_reset(application_id, address_digest),
                when=(FieldIs("digest", reset.token_digest),),
                lost=InvalidResetToken,
            ),
        ]

    def void(self, application_id: ApplicationId, records: AddressRecords) -> list[Write]:
        """Make whatever reset is pending worthless."""
        pending = records.item(PENDING)
        if pending is None:
            return []
        return [*_forget_token(application_id, pending), Delete(key=pending.key)]


def pending_digest(records: AddressRecords) -> str | None:
    """The digest of the one token that may reset the password of this address."""
    pending = records.item(PENDING)
    return None if pending is None else str(pending.body["digest"])


def _forget_token(application_id: ApplicationId, pending: Item | None) -> list[Write]:
    if pending is None:
        return []
    return [Delete(key=keys.reset_token(application_id, str(pending.body["digest"])))]
