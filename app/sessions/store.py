"""Sessions over the table."""

from dataclasses import dataclass

from app.common.ids import ApplicationId, SessionId, UserId
from app.common.paging import Paged
from app.sessions.types import Session, SessionNotFound
from app.storage import keys
from app.storage.table import Delete, Exists, FieldIs, Item, Put, Table, Update, Write
from app.users.store import user_of
from app.users.types import User

READS = 5  # of a session and its user, until both are of one moment


@dataclass(frozen=True, kw_only=True, eq=False)
class SessionStore:
    """Reads and writes sessions."""

    table: Table

    def with_user(
        self, application_id: ApplicationId, user_id: UserId, session_id: SessionId
    ) -> tuple[User, Session] | None:
        """A living session and its user, in one read.

        The read may be of several moments, between which the session was carried over into the
        user's next epoch: then the two do not fit. A session that is still behind an epoch which
        an earlier read has seen was not carried over: it has ended.
        """
        profile = keys.profile(application_id, user_id)
        key = keys.session(application_id, user_id, session_id)
        seen = 0
        for _ in range(READS):
            found = self.table.get_many([profile, key])
            if profile not in found or key not in found:
                return None
            user = user_of(application_id, user_id, found[profile])
            session = _session(application_id, user_id, found[key])
            if session.epoch == user.epoch:
                return user, session
            if session.epoch < seen:
                return None
            seen = user.epoch
        return None

    def page(self, user: User, *, limit: int, after: str | None) -> Paged[Session]:
        """The living sessions of a user, newest first."""
        partition = keys.user_partition(user.application_id, user.id)
        living: list[Session] = []
        position = None if after is None else keys.SESSION_PREFIX + after
        while True:
            page = self.table.query(
                partition,
                prefix=keys.SESSION_PREFIX,
                limit=limit + 1,
                after=position,
                newest_first=True,
            )
            sessions = [_session(user.application_id, user.id, item) for item in page.items]
            living += [session for session in sessions if session.epoch == user.epoch]
            if len(living) > limit:
                return Paged(entries=living[:limit], position=living[limit - 1].id)
            if not page.more:
                return Paged(entries=living, position=None)
            position = page.items[-1].key.sk

    def start(self, session: Session) -> Write:
        return Put(
            key=keys.session(session.application_id, session.user_id, session.id),
            body={
                "created": session.created,
                "lastUsed": session.last_used,
                "userAgent": session.user_agent,
                "ipAddress": session.ip_address,
                "counter": session.counter,
                "rotated": session.rotated,
                "epoch": session.epoch,
                "ends": session.ends,
            },
            expires_at=session.expires_at,
        )

    def turn(self, session: Session, turned: Session) -> Write:
        """Rotate, if nobody has turned the session since it was read."""
        return Update(
            key=keys.session(session.application_id, session.user_id, session.id),
            set={
                "counter": turned.counter,
                "rotated": turned.rotated,
                "lastUsed": turned.last_used,
                "ipAddress": turned.ip_address,
                "turns": turned.turns,
                "turnsSince": turned.turns_since,
            },
            when=(FieldIs("counter", session.counter),),
            expires_at=turned.expires_at,
        )

    def carry_over(self, session: Session, *, epoch: int, lost: type[Exception]) -> Write:
        """Let a session live on in the user's next epoch.

        Args:
            session: which.
            epoch: the next one.
            lost: the refusal when the session has ended meanwhile.
        """
        return Update(
            key=keys.session(session.application_id, session.user_id, session.id),
            set={"epoch": epoch},
            when=(FieldIs("epoch", session.epoch),),
            lost=lost,
        )

    def end(
        self,
        application_id: ApplicationId,
        user_id: UserId,
        session_id: SessionId,
        *,
        lost: type[Exception] = SessionNotFound,
    ) -> Write:
        key = keys.session(application_id, user_id, session_id)
        return Delete(key=key, when=(Exists(),), lost=lost)


def _session(application_id: ApplicationId, user_id: UserId, item: Item) -> Session:
    body = item.body
    return Session(
        id=SessionId(item.key.sk.removeprefix(keys.SESSION_PREFIX)),
        user_id=user_id,
        application_id=application_id,
        created=str(body["created"]),
        last_used=str(body["lastUsed"]),
        user_agent=str(body["userAgent"]),
        ip_address=str(body["ipAddress"]),
        counter=int(str(body["counter"])),
        rotated=str(body["rotated"]),
        epoch=int(str(body["epoch"])),
        ends=int(str(body["ends"])),
        expires_at=item.expires_at or 0,
        turns=int(str(body.get("turns", 0))),
        turns_since=int(str(body.get("turnsSince", 0))),
    )
