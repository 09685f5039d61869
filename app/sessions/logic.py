"""Starting, turning, listing and ending sessions."""

import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from app.applications.types import ApplicationSettings
from app.audit.logic import Journal
from app.common.clock import Clock, parse_rfc3339, rfc3339
from app.common.ids import ApplicationId, Ids, SessionId, UserId, is_id
from app.common.paging import Paged
from app.common.principals import Caller, Device
from app.common.secrets import Secret, decode, encode, mac, same
from app.events.types import Operation
from app.limits.types import Limits, TooManyAttempts
from app.sessions.store import SessionStore
from app.sessions.types import InvalidRefreshToken, RefreshToken, Session, SessionNotFound
from app.storage.work import Stale, Work, Write
from app.users.store import UserStore
from app.users.types import Owner, User, UserState

GRACE_SECONDS = 10
# Workers' clocks may differ: the turn that another worker took can seem to lie ahead.
SKEW_SECONDS = 60
HEAD_BYTES = 36  # user id, session id, counter


@dataclass(frozen=True, kw_only=True, eq=False)
class Sessions:
    """The sessions of users.

    A refresh token is the session's name and turn under a MAC: the store holds no secret, and
    whoever reads it cannot make one.
    """

    store: SessionStore
    users: UserStore
    journal: Journal
    limits: Limits
    work: Work
    clock: Clock
    ids: Ids
    mac_key: Callable[[str], bytes]

    def start(
        self,
        application_id: ApplicationId,
        settings: ApplicationSettings,
        owner: Owner,
        device: Device,
    ) -> tuple[Session, Write]:
        """A new session of a user who has just proved who they are, and the write for it."""
        moment, seconds = rfc3339(self.clock.now()), self.clock.seconds()
        session = Session(
            id=SessionId(self.ids.new()),
            user_id=owner.user_id,
            application_id=application_id,
            created=moment,
            last_used=moment,
            user_agent=device.user_agent,
            ip_address=device.ip_address,
            counter=1,
            rotated=moment,
            epoch=owner.epoch,
            ends=seconds + settings.session_lifetime,
            expires_at=seconds + min(settings.refresh_token_lifetime, settings.session_lifetime),
        )
        return session, self.store.start(session)

    def refresh_token(self, session: Session) -> Secret:
        """The current refresh token of a session; the same one whenever it is asked for."""
        return self._token(session.application_id, session)

    def refresh(
        self,
        application_id: ApplicationId,
        settings: ApplicationSettings,
        token: str,
        by: Caller,
    ) -> tuple[User, Session]:
        """Turn a session on by one refresh token (RFC 9700 section 4.14.2).

        The token before the current one, within 10 seconds, gets the session as it is: an
        answer was lost, or two tabs asked at once. Later, or any older one, was stolen from
        somebody: the session ends.

        Raises:
            InvalidRefreshToken: unknown, used before, or of a session that has ended.
            TooManyAttempts: it is turned too often.
        """
        parsed = self._parse(application_id, token)
        if parsed is None:
            raise InvalidRefreshToken
        return self.work.retried(lambda: self._refresh(application_id, settings, parsed, by))

    def _refresh(
        self,
        application_id: ApplicationId,
        settings: ApplicationSettings,
        token: RefreshToken,
        by: Caller,
    ) -> tuple[User, Session]:
        found = self.living(application_id, token.user_id, token.session_id)
        if found is None:
            raise InvalidRefreshToken
        user, session = found
        if token.counter == session.counter:
            return user, self._turn(settings, session, by.device)
        age = (self.clock.now() - parse_rfc3339(session.rotated)).total_seconds()
        if token.counter == session.counter - 1 and -SKEW_SECONDS <= age <= GRACE_SECONDS:
            return user, session
        self._end_as_stolen(user, session, by)
        raise InvalidRefreshToken

    def _turn(self, settings: ApplicationSettings, session: Session, device: Device) -> Session:
        moment, now = rfc3339(self.clock.now()), self.clock.seconds()
        since, turns = self._turns(session, now)
        idle = now + settings.refresh_token_lifetime
        turned = replace(
            session,
            counter=session.counter + 1,
            rotated=moment,
            last_used=moment,
            ip_address=device.ip_address,
            expires_at=min(idle, session.ends),
            turns=turns + 1,
            turns_since=since,
        )
        self.work.commit(self.store.turn(session, turned))
        return turned

    def _turns(self, session: Session, now: int) -> tuple[int, int]:
        """Since when turns are counted, and how many there were.

        They are counted in the session, whose write a turn is anyway. A count for each network
        would be a second write for each refresh, on an item that all behind one address share.

        Raises:
            TooManyAttempts: one more would be too many.
        """
        rate = self.limits.refresh
        if not 0 <= now - session.turns_since < rate.seconds:
            return now, 0
        if self.limits.on and session.turns >= rate.count:
            raise TooManyAttempts(retry_after=session.turns_since + rate.seconds - now)
        return session.turns_since, session.turns

    def _end_as_stolen(self, user: User, session: Session, by: Caller) -> None:
        self.work.commit(
            self.store.end(
                session.application_id, session.user_id, session.id, lost=InvalidRefreshToken
            ),
            *self.journal.record(
                Operation.REFRESH_TOKEN_REUSED,
                session.application_id,
                by,
                user_id=user.id,
                email=user.email,
                data={"sessionId": session.id},
            ),
        )

    def living(
        self, application_id: ApplicationId, user_id: UserId, session_id: SessionId
    ) -> tuple[User, Session] | None:
        """A session that has not ended and its user, who is active."""
        found = self.store.with_user(application_id, user_id, session_id)
        if found is None or found[0].state is not UserState.ACTIVE:
            return None
        return found

    def revoke(self, application_id: ApplicationId, token: str, by: Caller) -> None:
        """End the session of a refresh token, whichever turn it is of; anything else is ignored."""
        parsed = self._parse(application_id, token)
        if parsed is None:
            return
        found = self.living(application_id, parsed.user_id, parsed.session_id)
        if found is None:
            return
        with contextlib.suppress(SessionNotFound):
            self._end(found[0], found[1].id, by.as_user(parsed.user_id))

    def page(self, user: User, *, limit: int, after: str | None) -> Paged[Session]:
        """A user's sessions, newest first."""
        return self.store.page(user, limit=limit, after=after)

    def end(self, user: User, session_id: str, by: Caller) -> None:
        """End one session of a user.

        Raises:
            SessionNotFound: the user has none of that id.
        """
        session = SessionId(session_id)
        if not is_id(session) or self.living(user.application_id, user.id, session) is None:
            raise SessionNotFound
        self._end(user, session, by)

    def _end(self, user: User, session: SessionId, by: Caller) -> None:
        self.work.commit(
            self.store.end(user.application_id, user.id, session),
            *self._signed_out(user, {"sessionId": session}, by),
        )

    def end_all(self, user: User, by: Caller) -> None:
        """Sign a user out everywhere."""
        owner = Owner(user_id=user.id, email=user.email, state=user.state, epoch=user.epoch)
        # Stale: somebody else has just ended every session of this epoch.
        with contextlib.suppress(Stale):
            self.work.commit(
                *self.users.new_epoch(user.application_id, owner, values={}),
                *self._signed_out(user, {"everywhere": True}, by),
            )

    def _signed_out(self, user: User, data: dict[str, str | bool], by: Caller) -> list[Write]:
        return self.journal.record(
            Operation.USER_SIGNED_OUT,
            user.application_id,
            by,
            user_id=user.id,
            email=user.email,
            data={**data},
        )

    def _token(self, application_id: ApplicationId, session: Session) -> Secret:
        head = (
            uuid.UUID(session.user_id).bytes
            + uuid.UUID(session.id).bytes
            + session.counter.to_bytes(4, "big")
        )
        return Secret(encode(head + mac(self.mac_key(application_id), encode(head))))

    def _parse(self, application_id: ApplicationId, token: str) -> RefreshToken | None:
        try:
            raw = decode(token)
        except ValueError:
            return None
        head, tag = raw[:HEAD_BYTES], raw[HEAD_BYTES:]
        if not same(tag, mac(self.mac_key(application_id), encode(head))):
            return None
        return RefreshToken(
            user_id=UserId(str(uuid.UUID(bytes=head[:16]))),
            session_id=SessionId(str(uuid.UUID(bytes=head[16:32]))),
            counter=int.from_bytes(head[32:], "big"),
        )
