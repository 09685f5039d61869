"""Letters that wait in the outbox, messages that are ready to be sent, and why one is not sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

# Control characters and line breaks, which could forge a header or a line of ours.
BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
MESSAGE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


class MessageKind(StrEnum):
    """Why a person is written to; the values are those of the wire."""

    EMAIL_VERIFICATION = "emailVerification"
    ADDRESS_IN_USE = "addressInUse"
    PASSWORD_RESET = "passwordReset"
    PASSWORD_CHANGED = "passwordChanged"

    @property
    def carries_link(self) -> bool:
        """Whether the message is of use only with a link, and the token in it."""
        return self in {MessageKind.EMAIL_VERIFICATION, MessageKind.PASSWORD_RESET}


class MessageRefused(Exception):
    """This message can never be sent: trying again is useless. The text names no address."""


class MailerUnavailable(Exception):
    """Nothing can be sent right now: try again later. The text names no address."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What is to be written to whom. Its payload holds a secret: it is stored only sealed.

    Attributes:
        place: the network that it was asked for from, roughly; empty if unknown.
    """

    kind: MessageKind
    to: str
    application_name: str
    from_name: str
    place: str = ""
    url: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a letter without its link, and a secret in a letter that must not carry one."""
        if not self.kind.carries_link == bool(self.url) == bool(self.token):
            carries = "carries" if self.kind.carries_link else "does not carry"
            raise ValueError(f"a letter of kind {self.kind} {carries} a link and its token")

    def payload(self) -> dict[str, str | None]:
        """The letter as JSON members, for the outbox to seal."""
        return {
            "kind": self.kind.value,
            "to": self.to,
            "applicationName": self.application_name,
            "fromName": self.from_name,
            "place": self.place,
            "url": self.url,
            "token": self.token,
        }

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Self:
        """The letter that `payload` was made from."""
        return cls(
            kind=MessageKind(payload["kind"]),
            to=payload["to"],
            application_name=payload["applicationName"],
            from_name=payload["fromName"],
            place=payload.get("place") or "",
            url=payload["url"],
            token=payload["token"],
        )


@dataclass(frozen=True, kw_only=True)
class Message:
    """A letter in its final wording."""

    id: str
    application_id: str
    kind: MessageKind
    to: str
    from_name: str
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    url: str | None = field(repr=False)
    token: str | None = field(repr=False)
    created: str

    def __post_init__(self) -> None:
        """Refuse an id that could not stand in a file name and in a `Message-ID` header."""
        if not MESSAGE_ID.fullmatch(self.id):
            raise ValueError("a message id is made of letters, digits, '-' and '_'")
