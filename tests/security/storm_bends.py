"""Ways in which a valid request is bent out of shape."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from tests.gateway import Request

Bend = Callable[[random.Random, Request], Request]

TEXTS = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "\n",
    "a\r\nBcc: v@example.com",
    "\u202e",
    "\u200b",
    "\ufeff",
    "\u2028",
    "𝕬𝖉𝖆",
    "👩‍👩‍👧",
    "Z" + "\u0301" * 500,
    "ﬁ",
    "İ",
    "ß" * 200,
    "a" * 5_000,
    "a" * 60_000,
    "' OR 1=1 --",
    "%00",
    "%s%n{0}${x}{{7*7}}",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "a#b|c:d",
    "null",
    "NaN",
    "0",
    "-1",
    "1e309",
    "\uffff",
    "\x7f",
    "\ud800",
    "http://169.254.169.254/",
    "javascript:1",
    "a@b",
    "a@x.test,v@y.test",
    '"a b"@example.com',
    "v＠example.com",
    "ü@bücher.example",
    "a@[127.0.0.1]",
    "a" * 65 + "@example.com",
    "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
]
VALUES: list[Any] = [
    *TEXTS,
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63) - 1,
    10**400,
    1.5,
    -0.0,
    1e308,
    [],
    {},
    [None],
    [[]],
    ["a"] * 1000,
    {"a": {"b": {"c": [1, {"d": None}]}}},
    {"": ""},
    {"__proto__": {"x": 1}, "$where": "1", "a.b": "#"},
    {str(n): n for n in range(2000)},
]
BODIES = [
    b"",
    b" ",
    b"null",
    b"[]",
    b'"x"',
    b"0",
    b"true",
    b"{",
    b"{}",
    b"[{}]",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b'{"a": 1,}',
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": 1e9999}',
    b'{"email": "\\ud800"}',
    b'{"email": "\xff"}',
    b'{"a": 1, "a": 2}',
    b"{'a': 1}",
    b'{"a": 0x10}',
    b"[" * 20_000,
    b'{"a":' * 40 + b"1" + b"}" * 40,
    b'{"metadata":' * 30 + b"{}" + b"}" * 30,
    b"1" * 5_000,
    b'{"a": ' + b"9" * 5_000 + b"}",
    b"a=1&b=2",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    b"\x00" * 100,
    b"x" * 65_537,
    b"x" * 1_000_000,
    b'{"email": "' + b"a" * 65_000 + b'"}',
]
TYPES = [
    "",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-7",
    "application/json; charset=latin-1",
    "application/json;;",
    "application/json, application/json",
    "application/merge-patch+json",
    "application/jsonx",
    "APPLICATION/JSON",
    'application/json; charset="utf-8"',
    "application/json; " + "a" * 8_000,
    "\xff",
    "*/*",
    "json",
]
PIECES = [
    "",
    ".",
    "..",
    "%2e%2e",
    "..%2F..",
    "%2F",
    "%5C",
    "%00",
    "%0A",
    "%FF",
    "%C3%A9",
    "%EF%BC%91",
    "%",
    "%zz",
    "%25",
    "a" * 5_000,
    "%F0%9F%90%A6" * 100,
    ";x=1",
    "a;b",
    "a#",
    "*",
    "me",
    "token",
    "null",
    "-1",
    "1e9",
    "a:b|c%23d",
    "%20",
    "+",
    "@",
    "~",
    "'",
]
METHODS = [
    *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"),
    *("BREW", "get", "PROPFIND", "X" * 100),
]
HEADERS = [
    ("X-Api-Key", "garbage"),
    ("X-Api-Key", ""),
    ("Authorization", "Bearer"),
    ("Authorization", "Bearer garbage"),
    ("Authorization", "Bearer a.b.c"),
    ("Authorization", "Bearer eyJhbGciOiJub25lIn0.e30."),
    ("Authorization", "Bearer eyJhbGciOiJFZERTQSIsImtpZCI6W119.e30.AA"),
    ("Authorization", "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.W10.AA"),
    ("Authorization", "Basic YTpi"),
    ("Authorization", "Bearer \xff"),
    ("Authorization", "Bearer " + "a" * 7_000),
    ("Host", "evil.example"),
    ("Host", "a:b:c"),
    ("Origin", "null"),
    ("Origin", "https://evil.example"),
    ("Origin", "\xff"),
    ("Accept", "text/html"),
    ("Accept", "\xff"),
    ("Accept-Language", "a" * 1_000),
    ("Content-Encoding", "gzip"),
    ("Cookie", "a=b; c"),
    ("Range", "bytes=0-1,5-"),
    ("If-None-Match", "*"),
    ("If-Modified-Since", "yesterday"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("X-Forwarded-For", "' OR 1=1, ::1%lo, 1.2.3.4:99999"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "gopher"),
    ("X-Forwarded-Port", "abc"),
    ("X-Forwarded-Prefix", "/x"),
    ("Forwarded", "for=_x;host=evil"),
    ("X-Request-Id", "a\tb"),
    ("User-Agent", "\xff\x01" * 100),
    ("User-Agent", ""),
    ("Traceparent", "00-x"),
    ("Upgrade", "websocket"),
    ("Idempotency-Key", "1"),
    ("Prefer", "respond-async"),
    ("X-Odd", ""),
]
QUERIES = [
    "limit=0",
    "limit=-1",
    "limit=101",
    "limit=1e1",
    "limit=x",
    "limit=",
    "limit=1&limit=2",
    "limit=" + "9" * 5_000,
    "limit=%EF%BC%91",
    "limit=1.0",
    "limit=+1",
    "limit[]=1",
    "limit=1",
    "limit=100",
    "cursor=",
    "cursor=x",
    "cursor=%00",
    "cursor=%FF",
    "cursor=" + "A" * 1_024,
    "cursor=" + "A" * 1_025,
    "cursor=AAAAAAAAAAAAAAAAAAAAAAA",
    "cursor=AAAAAAAAAAAAAAAAAAAAAP-_",
    "email=",
    "email=%FF",
    "email=a%00@example.com",
    "email=a@example.com&email=b@example.com",
    "email=%ED%A0%80@example.com",
    "userId=",
    "userId=%23",
    "userId=" + "a" * 65,
    "userId=%FF",
    "operation=",
    "operation=x",
    "operation=userCreated",
    "from=x",
    "from=0001-01-01T00:00:00%2B23:59",
    "from=9999-12-31T23:59:59-23:59",
    "from=2026-01-01T00:00:00Z&to=2025-01-01T00:00:00Z",
    "to=1",
    "to=2026-02-30T00:00:00Z",
    "from=2026-01-01T00:00:00." + "1" * 100 + "Z",
    "token=x",
    "token=%FF%00",
    "&&&=&",
    "=",
    "%",
    "%zz=%zz",
    "a;b=c",
    "x=" + "y" * 8_000,
    "+",
    "a=" * 500,
]


def bend(dice: random.Random, request: Request) -> tuple[Request, list[str]]:
    """The request bent in one or two ways, and their names."""
    names = []
    for _ in range(1 if dice.random() < 0.8 else 2):
        (way,) = dice.choices(list(WAYS), list(WAYS.values()))
        request = way(dice, request)
        names.append(way.__name__)
    return request, names


def drop_field(dice: random.Random, request: Request) -> Request:
    members = _members(request)
    if members:
        del members[dice.choice(list(members))]
    return _with(request, members)


def add_field(dice: random.Random, request: Request) -> Request:
    name = dice.choice(["userId", "id", "sub", "role", "__proto__", "", "a" * 500, "\x00"])
    return _with(request, {**_members(request), name: dice.choice(VALUES)})


def odd_value(dice: random.Random, request: Request) -> Request:
    members = _members(request)
    if members:
        members[dice.choice(list(members))] = dice.choice(VALUES)
    return _with(request, members)


def odd_text(dice: random.Random, request: Request) -> Request:
    """A valid text with something odd in its midst."""
    members = _members(request)
    texts = [name for name, value in members.items() if isinstance(value, str)]
    if texts:
        name = dice.choice(texts)
        at = dice.randrange(len(members[name]) + 1)
        members[name] = members[name][:at] + dice.choice(TEXTS) + members[name][at:]
    return _with(request, members)


def doubled_field(dice: random.Random, request: Request) -> Request:
    name = dice.choice([*_members(request), "x"])
    return replace(request, body=request.body[:-1] + f',"{name}":1}}'.encode())


def odd_body(dice: random.Random, request: Request) -> Request:
    return replace(request, body=dice.choice(BODIES))


def flipped_bytes(dice: random.Random, request: Request) -> Request:
    body = bytearray(request.body)
    for _ in range(dice.randint(1, 3)):
        if body:
            body[dice.randrange(len(body))] = dice.randrange(256)
    return replace(request, body=bytes(body))


def cut_body(dice: random.Random, request: Request) -> Request:
    return replace(request, body=request.body[: dice.randrange(len(request.body) + 1)])


def odd_type(dice: random.Random, request: Request) -> Request:
    kept = [one for one in request.headers if one[0] != "Content-Type"]
    kind = dice.choice([None, *TYPES])
    return replace(request, headers=kept if kind is None else [*kept, ("Content-Type", kind)])


def odd_path(dice: random.Random, request: Request) -> Request:
    parts = request.path.split("/")
    at = dice.randrange(1, len(parts))
    match dice.randrange(4):
        case 0:
            parts[at] = dice.choice(PIECES)
        case 1:
            parts.insert(at, dice.choice(PIECES))
        case 2:
            parts[at] += dice.choice(PIECES)
        case _:
            parts[at] = dice.choice([parts[at].upper(), parts[at][:-1], dice.choice(parts)])
    return replace(request, path="/".join(parts) or "/")


def odd_method(dice: random.Random, request: Request) -> Request:
    return replace(request, method=dice.choice(METHODS))


def odd_header(dice: random.Random, request: Request) -> Request:
    """One more header, beside or in place of what the request has under its name."""
    name, value = dice.choice(HEADERS)
    beside = dice.random() < 0.3
    kept = [one for one in request.headers if beside or one[0] != name]
    return replace(request, headers=[*kept, (name, value)])


def without_header(dice: random.Random, request: Request) -> Request:
    headers = list(request.headers)
    del headers[dice.randrange(len(headers))]
    return replace(request, headers=headers)


def odd_query(dice: random.Random, request: Request) -> Request:
    parts = [request.query] if request.query and dice.random() < 0.5 else []
    return replace(request, query="&".join([*parts, dice.choice(QUERIES)]))


def odd_query_text(dice: random.Random, request: Request) -> Request:
    name = dice.choice(["limit", "cursor", "email", "userId", "operation", "from", "to", "x"])
    text = dice.choice(TEXTS).encode("utf-8", "surrogatepass")[:4_000]
    return replace(request, query=f"{name}={quote(text)}")


# How often each is taken; what needs a body does nothing to a request without one.
WAYS: dict[Bend, int] = {
    drop_field: 2,
    add_field: 2,
    odd_value: 5,
    odd_text: 4,
    doubled_field: 1,
    odd_body: 3,
    flipped_bytes: 2,
    cut_body: 1,
    odd_type: 1,
    odd_path: 4,
    odd_method: 2,
    odd_header: 4,
    without_header: 1,
    odd_query: 4,
    odd_query_text: 2,
}


def _members(request: Request) -> dict[str, Any]:
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError):  # it was bent before
        return {}
    return found if isinstance(found, dict) else {}


def _with(request: Request, members: dict[str, Any]) -> Request:
    if not request.body:
        return request
    return replace(request, body=json.dumps(members).encode())
