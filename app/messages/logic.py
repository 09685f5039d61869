"""The wording of every message, in a text part and an HTML part that say the same."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from functools import cache
from pathlib import Path

from app.common.clock import parse_rfc3339
from app.messages.types import BREAKS, Letter, Message, MessageKind

TEMPLATES = Path(__file__).parent / "templates"
SURROGATES = re.compile("[\ud800-\udfff]")  # have no encoding when they stand alone


@dataclass(frozen=True, kw_only=True)
class Wording:
    """What one message says: paragraphs before its link, the link's label, paragraphs after it."""

    subject: str
    heading: str
    before: list[str]
    button: str | None
    after: list[str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Composer:
    """Turns letters into messages. The durations are those of the links that it announces."""

    verification_hours: int = 24
    reset_minutes: int = 30

    def compose(
        self,
        letter: Letter,
        *,
        id: str,  # noqa: A002 - named as the message's field is
        application_id: str,
        created: str,
    ) -> Message:
        """Write the message; the same arguments always give the same message."""
        name = one_line(letter.application_name)
        moment = parse_rfc3339(created).astimezone(UTC)
        when = f"on {moment.day} {moment:%B %Y} at {moment:%H:%M} UTC"
        if letter.place:
            when += f" from the network {letter.place}"
        wording = self._wording(letter.kind, name, when)
        sender = (
            f"This message was sent by {name}." if name else "This message is about your account."
        )
        html = _html_part()(wording=wording, url=letter.url, sender=sender)
        return Message(
            id=id,
            application_id=application_id,
            kind=letter.kind,
            to=letter.to,
            from_name=one_line(letter.from_name),
            subject=wording.subject,
            text=_text_part(wording, letter.url, sender),
            html=html,
            url=letter.url,
            token=letter.token,
            created=created,
        )

    def _wording(self, kind: MessageKind, name: str, when: str) -> Wording:
        at = f" at {name}" if name else ""
        match kind:
            case MessageKind.EMAIL_VERIFICATION:
                return _email_verification(name, at, when, _count(self.verification_hours, "hour"))
            case MessageKind.ADDRESS_IN_USE:
                return _address_in_use(at, when)
            case MessageKind.PASSWORD_RESET:
                return _password_reset(at, when, _count(self.reset_minutes, "minute"))
            case MessageKind.PASSWORD_CHANGED:
                return _password_changed(at, when)


def one_line(text: str) -> str:
    """A name as one line of text that can be encoded."""
    return SURROGATES.sub("\ufffd", BREAKS.sub(" ", text)).strip()


def _email_verification(name: str, at: str, when: str, validity: str) -> Wording:
    return Wording(
        subject=f"Confirm your email address for {name}" if name else "Confirm your email address",
        heading="Confirm your email address",
        before=[
            f"Someone, we hope you, used this address to create an account{at} {when}.",
            "To confirm it, open this link and enter the password chosen at sign-up:",
        ],
        button="Confirm email address",
        after=[
            f"The link is good for {validity} and works once.",
            "If this was not you, you need not do anything. Please leave the link alone.",
        ],
    )


def _address_in_use(at: str, when: str) -> Wording:
    return Wording(
        subject=f"You already have an account{at}",
        heading="You already have an account",
        before=[
            f"Someone, perhaps you, tried to sign up{at} with this address {when}.",
            "You already have an account with this address, so nothing was changed.",
            "To use it, sign in. If you no longer know your password, ask there for a reset.",
        ],
        button=None,
        after=[
            "If this was not you, you need not do anything: nobody was told of your account.",
        ],
    )


def _password_reset(at: str, when: str, validity: str) -> Wording:
    return Wording(
        subject=f"Reset the password of your account{at}",
        heading="Choose a new password",
        before=[
            f"Someone, we hope you, asked for a new password for your account{at} {when}.",
            "To choose it, open this link:",
        ],
        button="Choose a new password",
        after=[
            f"The link is good for {validity} and works once. Asking again makes it void.",
            "If this was not you, you need not do anything: your password stays as it is.",
        ],
    )


def _password_changed(at: str, when: str) -> Wording:
    return Wording(
        subject=f"The password of your account{at} was changed",
        heading="Your password was changed",
        before=[f"The password of your account{at} was changed {when}."],
        button=None,
        after=[
            "If this was you, there is nothing left to do.",
            (
                "If this was not you, ask for a password reset now, where you sign in: choosing "
                "a new password signs everybody else out. Then make sure that only you can read "
                "your email."
            ),
        ],
    )


def _text_part(wording: Wording, url: str | None, sender: str) -> str:
    link = [url] if url else []
    return "\n\n".join([*wording.before, *link, *wording.after, sender]) + "\n"


@cache
def _html_part() -> Callable[..., str]:
    """The template of the HTML part, read once."""
    # Jinja2 costs about 120 ms to import, and a request may never write a message.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("letter.html").render


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
