"""What must be true of a deployment at rest, checked over its raw files.

It reads the SQLite file, the mailbox folder, the captured output and the ledger of what was said;
it knows the table's keys (`app/storage/keys.py`) and fails on one that it does not know.
"""

import base64
import json
import sqlite3
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt

from app.adapters.local_keys import LocalSealer, key_file
from app.common.ids import UserId
from app.common.secrets import decode
from app.storage import keys
from app.users.types import EmailAddress
from tests.flows.ledger import Ledger

DATABASE = "passerine.db"
MAILBOX = "mailbox"
KEY_FILE = "local.key"
ADMIN_KEY_FILE = "admin-api-key"
COUNTERS = 8
SHORTEST_SECRET = 8
GRAM = 8
REST_SECONDS = 30.0
LONGEST_ACCESS_TOKEN = 86_400

CLAIMS = {"iss", "sub", "aud", "client_id", "iat", "exp", "jti", "sid", "auth_time", "email"}
ACCOUNT_KINDS = {"addressInUse", "passwordReset", "passwordChanged"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A living item of the table."""

    pk: str
    sk: str
    body: dict[str, Any]
    expires: bool


@dataclass(kw_only=True)
class Tenant:
    """What the rows under one application say."""

    application: Row | None = None
    ring: Row | None = None
    counters: dict[int, int] = field(default_factory=dict)
    directory: dict[str, int] = field(default_factory=dict)  # user id to shard
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    sessions: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    owners: dict[str, dict[str, Any]] = field(default_factory=dict)  # by the address's digest
    passwords: set[str] = field(default_factory=set)
    pending_resets: dict[str, dict[str, Any]] = field(default_factory=dict)
    reset_tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    invitations: dict[str, dict[str, Any]] = field(default_factory=dict)
    lasting: list[str] = field(default_factory=list)  # rows that no expiry takes away


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is wrong."""

    lines: list[str] = field(default_factory=list)

    def expect(self, holds: bool, text: str) -> None:
        if not holds:
            self.lines.append(text)


def check(
    folder: Path, ledger: Ledger, *, logs: Iterable[Path], outputs: Iterable[Path] = ()
) -> None:
    """Check everything; the service is stopped and its outbox empty.

    Args:
        folder: the data folder.
        ledger: what was said to the service and by it.
        logs: what it wrote to standard error.
        outputs: what it wrote to standard output, where the admin key may stand once.
    """
    findings = Findings()
    rows = read_rows(folder)
    findings.expect(integrity(folder) == "ok", "the database is damaged")
    findings.lines.extend(ledger.faults)
    check_store(rows, findings)
    check_tokens(ledger, findings)
    check_messages(folder, rows, ledger, findings)
    check_logs(logs, findings)
    check_secrets(folder, rows, ledger, list(logs), list(outputs), findings)
    check_modes(folder, findings)
    shown = "\n".join(findings.lines[:40])
    assert not findings.lines, f"{len(findings.lines)} findings:\n{shown}"


def check_at_work(
    folder: Path, rows: list[Row], ledger: Ledger, *, content: Iterable[bytes], log: str
) -> None:
    """Check what must be true between any two requests, over the raw store of a world.

    Args:
        folder: the data folder.
        rows: what lives in the store.
        ledger: what was said to the service and by it.
        content: every byte of the store.
        log: what it wrote.
    """
    findings = Findings()
    findings.lines.extend(ledger.faults)
    check_store(rows, findings, at_rest=False)
    for row in rows:
        if row.sk == "keys":
            ring = {key["kid"]: {**key["jwk"], "alg": key["algorithm"]} for key in row.body["keys"]}
            ledger.keys.setdefault(row.pk.removeprefix("app#"), {}).update(ring)
    known = [one for one in ledger.access_tokens if _kid(one[1]) in ledger.keys.get(one[0], {})]
    check_tokens(replace(ledger, access_tokens=known), findings)
    check_messages(folder, rows, ledger, findings)
    # An address that somebody took for a password is no secret.
    needles = _needles({*ledger.secrets, *_sealed(folder, rows)} - ledger.addresses)
    for held in (*content, log.encode()):
        for needle, secret in needles.items():
            findings.expect(needle not in held, f"the store or log holds {secret[:12]!r}…")
    shown = "\n".join(findings.lines[:40])
    assert not findings.lines, f"{len(findings.lines)} findings:\n{shown}"


def _kid(token: str) -> str:
    kid: str = jwt.get_unverified_header(token)["kid"]
    return kid


# The store


def read_rows(folder: Path, now: float | None = None) -> list[Row]:
    """The living items of the database, at a moment in seconds since 1970 or right now."""
    statement = "SELECT pk, sk, body, expires_at FROM items ORDER BY pk, sk"
    now = time.time() if now is None else now
    with closing(_open(folder)) as connection:
        found = connection.execute(statement).fetchall()
    return [
        Row(pk=pk, sk=sk, body=json.loads(body), expires=expires_at is not None)
        for pk, sk, body, expires_at in found
        if expires_at is None or expires_at > now
    ]


def integrity(folder: Path) -> str:
    with closing(_open(folder)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def undelivered(folder: Path) -> int:
    """How many events still wait in the outbox."""
    statement = "SELECT count(*) FROM items WHERE pk LIKE 'outbox#%'"
    with closing(_open(folder)) as connection:
        return int(connection.execute(statement).fetchone()[0])


def wait_for_rest(folder: Path) -> None:
    """Return once everything in the outbox is delivered."""
    deadline = time.monotonic() + REST_SECONDS
    while left := undelivered(folder):
        assert time.monotonic() < deadline, f"{left} events are not delivered"
        time.sleep(0.03)


def snapshot(folder: Path, app: str) -> list[tuple[str, ...]]:
    """Every byte that is kept of one application."""
    statement = (
        "SELECT pk, sk, body, version, ifnull(expires_at, '') FROM items "
        "WHERE pk = ? OR pk LIKE ? OR sk = ? ORDER BY pk, sk"
    )
    values = (f"app#{app}", f"app#{app}#%", app)
    with closing(_open(folder)) as connection:
        return [tuple(map(str, row)) for row in connection.execute(statement, values)]


def _open(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{folder / DATABASE}?mode=ro", uri=True, timeout=10)


def check_store(rows: list[Row], findings: Findings, *, at_rest: bool = True) -> None:
    """No orphan, no second owner, no wrong count (I3); at rest nothing waits to be delivered."""
    tenants: dict[str, Tenant] = defaultdict(Tenant)
    listed: set[str] = set()
    for row in rows:
        if row.pk.startswith("app#"):
            app, _, rest = row.pk.removeprefix("app#").partition("#")
            if not _file(tenants[app], row, rest):
                findings.expect(False, f"unknown row {row.pk} {row.sk}")
        elif row.pk == keys.APPLICATIONS:
            listed.add(row.sk)
        elif row.pk == keys.DEPLOYMENT_AUDIT:
            findings.expect(row.expires, f"an audit record for ever {row.sk}")
        elif row.pk.startswith("outbox#") or row.pk == keys.DEAD_LETTERS:
            findings.expect(not at_rest, f"undelivered event {row.body}")
        else:
            known = row.pk in {keys.API_KEYS, keys.deployment_secret().pk}
            findings.expect(known, f"unknown row {row.pk} {row.sk}")
    for app in listed:
        findings.expect(app in tenants, f"listed application {app} does not exist")
    for app, tenant in tenants.items():
        if tenant.application is None:
            findings.expect(not tenant.lasting, f"deleted application {app}: {tenant.lasting}")
            findings.expect(app not in listed, f"deleted application {app} is listed")
        else:
            findings.expect(app in listed, f"application {app} is not listed")
            _check_tenant(app, tenant, findings)


def _file(tenant: Tenant, row: Row, rest: str) -> bool:
    """Put a row where it belongs; whether its key is known."""
    if not row.expires:
        tenant.lasting.append(f"{row.pk} {row.sk}")
    match [*rest.split("#"), row.sk]:
        case ["", "application"]:
            tenant.application = row
        case ["", "keys"]:
            tenant.ring = row
        case ["count", shard, "users"]:
            tenant.counters[int(shard)] = row.body["users"]
        case ["users", shard, user]:
            tenant.directory[user] = int(shard)
        case ["user", user, "profile"]:
            tenant.profiles[user] = row.body
        case ["user", user, sk] if sk.startswith(keys.SESSION_PREFIX):
            tenant.sessions.append((user, row.body))
        case ["address", digest, "owner"]:
            tenant.owners[digest] = row.body
        case ["address", digest, "password"]:
            if "hash" in row.body:
                tenant.passwords.add(digest)
            else:  # wrong passwords for an address that nobody owns
                return row.expires
        case ["address", digest, "reset"]:
            tenant.pending_resets[digest] = row.body
        case ["address", _, "pending" | "invitations" | "messages"] | ["network", _, "tally"]:
            return row.expires
        case ["audit", _, _] | ["audit", "user", _, _]:
            return row.expires
        case ["invitation", digest, "invitation"]:
            tenant.invitations[digest] = row.body
            return row.expires
        case ["reset", digest, "reset"]:
            tenant.reset_tokens[digest] = row.body
            return row.expires
        case _:
            return False
    return True


def _check_tenant(app: str, tenant: Tenant, findings: Findings) -> None:
    def expect(holds: bool, text: str) -> None:
        findings.expect(holds, f"application {app}: {text}")

    _check_ring(tenant, expect)
    expect(set(tenant.counters) == set(range(COUNTERS)), "its counters are not all there")
    real = Counter(keys.shard_of(UserId(user)) for user in tenant.profiles)
    for shard, users in tenant.counters.items():
        expect(users == real[shard], f"counter {shard} says {users}, there are {real[shard]}")
    expect(set(tenant.directory) == set(tenant.profiles), "directory and profiles differ")
    for user, shard in tenant.directory.items():
        expect(shard == keys.shard_of(UserId(user)), f"user {user} is listed in shard {shard}")
    _check_addresses(tenant, expect)
    for user, session in tenant.sessions:
        expect(user in tenant.profiles, f"a session of no user {user}")
        epoch = tenant.profiles.get(user, session)["epoch"]
        expect(session["epoch"] <= epoch, f"a session of user {user} is ahead of its epoch")


def _check_addresses(tenant: Tenant, expect: Callable[[bool, str], None]) -> None:
    """An address has one owner, an owner one address and one password."""
    owned = Counter(body["userId"] for body in tenant.owners.values())
    for user, profile in tenant.profiles.items():
        expect(owned[user] == 1, f"user {user} owns {owned[user]} addresses")
        owner = tenant.owners.get(EmailAddress.of(profile["email"]).digest, {})
        same = {n: owner.get(n) for n in ("email", "state", "epoch")}
        expect(owner.get("userId") == user, f"the address of user {user} is another's")
        expect(
            same == {n: profile[n] for n in same}, f"user {user}: owner and profile tell different"
        )
    for digest, owner in tenant.owners.items():
        expect(owner["userId"] in tenant.profiles, f"owner without a user: {owner}")
        expect(EmailAddress.of(owner["email"]).digest == digest, f"owner in a wrong place {owner}")
    expect(tenant.passwords == set(tenant.owners), "owners and passwords differ")
    for digest, reset in tenant.pending_resets.items():
        expect(digest in tenant.owners, "a pending reset of nobody")
        expect(reset["digest"] in tenant.reset_tokens, "a pending reset without its token")
    for reset in tenant.reset_tokens.values():
        digest = EmailAddress.of(reset["email"]).digest
        expect(digest in tenant.owners, "a reset token of nobody")


def _check_ring(tenant: Tenant, expect: Callable[[bool, str], None]) -> None:
    ring = tenant.ring.body["keys"] if tenant.ring else []
    states = Counter(key["state"] for key in ring)
    expect(states["current"] == states["next"] == 1, f"its ring holds {dict(states)}")
    expect(len({key["kid"] for key in ring}) == len(ring), "its ring holds a kid twice")
    for key in ring:
        retired = key["state"] == "retired"
        expect((key["sealed"] is None) == retired, f"key {key['kid']} is sealed: {not retired}")
        private = {"d", "p", "q", "dp", "dq", "qi", "k"} & key["jwk"].keys()
        expect(not private, f"key {key['kid']} shows {private}")


# Tokens


def check_tokens(ledger: Ledger, findings: Findings) -> None:
    """Every access token verifies under its own application's keys (I2)."""
    unique = set(ledger.access_tokens)
    seen: set[str] = set()
    for app, token in unique:
        header = jwt.get_unverified_header(token)
        key = ledger.keys.get(app, {}).get(header["kid"])
        if key is None:
            findings.expect(False, f"a token of {app} names the unknown key {header['kid']}")
            continue
        expected = {"typ": "at+jwt", "alg": key["alg"], "kid": key["kid"]}
        findings.expect(header == expected, f"a token has the header {header}")
        try:
            claims = jwt.decode(
                token,
                jwt.PyJWK(key),
                algorithms=[key["alg"]],
                options={"verify_aud": False, "verify_exp": False, "verify_iat": False},
            )
        except jwt.PyJWTError as error:
            findings.expect(False, f"a token of {app} does not verify: {error!r}")
            continue
        empty = {name for name in CLAIMS if not claims.get(name)}
        findings.expect(not empty, f"a token of {app} has empty {empty}")
        findings.expect(claims["client_id"] == app, f"a token of {app} is for another")
        findings.expect(claims["iss"].endswith(f"/v1/applications/{app}"), "a foreign issuer")
        findings.expect(claims["email_verified"] is True, "a token of an unverified address")
        lasts = claims["exp"] - claims["iat"]
        findings.expect(0 < lasts <= LONGEST_ACCESS_TOKEN, f"a token lasts {lasts} s")
        findings.expect(claims["jti"] not in seen, "two tokens have one jti")
        seen.add(claims["jti"])


# Messages


def mailbox(folder: Path) -> list[dict[str, Any]]:
    """Every message that was sent."""
    files = sorted((folder / MAILBOX).glob("*.json"))
    return [json.loads(file.read_text()) for file in files]


def check_messages(folder: Path, rows: list[Row], ledger: Ledger, findings: Findings) -> None:
    """Every message has one recipient, as the address is stored (I5)."""
    told = {row.body["email"] for row in rows if isinstance(row.body.get("email"), str)}
    known = {_normal(address) for address in ledger.addresses | told}
    stored = {
        (row.pk.split("#")[1], EmailAddress.of(row.body["email"]).digest): row.body["email"]
        for row in rows
        if row.sk == "owner"
    }
    for message in mailbox(folder):
        to, kind = message["to"], message["kind"]
        findings.expect(to in known, f"a message to {to!r}, which was never sent")
        owner = stored.get((message["applicationId"], EmailAddress.of(to).digest), to)
        if kind in ACCOUNT_KINDS:
            findings.expect(to == owner, f"a message to {to!r}, stored as {owner!r}")
        carries = kind in {"emailVerification", "passwordReset"}
        findings.expect(bool(message["token"]) == carries, f"a message {kind}, token or not")
        text = message["text"] + message["html"]
        findings.expect(
            (message["token"] or "") in text, f"a message {kind} does not show its token"
        )


def _normal(address: str) -> str:
    local, _, domain = unicodedata.normalize("NFC", address).rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode().lower()}"
    except UnicodeError:  # it is none, and was refused
        return address


# Logs and secrets


def check_logs(logs: Iterable[Path], findings: Findings) -> None:
    for log in logs:
        text = log.read_text()
        for word in ("Traceback", " error ", " warning ", "Exception"):
            line = next((line for line in text.splitlines() if word in line), "")
            findings.expect(not line, f"{log.name}: {line}")


def check_secrets(
    folder: Path,
    rows: list[Row],
    ledger: Ledger,
    logs: list[Path],
    outputs: list[Path],
    findings: Findings,
) -> None:
    """No secret stands in clear in a log or in the database (I4)."""
    admin_key = _admin_key(folder)
    secrets = {*ledger.secrets, *_sealed(folder, rows)}
    secrets |= {message["token"] for message in mailbox(folder) if message["token"]}
    needles = _needles(secrets)
    databases = sorted(folder.glob(f"{DATABASE}*"))
    for file in [*databases, *logs, *outputs]:
        content = file.read_bytes()
        if file in outputs and admin_key is not None:
            once = content.count(admin_key.encode()) <= 1
            findings.expect(once, f"{file.name} tells the admin key twice")
            content = content.replace(admin_key.encode(), b"")
        for secret in set(find_any(content, needles)):
            findings.expect(False, f"{file.name} holds the secret {secret[:12]!r}…")


def find_any(content: bytes, needles: dict[bytes, str]) -> Iterator[str]:
    """What of the needles occurs, by the secret that each stands for."""
    grams: dict[bytes, list[bytes]] = defaultdict(list)
    for needle in needles:
        grams[needle[:GRAM]].append(needle)
    for start in range(len(content) - GRAM + 1):
        for needle in grams.get(content[start : start + GRAM], ()):
            if content.startswith(needle, start):
                yield needles[needle]


def _needles(secrets: Iterable[str]) -> dict[bytes, str]:
    """Every way in which a secret could be written down, and the secret that it is."""
    needles: dict[bytes, str] = {}
    for secret in secrets:
        if len(secret) < SHORTEST_SECRET:
            continue
        # A part that nobody could make up is as telling as the whole.
        parts = {secret, secret.rpartition(".")[2] if secret.startswith("eyJ") else secret}
        for part in parts:
            needles.update(dict.fromkeys(_forms(part), secret))
    return needles


def _forms(secret: str) -> set[bytes]:
    raw = secret.encode()
    forms = {
        raw,
        unicodedata.normalize("NFKC", secret).encode(),
        base64.b64encode(raw).rstrip(b"="),
        base64.urlsafe_b64encode(raw).rstrip(b"="),
        raw.hex().encode(),
        raw.hex().upper().encode(),
        quote(secret, safe="").encode(),
        json.dumps(secret)[1:-1].encode(),
        *_decoded(secret),
    }
    # A form of one character is what fills any file.
    return {form for form in forms if len(form) >= GRAM and len(set(form)) > 1}


def _decoded(secret: str) -> set[bytes]:
    """The bytes that a token of ours stands for, raw and in hex."""
    try:
        raw = decode(secret.removeprefix("psk_"))
    except ValueError:
        return set()
    return {raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"=")}


def _sealed(folder: Path, rows: list[Row]) -> set[str]:
    """What the store keeps encrypted, and the keys that open it."""
    key = key_file(folder / KEY_FILE)
    sealer = LocalSealer(key=key)
    found = {(folder / KEY_FILE).read_text().strip()}
    for row in rows:
        if row.sk == keys.deployment_secret().sk and row.pk == keys.deployment_secret().pk:
            found.add(sealer.open(row.body["sealed"], context="deployment/secret").decode())
        if row.sk == "keys":
            app = row.pk.removeprefix("app#")
            for ring_key in row.body["keys"]:
                if ring_key["sealed"] is not None:
                    context = f"{app}/signing-key/{ring_key['kid']}"
                    found.add(sealer.open(ring_key["sealed"], context=context).decode())
    return found


def _admin_key(folder: Path) -> str | None:
    path = folder / ADMIN_KEY_FILE
    return path.read_text().strip() if path.exists() else None


def check_modes(folder: Path, findings: Findings) -> None:
    """Nobody but the owner reads what lies in the data folder."""
    for path in [folder, *folder.rglob("*")]:
        mode = path.stat().st_mode & 0o777
        wanted = 0o700 if path.is_dir() else 0o600
        findings.expect(mode == wanted, f"{path.name} has the mode {mode:o}")
