"""Issuing and verifying access tokens."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from app.applications.logic import Applications
from app.applications.types import Application
from app.common.clock import Clock, parse_rfc3339
from app.common.errors import ApplicationNotFound
from app.common.ids import SessionId, UserId, is_id
from app.common.secrets import Secret, decode, new_token
from app.sessions.logic import Sessions
from app.sessions.types import Session
from app.signing.logic import KeyRings, verifies
from app.tokens.types import Claims, Grant, InvalidToken, UserPrincipal

TYPE = "at+jwt"  # RFC 9068 section 2.1
MAX_TOKEN = 8192
MAX_HEADER = 256  # ours take 80 to 90
SKEW_SECONDS = 60  # workers' clocks may differ
REQUIRED = {"iss", "sub", "aud", "exp", "iat", "jti", "sid", "client_id"}
HEADER = {"alg", "typ", "kid"}  # whatever else a header may say, our tokens do not


@dataclass(frozen=True, kw_only=True, eq=False)
class Tokens:
    """The access tokens of applications.

    Attributes:
        known_issuer: whether an issuer, as a token names it, is this deployment's name for the
            application whose path and origin are given.
    """

    applications: Applications
    key_rings: KeyRings
    sessions: Sessions
    clock: Clock
    known_issuer: Callable[[str, Application, str], bool]

    def prepare(self, application: Application) -> None:
        """Have the signing key open, so that nothing is committed whose tokens cannot be made.

        Raises:
            StoreUnavailable: the key store does not answer.
        """
        key = self.applications.ring(application).current
        self.key_rings.private_key(application.id, key)

    def grant(self, application: Application, email: str, session: Session, origin: str) -> Grant:
        """An access token and the refresh token of a session."""
        settings = application.settings
        return Grant(
            access_token=self._issue(application, email, session, origin),
            refresh_token=self.sessions.refresh_token(session),
            expires_in=settings.access_token_lifetime,
        )

    def authenticate(self, application_id: str, token: str, origin: str) -> UserPrincipal:
        """The user whose access token it is, if the session has not ended.

        Raises:
            InvalidToken: there is no such application, the token is not one of its, it has
                expired, or its session has ended.
            ApplicationSuspended: the application is.
        """
        try:
            application = self.applications.require_active(application_id)
            claims = self._verify(application, token, origin)
        except ApplicationNotFound:
            raise InvalidToken from None
        found = self.sessions.living(
            application.id, UserId(claims.user_id), SessionId(claims.session_id)
        )
        if found is None:
            raise InvalidToken
        return UserPrincipal(
            application=application, user=found[0], session=found[1], expires=claims.expires
        )

    def _issue(self, application: Application, email: str, session: Session, origin: str) -> Secret:
        # PyJWT costs a cold start more than 100 ms with what it imports.
        import jwt

        key = self.applications.ring(application).current
        now = self.clock.seconds()
        claims: dict[str, Any] = {
            "iss": application.issuer(origin),
            "sub": session.user_id,
            "aud": application.audience,
            "client_id": application.id,
            "iat": now,
            "exp": now + application.settings.access_token_lifetime,
            "jti": new_token(),
            "sid": session.id,
            "auth_time": int(parse_rfc3339(session.created).timestamp()),
            "email": email,
            "email_verified": True,  # a user exists only once the address is verified
        }
        private = self.key_rings.private_key(application.id, key)
        headers = {"typ": TYPE, "kid": key.kid}
        return Secret(jwt.encode(claims, private, algorithm=key.algorithm.value, headers=headers))

    def _verify(self, application: Application, token: str, origin: str) -> Claims:
        """Check a token against this application alone (RFC 9068 section 4, RFC 8725)."""
        if len(token) > MAX_TOKEN:
            raise InvalidToken
        try:
            signed, header, claims, signature = _parsed(token)
        except (ValueError, RecursionError):
            raise InvalidToken from None
        key = self.applications.ring(application).find(header["kid"])
        if key is None or header["typ"] != TYPE:
            raise InvalidToken
        # One algorithm for each key (RFC 8725 section 3.1).
        if header["alg"] != key.algorithm.value or not verifies(key, signed, signature):
            raise InvalidToken
        if key.leaves is not None and key.leaves <= self.clock.seconds():
            raise InvalidToken
        return self._checked(application, claims, origin)

    def _checked(self, application: Application, claims: dict[str, Any], origin: str) -> Claims:
        if not claims.keys() >= REQUIRED:
            raise InvalidToken
        # One audience or several (RFC 7519 section 4.1.3).
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        meant = application.audience in audiences and all(isinstance(a, str) for a in audiences)
        issuer, subject, session = claims["iss"], claims["sub"], claims["sid"]
        expires, now = claims["exp"], self.clock.seconds()
        begins = (claims["iat"], claims.get("nbf", now))
        timely = isinstance(expires, int) and now < expires  # no leeway
        timely &= all(isinstance(one, int) and one <= now + SKEW_SECONDS for one in begins)
        ours = isinstance(issuer, str) and self.known_issuer(issuer, application, origin)
        named = isinstance(subject, str) and isinstance(session, str)
        if not (meant and timely and ours and named and claims["client_id"] == application.id):
            raise InvalidToken
        if not (is_id(subject) and is_id(session)):
            raise InvalidToken
        return Claims(user_id=subject, session_id=session, expires=expires)


def _parsed(token: str) -> tuple[bytes, dict[str, Any], dict[str, Any], bytes]:
    """What is signed, header, claims and signature of a compact JWS (RFC 7515 section 7.1).

    Nothing of it is to be believed yet. PyJWT would take as long for this alone as for verifying
    the signature; each part is decoded once here, and nothing but exact base64url is taken.

    Raises:
        ValueError: it is none, or not of two JSON objects.
    """
    signed, _, signature = token.rpartition(".")
    head, _, body = signed.partition(".")
    return signed.encode(), _header(head), _object(body), decode(signature)


@lru_cache(maxsize=256)
def _header(text: str) -> dict[str, Any]:
    """A header, which all tokens of one key share.

    Whoever sends it is not known yet, so nothing is kept that is larger than one of ours.
    """
    header = _object(text) if len(text) <= MAX_HEADER else {}
    if header.keys() != HEADER or not all(isinstance(value, str) for value in header.values()):
        raise ValueError("no header of ours")
    return header


def _object(text: str) -> dict[str, Any]:
    parsed = json.loads(decode(text))
    if not isinstance(parsed, dict):
        raise ValueError("no object")  # noqa: TRY004 - a client's text, and no wrong type of ours
    return parsed
