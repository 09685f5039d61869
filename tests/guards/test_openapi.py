"""The document that clients are generated from.

To renew the snapshot after a wanted change: `python -m tests.guards.test_openapi`.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.main import create_app
from app.settings import Settings
from app.wiring import build

SNAPSHOT = Path(__file__).with_name("openapi.json")
OPERATIONS = {
    "createApplication": "POST /v1/applications",
    "listApplications": "GET /v1/applications",
    "readApplication": "GET {base}",
    "updateApplication": "PATCH {base}",
    "deleteApplication": "DELETE {base}",
    "rotateApplicationKeys": "POST {base}/keys",
    "listApplicationKeys": "GET {base}/keys",
    "revokeApplicationKey": "DELETE {base}/keys/{kid}",
    "listAuditEvents": "GET {base}/audit-events",
    "listDeploymentAuditEvents": "GET /v1/audit-events",
    "readApplicationJwks": "GET {base}/jwks.json",
    "readOpenIdConfiguration": "GET {base}/.well-known/openid-configuration",
    "createUser": "POST {base}/users",
    "sendEmailVerification": "POST {base}/users/verification/send",
    "verifyUser": "POST {base}/users/verification",
    "requestUserToken": "POST {base}/users/token",
    "revokeUserToken": "POST {base}/users/token/revoke",
    "requestPasswordReset": "POST {base}/users/password/reset",
    "updatePassword": "PUT {base}/users/password",
    "readCurrentUser": "GET {base}/users/me",
    "updateCurrentUser": "PATCH {base}/users/me",
    "changeCurrentUserPassword": "PUT {base}/users/me/password",
    "deleteCurrentUser": "DELETE {base}/users/me",
    "listCurrentUserSessions": "GET {base}/users/me/sessions",
    "deleteCurrentUserSession": "DELETE {base}/users/me/sessions/{session_id}",
    "deleteCurrentUserSessions": "DELETE {base}/users/me/sessions",
    "listUsers": "GET {base}/users",
    "readUser": "GET {base}/users/{user_id}",
    "updateUser": "PATCH {base}/users/{user_id}",
    "deleteUser": "DELETE {base}/users/{user_id}",
    "createApiKey": "POST /v1/api-keys",
    "listApiKeys": "GET /v1/api-keys",
    "deleteApiKey": "DELETE /v1/api-keys/{api_key_id}",
    "readHealth": "GET /health",
}
BY_ADMIN: list[dict[str, list[str]]] = [{"apiKey": []}]
BY_USER: list[dict[str, list[str]]] = [{"accessToken": []}]


def made() -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        services = build(Settings(data_dir=Path(folder)))
        document: dict[str, Any] = create_app(services).openapi()
        services.close()
    return document


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return made()


def operations(document: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    return {
        operation["operationId"]: (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_it_is_the_committed_snapshot(document: dict[str, Any]) -> None:
    assert document == json.loads(SNAPSHOT.read_text()), (
        "if the change is wanted: python -m tests.guards.test_openapi"
    )


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(json.loads(json.dumps(document))).validate()


def test_it_holds_every_operation_under_its_name_and_no_other(document: dict[str, Any]) -> None:
    base = "/v1/applications/{application_id}"
    expected = {name: call.replace("{base}", base) for name, call in OPERATIONS.items()}
    assert {name: call for name, (call, _) in operations(document).items()} == expected


def test_every_operation_is_described_with_all_its_refusals(document: dict[str, Any]) -> None:
    for name, (_, operation) in operations(document).items():
        assert operation["summary"], name
        assert operation["description"], name
        answers = operation["responses"]
        assert {"400", "503"} <= answers.keys(), name
        if operation["security"]:
            assert "401" in answers, name
        if "requestBody" in operation:
            assert {"413", "415", "422"} <= answers.keys(), name
        for status, answer in answers.items():
            if int(status) >= 400:
                examples = answer["content"]["application/problem+json"]["examples"]
                assert examples, (name, status)
                for code, example in examples.items():
                    assert example["value"]["code"] == code
                    assert example["value"]["status"] == int(status)


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    for name, (_, operation) in operations(document).items():
        if "requestBody" in operation:
            schema = json.dumps(operation["requestBody"])
            reference = schema.partition('"#/components/schemas/')[2].partition('"')[0]
            described = document["components"]["schemas"][reference]
            shown = described.get("examples") or [
                member.get("examples") for member in described["properties"].values()
            ]
            assert all(shown), name


def test_each_operation_names_the_scheme_of_its_caller(document: dict[str, Any]) -> None:
    security = {name: o["security"] for name, (_, o) in operations(document).items()}
    by_user = {name for name, schemes in security.items() if schemes == BY_USER}
    by_admin = {name for name, schemes in security.items() if schemes == BY_ADMIN}
    assert by_user == {name for name in OPERATIONS if "CurrentUser" in name}
    open_to_all = OPERATIONS.keys() - by_user - by_admin
    assert open_to_all == {
        "createUser",
        "readApplicationJwks",
        "readHealth",
        "readOpenIdConfiguration",
        "requestPasswordReset",
        "requestUserToken",
        "revokeUserToken",
        "sendEmailVerification",
        "updatePassword",
        "verifyUser",
    }


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(made(), indent=1, ensure_ascii=False) + "\n")
