"""The OpenAPI 3.1 document: what FastAPI derives, and what is true of every route."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.common.errors import ApplicationNotFound, InvalidCursor, Refusal, StoreUnavailable
from app.web.access import (
    ADMIN,
    API_KEY_HEADER,
    PUBLIC,
    USER,
    addressed_application,
    application_admin,
    open_application,
)
from app.web.problems import (
    MEDIA_TYPE,
    STATUSES,
    VALIDATION_FAILED,
    BodyTooLarge,
    InvalidApiKey,
    InvalidJson,
    NotPermitted,
    UnknownHost,
    UnsupportedMediaType,
    title,
)
from app.web.routes import Route

Responses = dict[int | str, dict[str, Any]]
OVERLOADED = "503"
SECURITY: dict[str, list[dict[str, list[str]]]] = {
    ADMIN: [{"apiKey": []}],
    USER: [{"accessToken": []}],
    PUBLIC: [],
}
SCHEMES = {
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": API_KEY_HEADER,
        "description": "An administrator's key. The first one is named at the start.",
    },
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A user's access token, from requestUserToken or verifyUser.",
    },
}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "detail", "code", "requestId"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "For people."},
        "code": {"type": "string", "description": "For programs; stable."},
        "requestId": {"type": "string", "description": "Also in the header X-Request-Id."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "detail"],
                "properties": {
                    "field": {"type": "string"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


def refusals(*classes: type[Refusal]) -> Responses:
    """The error answers of a route, from the refusals that its use case may raise."""
    answers: Responses = {}
    for refusal in classes:
        answer = answers.setdefault(
            STATUSES[refusal.kind],
            {"description": "", "content": {MEDIA_TYPE: {"schema": _PROBLEM_REF, "examples": {}}}},
        )
        answer["content"][MEDIA_TYPE]["examples"][refusal.code] = {"value": _example(refusal)}
        codes = ", ".join(f"`{code}`" for code in answer["content"][MEDIA_TYPE]["examples"])
        answer["description"] = f"Refused: {codes}."
    return answers


_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}


def document(app: FastAPI, routes: Iterable[Any]) -> dict[str, Any]:
    """The document of the app.

    Each route's answers are completed by what its caller, path and body bring with them.
    """
    made = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        summary=app.summary,
        description=app.description,
        routes=list(routes),
        tags=app.openapi_tags,
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
    made["components"]["securitySchemes"] = SCHEMES
    for route in routes:
        if isinstance(route, Route) and route.include_in_schema:
            for method in route.methods or ():
                _complete(made["paths"][route.path_format][method.lower()], route)
    return made


def _complete(operation: dict[str, Any], route: Route) -> None:
    operation["security"] = SECURITY[route.caller]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content and "anyOf" in content["schema"]:  # it may be left out; `null` it may not be
        (content["schema"],) = [one for one in content["schema"]["anyOf"] if "$ref" in one]
    responses = operation["responses"]
    if MEDIA_TYPE not in responses.get("422", {}).get("content", {}):
        responses.pop("422", None)  # FastAPI's own, of a form that is not ours
    for status, standard in refusals(*_standard(route)).items():
        mine = responses.get(str(status))
        if mine is None or MEDIA_TYPE not in mine.get("content", {}):
            responses[str(status)] = standard
            continue
        examples = mine["content"][MEDIA_TYPE]["examples"]
        examples |= standard["content"][MEDIA_TYPE]["examples"]
        mine["description"] = f"Refused: {', '.join(f'`{code}`' for code in examples)}."
    if route.body_field is not None or route.dependant.query_params:
        _add_validation(responses)
    operation["responses"] = dict(sorted(responses.items()))
    for answer in operation["responses"].values():
        answer.setdefault("headers", {})["X-Request-Id"] = {
            "description": "Names this request in the log.",
            "schema": {"type": "string"},
        }


def _standard(route: Route) -> list[type[Refusal]]:
    """The refusals that a route's caller, path and body bring with them."""
    calls = {dependency.call for dependency in route.dependant.dependencies}
    found: list[type[Refusal]] = [UnknownHost, StoreUnavailable]
    if route.caller == ADMIN:
        found += [InvalidApiKey]
        found += (
            [ApplicationNotFound]
            if calls & {addressed_application, application_admin}
            else [NotPermitted]
        )
    if open_application in calls:
        found.append(ApplicationNotFound)
    if route.body_field is not None:
        found += [InvalidJson, BodyTooLarge, UnsupportedMediaType]
    if any(parameter.name == "cursor" for parameter in route.dependant.query_params):
        found.append(InvalidCursor)
    return found


def _add_validation(responses: dict[str, Any]) -> None:
    example = {
        "type": f"urn:passerine:problem:{VALIDATION_FAILED}",
        "title": "Validation failed",
        "status": 422,
        "detail": "Some members of the request are missing or wrong: see `errors`.",
        "code": VALIDATION_FAILED,
        "requestId": _REQUEST_ID,
        "errors": [{"field": "email", "code": "missing", "detail": "Field required"}],
    }
    answer = responses.get("422", {})
    content = answer.get("content", {}).get(MEDIA_TYPE) or {"schema": _PROBLEM_REF, "examples": {}}
    content["examples"][VALIDATION_FAILED] = {"value": example}
    codes = ", ".join(f"`{code}`" for code in content["examples"])
    responses["422"] = {"description": f"Refused: {codes}.", "content": {MEDIA_TYPE: content}}


_REQUEST_ID = "01999f3e-6b2c-7c3a-9d57-4ba0d3a1c5f2"


def _example(refusal: type[Refusal]) -> Mapping[str, Any]:
    body: dict[str, Any] = {
        "type": f"urn:passerine:problem:{refusal.code}",
        "title": title(refusal.code),
        "status": STATUSES[refusal.kind],
        "detail": refusal.detail,
        "code": refusal.code,
        "requestId": _REQUEST_ID,
    }
    if refusal.field is not None and STATUSES[refusal.kind] == STATUSES_INVALID:
        error = {"field": refusal.field, "code": refusal.code, "detail": refusal.detail}
        body["errors"] = [error]
    return body


STATUSES_INVALID = 422
