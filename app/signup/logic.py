"""Sign-up, from the first message to the first session."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from app.applications.types import Application, SignUpMode
from app.audit.logic import Journal
from app.audit.types import Unannounced
from app.common.clock import Clock, rfc3339
from app.common.errors import ApplicationNotFound
from app.common.ids import Ids, UserId
from app.common.principals import Caller
from app.common.secrets import digest, new_token
from app.events.types import Operation
from app.limits.logic import Allowances
from app.limits.store import SENT, tally_of
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


@dataclass(frozen=True, kw_only=True, eq=False)
class SignUps:
    """How a person becomes a user of an application.

    Nothing that is answered before the message is read tells whether the address is known.
    """

    users: UserStore
    store: InvitationStore
    passwords: Passwords
    sessions: Sessions
    tokens: Tokens
    journal: Journal
    allowances: Allowances
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
        by: Caller,
    ) -> None:
        """Invite an address; if it has an owner already, tell the owner.

        Beyond the limits of messages the answer is the same, and nothing is sent.

        Raises:
            SignUpClosed: the application takes no sign-ups.
            InvalidEmail: it is no address.
            PasswordTooShort, PasswordTooLong, PasswordTooCommon: the password will not do.
            MetadataTooLarge: the metadata is.
            TooManyAttempts: this network has signed up too often.
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
        hashed = cache(lambda: self.passwords.hash(password))
        self.work.retried(lambda: self._request(application, address, hashed, metadata, by))

    def _request(
        self,
        application: Application,
        address: EmailAddress,
        hashed: Callable[[], str],
        metadata: dict[str, Json],
        by: Caller,
    ) -> None:
        budget = self.allowances.of(application.id, by.device.network)
        budget.check_sign_up()
        # Hashed for a taken address, and for one that nobody writes to, too.
        password_hash = hashed()
        records = self.users.under(application.id, address)
        kind = MessageKind.ADDRESS_IN_USE if records.owner else MessageKind.EMAIL_VERIFICATION
        sent = tally_of(records.item(SENT))
        spent = budget.message(address.digest, sent, kind.value, sign_up=True)
        if spent is None:
            self.work.commit(*budget.sign_up())
        elif records.owner is not None:
            self._tell_owner(application, records.owner, by, spent)
        else:
            invitation = Invitation(
                token_digest="",
                email=address.text,
                password_hash=password_hash,
                metadata=metadata,
                note=note_of(records),
                expires_at=0,
            )
            operation = Operation.USER_SIGN_UP_REQUESTED
            self._invite(application, records, invitation, operation, by, *spent)

    def send_again(self, application: Application, *, email: str, by: Caller) -> None:
        """Send the latest invitation of an address again, under a new token.

        Raises:
            InvalidEmail: it is no address.
        """
        address = EmailAddress.parse(email)
        try:
            self.work.retried(lambda: self._send_again(application, address, by))
        except InvalidVerificationToken:
            return  # it was completed, or sent again, at this very moment

    def _send_again(self, application: Application, address: EmailAddress, by: Caller) -> None:
        records = self.users.under(application.id, address)
        budget = self.allowances.of(application.id, by.device.network)
        kind, sent = MessageKind.EMAIL_VERIFICATION, tally_of(records.item(SENT))
        spent = budget.message(address.digest, sent, kind.value)
        if spent is None:
            return
        operation = Operation.EMAIL_VERIFICATION_REQUESTED
        latest = self.store.latest(application.id, records)
        if latest is None:
            recorded = self.journal.record(
                operation, application.id, by, email=address.text, subject=address.digest
            )
            self.work.commit(*recorded, *spent)
            return
        used = self.store.spend(application.id, latest)
        self._invite(application, records, latest, operation, by, used, *spent)

    def complete(self, application: Application, *, token: str, password: str, by: Caller) -> Grant:
        """Make the user and sign them in.

        Raises:
            InvalidVerificationToken: unknown, used, void or expired.
            InvalidCredentials: not the password of the sign-up; the fifth one voids the token.
        """
        invitation = self._checked(application, token, password, by)
        self.tokens.prepare(application)
        owner, writes = self._creation(application, invitation, by)
        session, start = self.sessions.start(application.id, application.settings, owner, by.device)
        signed_in = self.journal.record(
            Operation.USER_SIGNED_IN,
            application.id,
            by.as_user(owner.user_id),
            user_id=owner.user_id,
            email=owner.email,
        )
        self.work.commit(*writes, start, *signed_in)
        return self.tokens.grant(application, owner.email, session, by.origin)

    def verify(self, application: Application, *, token: str, password: str, by: Caller) -> None:
        """Make the user without signing in, for the page that shows no tokens.

        Raises:
            InvalidVerificationToken: unknown, used, void or expired.
            InvalidCredentials: not the password of the sign-up; the fifth one voids the token.
        """
        invitation = self._checked(application, token, password, by)
        _, writes = self._creation(application, invitation, by)
        self.work.commit(*writes)

    def _invite(
        self,
        application: Application,
        records: AddressRecords,
        invitation: Invitation,
        operation: Operation,
        by: Caller,
        *more: Write,
    ) -> None:
        token = new_token()
        renewed = invitation.renewed(
            digest(token), expires_at=self.clock.seconds() + LIFETIME_SECONDS
        )
        settings = application.settings
        page = f"{application.issuer(by.origin)}/users/verification"
        letter = Letter(
            kind=MessageKind.EMAIL_VERIFICATION,
            to=invitation.email,
            application_name=settings.name,
            from_name=settings.email_from_name,
            place=by.device.place,
            url=link(settings.verification_url or page, token),
            token=token,
        )
        recorded = self.journal.record(
            operation,
            application.id,
            by,
            email=invitation.email,
            subject=records.address.digest,
            confidential=letter.payload(),
        )
        creation = self.store.creation(application.id, records.address.digest, renewed)
        self.work.commit(*creation, *recorded, *more)

    def _tell_owner(
        self, application: Application, owner: Owner, by: Caller, spent: list[Write]
    ) -> None:
        letter = Letter(
            kind=MessageKind.ADDRESS_IN_USE,
            to=owner.email,
            application_name=application.settings.name,
            from_name=application.settings.email_from_name,
            place=by.device.place,
        )
        recorded = self.journal.record(
            Operation.USER_SIGN_UP_REQUESTED,
            application.id,
            by,
            email=owner.email,
            subject=EmailAddress.of(owner.email).digest,
            confidential=letter.payload(),
        )
        self.work.commit(*recorded, *spent)

    def _checked(
        self, application: Application, token: str, password: str, by: Caller
    ) -> Invitation:
        """The invitation of a token, once its password has been given."""
        invitation = self.work.retried(lambda: self._reserve(application, token))
        credential = Credential(hash=invitation.password_hash, version=0)
        if self.passwords.verify(credential, password):
            return invitation
        failed = Unannounced.EMAIL_VERIFICATION_FAILED
        writes = self.journal.note(failed, application.id, by, email=invitation.email)
        if invitation.attempts + 1 >= MAX_ATTEMPTS:
            writes.append(self.store.spend(application.id, invitation))
        self.work.commit(*writes)
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
        self, application: Application, invitation: Invitation, by: Caller
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
            *self.journal.record(
                Operation.USER_CREATED,
                application.id,
                by.as_user(user.id),
                user_id=user.id,
                email=user.email,
            ),
        ]
        owner = Owner(user_id=user.id, email=user.email, state=user.state, epoch=user.epoch)
        return owner, writes
