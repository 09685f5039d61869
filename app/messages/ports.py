"""The port through which messages leave the house."""

from typing import Protocol, runtime_checkable

from app.messages.types import Message


class Mailer(Protocol):
    """Sends messages. The id names the message: sent again, a receiver can tell it is the same."""

    def send(self, message: Message) -> None:
        """Hand one message over for delivery to its one recipient.

        Raises:
            MessageRefused: it can never be sent; do not try again.
            MailerUnavailable: it was not sent, as far as is known; try again later.
        """
        ...


@runtime_checkable
class Inbox(Protocol):
    """Reads what a local mailer has kept."""

    def messages(self, to: str | None = None, limit: int = 100) -> list[Message]:
        """Messages, newest first; only those to one address where `to` is given."""
        ...
