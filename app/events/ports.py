"""Who takes events."""

from typing import Protocol

from app.events.types import Delivery


class Consumer(Protocol):
    """Takes every event; must do no harm when it sees one again."""

    def take(self, delivery: Delivery) -> None:
        """Handle one event.

        Raises:
            Undeliverable: it can never be handled.
            Exception: it could not be handled this time and is tried again later.
        """
        ...
