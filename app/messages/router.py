"""The local mailbox: what would have been sent, for development and tests."""

from ipaddress import ip_address, ip_network
from typing import Annotated

from fastapi import Query, Request, Response
from starlette.exceptions import HTTPException

from app.messages.ports import Inbox
from app.messages.types import Message
from app.web.access import Anyone
from app.web.bodies import Limit, View
from app.web.context import Context, RequestContext, loopback
from app.web.inject import provided
from app.web.pages import html_response
from app.web.routes import router

local = router("Local mailbox")
# Loopback, RFC 1918, RFC 4193 and what is link-local: containers and their host among them.
NEARBY = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
# What proxies add; a client on this machine sends none of them.
FORWARDED = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"})


class MessageView(View):
    """A message as it would have been sent."""

    id: str
    application_id: str
    to: str
    subject: str
    kind: str
    text: str
    html: str
    token: str | None
    url: str | None
    created: str


class MessagesView(View):
    """The messages, newest first."""

    items: list[MessageView]


def _from_here(request: Request, context: RequestContext) -> bool:
    """Whether a request comes from this machine or its network, and through no proxy."""
    if FORWARDED.intersection(request.headers) or not loopback(request.url.hostname or ""):
        return False
    address = context.device.ip_address
    return address != "" and any(ip_address(address) in network for network in NEARBY)


def _view(message: Message) -> MessageView:
    return MessageView(
        id=message.id,
        application_id=message.application_id,
        to=message.to,
        subject=message.subject,
        kind=message.kind.value,
        text=message.text,
        html=message.html,
        token=message.token,
        url=message.url,
        created=message.created,
    )


@local.get("/dev/messages", response_model=MessagesView, include_in_schema=False)
def list_local_messages(
    _: Anyone,
    context: Context,
    request: Request,
    inbox: Annotated[Inbox, provided(Inbox)],
    to: Annotated[str | None, Query(max_length=320)] = None,
    limit: Limit = 100,
) -> MessagesView | Response:
    """Messages, newest first; a browser gets a page. For this machine and its network alone.

    Whoever reads it can take over any account: a proxy that makes the service public must not make
    this public.
    """
    if not _from_here(request, context):
        raise HTTPException(404)
    found = inbox.messages(to=to or None, limit=limit)
    if "text/html" in request.headers.get("accept", ""):
        return html_response("mailbox.html", messages=found, to=to or "")
    return MessagesView(items=[_view(message) for message in found])
