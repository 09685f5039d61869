"""Every operation of the service as its own document lists them, with a body that each takes."""

from dataclasses import dataclass
from typing import Any

from tests.api.world import ABSENT, World

PASSWORD = "correct horse battery staple"
ID = "019ca945-0a00-7001-9c76-e6773e9f1b85"  # of nothing
BODIES: dict[str, Any] = {
    "createApplication": {"name": "Songbook", "signingAlgorithm": "EdDSA"},
    "updateApplication": {"name": "Songbook"},
    "createUser": {"email": "eve@example.com", "password": PASSWORD},
    "sendEmailVerification": {"email": "eve@example.com"},
    "verifyUser": {"token": "x", "password": PASSWORD},
    "requestUserToken": {"email": "eve@example.com", "password": PASSWORD},
    "revokeUserToken": {"refreshToken": "x"},
    "requestPasswordReset": {"email": "eve@example.com"},
    "updatePassword": {"token": "x", "password": PASSWORD},
    "changeCurrentUserPassword": {"currentPassword": PASSWORD, "newPassword": "x" + PASSWORD},
    "updateCurrentUser": {"metadata": {"a": 1}},
    "updateUser": {"appMetadata": {"a": 1}},
    "createApiKey": {"name": "pipeline"},
}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of the document."""

    id: str
    method: str
    template: str
    security: list[dict[str, list[str]]]

    @property
    def admin(self) -> bool:
        return self.security == [{"apiKey": []}]

    @property
    def user(self) -> bool:
        return self.security == [{"accessToken": []}]

    @property
    def of_application(self) -> bool:
        return "{application_id}" in self.template

    @property
    def body(self) -> Any:
        return BODIES.get(self.id, ABSENT)

    def path(self, **parameters: str) -> str:
        """The path with its parameters, each of nothing unless it is given."""
        names = ("application_id", "user_id", "session_id", "kid", "api_key_id")
        return self.template.format(**{**dict.fromkeys(names, ID), **parameters})


def operations(world: World) -> list[Operation]:
    document = world.send("GET", "/openapi.json").json()
    return [
        Operation(
            id=found["operationId"],
            method=method.upper(),
            template=template,
            security=found["security"],
        )
        for template, item in document["paths"].items()
        for method, found in item.items()
    ]
