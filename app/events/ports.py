"""Who takes events."""

from typing import Protocol

from app.events.types import Confidential, Event


class Consumer(Protocol):
    """Takes every event; must do no harm when it sees one again."""

    def take(self, event: Event, confidential: Confidential | None) -> None:
        """Handle one event.

        Args:
            event: as it is published.
            confidential: what the message to a person is made of, if one is to be written.

        Raises:
            Undeliverable: it can never be handled.
            Exception: it could not be handled this time and is tried again later.
        """
        ...
