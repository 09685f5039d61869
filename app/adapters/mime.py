"""A message as it goes out: MIME (RFC 2045), whatever carries it.

Headers are an allowlist and written here as they go out: the standard library's folding of
3.11 loses spaces between encoded words and, with SMTPUTF8, the quotes around a name, so that
a sender's name could become a second address.
"""

import base64
import re
from email.errors import MessageError
from email.headerregistry import Address
from email.message import MIMEPart
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from app.common.clock import parse_rfc3339
from app.messages.types import BREAKS, Message, MessageRefused

POLICY = SMTP.clone(refold_source="none")  # raw headers stay as they are set
# What stands in a header as it is: words that need no quotes (RFC 5322 section 3.2.3).
PLAIN = re.compile(r"(?=.{1,60}$)[A-Za-z0-9'&+!-]+(?: [A-Za-z0-9'&+!-]+)*")
WORD_BYTES = 45  # in base64 and its frame within the 75 characters of RFC 2047 section 2
# An address that headers and the envelope read as it is written (RFC 5322, RFC 6531: dot-atoms).
ADDRESS = re.compile(r"[^\s\"(),:;<>@\[\\\]\ud800-\udfff]+@[^\s\"(),:;<>@\[\\\]\ud800-\udfff]+")
SENDER = re.compile(r"(?:(?P<name>[^<>]*)<(?P<boxed>[^<>\s]+)>|(?P<bare>[^<>\s]+))")


def parse_sender(sender: str) -> Address:
    """Read `address` or `Name <address>`.

    Raises:
        ValueError: one line that says what is wrong.
    """
    found = None if BREAKS.search(sender) else SENDER.fullmatch(sender.strip())
    if found is None:
        raise ValueError("the sender must be an address, or a name and <address>")
    name = (found["name"] or "").strip()
    if name.startswith('"') and name.endswith('"'):
        name = name[1:-1].replace('\\"', '"')
    address = found["boxed"] or found["bare"]
    if not is_address(address):
        raise ValueError("the sender's address is malformed")
    username, _, domain = address.rpartition("@")
    return Address(display_name=name, username=username, domain=domain)


def mail(message: Message, sender: Address) -> MIMEPart:
    """The message from its sender to its one recipient.

    Raises:
        MessageRefused: it cannot be written down so that every server reads it alike.
    """
    if any(BREAKS.search(text) for text in (message.to, message.from_name, message.subject)):
        raise MessageRefused("a line break or control character in a header")
    if not is_address(message.to):
        raise MessageRefused("the recipient is not exactly one address")
    made = MIMEPart(policy=POLICY)
    try:
        name = _words(message.from_name or sender.display_name)
        made.set_raw("From", f"{name} <{sender.addr_spec}>" if name else sender.addr_spec)
        made.set_raw("To", message.to)
        made.set_raw("Subject", _words(message.subject))
        made.set_raw("Date", format_datetime(parse_rfc3339(message.created)))
        made.set_raw("Message-ID", f"<{message.id}@{sender.domain}>")
        made.set_raw("Auto-Submitted", "auto-generated")  # RFC 3834 section 5
        made.set_raw("MIME-Version", "1.0")
        made.make_alternative()
        for subtype, content in (("plain", message.text), ("html", message.html)):
            part = MIMEPart(policy=POLICY)
            part.set_content(content, subtype=subtype, cte="quoted-printable")
            made.attach(part)
    except (ValueError, MessageError):  # such as a lone surrogate
        raise MessageRefused("the message cannot be encoded") from None
    return made


def _words(text: str) -> str:
    """A header's text: as it is where that is safe, else as encoded words (RFC 2047)."""
    if not text or PLAIN.fullmatch(text):
        return text
    pieces = [b""]
    for sign in text:
        encoded = sign.encode()
        if len(pieces[-1]) + len(encoded) > WORD_BYTES:
            pieces.append(b"")
        pieces[-1] += encoded
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(piece).decode()}?=" for piece in pieces)


def is_address(text: str) -> bool:
    """Whether a text is exactly one address, which the envelope takes as it is written."""
    # The envelope reads it with `parseaddr`.
    return bool(ADDRESS.fullmatch(text)) and parseaddr(text) in {("", ""), ("", text)}
