import json
from dataclasses import FrozenInstanceError, replace

import pytest

from app.messages.types import Letter, Message, MessageKind

RESET = Letter(
    kind=MessageKind.PASSWORD_RESET,
    to="ada@example.com",
    application_name="Acme",
    from_name="",
    url="https://app.example.com/reset?token=s3cret",
    token="s3cret",
)
CHANGED = replace(RESET, kind=MessageKind.PASSWORD_CHANGED, url=None, token=None)
MESSAGE = Message(
    id="0193-a",
    application_id="a1",
    kind=MessageKind.PASSWORD_RESET,
    to="ada@example.com",
    from_name="",
    subject="Reset",
    text="open https://app.example.com/reset?token=s3cret",
    html="<p>s3cret</p>",
    url="https://app.example.com/reset?token=s3cret",
    token="s3cret",
    created="2026-11-05T09:04:59.120Z",
)


def test_kinds_are_called_as_on_the_wire() -> None:
    wire = ["emailVerification", "addressInUse", "passwordReset", "passwordChanged"]
    assert [kind.value for kind in MessageKind] == wire


@pytest.mark.parametrize("letter", [RESET, CHANGED])
def test_a_letter_comes_back_from_its_payload(letter: Letter) -> None:
    assert Letter.of(json.loads(json.dumps(letter.payload()))) == letter


@pytest.mark.parametrize("shown", [RESET, MESSAGE])
def test_a_repr_shows_no_secret(shown: Letter | Message) -> None:
    assert "s3cret" not in repr(shown)


@pytest.mark.parametrize("missing", ["url", "token"])
def test_a_letter_that_needs_a_link_is_not_made_without_it(missing: str) -> None:
    with pytest.raises(ValueError, match="carries a link and its token"):
        Letter.of(RESET.payload() | {missing: None})


@pytest.mark.parametrize("kind", [MessageKind.ADDRESS_IN_USE, MessageKind.PASSWORD_CHANGED])
@pytest.mark.parametrize("extra", [{"url": "https://x.test"}, {"token": "s3cret"}])
def test_a_notice_is_not_made_with_a_secret(kind: MessageKind, extra: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="does not carry") as refusal:
        Letter.of(CHANGED.payload() | {"kind": kind.value} | extra)
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    "id", ["", "../etc/passwd", "a/b", "a b", "a\r\nBcc: x", ".hidden", "é", "a" * 129]
)
def test_an_id_that_is_no_file_name_is_refused(id: str) -> None:  # noqa: A002
    with pytest.raises(ValueError, match="message id"):
        replace(MESSAGE, id=id)


def test_letters_and_messages_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        RESET.to = "eve@example.com"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        MESSAGE.to = "eve@example.com"  # type: ignore[misc]
