"""HTTP requests as AWS hands them to a function, and its answers as clients get them.

The shapes are those of the API Gateway Developer Guide ("payload format" 1.0 and 2.0) and of the
Lambda Developer Guide (function URLs).
"""

import base64
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, unquote

import httpx

Shape = Literal["rest", "http", "url"]
SHAPES: tuple[Shape, ...] = ("rest", "http", "url")
CLIENT = "203.0.113.7"
Event = dict[str, Any]
TEXT = ("text/", "application/json", "application/x-www-form-urlencoded")


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes
    client: str = CLIENT


def event(shape: Shape, request: Request) -> Event:
    """The event of a request."""
    return _rest(request) if shape == "rest" else _http(shape, request)


def _body(request: Request) -> dict[str, Any]:
    kind = {name.lower(): value for name, value in request.headers}.get("content-type", "")
    if not request.body:
        return {"body": None, "isBase64Encoded": False}
    try:
        if kind.startswith(TEXT):
            return {"body": request.body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        pass
    return {"body": base64.b64encode(request.body).decode(), "isBase64Encoded": True}


def _joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    return joined


def _http(shape: Shape, request: Request) -> Event:
    domain = "a1b2c3.lambda-url" if shape == "url" else "a1b2c3.execute-api"
    cookies = [value for name, value in request.headers if name.lower() == "cookie"]
    headers = _joined(one for one in request.headers if one[0].lower() != "cookie")
    made: Event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": {**headers, "x-forwarded-port": "443", "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3",
            "domainName": f"{domain}.us-east-1.amazonaws.com",
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.client,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": 1583348638390,
        },
        **_body(request),
    }
    if made["body"] is None:
        del made["body"]
    if cookies:
        made["cookies"] = cookies
    return made


def _rest(request: Request) -> Event:
    headers = [*request.headers, ("X-Forwarded-Port", "443"), ("X-Forwarded-Proto", "https")]
    many: dict[str, list[str]] = {}
    for name, value in headers:
        many.setdefault(name, []).append(value)
    query = parse_qs(request.query, keep_blank_values=True)
    return {
        "resource": "/{proxy+}",
        "path": request.path,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in many.items()},
        "multiValueHeaders": many,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": {"proxy": unquote(request.path).lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3",
            "httpMethod": request.method,
            "identity": {"sourceIp": request.client, "userAgent": None},
            "path": request.path,
            "requestId": "id",
            "stage": "prod",
        },
        **_body(request),
    }


def answered(answer: Event) -> httpx.Response:
    """What a client gets of an answer."""
    headers = list((answer.get("headers") or {}).items())
    for name, values in (answer.get("multiValueHeaders") or {}).items():
        headers += [(name, value) for value in values]
    headers += [("set-cookie", cookie) for cookie in answer.get("cookies") or []]
    text = answer.get("body") or ""
    body = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
    return httpx.Response(answer["statusCode"], headers=headers, content=body)


@dataclass(frozen=True, kw_only=True)
class Gateway(httpx.BaseTransport):
    """Hands requests to a function, one at a time, as one execution environment takes them."""

    shape: Shape
    function: Callable[[Event, object], Any]
    client: str = CLIENT
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path, _, query = request.url.raw_path.partition(b"?")
        made = Request(
            method=request.method,
            path=path.decode("ascii"),
            query=query.decode("ascii"),
            headers=[
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in request.headers.raw
            ],
            body=request.read(),
            client=self.client,
        )
        return answered(self.invoke(event(self.shape, made)))

    def invoke(self, event: Event) -> Any:
        """What the function answers to an event."""
        with self._lock:
            return self.function(event, None)
