"""How each operation is asked for with success, and what it says when it was done before."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from app.passwords.logic import Passwords
from app.recovery.logic import Recoveries
from app.signin.logic import SignIns
from app.signup.logic import SignUps
from tests.api.world import (
    ABSENT,
    ADMIN_KEY,
    NEW_PASSWORD,
    PASSWORD,
    Person,
    Tenant,
    World,
    body,
    tokens,
)

CHEAP = Passwords(memory_kib=8, passes=1)
NUMBERS = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request; an administrator's unless it is a user's or nobody's."""

    method: str
    path: str
    json: Any = ABSENT
    token: str | None = field(default=None, repr=False)
    public: bool = False

    def send(self, world: World) -> httpx.Response:
        key = ADMIN_KEY if self.token is None and not self.public else None
        return world.send(self.method, self.path, self.json, key=key, token=self.token)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An operation.

    Attributes:
        prepare: makes what it needs; the request.
        success: its status.
        audited: what its audit record says; `None` for one that changes nothing audited.
        again: the answer to the same request once it was done, if that is another.
    """

    prepare: Callable[[Tenant], Request]
    success: int = 200
    audited: str | None = None
    again: tuple[int, str] | None = None

    def records(self, tenant: Tenant) -> int:
        """How often it has been done, by the trails."""
        if self.audited is None:
            return 0
        found: set[str] = set()
        for path in (f"{tenant.base}/audit-events", "/v1/audit-events"):
            cursor: str | None = ""
            while cursor is not None:
                query = f"?operation={self.audited}&limit=100{cursor}"
                answer = tenant.world.admin("GET", path + query)
                page = body(answer)
                found |= {event["id"] for event in page["items"]}
                more = page["nextCursor"]
                cursor = None if more is None else f"&cursor={more}"
        return len(found)


def cheapen(world: World) -> None:
    """Hash fast: what is under test here is the store."""
    provided: Any = world.services.provided
    for kind in (SignUps, SignIns, Recoveries):
        provided[kind] = replace(provided[kind], passwords=CHEAP)


def letter(tenant: Tenant, email: str) -> str:
    """The token that waits in the outbox for an address, which is not sent for it."""
    outbox = tenant.world.services.dispatcher.outbox
    for shard in outbox.shards():
        for delivery in outbox.pending(shard):
            found = outbox.open(delivery)
            if found is not None and found["to"] == email and found["token"] is not None:
                outbox.finish([delivery])
                return found["token"]
    raise LookupError(email)


def address() -> str:
    return f"user{next(NUMBERS)}@example.com"


def invited(tenant: Tenant) -> tuple[str, str]:
    """An address and its invitation's token."""
    email = address()
    assert tenant.sign_up(email).status_code == 202
    return email, letter(tenant, email)


def person(tenant: Tenant) -> Person:
    """A user, signed in."""
    email, token = invited(tenant)
    grant = tokens(tenant.verify(token))
    found = Person(tenant=tenant, id="", email=email, password=PASSWORD, **grant)
    return replace(found, id=body(found.call("GET"))["id"])


def _admin(method: str, tail: str = "", json: Any = ABSENT) -> Callable[[Tenant], Request]:
    return lambda tenant: Request(method=method, path=tenant.base + tail, json=json)


def _deployment(method: str, path: str, json: Any = ABSENT) -> Callable[[Tenant], Request]:
    return lambda _: Request(method=method, path=path, json=json)


def _public(method: str, tail: str, json: Any = ABSENT) -> Callable[[Tenant], Request]:
    return lambda tenant: Request(method=method, path=tenant.base + tail, json=json, public=True)


def _own(method: str, tail: str = "", json: Any = ABSENT) -> Callable[[Tenant], Request]:
    def prepare(tenant: Tenant) -> Request:
        path = f"{tenant.base}/users/me{tail}"
        return Request(method=method, path=path, json=json, token=person(tenant).access)

    return prepare


def _of_user(method: str, json: Any = ABSENT) -> Callable[[Tenant], Request]:
    def prepare(tenant: Tenant) -> Request:
        path = f"{tenant.base}/users/{person(tenant).id}"
        return Request(method=method, path=path, json=json)

    return prepare


def _rename(tenant: Tenant) -> Request:
    return Request(method="PATCH", path=tenant.base, json={"name": address()})


def _delete_application(tenant: Tenant) -> Request:
    return Request(method="DELETE", path=tenant.world.tenant().base)


def _revoke_key(tenant: Tenant) -> Request:
    other = tenant.world.tenant()
    assert other.admin("POST", "/keys").status_code == 201
    ring = body(other.admin("GET", "/keys"))["items"]
    retired = next(key["kid"] for key in ring if key["state"] == "retired")
    return Request(method="DELETE", path=f"{other.base}/keys/{retired}")


def _rotate(tenant: Tenant) -> Request:
    return Request(method="POST", path=tenant.world.tenant().base + "/keys")


def _sign_up(tenant: Tenant) -> Request:
    return _public("POST", "/users", {"email": address(), "password": PASSWORD})(tenant)


def _sign_up_taken(tenant: Tenant) -> Request:
    taken = {"email": person(tenant).email, "password": PASSWORD}
    return _public("POST", "/users", taken)(tenant)


def _resend(tenant: Tenant) -> Request:
    email, _ = invited(tenant)
    return _public("POST", "/users/verification/send", {"email": email})(tenant)


def _verify(tenant: Tenant) -> Request:
    _, token = invited(tenant)
    sent = {"token": token, "password": PASSWORD}
    return _public("POST", "/users/verification", sent)(tenant)


def _sign_in(tenant: Tenant, password: str = PASSWORD) -> Request:
    sent = {"email": person(tenant).email, "password": password}
    return _public("POST", "/users/token", sent)(tenant)


def _sign_in_wrong(tenant: Tenant) -> Request:
    return _sign_in(tenant, NEW_PASSWORD)


def _sign_in_unknown(tenant: Tenant) -> Request:
    sent = {"email": address(), "password": PASSWORD}
    return _public("POST", "/users/token", sent)(tenant)


def _refresh(tenant: Tenant) -> Request:
    sent = {"refreshToken": person(tenant).refresh}
    return _public("POST", "/users/token", sent)(tenant)


def _revoke(tenant: Tenant) -> Request:
    sent = {"refreshToken": person(tenant).refresh}
    return _public("POST", "/users/token/revoke", sent)(tenant)


def _ask_reset(tenant: Tenant) -> Request:
    sent = {"email": person(tenant).email}
    return _public("POST", "/users/password/reset", sent)(tenant)


def _reset(tenant: Tenant) -> Request:
    email = person(tenant).email
    assert tenant.ask_reset(email).status_code == 202
    sent = {"token": letter(tenant, email), "password": NEW_PASSWORD}
    return _public("PUT", "/users/password", sent)(tenant)


def _end_session(tenant: Tenant) -> Request:
    signed_in = person(tenant)
    other = tenant.sign_in(signed_in.email)
    assert other.status_code == 200
    sessions = body(signed_in.call("GET", "/sessions"))["items"]
    session = next(one["id"] for one in sessions if not one["current"])
    path = f"{tenant.base}/users/me/sessions/{session}"
    return Request(method="DELETE", path=path, token=signed_in.access)


def _delete_api_key(tenant: Tenant) -> Request:
    made = body(tenant.world.admin("POST", "/v1/api-keys", {"name": "x"}))
    return Request(method="DELETE", path=f"/v1/api-keys/{made['id']}")


CHANGE = {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}
GONE = (401, "invalid_token")
# By the operation's name, and what is special about it.
RECIPES: dict[str, Recipe] = {
    "createApplication": Recipe(
        prepare=_deployment("POST", "/v1/applications", {"signingAlgorithm": "EdDSA"}),
        success=201,
        audited="applicationCreated",
    ),
    "listApplications": Recipe(prepare=_deployment("GET", "/v1/applications?limit=2")),
    "readApplication": Recipe(prepare=_admin("GET")),
    "updateApplication": Recipe(
        prepare=_rename,
        audited="applicationUpdated",
    ),
    "deleteApplication": Recipe(
        prepare=_delete_application,
        success=204,
        audited="applicationDeleted",
        again=(404, "application_not_found"),
    ),
    "rotateApplicationKeys": Recipe(prepare=_rotate, success=201),
    "revokeApplicationKey": Recipe(prepare=_revoke_key, success=204, again=(404, "key_not_found")),
    "listApplicationKeys": Recipe(prepare=_admin("GET", "/keys")),
    "readApplicationJwks": Recipe(prepare=_public("GET", "/jwks.json")),
    "readOpenIdConfiguration": Recipe(prepare=_public("GET", "/.well-known/openid-configuration")),
    "createUser": Recipe(prepare=_sign_up, success=202, audited="userSignUpRequested"),
    "createUser of a taken address": Recipe(
        prepare=_sign_up_taken, success=202, audited="userSignUpRequested"
    ),
    "sendEmailVerification": Recipe(
        prepare=_resend, success=202, audited="emailVerificationRequested"
    ),
    "verifyUser": Recipe(prepare=_verify, audited="userCreated", again=(400, "invalid_token")),
    "requestUserToken": Recipe(prepare=_sign_in, audited="userSignedIn"),
    "requestUserToken by a wrong password": Recipe(
        prepare=_sign_in_wrong, success=401, audited="userSignInFailed"
    ),
    "requestUserToken of an unknown address": Recipe(
        prepare=_sign_in_unknown, success=401, audited="userSignInFailed"
    ),
    "requestUserToken by a refresh token": Recipe(prepare=_refresh),
    "revokeUserToken": Recipe(prepare=_revoke, success=204, audited="userSignedOut"),
    "requestPasswordReset": Recipe(
        prepare=_ask_reset, success=202, audited="passwordResetRequested"
    ),
    "updatePassword": Recipe(
        prepare=_reset, success=204, audited="passwordChanged", again=(400, "invalid_token")
    ),
    "changeCurrentUserPassword": Recipe(
        prepare=_own("PUT", "/password", CHANGE),
        success=204,
        audited="passwordChanged",
        again=(401, "invalid_credentials"),
    ),
    "readCurrentUser": Recipe(prepare=_own("GET")),
    "updateCurrentUser": Recipe(
        prepare=_own("PATCH", "", {"metadata": {"a": 1}}), audited="userUpdated"
    ),
    "listCurrentUserSessions": Recipe(prepare=_own("GET", "/sessions")),
    "deleteCurrentUserSession": Recipe(
        prepare=_end_session, success=204, audited="userSignedOut", again=(404, "session_not_found")
    ),
    "deleteCurrentUserSessions": Recipe(
        prepare=_own("DELETE", "/sessions"), success=204, audited="userSignedOut", again=GONE
    ),
    "deleteCurrentUser": Recipe(
        prepare=_own("DELETE"), success=204, audited="userDeleted", again=GONE
    ),
    "listUsers": Recipe(prepare=_admin("GET", "/users?limit=2")),
    "readUser": Recipe(prepare=_of_user("GET")),
    "updateUser": Recipe(
        prepare=_of_user("PATCH", {"state": "suspended"}), audited="userSuspended"
    ),
    "deleteUser": Recipe(
        prepare=_of_user("DELETE"),
        success=204,
        audited="userDeleted",
        again=(404, "user_not_found"),
    ),
    "createApiKey": Recipe(
        prepare=_deployment("POST", "/v1/api-keys", {"name": "x"}),
        success=201,
        audited="apiKeyCreated",
    ),
    "listApiKeys": Recipe(prepare=_deployment("GET", "/v1/api-keys?limit=2")),
    "deleteApiKey": Recipe(
        prepare=_delete_api_key,
        success=204,
        audited="apiKeyDeleted",
        again=(404, "api_key_not_found"),
    ),
    "listAuditEvents": Recipe(prepare=_admin("GET", "/audit-events?limit=2")),
    "listDeploymentAuditEvents": Recipe(prepare=_deployment("GET", "/v1/audit-events?limit=2")),
    "readHealth": Recipe(prepare=_deployment("GET", "/health")),
}
CHANGING = sorted(name for name, recipe in RECIPES.items() if recipe.audited is not None)
