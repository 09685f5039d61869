import pytest

from app.adapters.mime import parse_sender
from app.adapters.smtp_mailer import SmtpMailer, SmtpServer, parse_smtp_url


@pytest.mark.parametrize(
    ("url", "host", "port", "security"),
    [
        ("smtp://mail.example.com", "mail.example.com", 587, "starttls"),
        ("smtp://mail.example.com:2525/", "mail.example.com", 2525, "starttls"),
        ("smtps://mail.example.com", "mail.example.com", 465, "implicit"),
        ("SMTPS://Mail.Example.com:4650", "mail.example.com", 4650, "implicit"),
        ("smtp://localhost", "localhost", 25, "none"),
        ("smtp://127.0.0.9:1025", "127.0.0.9", 1025, "none"),
        ("smtp://[::1]:1025", "::1", 1025, "none"),
        ("smtp://[2001:db8::1]", "2001:db8::1", 587, "starttls"),
        ("smtps://localhost", "localhost", 465, "implicit"),
        ("smtp://localhost.example.com", "localhost.example.com", 587, "starttls"),
    ],
)
def test_a_url_says_host_port_and_security(url: str, host: str, port: int, security: str) -> None:
    server = parse_smtp_url(url)
    assert (server.host, server.port, server.security) == (host, port, security)
    assert (server.username, server.password) == (None, None)


def test_credentials_are_percent_decoded_and_not_shown() -> None:
    server = parse_smtp_url("smtps://mail%40example.com:p%3A%2Fs%25@mail.example.com")
    assert (server.username, server.password) == ("mail@example.com", "p:/s%")
    assert "p:/s%" not in repr(server)
    assert "p:/s%" not in repr(SmtpMailer(server=server, sender="a@example.com"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example.com",
        "http://user:hunter2@mail.example.com",
        "smtp://",
        "smtp://user:hunter2@",
        "smtp://user:hunter2@:25",
        "smtp://user:hunter2@mail.example.com:port",
        "smtp://user:hunter2@mail.example.com:99999",
        "smtp://user:hunter2@mail.example.com:0",
        "smtp://user:hunter2/@mail.example.com",
        "smtp://user:1#hunter2@mail.example.com",
        "smtp://user:hunter2@[::1",
        "smtp://user:hunter2@mail.example.com/inbox",
        "smtp://user:hunter2@mail.example.com?tls=no",
        "smtp://user:hunter2@mail.example.com#x",
        "smtp://hunter2@mail.example.com",
        "smtp://:hunter2@mail.example.com",
        "smtp://user:@mail.example.com",
        "smtp://user:hunter2é@mail.example.com",
        "smtp://user:hunter2%C3%A9@mail.example.com",
        "smtp://user:hunter2%0D%0A@mail.example.com",
        "smtp://user:hunter2\n@mail.example.com",
        "smtp://user:hunter2 @mail.example.com",
        "smtp://user:hunter2\u2100@mail.example.com",
    ],
)
def test_a_wrong_url_is_refused_with_one_line_that_repeats_no_password(url: str) -> None:
    with pytest.raises(ValueError, match="SMTP URL") as refusal:
        parse_smtp_url(url)
    assert len(str(refusal.value).splitlines()) == 1
    assert "hunter2" not in str(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ("no-reply@example.com", "", "no-reply@example.com"),
        ("Acme <no-reply@example.com>", "Acme", "no-reply@example.com"),
        ("Acme Inc. <no-reply@example.com>", "Acme Inc.", "no-reply@example.com"),
        ('"Acme, \\"Inc.\\"" <no-reply@example.com>', 'Acme, "Inc."', "no-reply@example.com"),
        ("Größe <no-reply@localhost>", "Größe", "no-reply@localhost"),
        ("<no-reply@example.com>", "", "no-reply@example.com"),
    ],
)
def test_a_sender_is_an_address_with_or_without_a_name(
    sender: str, name: str, address: str
) -> None:
    parsed = parse_sender(sender)
    assert (parsed.display_name, parsed.addr_spec) == (name, address)


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "Acme",
        "a@",
        "a@x.test, b@x.test",
        "A <a@x.test> <b@x.test>",
        "A <a@x.test>\r\nBcc: b@x.test",
    ],
)
def test_a_wrong_sender_is_refused_when_the_mailer_is_made(sender: str) -> None:
    server = SmtpServer(host="localhost", port=25, security="none")
    with pytest.raises(ValueError, match="the sender"):
        SmtpMailer(server=server, sender=sender)
