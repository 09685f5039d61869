"""Attacks by way of messages (catalogue 1.16), and on what they say (INP-12, INP-14)."""

import email
import email.policy
import re
from email.message import EmailMessage
from html import unescape

import pytest

from app.adapters.mime import mail, parse_sender
from app.messages.types import Message
from tests.api.world import EMAIL, Tenant, World, body, refused
from tests.flows.client import RESET, VERIFICATION

SENDER = parse_sender("Passerine <no-reply@auth.example.com>")
ALLOWED = {
    *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"),
    *("Content-Type",),
}


def _sent(message: Message) -> EmailMessage:
    """A message as a mail program reads what a mail server was handed."""
    raw = mail(message, SENDER).as_bytes()
    found = email.message_from_bytes(raw, policy=email.policy.SMTPUTF8)
    assert isinstance(found, EmailMessage)
    return found


def _letters(world: World, tenant: Tenant) -> list[Message]:
    """One message of each kind."""
    person = tenant.user()
    tenant.sign_up()
    tenant.reset(tenant.reset_token())
    assert person.tenant is tenant
    found = world.messages(EMAIL)
    assert len({message.kind for message in found}) == 4
    return found


@pytest.mark.parametrize("name", ["name", "emailFromName"])
@pytest.mark.parametrize(
    "text",
    [
        "a\r\nBcc: eve@example.com",
        "a\nb",
        "a\rb",
        "a\x0bb",
        "a\x85b",
        "a\u2028b",
        "a\x00",
        "\u202ea",
    ],
)
def test_eml_02_a_name_is_one_line(shared: World, name: str, text: str) -> None:
    tenant = shared.tenant()
    refused(tenant.admin("PATCH", "", {name: text}), 422, "validation_failed", field=name)
    refused(shared.admin("POST", "/v1/applications", {name: text}), 422, "validation_failed")


@pytest.mark.parametrize(
    "text",
    [
        "=?utf-8?q?=0d=0aBcc:_eve@example.com?=",
        "=?utf-8?b?DQpCY2M6IGV2ZUBleGFtcGxlLmNvbQ==?=",
        'Ann" <eve@example.com>, "Bob',
        "eve@example.com",
        "Ann <eve@example.com>",
        "Ann, eve@example.com",
        "a\\",
        "(comment",
        "鳥 🐦 \u0628\u062c\u0639",
        "x" * 100,
        "é" * 100,
    ],
)
def test_eml_02_any_other_name_is_only_a_name(world: World, text: str) -> None:
    tenant = world.tenant(name=text, emailFromName=text)
    for message in _letters(world, tenant):
        sent = _sent(message)
        assert set(sent.keys()) == ALLOWED
        assert len(sent.keys()) == len(ALLOWED)
        for header, address in (("From", "no-reply@auth.example.com"), ("To", EMAIL)):
            (only,) = sent[header].addresses
            assert only.addr_spec == address
        # The parser of 3.11 puts spaces where a name is cut into several encoded words.
        name = sent["From"].addresses[0].display_name
        assert name.replace(" ", "") == text.replace(" ", "")
        assert text in sent["Subject"]


def test_eml_04_both_parts_lead_to_the_same_page(world: World) -> None:
    tenant = world.tenant(
        name="Song & <b>Book</b>", resetPasswordUrl="https://songbook.example/r?a=1&b='\"<i>"
    )
    letters = _letters(world, tenant)
    assert {message.kind.value for message in letters if message.url} == {VERIFICATION, RESET}
    for message in letters:
        sent = _sent(message)
        plain, html = (sent.get_body([kind]) for kind in ("plain", "html"))
        assert plain is not None
        assert html is not None
        assert "<b>Book" not in html.get_content()
        links = re.findall(r'href="([^"]*)"', html.get_content())
        assert {unescape(link) for link in links} == ({message.url} if message.url else set())
        assert (message.url or "Song & <b>Book</b>") in plain.get_content()
        assert not re.findall(r"<(?:script|img|form|iframe|link|object)", html.get_content())


def test_eml_06_a_token_survives_the_folding_of_lines(world: World) -> None:
    long = "https://songbook.example/" + "very-long-path/" * 20 + "?lang=en&from=mail"
    tenant = world.tenant(verificationUrl=long)
    for number in range(6):
        address = f"u{number}@example.com"
        token = tenant.invitation(address)
        message = world.last_message(address)
        raw = mail(message, SENDER).as_bytes()
        assert max(map(len, raw.split(b"\r\n"))) <= 78
        plain = _sent(message).get_body(["plain"])
        assert plain is not None
        assert f"{long}&token={token}" in plain.get_content().split()
        assert tenant.verify(token).status_code == 200


def test_eml_07_a_message_holds_no_word_of_whoever_asked(world: World) -> None:
    tenant = world.tenant(name="Songbook")
    tenant.user()
    headers = {"User-Agent": "<b>call 555-0100</b>", "Referer": "https://evil.example/"}
    sent = {"email": "EVE+call-555-0100@example.com"}
    metadata = {"name": "call 555-0100", "url": "https://evil.example/"}
    tenant.sign_up(EMAIL, metadata=metadata)
    tenant.sign_up(
        "new@example.com",
        metadata=metadata,
    )
    tenant.public("POST", "/users/password/reset", {"email": EMAIL}, headers=headers)
    tenant.public("POST", "/users/password/reset", sent, headers=headers)
    for message in world.messages():
        text = message.text + message.html + message.subject
        assert "555-0100" not in text
        assert "evil" not in text
        assert "Songbook" in text
        assert "UTC" in message.text
        assert "If this was not you" in message.text


@pytest.mark.parametrize("language", ["../../etc/passwd", "de", "x" * 5000, "en;q=1e9, *;q=NaN"])
def test_eml_08_no_language_is_a_file(world: World, language: str) -> None:
    tenant = world.tenant()
    headers = {"Accept-Language": language}
    plain = tenant.public("GET", "/users/verification?token=x")
    asked = tenant.public(
        "GET", f"/users/verification?token=x&locale={language}&lang={language}", headers=headers
    )
    assert asked.status_code == plain.status_code
    assert asked.text == plain.text
    tenant.public("POST", "/users", {"email": EMAIL, "password": "x y z 1 2 3"}, headers=headers)
    tenant.public("POST", "/users", {"email": "b@example.com", "password": "x y z 1 2 3"})
    one, other = world.messages(EMAIL)[0], world.messages("b@example.com")[0]
    assert one.subject == other.subject
    assert len(one.text) == len(other.text)


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{7*7}}",
        "${7*7}",
        "{% for x in y %}",
        "{0.__class__}",
        "%s%n",
        "&lt;b&gt;",
    ],
)
def test_inp_12_a_name_is_text_on_pages_and_in_messages(world: World, name: str) -> None:
    tenant = world.tenant(name=name)
    token = tenant.invitation()
    message = world.last_message(EMAIL)
    assert name in message.text
    pages = [
        tenant.public("GET", f"/users/verification?token={token}").text,
        tenant.public("GET", f"/users/password/reset?token={token}").text,
        message.html,
    ]
    for page in pages:
        assert name in unescape(page)
        assert not re.search(r"<(?:script|img src=x)", page)


@pytest.mark.parametrize(
    "text",
    [
        "\u0628\u062c\u0639\u0629",
        "👩‍👩‍👧‍👦",
        "e\u0301\u0302\u0303",
        "鳥の歌",
        "ﬁ № Ⅳ",
        "\u200fa\u200e",
    ],
)
def test_inp_14_a_name_comes_back_as_it_went(world: World, text: str) -> None:
    tenant = world.tenant(name=text, emailFromName=text)
    assert tenant.read()["name"] == text
    tenant.invitation(metadata={"name": text})
    message = world.last_message(EMAIL)
    assert text in message.subject
    assert message.from_name == text
    plain = _sent(message).get_body(["plain"])
    assert plain is not None
    assert text in plain.get_content()
    person = tenant.user("bob@example.com", metadata={"name": text})
    assert body(person.call("GET"))["metadata"] == {"name": text}
