"""Where events and messages meet: an event that carries a letter becomes a message."""

from dataclasses import dataclass

from app.events.types import Confidential, Event, Undeliverable
from app.messages.logic import Composer
from app.messages.ports import Mailer
from app.messages.types import Letter, MessageRefused


@dataclass(frozen=True, kw_only=True, eq=False)
class Courier:
    """Consumer that writes to people.

    A message carries its event's id: a mailer that is given it again can tell.
    """

    composer: Composer
    mailer: Mailer

    def take(self, event: Event, confidential: Confidential | None) -> None:
        if confidential is None:
            return
        message = self.composer.compose(
            Letter.of(confidential),
            id=event.id,
            application_id=event.application_id,
            created=event.time,
        )
        try:
            self.mailer.send(message)
        except MessageRefused as refused:
            raise Undeliverable(str(refused)) from None
