"""Everything that clients and the service said in one run, for the checks at its end."""

import json
import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

APPLICATION_PATH = re.compile(r"/v1/applications/([^/?]+)")
# Members of bodies that are secrets, whoever sends them.
SECRET_MEMBERS = {
    "password",
    "currentPassword",
    "newPassword",
    "token",
    "accessToken",
    "refreshToken",
    "key",
}
PUBLIC_FILES = ("/jwks.json", "/.well-known/openid-configuration")
PUBLIC_FOLDERS = ("/static/", "/docs/")


@dataclass(kw_only=True)
class Ledger:
    """What was seen on the wire; threads may write to it at once.

    Attributes:
        secrets: everything that nobody may find in a log or a database.
        access_tokens: each with the application whose answer brought it.
        keys: the public keys of each application by `kid`, as its key sets showed them.
        addresses: every address that was sent.
        statuses: how often each was answered.
        faults: answers that no service should give.
    """

    secrets: set[str] = field(default_factory=set, repr=False)
    access_tokens: list[tuple[str, str]] = field(default_factory=list, repr=False)
    keys: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    addresses: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def sent(self, headers: Mapping[str, str], body: Any) -> None:
        """Note a request."""
        with self._lock:
            for name, value in headers.items():
                if name.lower() in {"authorization", "x-api-key"}:
                    self.secrets.add(str(value).removeprefix("Bearer "))
            self._note_secrets(body)
            if isinstance(body, dict) and isinstance(body.get("email"), str):
                self.addresses.add(body["email"])

    def received(
        self, method: str, path: str, status: int, headers: Mapping[str, str], text: str
    ) -> None:
        """Note its answer."""
        body = _json(headers, text)
        with self._lock:
            self.statuses[status] += 1
            if status >= 500:
                self.faults.append(f"{method} {path}: {status} {text[:200]}")
            public = path.partition("?")[0].endswith(PUBLIC_FILES) or path.startswith(
                PUBLIC_FOLDERS
            )
            if not public and headers.get("cache-control") != "no-store":
                self.faults.append(
                    f"{method} {path}: {headers.get('cache-control')!r}, not no-store"
                )
            self._note_secrets(body)
            application = APPLICATION_PATH.match(path)
            if application is None or not isinstance(body, dict):
                return
            if isinstance(body.get("accessToken"), str):
                self.access_tokens.append((application[1], body["accessToken"]))
            if path.endswith("/jwks.json") and status == 200:
                known = self.keys.setdefault(application[1], {})
                known.update({key["kid"]: key for key in body["keys"]})

    def keep(self, *secrets: str) -> None:
        """Note secrets that came another way, such as in a message."""
        with self._lock:
            self.secrets.update(secrets)

    def copy(self) -> "Ledger":
        """A ledger that begins with what this one holds."""
        with self._lock:
            return Ledger(
                secrets=set(self.secrets),
                access_tokens=list(self.access_tokens),
                keys={application: dict(found) for application, found in self.keys.items()},
                addresses=set(self.addresses),
                statuses=Counter(self.statuses),
                faults=list(self.faults),
            )

    def _note_secrets(self, body: Any) -> None:
        if not isinstance(body, dict):
            return
        for name in SECRET_MEMBERS & body.keys():
            if isinstance(body[name], str) and body[name]:
                self.secrets.add(body[name])


def _json(headers: Mapping[str, str], text: str) -> Any:
    if not text or "json" not in headers.get("content-type", ""):
        return None
    return json.loads(text)
