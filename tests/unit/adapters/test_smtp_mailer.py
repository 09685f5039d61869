import socket
import ssl
from dataclasses import replace
from email.header import decode_header, make_header
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.smtp_mailer import Security, SmtpMailer, SmtpServer
from app.messages.logic import Composer
from app.messages.types import Letter, MailerUnavailable, Message, MessageKind, MessageRefused
from tests.unit.adapters.smtp_server import Inbox, serving, write_certificate

ALLOWED = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"}
URL = "https://app.example.com/reset?" + "next=%2Fa.b.c&" * 9 + "token=" + "Q_-=." * 12
LETTER = Letter(
    kind=MessageKind.PASSWORD_RESET,
    to="ada@example.com",
    application_name="Acme",
    from_name="Acme Mail",
    url=URL,
    token="Q_-=." * 12,
)
MESSAGE = Composer().compose(
    LETTER, id="0193-a", application_id="a1", created="2026-11-05T09:04:59.120Z"
)
PLAIN_TEXT = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])


def mailer(port: int, security: Security = "none", **more: Any) -> SmtpMailer:
    sign_in = {"username": more.pop("username", None), "password": more.pop("password", None)}
    server = SmtpServer(host="127.0.0.1", port=port, security=security, **sign_in)
    return SmtpMailer(server=server, sender="Passerine <no-reply@auth.example.org>", **more)


def send(message: Message, **options: Any) -> Inbox:
    inbox = Inbox()
    with serving(inbox, **options) as port:
        mailer(port).send(message)
    return inbox


def refusal(message: Message = MESSAGE, *, inbox: Inbox | None = None, **options: Any) -> Exception:
    """What sending raises; its text holds no address and no link."""
    inbox = inbox or Inbox()
    with serving(inbox, **options) as port, pytest.raises((MessageRefused, MailerUnavailable)) as e:
        mailer(port).send(message)
    assert "@" not in str(e.value)
    assert "token" not in str(e.value)
    return e.value


def shown(mail: EmailMessage, header: str) -> str:
    """A header's text without the sender's address, as RFC 2047 reads it."""
    raw = str(dict(mail.raw_items())[header]).removesuffix(" <no-reply@auth.example.org>")
    return str(make_header(decode_header(raw)))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    write_certificate(path)
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def test_headers_are_an_allowlist() -> None:
    mail = send(MESSAGE).only()
    assert set(mail.keys()) == ALLOWED | {"Content-Type"}
    assert len(mail.keys()) == len(set(mail.keys()))
    assert mail["From"] == "Acme Mail <no-reply@auth.example.org>"
    assert mail["To"] == "ada@example.com"
    assert mail["Subject"] == "Reset the password of your account at Acme"
    assert mail["Date"] == "Thu, 05 Nov 2026 09:04:59 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "multipart/alternative"
    for part in mail.iter_parts():
        assert set(part.keys()) == {"Content-Type", "Content-Transfer-Encoding"}


def test_the_envelope_has_one_recipient_as_it_is_stored() -> None:
    inbox = send(replace(MESSAGE, to="Ada.L+x@example.com"))
    (envelope,) = inbox.envelopes
    assert envelope.rcpt_tos == ["Ada.L+x@example.com"]
    assert envelope.mail_from == "no-reply@auth.example.org"
    assert inbox.only()["To"] == "Ada.L+x@example.com"


def test_a_repeated_delivery_can_be_recognised() -> None:
    first, second = send(MESSAGE).only(), send(MESSAGE).only()
    assert first["Message-ID"] == second["Message-ID"] == "<0193-a@auth.example.org>"
    assert send(replace(MESSAGE, id="0193-b")).only()["Message-ID"] != first["Message-ID"]


def test_a_long_link_arrives_whole_in_both_parts() -> None:
    inbox = send(MESSAGE)
    content = inbox.envelopes[0].original_content
    assert content is not None
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 78
    plain, html = inbox.only().iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert plain.get_content().splitlines() == MESSAGE.text.splitlines()
    assert URL in plain.get_content().splitlines()
    assert html.get_content().splitlines() == MESSAGE.html.splitlines()
    assert f'href="{URL.replace("&", "&amp;")}"' in html.get_content()


def test_without_a_name_of_its_own_the_message_has_the_senders() -> None:
    mail = send(replace(MESSAGE, from_name="")).only()
    assert mail["From"] == "Passerine <no-reply@auth.example.org>"


NAMES = [
    'He said "no"',
    "Ümläut, Inc.",
    "O'Brien & Sons",
    "Eve <eve@example.com>",
    "eve@example.com,",
    "=?utf-8?q?eve=40example.com?=",
    "鳥の認証サービス, 🐦 " * 6,
    'back\\slash" <x@y.test>, ',
    "two  spaces",
    "👩‍👩‍👧 مرحبا",
]


@pytest.mark.parametrize("to", ["ada@example.com", "jürgen@example.com"])
@pytest.mark.parametrize("name", NAMES)
def test_a_senders_name_arrives_as_it_is_and_stays_a_name(name: str, to: str) -> None:
    mail = send(replace(MESSAGE, from_name=name, subject=name, to=to), enable_SMTPUTF8=True).only()
    (sender,) = mail["From"].addresses
    assert sender.addr_spec == "no-reply@auth.example.org"
    assert shown(mail, "From") == name
    assert shown(mail, "Subject") == name


def test_any_name_and_subject_arrive() -> None:
    inbox = Inbox()
    with serving(inbox) as port:
        sending = mailer(port)

        @settings(max_examples=60, deadline=None)
        @given(name=st.text(PLAIN_TEXT, min_size=1, max_size=100))
        def arrives(name: str) -> None:
            inbox.envelopes.clear()
            sending.send(replace(MESSAGE, from_name=name, subject=name))
            mail = inbox.only()
            assert set(mail.keys()) == ALLOWED | {"Content-Type"}
            assert len(mail["From"].addresses) == 1
            assert shown(mail, "From") == name
            assert shown(mail, "Subject") == name

        arrives()


def test_an_international_address_is_sent_as_it_is_stored() -> None:
    inbox = send(replace(MESSAGE, to="jürgen@example.com"), enable_SMTPUTF8=True)
    (envelope,) = inbox.envelopes
    assert envelope.rcpt_tos == ["jürgen@example.com"]
    assert "SMTPUTF8" in envelope.mail_options
    assert inbox.only()["To"] == "jürgen@example.com"


def test_an_international_address_is_refused_where_the_server_knows_none() -> None:
    fault = refusal(replace(MESSAGE, to="jürgen@example.com"), enable_SMTPUTF8=False)
    assert isinstance(fault, MessageRefused)


@pytest.mark.parametrize("separator", ["\r\n", "\n", "\r", "\x0b", "\x85", "\u2028", "\x00"])
@pytest.mark.parametrize("member", ["to", "from_name", "subject"])
def test_a_header_cannot_be_injected(member: str, separator: str) -> None:
    text = f"ada@example.com{separator}Bcc: eve@example.com"
    inbox = Inbox()
    changed: dict[str, Any] = {member: text}
    fault = refusal(replace(MESSAGE, **changed), inbox=inbox)
    assert isinstance(fault, MessageRefused)
    assert inbox.envelopes == []


@pytest.mark.parametrize(
    "to",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@example.com,eve@example.com",
        "ada@example.com;eve@example.com",
        "ada@example.com eve@example.com",
        "Ada <ada@example.com>",
        "<ada@example.com>",
        "ada@example.com (eve)",
        "ada@example.com>",
        " ada@example.com",
        "all:ada@example.com;",
        "\ud800@example.com",
    ],
)
def test_what_is_not_exactly_one_address_is_refused(to: str) -> None:
    assert isinstance(refusal(replace(MESSAGE, to=to)), MessageRefused)


def test_text_without_an_encoding_is_refused() -> None:
    assert isinstance(refusal(replace(MESSAGE, text="\ud800")), MessageRefused)


@pytest.mark.parametrize(
    ("inbox", "kind", "says"),
    [
        (Inbox(rcpt="550 5.1.1 no ada@example.com"), MessageRefused, "550 5.1.1"),
        (Inbox(rcpt="553 bad mailbox"), MessageRefused, "recipient"),
        (Inbox(rcpt="450 4.2.1 busy"), MailerUnavailable, "450 4.2.1"),
        (Inbox(rcpt="421 closing"), MailerUnavailable, "421"),
        (Inbox(rcpt="530 5.7.0 sign in first"), MailerUnavailable, "530"),
        (Inbox(data="554 5.7.1 spam for ada@example.com"), MessageRefused, "554 5.7.1"),
        (Inbox(data="451 4.3.0 try later"), MailerUnavailable, "451"),
        (Inbox(data="421 closing"), MailerUnavailable, "421"),
        (Inbox(mail="550 5.7.1 not your domain"), MailerUnavailable, "sender"),
        (Inbox(mail="451 later"), MailerUnavailable, "451"),
        (Inbox(breaks_at="DATA"), MailerUnavailable, "connection broke"),
    ],
    ids=lambda value: str(vars(value)) if isinstance(value, Inbox) else None,
)
def test_lasting_refusals_differ_from_passing_ones(
    inbox: Inbox, kind: type[Exception], says: str
) -> None:
    fault = refusal(inbox=inbox)
    assert isinstance(fault, kind)
    assert says in str(fault)


def test_a_message_that_was_taken_is_sent_though_the_goodbye_fails() -> None:
    inbox = Inbox(breaks_at="QUIT")
    with serving(inbox) as port:
        mailer(port).send(MESSAGE)
    assert len(inbox.envelopes) == 1


def test_a_server_that_is_down_is_a_reason_to_try_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(MailerUnavailable, match="cannot be reached"):
        mailer(port).send(MESSAGE)


def test_a_server_that_is_silent_is_not_waited_for_long() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(MailerUnavailable, match="cannot be reached"),
    ):
        mailer(silent.getsockname()[1], timeout=0.1).send(MESSAGE)


@pytest.mark.parametrize("security", ["starttls", "implicit"])
def test_a_trusted_server_is_signed_in_to_over_tls(
    security: Security, tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    inbox = Inbox()
    options: dict[str, Any] = {"authenticator": inbox.authenticate}
    if security == "starttls":
        options |= {"tls_context": tls, "require_starttls": True, "auth_required": True}
    else:  # the server takes TLS from the start for none at all
        options |= {"implicit": tls, "auth_require_tls": False}
    with serving(inbox, **options) as port:
        mailer(port, security, username="mailer", password="right").send(MESSAGE)
        assert inbox.users == ["mailer"]
        assert inbox.only()["To"] == "ada@example.com"
        with pytest.raises(MailerUnavailable, match="535") as fault:
            mailer(port, security, username="mailer", password="wr0ng").send(MESSAGE)
        assert "wr0ng" not in str(fault.value)
    assert len(inbox.envelopes) == 1


@pytest.mark.parametrize("security", ["starttls", "implicit"])
def test_a_server_whose_certificate_nobody_vouches_for_gets_nothing(
    security: Security, tls: ssl.SSLContext
) -> None:
    inbox = Inbox()
    options: dict[str, Any] = {"tls_context": tls} if security == "starttls" else {"implicit": tls}
    with (
        serving(inbox, authenticator=inbox.authenticate, **options) as port,
        pytest.raises(MailerUnavailable, match="SSLCertVerificationError"),
    ):
        mailer(port, security, username="mailer", password="right").send(MESSAGE)
    assert (inbox.users, inbox.envelopes) == ([], [])


def test_a_server_without_tls_gets_no_password_and_no_message() -> None:
    inbox = Inbox()
    options: dict[str, Any] = {"authenticator": inbox.authenticate, "auth_require_tls": False}
    with (
        serving(inbox, **options) as port,
        pytest.raises(MailerUnavailable, match="SMTPNotSupportedError"),
    ):
        mailer(port, "starttls", username="mailer", password="right").send(MESSAGE)
    assert (inbox.users, inbox.envelopes) == ([], [])


def test_a_server_that_takes_no_sign_in_is_a_reason_to_try_again() -> None:
    with serving(Inbox()) as port, pytest.raises(MailerUnavailable, match="SMTPNotSupportedError"):
        mailer(port, username="mailer", password="right").send(MESSAGE)
