from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.messages.logic import Composer
from app.messages.types import Letter, Message, MessageKind

TOKEN = "k9-_Zq" + "A" * 37
URL = f"https://app.example.com/verify?app=1&lang=de&token={TOKEN}"
CREATED = "2026-11-05T09:04:59.120Z"
PLACE = "203.0.113.0/24"
LINKED = [MessageKind.EMAIL_VERIFICATION, MessageKind.PASSWORD_RESET]
NOTICES = [MessageKind.ADDRESS_IN_USE, MessageKind.PASSWORD_CHANGED]
HOSTILE = [
    "<script>alert(1)</script>",
    "{{7*7}}",
    "${7*7} {% for x in y %} {0.__globals__}",
    '"><img src=x onerror=alert(1)>',
    "O'Brien & <b>Söhne</b>",
    "鳥 🐦 مرحبا e\u0301",
]


class Page(HTMLParser):
    """What a reader of the HTML part meets: its tags, its text, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def links(self) -> list[str | None]:
        return [value for name, value in self.attributes if name == "href"]


def letter(kind: MessageKind, name: str = "Acme", from_name: str = "Acme Mail") -> Letter:
    return Letter(
        kind=kind,
        to="ada@example.com",
        application_name=name,
        from_name=from_name,
        url=URL if kind in LINKED else None,
        token=TOKEN if kind in LINKED else None,
    )


def compose(written: Letter) -> Message:
    return Composer().compose(written, id="0193", application_id="a1", created=CREATED)


@pytest.mark.parametrize("kind", MessageKind)
def test_a_message_has_all_that_its_letter_says(kind: MessageKind) -> None:
    written = letter(kind)
    message = compose(written)
    assert (message.id, message.application_id, message.created) == ("0193", "a1", CREATED)
    assert (message.kind, message.to, message.from_name) == (kind, written.to, "Acme Mail")
    assert (message.url, message.token) == (written.url, written.token)


@pytest.mark.parametrize("kind", MessageKind)
def test_both_parts_say_who_writes_when_it_was_and_what_to_do_if_it_was_not_you(
    kind: MessageKind,
) -> None:
    message = compose(letter(kind))
    for part in (message.text, Page(message.html).text):
        assert "at Acme" in part
        assert "on 5 November 2026 at 09:04 UTC" in part
        assert "If this was not you" in part
        assert "This message was sent by Acme." in part


@pytest.mark.parametrize("kind", MessageKind)
def test_both_parts_say_the_same(kind: MessageKind) -> None:
    message = compose(letter(kind))
    page = " ".join(Page(message.html).text.split())
    for paragraph in message.text.strip().split("\n\n"):
        assert paragraph in page


@pytest.mark.parametrize("kind", LINKED)
def test_the_link_is_whole_in_both_parts(kind: MessageKind) -> None:
    message = compose(letter(kind))
    assert message.text.splitlines().count(URL) == 1
    page = Page(message.html)
    assert page.links == [URL, URL]  # as a button and as text
    assert page.text.count(URL) == 1


@pytest.mark.parametrize("kind", NOTICES)
def test_a_notice_holds_no_link(kind: MessageKind) -> None:
    message = compose(letter(kind))
    assert Page(message.html).links == []
    assert "://" not in message.text
    assert (message.url, message.token) == (None, None)


def test_links_say_how_long_they_are_good() -> None:
    assert "good for 24 hours" in compose(letter(MessageKind.EMAIL_VERIFICATION)).text
    assert "good for 30 minutes" in compose(letter(MessageKind.PASSWORD_RESET)).text
    brief = Composer(verification_hours=1, reset_minutes=1)
    words = {"id": "1", "application_id": "a", "created": CREATED}
    assert "1 hour " in brief.compose(letter(MessageKind.EMAIL_VERIFICATION), **words).text
    assert "1 minute " in brief.compose(letter(MessageKind.PASSWORD_RESET), **words).text


def test_a_taken_address_is_told_of_sign_in_and_reset() -> None:
    text = compose(letter(MessageKind.ADDRESS_IN_USE)).text
    assert "tried to sign up at Acme" in text
    assert "You already have an account" in text
    assert "sign in" in text
    assert "reset" in text


def test_an_unexpected_change_of_password_says_what_to_do() -> None:
    text = compose(letter(MessageKind.PASSWORD_CHANGED)).text
    assert "ask for a password reset now" in text


@pytest.mark.parametrize("kind", MessageKind)
def test_without_an_application_name_the_message_speaks_of_your_account(kind: MessageKind) -> None:
    message = compose(letter(kind, name=""))
    assert "This message is about your account." in message.text
    for part in (message.subject, message.text, Page(message.html).text):
        assert "  " not in part
        assert " ." not in part
    assert not message.subject.endswith((" ", "for", "at"))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", MessageKind)
def test_a_name_is_shown_as_text_and_never_interpreted(kind: MessageKind, name: str) -> None:
    message = compose(letter(kind, name=name))
    page = Page(message.html)
    harmless = Page(compose(letter(kind)).html)
    assert name in message.subject
    assert name in message.text
    assert name in page.text
    assert page.tags == harmless.tags
    assert page.attributes == harmless.attributes
    assert "49" not in message.subject


@pytest.mark.parametrize(
    "url", ['https://x.test/?"onmouseover="x', "https://x.test/?'<script>&amp;"]
)
def test_a_link_cannot_leave_its_attribute(url: str) -> None:
    page = Page(compose(replace(letter(MessageKind.PASSWORD_RESET), url=url)).html)
    assert page.links == [url, url]
    assert "script" not in page.tags


@pytest.mark.parametrize("kind", MessageKind)
def test_the_html_part_styles_itself_inline_for_light_and_dark(kind: MessageKind) -> None:
    message = compose(letter(kind))
    page = Page(message.html)
    assert ("name", "color-scheme") in page.attributes
    assert not {"style", "link", "script", "img"} & set(page.tags)
    assert ("lang", "en") in page.attributes


@pytest.mark.parametrize("kind", MessageKind)
def test_no_secret_is_in_the_subject_or_in_a_repr(kind: MessageKind) -> None:
    written = letter(kind)
    message = compose(written)
    for shown in (message.subject, repr(message), repr(written)):
        assert TOKEN not in shown
        assert "https://" not in shown


@pytest.mark.parametrize(
    "separator", ["\r\n", "\n", "\r", "\x0b", "\x85", "\u2028", "\u2029", "\x00"]
)
def test_a_name_cannot_begin_a_line(separator: str) -> None:
    name = f"Acme{separator}Bcc: eve@example.com"
    message = compose(letter(MessageKind.PASSWORD_RESET, name=name, from_name=name))
    assert message.from_name == "Acme Bcc: eve@example.com"
    for text in (message.subject, message.from_name):
        assert len(text.splitlines()) == 1
    assert not [line for line in message.text.splitlines() if line.startswith("Bcc")]


@settings(deadline=None)  # the first one waits for Jinja2
@given(name=st.text(max_size=100))
def test_any_name_makes_a_message_that_can_be_encoded(name: str) -> None:
    message = compose(letter(MessageKind.EMAIL_VERIFICATION, name=name, from_name=name))
    for text in (message.subject, message.from_name, message.text, message.html):
        assert text.encode().decode() == text
        assert "\x00" not in text
    assert len((message.subject + message.from_name).splitlines()) == 1
    assert Page(message.html).links == [URL, URL]


def test_half_of_a_surrogate_pair_in_a_name_is_replaced() -> None:
    message = compose(letter(MessageKind.PASSWORD_CHANGED, name="A\ud800B"))
    assert "at A\ufffdB was" in message.text


def test_a_message_is_composed_the_same_each_time() -> None:
    written = letter(MessageKind.EMAIL_VERIFICATION)
    assert compose(written) == compose(written)


@pytest.mark.parametrize("kind", list(MessageKind))
def test_eml_07_a_message_names_the_network_that_it_was_asked_for_from(kind: MessageKind) -> None:
    linked = {"url": URL, "token": TOKEN} if kind in LINKED else {}
    letter = Letter(kind=kind, to="a@b.example", application_name="", from_name="", **linked)
    told = {"id": "x", "application_id": "y", "created": CREATED}
    from_there = Composer().compose(replace(letter, place=PLACE), **told)
    from_nowhere = Composer().compose(letter, **told)
    said = f"at 09:04 UTC from the network {PLACE}"
    assert said in from_there.text
    assert said in Page(from_there.html).text
    assert "from the network" not in from_nowhere.text + from_nowhere.html
    assert "If this was not you" in from_there.text
    assert Letter.of(replace(letter, place=PLACE).payload()).place == PLACE
    before = {name: value for name, value in letter.payload().items() if name != "place"}
    assert Letter.of(before).place == ""
