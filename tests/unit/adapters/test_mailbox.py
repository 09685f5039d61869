import json
import os
import resource
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from app.adapters.mailbox import Mailbox
from app.messages.types import MailerUnavailable, Message, MessageKind, MessageRefused

MESSAGE = Message(
    id="0193-a",
    application_id="a1",
    kind=MessageKind.PASSWORD_RESET,
    to="ada@example.com",
    from_name="Acme",
    subject="Reset the password of your account at Acmé 🐦",
    text="open\n\nhttps://app.example.com/reset?token=s3cret\n",
    html='<p><a href="https://app.example.com/reset?token=s3cret">reset</a></p>',
    url="https://app.example.com/reset?token=s3cret",
    token="s3cret",
    created="2026-11-05T09:04:59.120Z",
)
NOTICE = replace(
    MESSAGE,
    id="0193-b",
    kind=MessageKind.PASSWORD_CHANGED,
    url=None,
    token=None,
    to="bo@example.com",
)


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    return Mailbox(folder=tmp_path / "data" / "mailbox", sender="Passerine <no-reply@localhost>")


def numbered(number: int) -> Message:
    return replace(MESSAGE, id=f"m-{number}", created=f"2026-11-05T09:04:{number:02}.000Z")


def test_nothing_sent_is_an_empty_mailbox(mailbox: Mailbox) -> None:
    assert mailbox.messages() == []


@pytest.mark.parametrize("message", [MESSAGE, NOTICE])
def test_what_was_sent_is_read_back_unchanged(mailbox: Mailbox, message: Message) -> None:
    mailbox.send(message)
    assert mailbox.messages() == [message]
    assert Mailbox(folder=mailbox.folder, sender="").messages() == [message]


def test_the_file_is_named_by_the_id_and_holds_the_names_of_the_wire(mailbox: Mailbox) -> None:
    mailbox.send(MESSAGE)
    members = json.loads((mailbox.folder / "0193-a.json").read_bytes())
    assert members == {
        "id": "0193-a",
        "applicationId": "a1",
        "from": "Passerine <no-reply@localhost>",
        "fromName": "Acme",
        "to": "ada@example.com",
        "subject": MESSAGE.subject,
        "kind": "passwordReset",
        "text": MESSAGE.text,
        "html": MESSAGE.html,
        "token": "s3cret",
        "url": MESSAGE.url,
        "created": "2026-11-05T09:04:59.120Z",
    }


def test_a_message_sent_twice_is_there_once(mailbox: Mailbox) -> None:
    mailbox.send(MESSAGE)
    mailbox.send(MESSAGE)
    assert mailbox.messages() == [MESSAGE]
    assert [file.name for file in mailbox.folder.iterdir()] == ["0193-a.json"]


def test_a_message_sent_by_sixteen_at_once_is_there_once_and_whole(mailbox: Mailbox) -> None:
    start = threading.Barrier(16)

    def send(_: int) -> None:
        start.wait()
        mailbox.send(MESSAGE)
        assert mailbox.messages() == [MESSAGE]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(send, range(16)))
    assert [file.name for file in mailbox.folder.iterdir()] == ["0193-a.json"]


def test_only_the_owner_may_read_the_mailbox(mailbox: Mailbox) -> None:
    before = os.umask(0)
    try:
        mailbox.send(MESSAGE)
    finally:
        os.umask(before)
    assert stat.S_IMODE(mailbox.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((mailbox.folder / "0193-a.json").stat().st_mode) == 0o600


def test_a_folder_that_others_may_read_is_closed_to_them(mailbox: Mailbox) -> None:
    mailbox.folder.mkdir(parents=True)
    mailbox.folder.chmod(0o755)
    mailbox.send(MESSAGE)
    assert stat.S_IMODE(mailbox.folder.stat().st_mode) == 0o700


def test_the_newest_come_first_and_a_limit_cuts_the_oldest(mailbox: Mailbox) -> None:
    for number in (4, 11, 2, 30, 7):
        mailbox.send(numbered(number))
    assert [message.id for message in mailbox.messages()] == ["m-30", "m-11", "m-7", "m-4", "m-2"]
    assert [message.id for message in mailbox.messages(limit=2)] == ["m-30", "m-11"]


def test_messages_of_one_moment_are_ordered_by_id(mailbox: Mailbox) -> None:
    for name in ("b", "c", "a"):
        mailbox.send(replace(MESSAGE, id=name))
    assert [message.id for message in mailbox.messages()] == ["c", "b", "a"]


def test_one_address_sees_its_own_messages_however_it_is_written(mailbox: Mailbox) -> None:
    mailbox.send(MESSAGE)
    mailbox.send(NOTICE)
    assert mailbox.messages(to="BO@Example.com") == [NOTICE]
    assert mailbox.messages(to="ada@example.com", limit=1) == [MESSAGE]
    assert mailbox.messages(to="eve@example.com") == []
    assert mailbox.messages(to="") == []


def test_what_a_crash_and_others_left_in_the_folder_is_ignored(mailbox: Mailbox) -> None:
    mailbox.send(MESSAGE)
    whole = (mailbox.folder / "0193-a.json").read_text()
    (mailbox.folder / ".0193-z.k2j.tmp").write_text(whole)
    (mailbox.folder / "half.json").write_text(whole[:80])
    (mailbox.folder / "other-name.json").write_text(whole)
    (mailbox.folder / "binary.json").write_bytes(b"\xff\xfe\x00")
    (mailbox.folder / "deep.json").write_text("[" * 100_000)
    (mailbox.folder / "huge.json").write_text(whole + " " * (1 << 20))
    (mailbox.folder / "notes.txt").write_text(whole)
    (mailbox.folder / "folder.json").mkdir()
    (mailbox.folder / "link.json").symlink_to("/dev/zero")
    os.mkfifo(mailbox.folder / "pipe.json")
    assert mailbox.messages() == [MESSAGE]


@pytest.mark.parametrize("content", ["[]", "null", '"x"', "7", "{}"])
def test_json_of_another_shape_is_ignored(mailbox: Mailbox, content: str) -> None:
    mailbox.folder.mkdir(parents=True)
    (mailbox.folder / "x.json").write_text(content)
    assert mailbox.messages() == []


@pytest.mark.parametrize(
    ("member", "value"),
    [("kind", "spam"), ("kind", []), ("to", 7), ("text", None), ("url", {}), ("id", "../x")],
)
def test_a_message_with_a_strange_member_is_ignored(
    mailbox: Mailbox, member: str, value: object
) -> None:
    mailbox.send(MESSAGE)
    path = mailbox.folder / "0193-a.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {member: value}))
    assert mailbox.messages() == []


def test_messages_deleted_or_changed_by_hand_are_not_remembered(mailbox: Mailbox) -> None:
    mailbox.send(MESSAGE)
    mailbox.send(NOTICE)
    assert len(mailbox.messages()) == 2
    (mailbox.folder / "0193-b.json").unlink()
    changed = json.loads((mailbox.folder / "0193-a.json").read_bytes()) | {"to": "cy@example.com"}
    (mailbox.folder / "new").write_text(json.dumps(changed))
    (mailbox.folder / "new").replace(mailbox.folder / "0193-a.json")
    assert [message.to for message in mailbox.messages()] == ["cy@example.com"]
    assert mailbox.messages(to="ada@example.com") == []


def test_what_another_process_sends_is_seen(mailbox: Mailbox) -> None:
    assert mailbox.messages() == []
    Mailbox(folder=mailbox.folder, sender="").send(MESSAGE)
    assert mailbox.messages() == [MESSAGE]


def test_a_folder_that_cannot_be_written_is_a_reason_to_try_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    mailbox = Mailbox(folder=tmp_path / "file" / "mailbox", sender="")
    with pytest.raises(MailerUnavailable, match="cannot be written") as fault:
        mailbox.send(MESSAGE)
    assert "ada@" not in str(fault.value)


def test_a_write_that_fails_leaves_nothing_behind_and_can_be_repeated(mailbox: Mailbox) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # as a full disk would
    try:
        with pytest.raises(MailerUnavailable):
            mailbox.send(MESSAGE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(mailbox.folder.iterdir()) == []
    mailbox.send(MESSAGE)
    assert mailbox.messages() == [MESSAGE]


def test_text_without_an_encoding_is_refused(mailbox: Mailbox) -> None:
    with pytest.raises(MessageRefused):
        mailbox.send(replace(MESSAGE, to="\ud800@example.com"))
    assert mailbox.messages() == []
