"""Signing in with a password, staying signed in, signing out."""

from dataclasses import dataclass

from app.applications.types import Application
from app.audit.logic import Journal
from app.common.clock import Clock, rfc3339
from app.common.principals import Caller
from app.events.types import Operation
from app.limits.logic import Allowances
from app.passwords.logic import Comparison, Guesses, Passwords
from app.passwords.store import save
from app.passwords.types import InvalidCredentials
from app.sessions.logic import Sessions
from app.sessions.types import InvalidRefreshToken
from app.signin.store import Entrance, EntranceStore
from app.storage.work import Work, Write
from app.tokens.logic import Tokens
from app.tokens.types import Grant
from app.users.store import UserStore
from app.users.types import EmailAddress, UserState, UserSuspended


@dataclass(frozen=True, kw_only=True, eq=False)
class SignIns:
    """How a user gets tokens."""

    users: UserStore
    store: EntranceStore
    passwords: Passwords
    guesses: Guesses
    allowances: Allowances
    sessions: Sessions
    tokens: Tokens
    journal: Journal
    work: Work
    clock: Clock

    def with_password(
        self, application: Application, *, email: str, password: str, by: Caller
    ) -> Grant:
        """Sign in; an unknown address and a wrong password look and take alike.

        Raises:
            InvalidEmail: it is no address.
            TooManyAttempts: this account or this network has to wait.
            InvalidCredentials: there is no such user, or it is not the password.
            UserSuspended: the password is right, but the account is suspended.
        """
        address = EmailAddress.parse(email)
        typed = Comparison(passwords=self.passwords, typed=password)
        return self.work.retried(lambda: self._attempt(application, address, typed, by))

    def _attempt(
        self, application: Application, address: EmailAddress, typed: Comparison, by: Caller
    ) -> Grant:
        entrance = self.store.read(application.id, address, by.device.network)
        self.guesses.check(entrance.credential, entrance.tally, by.device.network)
        fits = typed.fits(entrance.credential)
        owner = entrance.owner
        if owner is None or not fits:
            self._refuse(application, address, entrance, by)
            raise InvalidCredentials
        if owner.state is UserState.SUSPENDED:
            self._turn_away(application, address, entrance, by)
            raise UserSuspended
        self.tokens.prepare(application)
        session, start = self.sessions.start(application.id, application.settings, owner, by.device)
        self.work.commit(
            self.users.signed_in(application.id, owner, at=rfc3339(self.clock.now())),
            start,
            self._still_right(application, address, entrance, typed),
            *self.journal.record(
                Operation.USER_SIGNED_IN,
                application.id,
                by.as_user(owner.user_id),
                user_id=owner.user_id,
                email=owner.email,
            ),
        )
        return self.tokens.grant(application, owner.email, session, by.origin)

    def _refuse(
        self, application: Application, address: EmailAddress, entrance: Entrance, by: Caller
    ) -> None:
        """One commit, whether the address is known or not."""
        self.work.commit(
            *self.guesses.wrong(
                application.id,
                address.digest,
                entrance.credential,
                entrance.tally,
                by.device.network,
            ),
            *self._failed(application, address, entrance, by, "wrong"),
        )

    def _turn_away(
        self, application: Application, address: EmailAddress, entrance: Entrance, by: Caller
    ) -> None:
        """A suspended user learns that they are, but no more often than anybody learns anything."""
        self.work.commit(
            self.guesses.right(application.id, address.digest, entrance.credential),
            *self._failed(application, address, entrance, by, "suspended"),
        )

    def _failed(
        self,
        application: Application,
        address: EmailAddress,
        entrance: Entrance,
        by: Caller,
        reason: str,
    ) -> list[Write]:
        return self.journal.record(
            Operation.USER_SIGN_IN_FAILED,
            application.id,
            by,
            user_id=entrance.owner.user_id if entrance.owner else None,
            email=address.text,
            subject=address.digest,
            data={"reason": reason},
        )

    def _still_right(
        self,
        application: Application,
        address: EmailAddress,
        entrance: Entrance,
        typed: Comparison,
    ) -> Write:
        """The write that holds while the password is the one compared; it may hash it anew."""
        credential = entrance.credential
        if not self.passwords.outdated(credential):
            return self.guesses.right(application.id, address.digest, credential)
        return save(
            application.id,
            address.digest,
            self.passwords.hash(typed.typed),
            instead_of=credential,
            failures=credential.failures,
        )

    def with_refresh_token(self, application: Application, *, token: str, by: Caller) -> Grant:
        """Stay signed in.

        Raises:
            InvalidRefreshToken: unknown, used before, or of a session that has ended.
            TooManyAttempts: the session is turned too often, or the network sends too many
                tokens that are no good.
        """
        self.tokens.prepare(application)
        try:
            user, session = self.sessions.refresh(application.id, application.settings, token, by)
        except InvalidRefreshToken:
            self.work.retried(lambda: self._count_refused(application, by))
            raise
        return self.tokens.grant(application, user.email, session, by.origin)

    def _count_refused(self, application: Application, by: Caller) -> None:
        writes = self.allowances.of(application.id, by.device.network).refused_refresh()
        if writes:
            self.work.commit(*writes)

    def revoke(self, application: Application, *, token: str, by: Caller) -> None:
        """Sign out by refresh token (RFC 7009): whatever it is, it is no good afterwards."""
        self.sessions.revoke(application.id, token, by)
