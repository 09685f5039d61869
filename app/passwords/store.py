"""Password hashes over the table."""

from app.common.ids import ApplicationId
from app.passwords.types import Credential
from app.storage import keys
from app.storage.table import Item, Put, VersionIs, Write

NAME = "password"


def credential_of(item: Item | None) -> Credential | None:
    """What the record that lies under an address by `NAME` tells."""
    return None if item is None else Credential(hash=str(item.body["hash"]), version=item.version)


def save(
    application_id: ApplicationId,
    address_digest: str,
    password_hash: str,
    *,
    instead_of: Credential | None = None,
) -> Write:
    """The write that sets a password, if it still takes the place of the one that was read."""
    when = () if instead_of is None else (VersionIs(instead_of.version),)
    key = keys.password(application_id, address_digest)
    return Put(key=key, body={"hash": password_hash}, when=when)
