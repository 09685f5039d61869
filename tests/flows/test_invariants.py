"""The checker of the invariants finds what it is there to find."""

import base64
import json
import shutil
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import jwt
import pytest

from tests.flows import invariants
from tests.flows.client import (
    RESET,
    VERIFICATION,
    LocalInbox,
    opened_client,
    sign_up,
    wait_for_token,
)
from tests.flows.ledger import Ledger
from tests.flows.server import serving

EMAIL = "ada@example.com"
PASSWORD = "a horse that nobody staples"


@dataclass(frozen=True, kw_only=True)
class Remains:
    """What is left of a run."""

    folder: Path
    ledger: Ledger
    log: Path
    output: Path
    app: str
    token: str = field(repr=False)

    def sql(self, statement: str, *values: str) -> None:
        with closing(sqlite3.connect(self.folder / invariants.DATABASE)) as connection:
            changed = connection.execute(statement, values).rowcount
            connection.commit()
        assert changed >= 1, statement

    def add(self, pk: str, sk: str, body: dict[str, object]) -> None:
        text = json.dumps(body)
        self.sql("INSERT INTO items (pk, sk, body, version) VALUES (?, ?, ?, 1)", pk, sk, text)

    def write(self, path: Path, text: str) -> None:
        with path.open("a") as file:
            file.write(text + "\n")

    def check(self) -> None:
        invariants.check(self.folder, self.ledger, logs=[self.log], outputs=[self.output])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Remains:
    folder, ledger = tmp_path_factory.mktemp("invariants") / "data", Ledger()
    with serving(folder) as server:
        with opened_client(server.url, server.admin_key, ledger) as client:
            app = client.create_application(signingAlgorithm="EdDSA").done()["id"]
            client.read_jwks(app).done()
            inbox = LocalInbox(client=client)
            grant = sign_up(client, inbox, app, EMAIL, PASSWORD)
            client.request_reset(app, EMAIL).done()
            wait_for_token(inbox, EMAIL, RESET)
            client.create_user(app, "waits-" + EMAIL, PASSWORD).done()
            wait_for_token(inbox, "waits-" + EMAIL, VERIFICATION)
        invariants.wait_for_rest(folder)
    return Remains(
        folder=folder,
        ledger=ledger,
        log=server.log,
        output=server.output,
        app=app,
        token=grant["accessToken"],
    )


@pytest.fixture
def remains(run: Remains, tmp_path: Path) -> Remains:
    """A copy to spoil."""
    folder = tmp_path / "data"
    shutil.copytree(run.folder, folder)
    log, output = (Path(shutil.copy(path, tmp_path)) for path in (run.log, run.output))
    return replace(run, folder=folder, ledger=run.ledger.copy(), log=log, output=output)


def test_an_orderly_run_passes(remains: Remains) -> None:
    remains.check()


def drop(remains: Remains, where: str) -> None:
    remains.sql(f"DELETE FROM items WHERE {where}")


def second_owner(remains: Remains) -> None:
    body = {"userId": str(uuid.uuid4()), "email": EMAIL, "state": "active", "epoch": 1}
    remains.add(f"app#{remains.app}#address#other", "owner", body)


def wrong_count(remains: Remains) -> None:
    remains.sql("""UPDATE items SET body = '{"users":1}' WHERE body = '{"users":0}'""")


def deleted_application(remains: Remains) -> None:
    drop(remains, "sk = 'application' OR pk = 'applications'")


def strange_state(remains: Remains) -> None:
    remains.sql("UPDATE items SET body = replace(body, 'active', 'suspended') WHERE sk = 'owner'")


def waiting_event(remains: Remains) -> None:
    remains.add("outbox#01", str(uuid.uuid4()), {"operation": "userCreated"})


def logged(text: str) -> Callable[[Remains], None]:
    return lambda remains: remains.write(remains.log, text)


def stored(text: str) -> Callable[[Remains], None]:
    return lambda remains: remains.add("api-keys", str(uuid.uuid4()), {"name": text})


def admin_key_twice(remains: Remains) -> None:
    remains.write(remains.output, (remains.folder / "admin-api-key").read_text())


def admin_key_logged(remains: Remains) -> None:
    remains.write(remains.log, (remains.folder / "admin-api-key").read_text())


def access_token_logged(remains: Remains) -> None:
    remains.write(remains.log, remains.token)


def foreign_token(remains: Remains) -> None:
    key = jwt.get_unverified_header(remains.token)["kid"]
    forged = jwt.encode({"sub": "x"}, "0" * 32, algorithm="HS256", headers={"kid": key})
    remains.ledger.access_tokens.append((remains.app, forged))


def unknown_kid(remains: Remains) -> None:
    remains.ledger.keys[remains.app].clear()


def two_recipients(remains: Remains) -> None:
    path = next((remains.folder / "mailbox").glob("*.json"))
    path.write_text(path.read_text().replace(EMAIL, f"{EMAIL}, mallory@example.com"))


def server_fault(remains: Remains) -> None:
    remains.ledger.received("GET", "/health", 500, {"cache-control": "no-store"}, "")


def cached_answer(remains: Remains) -> None:
    remains.ledger.received("GET", "/health", 200, {}, "")


def readable_file(remains: Remains) -> None:
    (remains.folder / invariants.DATABASE).chmod(0o640)


SPOILERS: list[tuple[str, Callable[[Remains], None]]] = [
    ("owners and passwords differ", lambda r: drop(r, "sk = 'password'")),
    ("is another's", lambda r: drop(r, "sk = 'owner'")),
    ("directory and profiles differ", lambda r: drop(r, "pk LIKE '%#users#%'")),
    ("a session of no user", lambda r: drop(r, "sk = 'profile'")),
    ("its counters are not all there", lambda r: drop(r, "pk LIKE '%#count#3'")),
    ("a pending reset without its token", lambda r: drop(r, "pk LIKE 'app#%#reset#%'")),
    ("its ring holds", lambda r: drop(r, "sk = 'keys'")),
    ("is not listed", lambda r: drop(r, "pk = 'applications'")),
    ("owner without a user", second_owner),
    ("counter", wrong_count),
    ("deleted application", deleted_application),
    ("owner and profile tell different", strange_state),
    ("undelivered event", waiting_event),
    ("unknown row", lambda r: r.add("app#x#secrets", "all", {})),
    ("holds the secret", logged(f"sign-in with {PASSWORD}")),
    ("holds the secret", logged(PASSWORD.encode().hex())),
    ("holds the secret", logged(PASSWORD.replace(" ", "%20"))),
    ("holds the secret", logged(base64.b64encode(PASSWORD.encode()).decode())),
    ("holds the secret", stored(PASSWORD)),
    ("holds the secret", access_token_logged),
    ("holds the secret", admin_key_logged),
    ("tells the admin key twice", admin_key_twice),
    ("Traceback", logged("Traceback (most recent call last):")),
    ("does not verify", foreign_token),
    ("unknown key", unknown_kid),
    ("which was never sent", two_recipients),
    ("500", server_fault),
    ("not no-store", cached_answer),
    ("has the mode 640", readable_file),
]


@pytest.mark.parametrize(("finding", "spoil"), SPOILERS, ids=range(len(SPOILERS)))
def test_a_spoilt_run_is_found_out(
    remains: Remains, finding: str, spoil: Callable[[Remains], None]
) -> None:
    spoil(remains)
    with pytest.raises((AssertionError, ValueError), match=finding):
        remains.check()
