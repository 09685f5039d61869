"""The Lambda function: one handler for HTTP, for the table's stream, and as an authorizer.

It tells apart what invokes it by the shape of the event and refuses everything else. Whoever may
invoke it is decided by its resource policy: a client's request reaches it only inside an event
that a gateway has made, and can forge no member of that.
"""

# ruff: noqa: E402 - what a cold start leaves out is said before it would be imported
from app.adapters import cold_start

cold_start.begin()

import asyncio
import base64
import gc
import logging
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from mangum import Mangum
from mangum.types import ASGI
from snapshot_restore_py import register_after_restore, register_before_snapshot
from starlette.types import ASGIApp, Receive, Scope, Send

from app.adapters import logs
from app.common.clock import rfc3339
from app.common.errors import Kind, Refusal
from app.main import create_app
from app.settings import load
from app.storage import keys
from app.tokens.logic import Tokens
from app.tokens.types import UserPrincipal
from app.wiring import Services, build

log = logging.getLogger(__name__)

Event = dict[str, Any]

# What a gateway passes on as text; anything else travels as base64.
TEXT = [
    "text/",
    "application/json",
    "application/javascript",
    "application/jwk-set+json",
    "application/problem+json",
    "image/svg+xml",
]
# Gateways do not tell it. Any port but 0, which is uvicorn's mark of a forwarded address.
CLIENT_PORT = 443
STREAM = "aws:dynamodb"
# Names the application whose tokens a customer's API takes; it stands in the API's stage, where
# no client can reach it.
STAGE_VARIABLE = "passerine_application"


# Imported by the first request that needs it, or before a snapshot.
LATER = (
    "argon2",
    "botocore.credentials",
    "botocore.httpsession",
    "botocore.session",
    "cryptography.hazmat.primitives.ciphers.aead",
    "email_validator",
    "jinja2",
    "jwt",
    "zxcvbn.frequency_lists",
)


class UnknownEvent(Exception):
    """Invoked by something that this function does not serve."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Handler:
    """What Lambda calls with each event."""

    services: Services
    # Python makes a loop for nobody now, and Mangum runs the app in the thread's.
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop, repr=False)
    _http: list[Mangum] = field(default_factory=list, repr=False)

    def __call__(self, event: Event, context: object) -> Any:
        match _kind(event):
            case "authorizer":
                return self._authorize(event)
            case "stream":
                return {"batchItemFailures": self._deliver(event["Records"])}
            case "http":
                return self._answer(event, context)
            case _:
                raise UnknownEvent(
                    "neither HTTP, nor a table's stream, nor an authorizer's request"
                )

    def warm(self) -> None:
        """Make and import, before a snapshot is taken, what requests would else wait for.

        Nothing here asks AWS for anything, opens a key, or draws a random number: each process
        that is restored from the snapshot would have the same connection, credentials, or chance.
        https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
        """
        for name in LATER:
            import_module(name)
        app = create_app(self.services, one_at_a_time=True)
        app.openapi()  # it has every route and model built
        self._http.append(_mangum(app))
        gc.collect()
        gc.freeze()

    def awake(self) -> None:
        """Begin anew after a restore: it may be days since, and elsewhere."""
        random.seed()  # parts retries; secrets come from the system, which knows of the restore
        self.services.renew()

    def close(self) -> None:
        """Let go of the loop; a function keeps it as long as its process lives."""
        asyncio.set_event_loop(None)
        self._loop.close()

    def _answer(self, event: Event, context: object) -> Any:
        asyncio.set_event_loop(self._loop)
        if not self._http:
            self._http.append(_mangum(create_app(self.services, one_at_a_time=True)))
        answer = self._http[0](_tamed(event), context)  # type: ignore[arg-type] # Lambda's own object
        if not answer.get("body"):
            # Mangum gives every answer a type; one without a body has none.
            answer.get("headers", {}).pop("content-type", None)
        return answer

    def _deliver(self, records: list[Event]) -> list[Event]:
        """Deliver what the records tell of; those that must come again.

        A record only wakes its part of the outbox, which is then delivered in order. So it does
        no harm that a batch comes twice, or shuffled, or after a part of it was done.
        """
        asked = [_Record.read(record) for record in records]
        left, broken = set(), set()
        for shard in sorted({one.shard for one in asked if one.shard is not None}):
            try:
                left |= self.services.dispatcher.run([shard])
            except Exception:
                log.exception("part %d of the outbox was not delivered", shard)
                broken.add(shard)
        return [
            {"itemIdentifier": one.sequence}
            for one in asked
            if one.malformed or one.shard in broken or one.event_id in left
        ]

    def _authorize(self, event: Event) -> Event:
        """The answer to a gateway of somebody else's API that asks whether a token is good.

        https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
        """
        principal = self._principal(event)
        if event.get("version") == "2.0":
            if principal is None:
                return {"isAuthorized": False}
            return {"isAuthorized": True, "context": _shown(principal)}
        api, stage, *_ = event["methodArn"].split("/")
        statement: Event = {
            "Action": "execute-api:Invoke",
            "Effect": "Deny" if principal is None else "Allow",
            # Gateways remember the policy for a token: it speaks for the stage, which belongs to
            # one application, and ends with the token.
            "Resource": f"{api}/{stage}/*",
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        if principal is None:
            return {"principalId": "nobody", "policyDocument": policy}
        ends = datetime.fromtimestamp(principal.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        statement["Condition"] = {"DateLessThan": {"aws:CurrentTime": ends}}
        return {
            "principalId": principal.user.id,
            "policyDocument": policy,
            "context": _shown(principal),
        }

    def _principal(self, event: Event) -> UserPrincipal | None:
        application_id = (event.get("stageVariables") or {}).get(STAGE_VARIABLE)
        if application_id is None:
            log.error("an API asks without the stage variable %s: refused", STAGE_VARIABLE)
            return None
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        scheme, _, token = headers.get("authorization", "").partition(" ")
        origin = self.services.surroundings.public_url
        if scheme.lower() != "bearer" or origin is None:
            return None
        tokens: Tokens = self.services.provided[Tokens]
        try:
            return tokens.authenticate(application_id, token.strip(), origin)
        except Refusal as refusal:
            if refusal.kind is Kind.UNAVAILABLE:
                raise  # the gateway answers 500: nobody knows whether the token is good
            return None


@dataclass(frozen=True, kw_only=True)
class _Record:
    """What a record of the table's stream says to us.

    Attributes:
        sequence: its name in the answer.
        shard: the part of the outbox that got something; `None` if the record is not about that.
    """

    sequence: str
    shard: int | None = None
    event_id: str | None = None
    malformed: bool = False

    @classmethod
    def read(cls, record: Event) -> "_Record":
        change = record["dynamodb"]
        sequence = change["SequenceNumber"]
        try:
            shard = keys.outbox_shard(change["Keys"]["pk"]["S"])
            event_id = change["Keys"]["sk"]["S"]
        except (KeyError, TypeError, ValueError):
            log.error("record %s of the stream is malformed", sequence)  # noqa: TRY400 - the trace may quote it
            return cls(sequence=sequence, malformed=True)
        if shard is None or record.get("eventName") != "INSERT":
            return cls(sequence=sequence)
        return cls(sequence=sequence, shard=shard, event_id=event_id)


def _kind(event: object) -> str | None:
    if not isinstance(event, dict):
        return None
    if event.get("type") == "REQUEST" and ("routeArn" in event or "methodArn" in event):
        return "authorizer"
    records = event.get("Records")
    if isinstance(records, list) and records:
        stream = all(isinstance(one, dict) and one.get("eventSource") == STREAM for one in records)
        return "stream" if stream else None
    context = event.get("requestContext")
    if not isinstance(context, dict):
        return None
    if event.get("version") == "2.0":
        return "http" if "http" in context and "rawPath" in event else None
    return "http" if "httpMethod" in event and "resource" in event else None


def _tamed(event: Event) -> Event:
    """The event without what Mangum stumbles over; `_behind_gateway` puts the host back."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    many = {name.lower(): values for name, values in (event.get("multiValueHeaders") or {}).items()}
    single = headers.pop("host", None)
    hosts = many.pop("host", None) or ([single] if single is not None else [])
    for those in (headers, many):
        those.pop("x-forwarded-port", None)
    tamed = {**event, "headers": headers, "hosts": hosts}
    if many:
        tamed["multiValueHeaders"] = many
    body = event.get("body")
    try:
        if body and event.get("isBase64Encoded"):
            base64.b64decode(body, validate=True)
        elif body:
            body.encode()
    except ValueError:  # no gateway sends it; it is no JSON either
        tamed |= {"body": "{", "isBase64Encoded": False}
    return tamed


def _mangum(app: ASGIApp) -> Mangum:
    return Mangum(_behind_gateway(app), lifespan="off", text_mime_types=TEXT)


def _behind_gateway(app: ASGIApp) -> ASGI:
    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        hosts = [
            (b"host", host.encode("latin-1", "replace")) for host in scope["aws.event"]["hosts"]
        ]
        headers = [*hosts, *((name, value) for name, value in scope["headers"])]
        # The address is the gateway's own word; whatever the client sent stands in a header.
        client = (scope["client"][0] or "", CLIENT_PORT)
        await app({**scope, "headers": headers, "client": client}, receive, send)

    return behind


def _shown(principal: UserPrincipal) -> Mapping[str, str]:
    """What the API behind the authorizer is told."""
    return {
        "applicationId": principal.application.id,
        "userId": principal.user.id,
        "sessionId": principal.session.id,
        "expires": rfc3339(datetime.fromtimestamp(principal.expires, UTC)),
    }


def _from_environment() -> Handler:
    settings = load(os.environ)
    settings.check_for_lambda()
    logs.configure(level=settings.log_level, style=settings.log_format)
    # Mangum's line for each request names the path as it came; ours names the route.
    logging.getLogger("mangum.http").setLevel(logging.WARNING)
    made = Handler(services=build(settings, probe=False))
    cold_start.end()
    # Without SnapStart nobody calls them, and what is needed late is made late.
    register_before_snapshot(made.warm)
    register_after_restore(made.awake)
    return made


def __getattr__(name: str) -> Handler:
    """`handler`, made when Lambda asks for it and not when a test imports this module."""
    if name != "handler":
        raise AttributeError(name)
    made = _from_environment()
    globals()["handler"] = made
    return made
