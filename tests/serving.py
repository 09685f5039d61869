"""The real app under the real uvicorn, in a thread of the test's own process."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn

from app.main import create_app
from app.settings import Settings
from app.wiring import Services, build

ADMIN_KEY = "psk_an-admin-key-for-tests-alone"
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Served:
    """A service that answers at `origin`."""

    origin: str
    services: Services
    http: httpx.Client

    def create_application(self, **settings: object) -> str:
        """The path of a new application."""
        answer = self.http.post(
            "/v1/applications", json=settings, headers={"X-Api-Key": ADMIN_KEY}
        ).raise_for_status()
        return f"/v1/applications/{answer.json()['id']}"

    def message(self, to: str, *, kind: str) -> dict[str, str]:
        """The newest message of a kind to an address, once it has arrived."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            items = self.http.get("/dev/messages", params={"to": to}).json()["items"]
            for item in items:
                if item["kind"] == kind:
                    found: dict[str, str] = item
                    return found
            time.sleep(0.05)
        raise TimeoutError(f"no {kind} message arrived")

    def sign_up(self, application: str, email: str, password: str) -> dict[str, str]:
        """The grant of a new, verified user."""
        body = {"email": email, "password": password}
        self.http.post(f"{application}/users", json=body).raise_for_status()
        token = self.message(email, kind="emailVerification")["token"]
        answer = self.http.post(
            f"{application}/users/verification", json={"token": token, "password": password}
        ).raise_for_status()
        grant: dict[str, str] = answer.json()
        return grant


@contextlib.contextmanager
def serving(folder: Path, *, port: int = 0) -> Iterator[Served]:
    """Serve a data folder on loopback until the block ends."""
    settings = Settings(data_dir=folder, admin_api_key=ADMIN_KEY)
    services = build(settings)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    config = uvicorn.Config(create_app(services), log_config=None, proxy_headers=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        _wait(server)
        with httpx.Client(base_url=origin) as http:
            yield Served(origin=origin, services=services, http=http)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)
        listener.close()


def _wait(server: uvicorn.Server) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not server.started:
        if time.monotonic() > deadline:
            raise TimeoutError("the server did not start")
        time.sleep(0.01)
