"""Resetting a forgotten password, and changing a known one."""

from dataclasses import dataclass

from app.applications.types import Application
from app.audit.logic import Journal
from app.audit.types import Unannounced
from app.common.clock import Clock, rfc3339
from app.common.principals import Caller
from app.common.secrets import digest, new_token, same
from app.events.types import Operation
from app.limits.logic import Allowances
from app.limits.store import SENT, tally_of
from app.limits.types import Tally
from app.messages.links import link
from app.messages.types import Letter, MessageKind
from app.passwords.logic import Comparison, Guesses, Passwords, judge
from app.passwords.store import NAME, credential_of, save
from app.passwords.types import Credential, InvalidCredentials
from app.recovery.store import ResetStore, pending_digest
from app.recovery.types import LIFETIME_SECONDS, InvalidResetToken, Reset
from app.sessions.store import SessionStore
from app.storage.work import Work, Write
from app.tokens.types import InvalidToken, UserPrincipal
from app.users.store import UserStore
from app.users.types import AddressRecords, EmailAddress, Owner, UserState


@dataclass(frozen=True, kw_only=True, eq=False)
class Recoveries:
    """How a user comes by a new password."""

    users: UserStore
    store: ResetStore
    sessions: SessionStore
    passwords: Passwords
    guesses: Guesses
    allowances: Allowances
    journal: Journal
    work: Work
    clock: Clock

    def request(self, application: Application, *, email: str, by: Caller) -> None:
        """Send a reset link, if the address is an active user's; the answer never tells.

        Beyond the limits of messages the answer is the same, and nothing is sent.

        Raises:
            InvalidEmail: it is no address.
        """
        address = EmailAddress.parse(email)
        self.work.retried(lambda: self._request(application, address, by))

    def _request(self, application: Application, address: EmailAddress, by: Caller) -> None:
        records = self.users.under(application.id, address)
        budget = self.allowances.of(application.id, by.device.network)
        sent = tally_of(records.item(SENT))
        spent = budget.message(address.digest, sent, MessageKind.PASSWORD_RESET.value)
        if spent is None:
            return
        owner = records.owner
        if owner is None or owner.state is UserState.SUSPENDED:
            recorded = self.journal.record(
                Operation.PASSWORD_RESET_REQUESTED,
                application.id,
                by,
                email=address.text,
                subject=address.digest,
            )
            self.work.commit(*recorded, *spent)
        else:
            self._send(application, records, owner, by, spent)

    def _send(
        self,
        application: Application,
        records: AddressRecords,
        owner: Owner,
        by: Caller,
        spent: list[Write],
    ) -> None:
        token, settings = new_token(), application.settings
        reset = Reset(
            token_digest=digest(token),
            email=owner.email,
            epoch=owner.epoch,
            expires_at=self.clock.seconds() + LIFETIME_SECONDS,
        )
        page = f"{application.issuer(by.origin)}/users/password/reset"
        letter = Letter(
            kind=MessageKind.PASSWORD_RESET,
            to=owner.email,
            application_name=settings.name,
            from_name=settings.email_from_name,
            place=by.device.place,
            url=link(settings.reset_password_url or page, token),
            token=token,
        )
        self.work.commit(
            self.users.touch(application.id, records.address),
            *self.store.creation(application.id, records, reset),
            *spent,
            *self.journal.record(
                Operation.PASSWORD_RESET_REQUESTED,
                application.id,
                by,
                user_id=owner.user_id,
                email=owner.email,
                confidential=letter.payload(),
            ),
        )

    def complete(self, application: Application, *, token: str, password: str, by: Caller) -> None:
        """Set a new password by a reset token; every session of the user ends.

        Raises:
            InvalidResetToken: unknown, used, void or expired.
            PasswordTooShort, PasswordTooLong, PasswordTooCommon: the password will not do;
                the token is still good.
        """
        self.work.retried(lambda: self._complete(application, token, password, by))

    def _complete(self, application: Application, token: str, password: str, by: Caller) -> None:
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
            *self._changed(application, owner, by.as_user(owner.user_id)),
        )

    def change(self, principal: UserPrincipal, *, current: str, new: str, by: Caller) -> None:
        """Change a known password; every other session of the user ends.

        Raises:
            TooManyAttempts: this account or this network has to wait.
            InvalidCredentials: the current password is wrong.
            PasswordTooShort, PasswordTooLong, PasswordTooCommon: the new one will not do.
            InvalidToken: the session ended meanwhile.
        """
        typed = Comparison(passwords=self.passwords, typed=current)
        self.work.retried(lambda: self._change(principal, typed, new, by))

    def _change(self, principal: UserPrincipal, typed: Comparison, new: str, by: Caller) -> None:
        application, user, session = principal.application, principal.user, principal.session
        records = self.users.under(application.id, user.address)
        owner, credential = records.owner, credential_of(records.item(NAME))
        if owner is None:
            raise InvalidToken
        if owner.epoch != session.epoch:
            # It has ended, or was carried over by another change that it made meanwhile.
            living = self.sessions.with_user(application.id, user.id, session.id)
            if living is None:
                raise InvalidToken
            session = living[1]
        tally = self.allowances.of(application.id, by.device.network).tally
        self.guesses.check(credential, tally, by.device.network)
        if not typed.fits(credential):
            self._refuse(principal, credential, tally, by)
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
            *self._changed(application, owner, by),
            self.sessions.carry_over(session, epoch=owner.epoch + 1, lost=InvalidToken),
        )

    def _refuse(
        self, principal: UserPrincipal, credential: Credential, tally: Tally, by: Caller
    ) -> None:
        application, user = principal.application.id, principal.user
        network = by.device.network
        failed = Unannounced.PASSWORD_CHANGE_FAILED
        self.work.commit(
            *self.guesses.wrong(application, user.address.digest, credential, tally, network),
            *self.journal.note(failed, application, by, user_id=user.id, email=user.email),
        )

    def _changed(self, application: Application, owner: Owner, by: Caller) -> list[Write]:
        """What every new password brings: no old session, and a notice to the user."""
        letter = Letter(
            kind=MessageKind.PASSWORD_CHANGED,
            to=owner.email,
            application_name=application.settings.name,
            from_name=application.settings.email_from_name,
            place=by.device.place,
        )
        values = {"updated": rfc3339(self.clock.now())}
        return [
            *self.users.new_epoch(application.id, owner, values=values),
            *self.journal.record(
                Operation.PASSWORD_CHANGED,
                application.id,
                by,
                user_id=owner.user_id,
                email=owner.email,
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
