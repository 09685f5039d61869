"""The deployment's own secret: one for all processes, sealed at rest."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.adapters.local_keys import LocalSealer
from app.adapters.sqlite_table import IN_MEMORY, SqliteTable, open_table
from app.common.errors import StoreUnavailable
from app.common.secrets import SealBroken, Sealer, decode, encode
from app.storage import keys
from app.storage.deployment import CONTEXT, DeploymentSecret
from app.storage.table import Item, Key, Put, Table
from tests.contract.ground import Hour, living, race

SEALER = LocalSealer(key=bytes(range(32)))


@pytest.fixture
def table() -> Iterator[Table]:
    with closing(open_table(IN_MEMORY, clock=Hour().clock())) as opened:
        yield opened


def deployment(table: Table, sealer: Sealer = SEALER) -> DeploymentSecret:
    return DeploymentSecret(table=table, sealer=sealer)


def test_a_purpose_has_the_same_key_each_time(table: Table) -> None:
    secret = deployment(table)
    assert secret.derive("cursors") == secret.derive("cursors")
    assert len(secret.derive("cursors")) == 32


def test_each_purpose_has_a_key_of_its_own(table: Table) -> None:
    secret = deployment(table)
    purposes = [("cursors",), ("refresh",), ("a", "b"), ("b", "a"), ("ab",), ("a", "b", "")]
    derived = [secret.derive(*purpose) for purpose in purposes]
    assert len(set(derived)) == len(purposes)


def test_a_restarted_process_derives_the_same_keys(table: Table) -> None:
    assert deployment(table).derive("cursors") == deployment(table).derive("cursors")


def test_two_deployments_share_no_key(table: Table) -> None:
    with closing(open_table(IN_MEMORY, clock=Hour().clock())) as another:
        assert deployment(table).derive("cursors") != deployment(another).derive("cursors")


@pytest.mark.parametrize("turn", range(3))
def test_processes_that_start_at_once_agree(tmp_path: Path, turn: int) -> None:
    path = str(tmp_path / f"{turn}.db")

    def start(_: int) -> bytes:
        with closing(open_table(path, clock=Hour().clock())) as table:
            return deployment(table).derive("cursors")

    assert len(set(race(8, start))) == 1


def test_threads_of_one_process_agree(table: Table) -> None:
    secret = deployment(table)
    assert len(set(race(8, lambda _: secret.derive("cursors")))) == 1


def test_the_secret_is_sealed_at_rest(table: Table) -> None:
    secret = deployment(table)
    secret.derive("cursors")
    item = living(table, keys.deployment_secret())
    assert list(item.body) == ["sealed"]
    plain = SEALER.open(str(item.body["sealed"]), context=CONTEXT).decode()
    assert len(decode(plain)) == 32
    assert plain not in json.dumps(item.body)
    with pytest.raises(SealBroken):
        SEALER.open(str(item.body["sealed"]), context="another")


def test_another_sealing_key_does_not_open_it_and_does_not_replace_it(table: Table) -> None:
    derived = deployment(table).derive("cursors")
    stranger = deployment(table, LocalSealer(key=bytes(32)))
    with pytest.raises(SealBroken):
        stranger.derive("cursors")
    assert deployment(table).derive("cursors") == derived


def test_an_opened_secret_is_not_read_again(table: Table) -> None:
    secret = deployment(table)
    derived = secret.derive("cursors")
    other = encode(bytes(32)).encode()
    table.commit(
        Put(key=keys.deployment_secret(), body={"sealed": SEALER.seal(other, context=CONTEXT)})
    )
    assert secret.derive("cursors") == derived
    assert deployment(table).derive("cursors") != derived


def test_an_opened_secret_is_not_shown(table: Table) -> None:
    secret = deployment(table)
    secret.derive("cursors")
    sealed = str(living(table, keys.deployment_secret()).body["sealed"])
    plain = decode(SEALER.open(sealed, context=CONTEXT).decode())
    assert repr(plain) not in repr(secret)


@dataclass(frozen=True, kw_only=True)
class ForgetfulTable(SqliteTable):
    """A table that never finds what lies in it."""

    def get(self, key: Key) -> Item | None:
        del key
        return None


def test_a_secret_that_is_neither_found_nor_to_be_made_is_unavailable(tmp_path: Path) -> None:
    path = str(tmp_path / "passerine.db")
    clock = Hour().clock()
    with closing(open_table(path, clock=clock)) as table:
        deployment(table).derive("cursors")
    with closing(ForgetfulTable(path=path, clock=clock)) as table, pytest.raises(StoreUnavailable):
        deployment(table).derive("cursors")
