"""Password hashes, and the wrong passwords that were tried, over the table."""

from app.common.ids import ApplicationId
from app.common.secrets import new_token
from app.limits.store import times_of
from app.limits.types import Failures, Penalty
from app.passwords.types import Credential
from app.storage import keys
from app.storage.table import (
    Absent,
    Body,
    Check,
    Conditions,
    FieldIs,
    Item,
    Json,
    Put,
    VersionIs,
    Write,
)

NAME = "password"


def credential_of(item: Item | None) -> Credential:
    """What the record that lies under an address by `NAME` tells."""
    if item is None:
        return Credential(hash=None, version=0)
    stored = item.body.get("hash")
    return Credential(
        hash=None if stored is None else str(stored),
        version=item.version,
        mark=None if "mark" not in item.body else str(item.body["mark"]),
        failures=Failures(
            times=times_of(item.body.get("failures")),
            networks=_penalties(item.body.get("networks")),
        ),
    )


def save(
    application_id: ApplicationId,
    address_digest: str,
    password_hash: str,
    *,
    instead_of: Credential | None = None,
    failures: Failures | None = None,
) -> Write:
    """The write that sets a password.

    Args:
        application_id: whose.
        address_digest: whose.
        password_hash: what to set.
        instead_of: what it must still take the place of; by default whatever is there.
        failures: what to keep of the wrong ones; a new password forgets them.
    """
    when = () if instead_of is None else _same(instead_of)
    key = keys.password(application_id, address_digest)
    return Put(
        key=key, body={"hash": password_hash, "mark": new_token(), **_body(failures)}, when=when
    )


def failed(
    application_id: ApplicationId,
    address_digest: str,
    credential: Credential,
    failures: Failures,
    *,
    ends: int,
) -> Write:
    """The write that counts a wrong password, if nothing was counted since; `ends` in seconds.

    Where nobody has a password it leaves a record all the same, so that both cases are limited,
    and take, alike.
    """
    known: Body = {} if credential.hash is None else {"hash": credential.hash}
    mark: Body = (
        {} if credential.mark is None and credential.version else {"mark": credential.mark or ""}
    )
    return Put(
        key=keys.password(application_id, address_digest),
        body={**known, **mark, **_body(failures)},
        when=_same(credential),
        expires_at=ends if credential.hash is None else None,
    )


def unchanged(application_id: ApplicationId, address_digest: str, credential: Credential) -> Write:
    """Holds while the password and its wrong ones are as they were read."""
    return Check(key=keys.password(application_id, address_digest), when=_same(credential))


def _same(credential: Credential) -> Conditions:
    """What holds while the item is the very one that was read."""
    if not credential.version:
        return (Absent(),)
    if credential.mark is None:
        return (VersionIs(credential.version),)
    return VersionIs(credential.version), FieldIs("mark", credential.mark)


def _body(failures: Failures | None) -> Body:
    if failures is None or not failures.times:
        return {}
    networks: dict[str, Json] = {
        name: [list(one.times), one.waits, one.until] for name, one in failures.networks.items()
    }
    return {"failures": list(failures.times), "networks": networks}


def _penalties(value: Json) -> dict[str, Penalty]:
    found: dict[str, Penalty] = {}
    for name, one in (value if isinstance(value, dict) else {}).items():
        assert isinstance(one, list)
        found[name] = Penalty(
            times=times_of(one[0]), waits=int(str(one[1])), until=int(str(one[2]))
        )
    return found
