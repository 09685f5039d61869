"""What a sign-in reads, over the table."""

from dataclasses import dataclass

from app.common.ids import ApplicationId
from app.limits.store import tally_of
from app.limits.types import Tally
from app.passwords.store import credential_of
from app.passwords.types import Credential
from app.storage import keys
from app.storage.table import Table
from app.users.store import owner_of
from app.users.types import EmailAddress, Owner


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """What is known of an address, and of the network that it is tried from."""

    owner: Owner | None
    credential: Credential
    tally: Tally


@dataclass(frozen=True, kw_only=True, eq=False)
class EntranceStore:
    """Reads entrances."""

    table: Table

    def read(self, application_id: ApplicationId, address: EmailAddress, network: str) -> Entrance:
        """Everything in one read, though of several moments: the commit asks for each again."""
        owner = keys.owner(application_id, address.digest)
        password = keys.password(application_id, address.digest)
        tally = keys.network_tally(application_id, network)
        found = self.table.get_many([owner, password, tally])
        return Entrance(
            owner=owner_of(found[owner]) if owner in found else None,
            credential=credential_of(found.get(password)),
            tally=tally_of(found.get(tally)),
        )
