"""A `Mailer` for development: every message becomes a file that its reader shows.

The messages hold live links, so the folder and its files are their owner's alone.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.messages.types import MailerUnavailable, Message, MessageKind, MessageRefused

SUFFIX = ".json"
MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """What finding a message takes; a file whose inode or time differs is another file."""

    identity: tuple[int, int]
    order: tuple[str, str]
    to: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Mailbox:
    """A folder with a file for each message, named by the message's id."""

    folder: Path
    sender: str
    _index: dict[str, _Entry] = field(default_factory=dict, repr=False, compare=False)

    def send(self, message: Message) -> None:
        """Keep the message. Sent again, it is there once."""
        path = self.folder / (message.id + SUFFIX)
        try:
            content = json.dumps(_members(message, self.sender), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise MessageRefused("the message holds text that has no encoding") from None
        try:
            self._prepare_folder()
            if not path.is_file():
                _write_atomically(path, content)
        except OSError as fault:
            raise MailerUnavailable(f"the mailbox cannot be written ({fault.strerror})") from None

    def messages(self, to: str | None = None, limit: int = 100) -> list[Message]:
        """The newest messages, newest first; only those to an address, if one is given."""
        wanted = None if to is None else to.casefold()
        entries = {name: entry for name, entry in self._entries() if wanted in {None, entry.to}}
        newest = sorted(entries, key=lambda name: entries[name].order, reverse=True)[:limit]
        found = (_read(self.folder / name) for name in newest)
        return [message for message in found if message is not None]

    def _entries(self) -> Iterator[tuple[str, _Entry]]:
        """What is in the folder now. Each file is read once: none changes after it was written."""
        for name, identity in _files(self.folder):
            entry = self._index.get(name)
            if entry is None or entry.identity != identity:
                message = _read(self.folder / name)
                if message is None:
                    continue
                order = (message.created, message.id)
                entry = _Entry(identity=identity, order=order, to=message.to.casefold())
                self._index[name] = entry
            yield name, entry

    def _prepare_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)


def _members(message: Message, sender: str) -> dict[str, str | None]:
    return {
        "id": message.id,
        "applicationId": message.application_id,
        "from": sender,
        "fromName": message.from_name,
        "to": message.to,
        "subject": message.subject,
        "kind": message.kind.value,
        "text": message.text,
        "html": message.html,
        "token": message.token,
        "url": message.url,
        "created": message.created,
    }


def _write_atomically(path: Path, content: bytes) -> None:
    """The file is there whole or not at all, also after a power cut."""
    # mkstemp makes the file with mode 600; the name has no `.json`, so no reader takes it.
    descriptor, temporary = tempfile.mkstemp(
        prefix=f".{path.stem}.", suffix=".tmp", dir=path.parent
    )
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _files(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Names of the regular files that may be messages, each with its inode and time."""
    try:
        with os.scandir(folder) as listing:
            for file in listing:
                if not file.name.endswith(SUFFIX) or not file.is_file(follow_symlinks=False):
                    continue
                try:
                    about = file.stat(follow_symlinks=False)
                except FileNotFoundError:  # deleted by hand while we look
                    continue
                if about.st_size <= MAX_FILE_BYTES:
                    yield file.name, (about.st_ino, about.st_mtime_ns)
    except FileNotFoundError:  # nothing was sent yet
        return


def _read(path: Path) -> Message | None:
    """The message in a file, `None` if it is not one of ours."""
    try:
        members = json.loads(path.read_bytes())
        message = _message(members)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return message if message.id == path.stem else None


def _message(members: dict[str, Any]) -> Message:
    return Message(
        id=_text(members["id"]),
        application_id=_text(members["applicationId"]),
        kind=MessageKind(members["kind"]),
        to=_text(members["to"]),
        from_name=_text(members["fromName"]),
        subject=_text(members["subject"]),
        text=_text(members["text"]),
        html=_text(members["html"]),
        url=None if members["url"] is None else _text(members["url"]),
        token=None if members["token"] is None else _text(members["token"]),
        created=_text(members["created"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
