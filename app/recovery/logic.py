"""Resetting a forgotten password, and changing a known one."""

from dataclasses import dataclass

from app.applications.types import Application
from app.common.clock import Clock, rfc3339
from app.common.secrets import digest, new_token, same
from app.events.store import Outbox
from app.events.types import Operation
from app.messages.links import link
from app.messages.types import Letter, MessageKind
from app.passwords.logic import Passwords, judge
from app.passwords.store import NAME, credential_of, save
from app.passwords.types import InvalidCredentials
from app.recovery.store import ResetStore, pending_digest
from app.recovery.types import LIFETIME_SECONDS, InvalidResetToken, Reset
from app.sessions.store import SessionStore
from app.storage.work import Work, Write
from app.tokens.types import InvalidToken, UserPrincipal
from app.users.store import UserStore
from app.users.types import EmailAddress, Owner, UserState


@dataclass(frozen=True, kw_only=True)
class Recoveries:
    """How a user comes by a new password."""

    users: UserStore
    store: ResetStore
    sessions: SessionStore
    passwords: Passwords
    outbox: Outbox
    work: Work
    clock: Clock

    def request(self, application: Application, *, email: str, origin: str) -> None:
        """Send a reset link, if the address is an active user's; the answer never tells.

        Raises:
            InvalidEmail: it is no address.
        """
        address = EmailAddress.parse(email)
        self.work.retried(lambda: self._request(application, address, origin))

    def _request(self, application: Application, address: EmailAddress, origin: str) -> None:
        records = self.users.under(application.id, address)
        operation, owner = Operation.PASSWORD_RESET_REQUESTED, records.owner
        if owner is None or owner.state is UserState.SUSPENDED:
            self.work.commit(self.outbox.record(operation, application.id, subject=address.digest))
            return
        token, settings = new_token(), application.settings
        reset = Reset(
            token_digest=digest(token),
            email=owner.email,
            epoch=owner.epoch,
            expires_at=self.clock.seconds() + LIFETIME_SECONDS,
        )
        page = f"{application.issuer(origin)}/users/password/reset"
        letter = Letter(
            kind=MessageKind.PASSWORD_RESET,
            to=owner.email,
            application_name=settings.name,
            from_name=settings.email_from_name,
            url=link(settings.reset_password_url or page, token),
            token=token,
        )
        self.work.commit(
            self.users.touch(application.id, address),
            *self.store.creation(application.id, records, reset),
            self.outbox.record(
                operation,
                application.id,
                user_id=owner.user_id,
                confidential=letter.payload(),
            ),
        )

    def complete(self, application: Application, *, token: str, password: str) -> None:
        """Set a new password by a reset token; every session of the user ends.

        Raises:
            InvalidResetToken: unknown, used, void or expired.
            PasswordTooShort, PasswordTooLong, PasswordTooCommon: the password will not do;
                the token is still good.
        """
        self.work.retried(lambda: self._complete(application, token, password))

    def _complete(self, application: Application, token: str, password: str) -> None:
        reset = self.store.find(application.id, digest(token))
        if reset is None:
            raise InvalidResetToken
        address = EmailAddress.of(reset.email)
        records = self.users.under(application.id, address)
        owner, pending = records.owner, pending_digest(records)
        if owner is None or owner.state is UserState.SUSPENDED or pending is None:
            raise InvalidResetToken
        if reset.epoch != owner.epoch or not same(pending, reset.token_digest):
            raise InvalidResetToken
        self._judge(application, address, password, field="password")
        self.work.commit(
            *self.store.spend(application.id, address.digest, reset),
            save(application.id, address.digest, self.passwords.hash(password)),
            *self._changed(application, owner),
        )

    def change(self, principal: UserPrincipal, *, current: str, new: str) -> None:
        """Change a known password; every other session of the user ends.

        Raises:
            InvalidCredentials: the current password is wrong.
            PasswordTooShort, PasswordTooLong, PasswordTooCommon: the new one will not do.
            InvalidToken: the session ended meanwhile.
        """
        self.work.retried(lambda: self._change(principal, current, new))

    def _change(self, principal: UserPrincipal, current: str, new: str) -> None:
        application, user, session = principal.application, principal.user, principal.session
        records = self.users.under(application.id, user.address)
        owner, credential = records.owner, credential_of(records.item(NAME))
        if owner is None or owner.epoch != session.epoch:
            raise InvalidToken
        if credential is None or not self.passwords.verify(credential, current):
            raise InvalidCredentials
        self._judge(application, user.address, new, field="newPassword")
        self.work.commit(
            save(
                application.id,
                user.address.digest,
                self.passwords.hash(new),
                instead_of=credential,
            ),
            *self.store.void(application.id, records),
            *self._changed(application, owner),
            self.sessions.carry_over(session, epoch=owner.epoch + 1),
        )

    def _changed(self, application: Application, owner: Owner) -> list[Write]:
        """What every new password brings: no old session, and a notice to the user."""
        letter = Letter(
            kind=MessageKind.PASSWORD_CHANGED,
            to=owner.email,
            application_name=application.settings.name,
            from_name=application.settings.email_from_name,
        )
        values = {"updated": rfc3339(self.clock.now())}
        return [
            *self.users.new_epoch(application.id, owner, values=values),
            self.outbox.record(
                Operation.PASSWORD_CHANGED,
                application.id,
                user_id=owner.user_id,
                confidential=letter.payload(),
            ),
        ]

    def _judge(
        self, application: Application, address: EmailAddress, password: str, *, field: str
    ) -> None:
        judge(
            password,
            min_length=application.settings.password_min_length,
            words=(address.text, application.settings.name),
            field=field,
        )
