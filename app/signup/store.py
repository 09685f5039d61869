"""Invitations over the table."""

import json
from dataclasses import dataclass

from app.common.ids import ApplicationId
from app.common.secrets import new_token
from app.signup.types import LIFETIME_SECONDS, InvalidVerificationToken, Invitation
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
    Update,
    Write,
)
from app.users.store import as_text
from app.users.types import AddressRecords

PENDING = "pending"
NOTE = "invitations"


@dataclass(frozen=True, kw_only=True, eq=False)
class InvitationStore:
    """Reads and writes invitations."""

    table: Table

    def find(self, application_id: ApplicationId, token_digest: str) -> Invitation | None:
        item = self.table.get(keys.invitation(application_id, token_digest))
        return None if item is None else _invitation(token_digest, item)

    def latest(self, application_id: ApplicationId, records: AddressRecords) -> Invitation | None:
        """The latest invitation of an address, if it still can be completed."""
        pending = records.item(PENDING)
        if pending is None:
            return None
        found = self.find(application_id, str(pending.body["digest"]))
        return found if found is not None and not is_void(found, records) else None

    def creation(
        self, application_id: ApplicationId, address_digest: str, invitation: Invitation
    ) -> list[Write]:
        key = keys.invitation(application_id, invitation.token_digest)
        return [
            Put(
                key=key,
                body={
                    "email": invitation.email,
                    "passwordHash": invitation.password_hash,
                    "metadata": as_text(invitation.metadata),
                    "note": invitation.note,
                    "attempts": invitation.attempts,
                },
                expires_at=invitation.expires_at,
            ),
            Put(
                key=keys.pending_invitation(application_id, address_digest),
                body={"digest": invitation.token_digest, "lookup": [key.pk, key.sk]},
                expires_at=invitation.expires_at,
            ),
        ]

    def attempt(self, application_id: ApplicationId, invitation: Invitation) -> Write:
        """Count a try before the password is looked at."""
        return Update(
            key=keys.invitation(application_id, invitation.token_digest),
            add={"attempts": 1},
            when=(FieldIs("attempts", invitation.attempts),),
        )

    def spend(self, application_id: ApplicationId, invitation: Invitation) -> Write:
        """Use an invitation up: one caller wins."""
        return Delete(
            key=keys.invitation(application_id, invitation.token_digest),
            when=(Exists(),),
            lost=InvalidVerificationToken,
        )

    def completion(
        self,
        application_id: ApplicationId,
        invitation: Invitation,
        records: AddressRecords,
        *,
        now: int,
    ) -> list[Write]:
        """Use an invitation up and void every other one of its address."""
        digest = records.address.digest
        unchanged: Condition = FieldIs("note", invitation.note) if note_of(records) else Absent()
        writes: list[Write] = [
            self.spend(application_id, invitation),
            Put(
                key=keys.voided_invitations(application_id, digest),
                body={"note": new_token()},
                when=(unchanged,),
                # Outlives every invitation that was made before it.
                expires_at=now + 2 * LIFETIME_SECONDS,
                lost=InvalidVerificationToken,
            ),
            Delete(key=keys.pending_invitation(application_id, digest)),
        ]
        pending = records.item(PENDING)
        if pending is not None and pending.body["digest"] != invitation.token_digest:
            other = keys.invitation(application_id, str(pending.body["digest"]))
            writes.append(Delete(key=other))
        return writes


def note_of(records: AddressRecords) -> str:
    """What the address's note says now; empty while nothing was completed lately."""
    item = records.item(NOTE)
    return "" if item is None else str(item.body["note"])


def is_void(invitation: Invitation, records: AddressRecords) -> bool:
    """Whether another invitation of the address was completed first.

    A note outlives what it voids: once it is gone, no living invitation is older than it.
    """
    return records.owner is not None or note_of(records) not in {"", invitation.note}


def _invitation(token_digest: str, item: Item) -> Invitation:
    return Invitation(
        token_digest=token_digest,
        email=str(item.body["email"]),
        password_hash=str(item.body["passwordHash"]),
        metadata=json.loads(str(item.body["metadata"])),
        note=str(item.body["note"]),
        expires_at=item.expires_at or 0,
        attempts=int(str(item.body["attempts"])),
    )
