"""Starting and stopping the service, as its owner does it."""

import fcntl
import http.client
import json
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from app.settings import Settings
from app.wiring import build
from tests.flows import invariants
from tests.flows.client import (
    RESET,
    VERIFICATION,
    Client,
    LocalInbox,
    opened_client,
    sign_up,
    wait_for_token,
)
from tests.flows.effort import some
from tests.flows.ledger import Ledger
from tests.flows.server import ROOT, Server, command, environment, free_port, serving, start

EMAIL = "ada@example.com"
PASSWORD = "a horse that nobody staples"
WORKERS = 4
LIGHT = {"signingAlgorithm": "EdDSA"}  # an RSA key takes its time
PATIENCE = 60


def refused(folder: Path, settings: Mapping[str, str]) -> str:
    """The one line that a start with these settings ends with."""
    ended = subprocess.run(
        command(free_port()),
        cwd=ROOT,
        env=environment(folder, settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode not in {0, -15}, ended.stdout + ended.stderr
    lines = (ended.stdout + ended.stderr).splitlines()
    assert len(lines) == 1, lines
    return lines[0]


WRONG = [
    ({"STORE": "paper"}, "PASSERINE_STORE"),
    ({"ADMIN_API_KEY": "too-short-a-key"}, "PASSERINE_ADMIN_API_KEY"),
    ({"PUBLIC_URL": "http://auth.example.com"}, "PASSERINE_PUBLIC_URL"),
    ({"PUBLIC_URL": "https://auth.example.com/path"}, "PASSERINE_PUBLIC_URL"),
    ({"EMAIL": "pigeon"}, "PASSERINE_EMAIL"),
    ({"EMAIL": "smtp"}, "PASSERINE_SMTP_URL"),
    ({"EMAIL": "smtp", "SMTP_URL": "gopher://secret-word@host"}, "PASSERINE_SMTP_URL"),
    ({"TRUSTED_PROXIES": "10.0.0.0/8, everybody"}, "PASSERINE_TRUSTED_PROXIES"),
    ({"LOG_LEVEL": "loud"}, "PASSERINE_LOG_LEVEL"),
    ({"LOG_FORMAT": "xml"}, "PASSERINE_LOG_FORMAT"),
    ({"DATA_DIR": "/dev/null/data"}, "PASSERINE_DATA_DIR"),
]


def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(tmp_path: Path) -> None:
    wrongs = some(WRONG, every=4)
    with ThreadPoolExecutor(2) as pool:
        lines = list(pool.map(lambda wrong: refused(tmp_path / "data", wrong[0]), wrongs))
    for (settings, name), line in zip(wrongs, lines, strict=True):
        assert line.startswith("passerine cannot start: "), line
        assert name in line
        shown = [v for n, v in settings.items() if n in {"ADMIN_API_KEY", "SMTP_URL"} and v in line]
        assert not shown, "a line tells a secret"


def foreign_database(folder: Path) -> None:
    (folder / invariants.DATABASE).unlink()
    with closing(sqlite3.connect(folder / invariants.DATABASE)) as connection:
        connection.execute("CREATE TABLE birds (name TEXT)")


def newer_database(folder: Path) -> None:
    with closing(sqlite3.connect(folder / invariants.DATABASE)) as connection:
        connection.execute("PRAGMA user_version = 99")


def no_database(folder: Path) -> None:
    (folder / invariants.DATABASE).write_bytes(b"this is no database" * 100)


def another_key(folder: Path) -> None:
    (folder / invariants.KEY_FILE).unlink()


def broken_key(folder: Path) -> None:
    (folder / invariants.KEY_FILE).write_text("not a key\n")


def shared_key(folder: Path) -> None:
    (folder / invariants.KEY_FILE).chmod(0o644)


SPOILT = [
    (another_key, "key file"),
    (foreign_database, "another program"),
    (newer_database, "schema version"),
    (shared_key, "chmod 600"),
    (no_database, "database"),
    (broken_key, "key file"),
]


def test_a_data_folder_that_is_not_as_it_was_stops_the_start_with_one_line(tmp_path: Path) -> None:
    build(Settings(data_dir=tmp_path / "data")).close()
    spoilt = some(SPOILT, every=3)
    folders = [tmp_path / spoil.__name__ for spoil, _ in spoilt]
    for folder, (spoil, _) in zip(folders, spoilt, strict=True):
        shutil.copytree(tmp_path / "data", folder)
        spoil(folder)
    with ThreadPoolExecutor(2) as pool:
        lines = list(pool.map(lambda folder: refused(folder, {}), folders))
    for line, (_, word) in zip(lines, spoilt, strict=True):
        assert line.startswith("passerine cannot start: "), line
        assert word in line, line


def test_a_wrong_setting_stops_several_workers_too(tmp_path: Path) -> None:
    server = start(tmp_path / "data", workers=2, settings={"LOG_LEVEL": "loud"})
    try:
        server.process.wait(PATIENCE)
        lines = server.log.read_text().splitlines()
        told = {line for line in lines if line.startswith("passerine cannot start: ")}
        assert len(told) == 1, lines
        assert "Traceback" not in server.log.read_text()
        # A worker that had begun to start reads the same setting, and ends in its own time.
        deadline = time.monotonic() + PATIENCE
        while server.processes():
            assert time.monotonic() < deadline, server.processes()
            time.sleep(0.05)
    finally:
        server.stop()


def test_the_start_says_once_where_everything_is_and_only_the_first_tells_the_key(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    with serving(folder, workers=WORKERS, name="first") as first:
        output = first.output.read_text()
        places = [f"{first.url}/docs", f"{first.url}/dev/messages", str(folder / "admin-api-key")]
        assert [output.count(place) for place in places] == [1, 1, 1], output
        assert output.count(first.admin_key) == 1
        for path in ("/docs", "/dev/messages", "/"):
            assert "<html" in page(first, path)
        with opened_client(first.url, first.admin_key) as client:
            app = client.create_application(**LIGHT).done()["id"]
            grant = sign_up(client, LocalInbox(client=client), app, EMAIL, PASSWORD)
        assert len(first.processes()) > WORKERS
        assert first.stop() in {0, -15}
        assert first.processes() == []
    with serving(folder, name="second") as second:
        output = second.output.read_text()
        assert output.count("/docs") == 1
        assert second.admin_key not in output
        with opened_client(second.url, second.admin_key) as client:
            # Another port is another name of the same service.
            client.read_me(app, grant["accessToken"]).done()
            client.refresh(app, grant["refreshToken"]).done()
            client.sign_in(app, EMAIL, PASSWORD).done()
    for server in (first, second):
        assert server.admin_key not in server.log.read_text()
        assert "Traceback" not in server.log.read_text()


def page(server: Server, path: str) -> str:
    with opened_client(server.url, server.admin_key) as client:
        answer = client.page(server.url + path)
        assert answer.status == 200
        return answer.text


def only_its_owner_can_read(folder: Path) -> None:
    findings = invariants.Findings()
    invariants.check_modes(folder, findings)
    assert findings.lines == []
    names = {path.name for path in folder.iterdir()}
    assert {"passerine.db", "passerine.db-wal", "local.key", "admin-api-key", "mailbox"} <= names


def test_two_servers_of_a_data_folder_are_one_service_and_another_folder_is_another(
    tmp_path: Path,
) -> None:
    folder, ledger = tmp_path / "data", Ledger()
    with (
        serving(folder, name="one") as one,
        serving(folder, name="two") as two,
        serving(tmp_path / "other") as other,
        opened_client(one.url, one.admin_key, ledger) as here,
        opened_client(two.url, one.admin_key, ledger) as there,
        opened_client(other.url, other.admin_key) as elsewhere,
    ):
        app = here.create_application(**LIGHT).done()["id"]
        there.read_jwks(app).done()
        there.create_user(app, EMAIL, PASSWORD).done()
        token = wait_for_token(LocalInbox(client=here), EMAIL, VERIFICATION)
        grant = here.verify_user(app, token, PASSWORD).done()
        assert there.read_me(app, grant["accessToken"]).done()["email"] == EMAIL

        elsewhere.read_application(app).refused(404, "application_not_found")
        elsewhere.read_me(app, grant["accessToken"]).refused(401, "invalid_token")
        elsewhere.with_key(one.admin_key).list_applications().refused(401, "invalid_api_key")
        assert LocalInbox(client=elsewhere).messages(EMAIL) == []
        assert elsewhere.list_applications().done()["items"] == []

        only_its_owner_can_read(folder)
        # The first delivers; when it is gone the other takes over.
        one.stop()
        there.request_reset(app, EMAIL).done()
        wait_for_token(LocalInbox(client=there), EMAIL, RESET)
    logs, outputs = [one.log, two.log], [one.output, two.output]
    invariants.check(folder, ledger, logs=logs, outputs=outputs)


def test_a_request_under_way_is_finished_before_the_end(tmp_path: Path) -> None:
    folder, key = tmp_path / "data", "psk_chosen-by-its-owner-0123456789"
    with serving(folder, settings={"ADMIN_API_KEY": key}) as server:
        with opened_client(server.url, key) as client:
            app = client.create_application(**LIGHT).done()["id"]
            call = client.create_user(app, EMAIL, PASSWORD)
        content = call.content
        head = (
            f"POST {call.path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as caller:
            caller.sendall(head.encode() + content[:10])
            time.sleep(0.3)  # until the request is under way
            server.process.terminate()
            time.sleep(0.3)
            assert server.process.poll() is None, "it did not wait"
            caller.sendall(content[10:])
            answer = http.client.HTTPResponse(caller)
            answer.begin()
            assert (answer.status, json.loads(answer.read())) == (202, {})
        assert server.process.wait(PATIENCE) in {0, -15}
        assert "Traceback" not in server.log.read_text()
        # A key that its owner has chosen is told nowhere.
        assert key not in server.output.read_text() + server.log.read_text()
        assert not (folder / "admin-api-key").exists()
    rows = invariants.read_rows(folder)
    assert sum(row.sk == "invitation" for row in rows) == 1


def test_messages_wait_while_nobody_delivers_and_go_out_after_the_start(tmp_path: Path) -> None:
    folder, ledger = tmp_path / "data", Ledger()
    people = [f"ada{number}@example.com" for number in range(5)]
    folder.mkdir(mode=0o700)
    (folder / "housekeeper.lock").touch(mode=0o600)
    with (folder / "housekeeper.lock").open("rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with (
            serving(folder, name="silent") as silent,
            opened_client(silent.url, silent.admin_key, ledger) as client,
        ):
            app = client.create_application(**LIGHT).done()["id"]
            client.read_jwks(app).done()
            for email in people:
                client.create_user(app, email, PASSWORD).done()
            time.sleep(0.5)
            assert all(LocalInbox(client=client).messages(to) == [] for to in people)
        assert invariants.undelivered(folder) >= len(people)
    with serving(folder, name="awake") as awake:
        with opened_client(awake.url, awake.admin_key, ledger) as client:
            for email in people:
                complete(client, app, email)
        invariants.wait_for_rest(folder)
    logs, outputs = [silent.log, awake.log], [silent.output, awake.output]
    invariants.check(folder, ledger, logs=logs, outputs=outputs)


def complete(client: Client, app: str, email: str) -> None:
    token = wait_for_token(LocalInbox(client=client), email, VERIFICATION)
    client.verify_user(app, token, PASSWORD).done()
