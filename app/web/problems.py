"""Refusals on the wire: RFC 9457 problem details."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from app.common.errors import Kind, Refusal
from app.web.pages import html_response

STATUSES = {
    Kind.MALFORMED: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.TOO_LARGE: 413,
    Kind.UNSUPPORTED: 415,
    Kind.INVALID: 422,
    Kind.TOO_MANY: 429,
    Kind.UNAVAILABLE: 503,
}
HTTP_405 = 405
HTTP_CODES = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take this method."),
}
MEDIA_TYPE = "application/problem+json"
VALIDATION_FAILED = "validation_failed"
LONGEST_FIELD = 100


class BodyTooLarge(Refusal):
    kind = Kind.TOO_LARGE
    code = "body_too_large"
    detail = "A body takes at most 64 KiB."


class AmbiguousLength(Refusal):
    kind = Kind.MALFORMED
    code = "bad_request"
    detail = "A body is either chunked or of a length, never both."


class UnsupportedMediaType(Refusal):
    kind = Kind.UNSUPPORTED
    code = "unsupported_media_type"
    detail = "Send the body as application/json in UTF-8."


class InvalidJson(Refusal):
    kind = Kind.MALFORMED
    code = "invalid_json"
    detail = "The body is not JSON that can be read: check its syntax, depth and repeated names."


class UnknownHost(Refusal):
    kind = Kind.MALFORMED
    code = "unknown_host"
    detail = "This host name is not served. Use a loopback name, or set PASSERINE_PUBLIC_URL."


class InvalidApiKey(Refusal):
    kind = Kind.UNAUTHENTICATED
    code = "invalid_api_key"
    detail = "Send a valid API key in the header X-Api-Key."


class NotPermitted(Refusal):
    kind = Kind.FORBIDDEN
    code = "forbidden"
    detail = "This API key administers one application alone."


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    request_id: str,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One problem as a response."""
    body: dict[str, Any] = {
        "type": f"urn:passerine:problem:{code}",
        "title": title(code),
        "status": status,
        "detail": detail,
        "code": code,
        "requestId": request_id,
    }
    if errors is not None:
        body["errors"] = errors
    return Response(
        json.dumps(body, ensure_ascii=False),
        status,
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def of_refusal(refusal: Refusal, *, request_id: str) -> Response:
    """The problem that a refusal is."""
    status = STATUSES[refusal.kind]
    errors = None
    if refusal.kind is Kind.INVALID:
        error = {"field": refusal.at or "", "code": refusal.code, "detail": refusal.detail}
        errors = [error]
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.kind is Kind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = challenge(refusal.code)
    return problem(
        status, refusal.code, refusal.detail, request_id=request_id, errors=errors, headers=headers
    )


def title(code: str) -> str:
    """A code as a heading."""
    return code.replace("_", " ").capitalize()


def challenge(code: str) -> str:
    """How to authenticate (RFC 9110 section 11.6.1; RFC 6750 section 3)."""
    if code == InvalidApiKey.code:
        return 'ApiKey realm="passerine"'
    if code == "invalid_token":
        return 'Bearer realm="passerine", error="invalid_token"'
    return 'Bearer realm="passerine"'


async def on_refusal(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    request.state.outcome = refusal.code
    if getattr(request.scope.get("route"), "response_class", None) is HTMLResponse:
        status, text = STATUSES[refusal.kind], refusal.detail
        return html_response("refused.html", status=status, heading=title(refusal.code), text=text)
    return of_refusal(refusal, request_id=request.state.request_id)


async def on_http_exception(request: Request, exception: Exception) -> Response:
    assert isinstance(exception, HTTPException)
    status = exception.status_code
    fallback = ("bad_request", "The request cannot be read.")
    code, detail = HTTP_CODES.get(status, fallback)
    request_id, request.state.outcome = request.state.request_id, code
    headers = {"Allow": _allowed(request)} if status == HTTP_405 else exception.headers
    return problem(status, code, detail, request_id=request_id, headers=headers)


def _allowed(request: Request) -> str:
    """The methods that an address takes (RFC 9110 section 15.5.6): of all routes that match it."""
    return ", ".join(sorted(request.app.state.methods(request.scope)))


async def on_invalid(request: Request, exception: Exception) -> Response:
    """Every member that is to blame, named; never what the client sent in it."""
    assert isinstance(exception, RequestValidationError)
    errors = [
        {
            "field": _field(error["loc"]),
            "code": str(error["type"]),
            "detail": str(error["msg"]).removeprefix("Value error, "),
        }
        for error in exception.errors()
    ]
    detail = "Some members of the request are missing or wrong: see `errors`."
    request_id, request.state.outcome = request.state.request_id, VALIDATION_FAILED
    return problem(422, VALIDATION_FAILED, detail, request_id=request_id, errors=errors)


def _field(location: tuple[int | str, ...]) -> str:
    parts = [str(part) for part in location[1:]] or [str(part) for part in location]
    return ".".join(parts)[:LONGEST_FIELD]
