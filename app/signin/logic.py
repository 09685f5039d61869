"""Signing in with a password, staying signed in, signing out."""

from dataclasses import dataclass

from app.applications.types import Application
from app.common.clock import Clock, rfc3339
from app.common.principals import Device
from app.events.store import Outbox
from app.events.types import Operation
from app.passwords.logic import Passwords
from app.passwords.store import NAME, credential_of, save
from app.passwords.types import Credential, InvalidCredentials
from app.sessions.logic import Sessions
from app.storage.work import Work, Write
from app.tokens.logic import Tokens
from app.tokens.types import Grant
from app.users.store import UserStore
from app.users.types import AddressRecords, EmailAddress, UserState, UserSuspended


@dataclass(frozen=True, kw_only=True)
class SignIns:
    """How a user gets tokens."""

    users: UserStore
    passwords: Passwords
    sessions: Sessions
    tokens: Tokens
    outbox: Outbox
    work: Work
    clock: Clock

    def with_password(
        self, application: Application, *, email: str, password: str, origin: str, device: Device
    ) -> Grant:
        """Sign in; an unknown address and a wrong password look and take alike.

        Raises:
            InvalidEmail: it is no address.
            InvalidCredentials: there is no such user, or it is not the password.
            UserSuspended: the password is right, but the account is suspended.
        """
        address = EmailAddress.parse(email)
        return self.work.retried(
            lambda: self._attempt(application, address, password, origin, device)
        )

    def _attempt(
        self,
        application: Application,
        address: EmailAddress,
        password: str,
        origin: str,
        device: Device,
    ) -> Grant:
        records = self.users.under(application.id, address)
        owner, credential = records.owner, credential_of(records.item(NAME))
        right = self.passwords.verify(credential, password)
        if owner is None or credential is None or not right:
            self._failed(application, records)
            raise InvalidCredentials
        if owner.state is UserState.SUSPENDED:
            raise UserSuspended
        session, start = self.sessions.start(application.id, application.settings, owner, device)
        self.work.commit(
            self.users.signed_in(application.id, owner, at=rfc3339(self.clock.now())),
            start,
            *self._rehashed(application, address, credential, password),
            self.outbox.record(Operation.USER_SIGNED_IN, application.id, user_id=owner.user_id),
        )
        return self.tokens.grant(application, owner.email, session, origin)

    def _failed(self, application: Application, records: AddressRecords) -> None:
        """One commit of one write, whether the address is known or not."""
        user_id = records.owner.user_id if records.owner else None
        self.work.commit(
            self.outbox.record(
                Operation.USER_SIGN_IN_FAILED,
                application.id,
                user_id=user_id,
                subject=records.address.digest,
            )
        )

    def _rehashed(
        self,
        application: Application,
        address: EmailAddress,
        credential: Credential,
        password: str,
    ) -> list[Write]:
        if not self.passwords.outdated(credential):
            return []
        stronger = self.passwords.hash(password)
        return [save(application.id, address.digest, stronger, instead_of=credential)]

    def with_refresh_token(
        self, application: Application, *, token: str, origin: str, device: Device
    ) -> Grant:
        """Stay signed in.

        Raises:
            InvalidRefreshToken: unknown, used before, or of a session that has ended.
        """
        user, session = self.sessions.refresh(application.id, application.settings, token, device)
        return self.tokens.grant(application, user.email, session, origin)

    def revoke(self, application: Application, *, token: str) -> None:
        """Sign out by refresh token (RFC 7009): whatever it is, it is no good afterwards."""
        self.sessions.revoke(application.id, token)
