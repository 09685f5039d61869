"""Sign-up, from the first message to the first session."""

from dataclasses import dataclass

from app.applications.types import Application, SignUpMode
from app.common.clock import Clock, rfc3339
from app.common.errors import ApplicationNotFound
from app.common.ids import Ids, UserId
from app.common.principals import Device
from app.common.secrets import digest, new_token
from app.events.store import Outbox
from app.events.types import Operation
from app.messages.links import link
from app.messages.types import Letter, MessageKind
from app.passwords.logic import Passwords, judge
from app.passwords.store import save
from app.passwords.types import Credential, InvalidCredentials
from app.sessions.logic import Sessions
from app.signup.store import InvitationStore, is_void, note_of
from app.signup.types import (
    LIFETIME_SECONDS,
    MAX_ATTEMPTS,
    InvalidVerificationToken,
    Invitation,
    SignUpClosed,
)
from app.storage.work import Json, Work, Write
from app.tokens.logic import Tokens
from app.tokens.types import Grant
from app.users.logic import check_metadata
from app.users.store import UserStore
from app.users.types import AddressRecords, EmailAddress, Owner, User


@dataclass(frozen=True, kw_only=True)
class SignUps:
    """How a person becomes a user of an application.

    Nothing that is answered before the message is read tells whether the address is known.
    """

    users: UserStore
    store: InvitationStore
    passwords: Passwords
    sessions: Sessions
    tokens: Tokens
    outbox: Outbox
    work: Work
    clock: Clock
    ids: Ids

    def request(
        self,
        application: Application,
        *,
        email: str,
        password: str,
        metadata: dict[str, Json],
        origin: str,
    ) -> None:
        """Invite an address; if it has an owner already, tell the owner.

        Raises:
            SignUpClosed: the application takes no sign-ups.
            InvalidEmail: it is no address.
            PasswordTooShort, PasswordTooLong, PasswordTooCommon: the password will not do.
            MetadataTooLarge: the metadata is.
        """
        if application.settings.sign_up is SignUpMode.CLOSED:
            raise SignUpClosed
        address = EmailAddress.parse(email)
        judge(
            password,
            min_length=application.settings.password_min_length,
            words=(address.text, application.settings.name),
        )
        check_metadata(metadata, field="metadata")
        # Hashed for a taken address too: both answers take their time.
        password_hash = self.passwords.hash(password)
        records = self.users.under(application.id, address)
        if records.owner is not None:
            self._tell_owner(application, records.owner)
            return
        invitation = Invitation(
            token_digest="",
            email=address.text,
            password_hash=password_hash,
            metadata=metadata,
            note=note_of(records),
            expires_at=0,
        )
        self._invite(application, records, invitation, Operation.USER_SIGN_UP_REQUESTED, origin)

    def send_again(self, application: Application, *, email: str, origin: str) -> None:
        """Send the latest invitation of an address again, under a new token.

        Raises:
            InvalidEmail: it is no address.
        """
        address = EmailAddress.parse(email)
        operation = Operation.EMAIL_VERIFICATION_REQUESTED

        def attempt() -> None:
            records = self.users.under(application.id, address)
            latest = self.store.latest(application.id, records)
            if latest is None:
                self.work.commit(
                    self.outbox.record(operation, application.id, subject=address.digest)
                )
                return
            spent = self.store.spend(application.id, latest)
            self._invite(application, records, latest, operation, origin, spent)

        try:
            self.work.retried(attempt)
        except InvalidVerificationToken:
            return  # it was completed, or sent again, at this very moment

    def complete(
        self, application: Application, *, token: str, password: str, origin: str, device: Device
    ) -> Grant:
        """Make the user and sign them in.

        Raises:
            InvalidVerificationToken: unknown, used, void or expired.
            InvalidCredentials: not the password of the sign-up; the fifth one voids the token.
        """
        invitation = self._checked(application, token, password)
        owner, writes = self._creation(application, invitation)
        session, start = self.sessions.start(application.id, application.settings, owner, device)
        signed_in = self.outbox.record(
            Operation.USER_SIGNED_IN, application.id, user_id=owner.user_id
        )
        self.work.commit(*writes, start, signed_in)
        return self.tokens.grant(application, owner.email, session, origin)

    def verify(self, application: Application, *, token: str, password: str) -> None:
        """Make the user without signing in, for the page that shows no tokens.

        Raises:
            InvalidVerificationToken: unknown, used, void or expired.
            InvalidCredentials: not the password of the sign-up; the fifth one voids the token.
        """
        invitation = self._checked(application, token, password)
        _, writes = self._creation(application, invitation)
        self.work.commit(*writes)

    def _invite(
        self,
        application: Application,
        records: AddressRecords,
        invitation: Invitation,
        operation: Operation,
        origin: str,
        *more: Write,
    ) -> None:
        token = new_token()
        renewed = invitation.renewed(
            digest(token), expires_at=self.clock.seconds() + LIFETIME_SECONDS
        )
        settings = application.settings
        page = f"{application.issuer(origin)}/users/verification"
        letter = Letter(
            kind=MessageKind.EMAIL_VERIFICATION,
            to=invitation.email,
            application_name=settings.name,
            from_name=settings.email_from_name,
            url=link(settings.verification_url or page, token),
            token=token,
        )
        event = self.outbox.record(
            operation,
            application.id,
            subject=records.address.digest,
            confidential=letter.payload(),
        )
        self.work.commit(
            *self.store.creation(application.id, records.address.digest, renewed), event, *more
        )

    def _tell_owner(self, application: Application, owner: Owner) -> None:
        letter = Letter(
            kind=MessageKind.ADDRESS_IN_USE,
            to=owner.email,
            application_name=application.settings.name,
            from_name=application.settings.email_from_name,
        )
        self.work.commit(
            self.outbox.record(
                Operation.USER_SIGN_UP_REQUESTED,
                application.id,
                subject=EmailAddress.of(owner.email).digest,
                confidential=letter.payload(),
            )
        )

    def _checked(self, application: Application, token: str, password: str) -> Invitation:
        """The invitation of a token, once its password has been given."""
        invitation = self.work.retried(lambda: self._reserve(application, token))
        credential = Credential(hash=invitation.password_hash, version=0)
        if self.passwords.verify(credential, password):
            return invitation
        if invitation.attempts + 1 >= MAX_ATTEMPTS:
            self.work.commit(self.store.spend(application.id, invitation))
        raise InvalidCredentials

    def _reserve(self, application: Application, token: str) -> Invitation:
        invitation = self.store.find(application.id, digest(token))
        if invitation is None or invitation.attempts >= MAX_ATTEMPTS:
            raise InvalidVerificationToken
        records = self.users.under(application.id, EmailAddress.of(invitation.email))
        if is_void(invitation, records):
            raise InvalidVerificationToken
        self.work.commit(self.store.attempt(application.id, invitation))
        return invitation

    def _creation(
        self, application: Application, invitation: Invitation
    ) -> tuple[Owner, list[Write]]:
        now = rfc3339(self.clock.now())
        user = User(
            id=UserId(self.ids.new()),
            application_id=application.id,
            email=invitation.email,
            metadata=invitation.metadata,
            created=now,
            updated=now,
            last_sign_in=now,
        )
        records = self.users.under(application.id, user.address)
        writes = [
            *self.store.completion(application.id, invitation, records, now=self.clock.seconds()),
            *self.users.creation(user, taken=InvalidVerificationToken, gone=ApplicationNotFound),
            save(application.id, user.address.digest, invitation.password_hash),
            self.outbox.record(Operation.USER_CREATED, application.id, user_id=user.id),
        ]
        owner = Owner(user_id=user.id, email=user.email, state=user.state, epoch=user.epoch)
        return owner, writes
