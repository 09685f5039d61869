"""A `Mailer` over SMTP (RFC 5321), with the standard library's client."""

import contextlib
import ipaddress
import re
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from app.adapters.mime import mail, parse_sender
from app.messages.types import MailerUnavailable, Message, MessageRefused

Security = Literal["implicit", "starttls", "none"]
PORTS: dict[Security, int] = {"implicit": 465, "starttls": 587, "none": 25}
TIMEOUT_SECONDS = 10.0

ENHANCED = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)")  # RFC 3463
# RFC 4954 section 6: these say that the deployment's sign-in is wrong, not this message.
SIGN_IN_CODES = {530, 534, 535, 538}


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """Where mail is handed in, and as whom."""

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def parse_smtp_url(url: str) -> SmtpServer:
    """Read `smtp://[user:password@]host[:port]` (STARTTLS) or `smtps://` (TLS from the start).

    Only a loopback host is spoken to without TLS.

    Raises:
        ValueError: one line that says what is wrong and repeats nothing of the URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # its text may hold the password
        raise ValueError("the SMTP URL has a malformed host or port") from None
    if parts.scheme not in {"smtp", "smtps"}:
        raise ValueError("the SMTP URL must start with smtp:// or smtps://")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("the SMTP URL holds characters that must be percent-encoded")
    if not parts.hostname or port == 0:
        raise ValueError("the SMTP URL must name a host, and a port above 0 if any")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("the SMTP URL must end after the host and port")
    security: Security = "none" if _is_loopback(parts.hostname) else "starttls"
    if parts.scheme == "smtps":
        security = "implicit"
    username, password = _credentials(parts)
    return SmtpServer(
        host=parts.hostname,
        port=port or PORTS[security],
        security=security,
        username=username,
        password=password,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class SmtpMailer:
    """Sends each message over a connection of its own."""

    server: SmtpServer
    sender: str
    timeout: float = TIMEOUT_SECONDS

    def __post_init__(self) -> None:
        """Refuse a malformed sender at the start, not at the first message."""
        parse_sender(self.sender)

    def send(self, message: Message) -> None:
        """Hand the message to the server, to one recipient."""
        sender = parse_sender(self.sender)
        written = mail(message, sender)
        with self._connection(sender.domain) as connection, _answers_about_the_message():
            connection.send_message(written, from_addr=sender.addr_spec, to_addrs=[message.to])

    @contextlib.contextmanager
    def _connection(self, name: str) -> Iterator[smtplib.SMTP]:
        """A connection that is encrypted and signed in as the server's settings ask."""
        with _faults("the mail server cannot be reached"):
            connection = self._connect(name)
        try:
            with _faults("the mail server refused the connection"):
                if self.server.security == "starttls":
                    connection.starttls(context=ssl.create_default_context())
                if self.server.username is not None and self.server.password is not None:
                    connection.login(self.server.username, self.server.password)
            yield connection
            # The server has taken the message: what fails from here must not send it again.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                connection.quit()
        finally:
            connection.close()

    def _connect(self, name: str) -> smtplib.SMTP:
        # Without a name of ours smtplib would ask the DNS for one, at every connection.
        server = self.server
        if server.security == "implicit":
            return smtplib.SMTP_SSL(
                server.host,
                server.port,
                local_hostname=name,
                timeout=self.timeout,
                context=ssl.create_default_context(),
            )
        return smtplib.SMTP(server.host, server.port, local_hostname=name, timeout=self.timeout)


@contextlib.contextmanager
def _faults(what: str) -> Iterator[None]:
    """Whatever goes wrong before a message is offered says nothing about the message."""
    try:
        yield
    except smtplib.SMTPResponseException as fault:
        raise MailerUnavailable(f"{what} ({_code(fault.smtp_code, fault.smtp_error)})") from None
    except (smtplib.SMTPException, OSError, ValueError) as fault:
        raise MailerUnavailable(f"{what} ({type(fault).__name__})") from None


@contextlib.contextmanager
def _answers_about_the_message() -> Iterator[None]:
    """The server's answers as those of the port; its own words may quote the address."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as refusal:
        code, words = next(iter(refusal.recipients.values()))
        raise _refusal("the recipient", code, words) from None
    except smtplib.SMTPDataError as refusal:
        raise _refusal("the message", refusal.smtp_code, refusal.smtp_error) from None
    except smtplib.SMTPNotSupportedError:
        raise MessageRefused("the server does not take international addresses") from None
    except smtplib.SMTPResponseException as fault:  # the sender is refused: ours to mend
        code_text = _code(fault.smtp_code, fault.smtp_error)
        raise MailerUnavailable(f"the server refused the sender ({code_text})") from None
    except (smtplib.SMTPException, OSError) as fault:
        raise MailerUnavailable(f"the connection broke ({type(fault).__name__})") from None


def _refusal(what: str, code: int, words: bytes | str) -> MessageRefused | MailerUnavailable:
    text = f"the server refused {what} ({_code(code, words)})"
    lasting = 500 <= code <= 599 and code not in SIGN_IN_CODES  # noqa: PLR2004 - RFC 5321 4.2.1
    return MessageRefused(text) if lasting else MailerUnavailable(text)


def _code(code: int, words: bytes | str) -> str:
    enhanced = ENHANCED.match(words.encode() if isinstance(words, str) else words)
    return f"{code} {enhanced[0].decode()}" if enhanced else str(code)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    if parts.username is None and parts.password is None:
        return None, None
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not username or not password:
        raise ValueError("the SMTP URL must name both a user and a password, or neither")
    # smtplib sends no others.
    if not all(text.isascii() and text.isprintable() for text in (username, password)):
        raise ValueError("the SMTP URL's user and password must be printable ASCII")
    return username, password
