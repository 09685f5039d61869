"""The local mailbox: what would have been sent, for development and tests."""

from typing import Annotated

from fastapi import Query, Request, Response

from app.messages.ports import Inbox
from app.messages.types import Message
from app.web.access import Anyone
from app.web.bodies import Limit, View
from app.web.inject import provided
from app.web.pages import html_response
from app.web.routes import router

local = router("Local mailbox")


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
    request: Request,
    inbox: Annotated[Inbox, provided(Inbox)],
    to: Annotated[str | None, Query(max_length=320)] = None,
    limit: Limit = 100,
) -> MessagesView | Response:
    """Messages, newest first; a browser gets a page."""
    found = inbox.messages(to=to or None, limit=limit)
    if "text/html" in request.headers.get("accept", ""):
        return html_response("mailbox.html", messages=found, to=to or "")
    return MessagesView(items=[_view(message) for message in found])
