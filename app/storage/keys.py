"""Every key of the table, who reads it, and why no key of one application runs hot.

| item | partition key | sort key | read by |
| --- | --- | --- | --- |
| deployment secret | `deployment` | `secret` | each process, once |
| application | `app#{app}` | `application` | every operation (cached by the store) |
| key ring | `app#{app}` | `keys` | signing, verifying, JWKS (cached by its number) |
| directory of applications | `applications` | `{app}` | listApplications |
| user counter | `app#{app}#count#{shard}` | `users` | readApplication |
| directory of users | `app#{app}#users#{shard}` | `{user}` | listUsers |
| profile | `app#{app}#user#{user}` | `profile` | every user operation, refresh |
| session | `app#{app}#user#{user}` | `session#{session}` | every user operation, refresh |
| owner of an address | `app#{app}#address#{digest}` | `owner` | sign-in, sign-up, reset |
| password, and wrong ones | `app#{app}#address#{digest}` | `password` | sign-in |
| pending reset | `app#{app}#address#{digest}` | `reset` | reset, deletion |
| latest invitation | `app#{app}#address#{digest}` | `pending` | resending, completion |
| voided invitations | `app#{app}#address#{digest}` | `invitations` | sign-up, verification |
| messages sent | `app#{app}#address#{digest}` | `messages` | sign-up, resending, reset |
| tally of a network | `app#{app}#network#{network}` | `tally` | sign-in, sign-up, reset |
| audit of an application | `app#{app}#audit#{shard}` | `{event}` | listAuditEvents |
| audit of a user | `app#{app}#audit#user#{user}` | `{event}` | listAuditEvents |
| audit of the deployment | `audit` | `{event}` | listDeploymentAuditEvents |
| invitation | `app#{app}#invitation#{digest}` | `invitation` | verification |
| reset token | `app#{app}#reset#{digest}` | `reset` | reset |
| API key | `api-keys` | `{key id}` | every admin operation |
| outbox | `outbox#{shard}` | `{event}` | the dispatcher |
| dead letters | `dead-letters` | `{event}` | the owner |

Traffic is spread by user, by address or by token. What all users of an application share (the
counter, the directory, the audit trail) is cut into `SHARDS` partitions by id; the outbox likewise
by its subject, which keeps the events of one user in order. What is counted for a network is
written when something went wrong there, or a message is sent, and never by a good sign-in. Ids in
keys are UUIDs, digests base64url, networks written by us: no separator can be smuggled in.

What each operation asks of DynamoDB in a warm process, in calls and in request units (reads are
strongly consistent: 1 unit for each 4 KB; a member of a transaction is 2 units for each KB), as
`python -m tests.bench.units` measures it:

| operation | read calls | read units | write calls | write units |
| --- | --- | --- | --- | --- |
| createApplication | 0 | 0 | 1 | 38 |
| listApplications | 2 | 10 | 0 | 0 |
| readApplication | 1 | 9 | 0 | 0 |
| updateApplication | 3 | 11 | 1 | 6 |
| createUser | 2 | 2 | 1 | 12 |
| sendEmailVerification | 3 | 3 | 1 | 14 |
| verifyUser | 3 | 3 | 2 | 31 |
| requestUserToken (password) | 1 | 3 | 1 | 12 |
| requestUserToken (refresh) | 1 | 2 | 1 | 1 |
| revokeUserToken | 1 | 2 | 1 | 8 |
| requestPasswordReset | 2 | 2 | 1 | 16 |
| updatePassword | 2 | 2 | 1 | 16 |
| changeCurrentUserPassword | 3 | 4 | 1 | 14 |
| readCurrentUser | 1 | 2 | 0 | 0 |
| updateCurrentUser | 3 | 4 | 1 | 8 |
| listCurrentUserSessions | 2 | 3 | 0 | 0 |
| deleteCurrentUserSession | 2 | 4 | 1 | 8 |
| deleteCurrentUserSessions | 1 | 2 | 1 | 10 |
| deleteCurrentUser | 5 | 6 | 1 | 20 |
| listUsers | 9 | 10 | 0 | 0 |
| readUser | 1 | 1 | 0 | 0 |
| updateUser | 2 | 2 | 1 | 8 |
| deleteUser | 4 | 4 | 1 | 20 |
| readApplicationJwks | 0 | 0 | 0 | 0 |
| readOpenIdConfiguration | 0 | 0 | 0 | 0 |
| listApplicationKeys | 0 | 0 | 0 | 0 |
| rotateApplicationKeys | 2 | 3 | 1 | 20 |
| revokeApplicationKey | 2 | 3 | 1 | 20 |
| createApiKey | 0 | 0 | 1 | 4 |
| listApiKeys | 1 | 1 | 0 | 0 |
| deleteApiKey | 0 | 0 | 1 | 4 |
| delivery of an event | 1 | 1 | 1 | 1 |
| delivery of a message | 1 | 1 | 2 | 2 |
| readHealth | 1 | 1 | 0 | 0 |
| deleteApplication | 2 | 2 | 1 | 28 |
| listAuditEvents | 8 | 8 | 0 | 0 |
| listAuditEvents (of a user) | 1 | 2 | 0 | 0 |
| listDeploymentAuditEvents | 1 | 1 | 0 | 0 |
| requestUserToken (wrong password) | 1 | 3 | 1 | 10 |

Sealed by KMS in place of a key file, a letter in the outbox is 250 bytes longer and a key ring
1 KB.
"""

from app.common.ids import ApiKeyId, ApplicationId, EventId, SessionId, UserId
from app.storage.table import Key

SHARDS = 8
OUTBOX = "outbox"
OUTBOX_SHARDS = 16
SESSION_PREFIX = "session#"
APPLICATIONS = "applications"
API_KEYS = "api-keys"
DEAD_LETTERS = "dead-letters"
DEPLOYMENT_AUDIT = "audit"


def deployment_secret() -> Key:
    return Key("deployment", "secret")


def application(app: ApplicationId) -> Key:
    return Key(f"app#{app}", "application")


def key_ring(app: ApplicationId) -> Key:
    return Key(f"app#{app}", "keys")


def application_entry(app: ApplicationId) -> Key:
    return Key(APPLICATIONS, app)


def shard_of(an_id: str) -> int:
    """The shard of a user or an event: from the random end of the id."""
    return int(an_id[-4:], 16) % SHARDS


def user_counter(app: ApplicationId, shard: int) -> Key:
    return Key(f"app#{app}#count#{shard}", "users")


def user_directory(app: ApplicationId, shard: int) -> str:
    return f"app#{app}#users#{shard}"


def user_entry(app: ApplicationId, user: UserId) -> Key:
    return Key(user_directory(app, shard_of(user)), user)


def user_partition(app: ApplicationId, user: UserId) -> str:
    return f"app#{app}#user#{user}"


def profile(app: ApplicationId, user: UserId) -> Key:
    return Key(user_partition(app, user), "profile")


def session(app: ApplicationId, user: UserId, session_id: SessionId) -> Key:
    return Key(user_partition(app, user), SESSION_PREFIX + session_id)


def address_partition(app: ApplicationId, address_digest: str) -> str:
    return f"app#{app}#address#{address_digest}"


def owner(app: ApplicationId, address_digest: str) -> Key:
    return Key(address_partition(app, address_digest), "owner")


def password(app: ApplicationId, address_digest: str) -> Key:
    return Key(address_partition(app, address_digest), "password")


def pending_reset(app: ApplicationId, address_digest: str) -> Key:
    return Key(address_partition(app, address_digest), "reset")


def voided_invitations(app: ApplicationId, address_digest: str) -> Key:
    return Key(address_partition(app, address_digest), "invitations")


def pending_invitation(app: ApplicationId, address_digest: str) -> Key:
    return Key(address_partition(app, address_digest), "pending")


def sent_messages(app: ApplicationId, address_digest: str) -> Key:
    return Key(address_partition(app, address_digest), "messages")


def network_tally(app: ApplicationId, network: str) -> Key:
    return Key(f"app#{app}#network#{network}", "tally")


def invitation(app: ApplicationId, token_digest: str) -> Key:
    return Key(f"app#{app}#invitation#{token_digest}", "invitation")


def reset_token(app: ApplicationId, token_digest: str) -> Key:
    return Key(f"app#{app}#reset#{token_digest}", "reset")


def api_key(key_id: ApiKeyId) -> Key:
    return Key(API_KEYS, key_id)


def outbox_partition(shard: int) -> str:
    return f"{OUTBOX}#{shard:02}"


def outbox_shard(partition: str) -> int | None:
    """The shard of a partition of the outbox; `None` for any other partition.

    Raises:
        ValueError: it looks like one and is none.
    """
    prefix, _, shard = partition.partition("#")
    if prefix != OUTBOX:
        return None
    if partition not in map(outbox_partition, range(OUTBOX_SHARDS)):
        raise ValueError("no shard of the outbox")
    return int(shard)


def outbox(shard: int, event: EventId) -> Key:
    return Key(outbox_partition(shard), event)


def application_audit(app: ApplicationId, shard: int) -> str:
    return f"app#{app}#audit#{shard}"


def user_audit(app: ApplicationId, user: UserId) -> str:
    return f"app#{app}#audit#user#{user}"


def dead_letter(event: EventId) -> Key:
    return Key(DEAD_LETTERS, event)
