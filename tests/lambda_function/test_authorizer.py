"""A customer's own API asks whether a token of ours is good."""

from datetime import datetime
from typing import Any

import pytest

from app.lambda_handler import Handler, UnknownEvent
from tests.api.world import Person, World

ARN = "arn:aws:execute-api:us-east-1:123456789012:a1b2c3/prod/GET/songs/7"


def asked(version: str, application: str | None, token: str | None, **more: Any) -> dict[str, Any]:
    """The event that a gateway sends to a REQUEST authorizer."""
    headers = {} if token is None else {"Authorization": token}
    variables = None if application is None else {"passerine_application": application}
    made: dict[str, Any] = {
        "version": version,
        "type": "REQUEST",
        "headers": headers,
        "stageVariables": variables,
        **more,
    }
    if version == "2.0":
        http = {"method": "GET", "path": "/songs/7", "sourceIp": "203.0.113.7"}
        made |= {"routeArn": ARN, "requestContext": {"http": http}, "rawPath": "/songs/7"}
    else:
        made |= {"methodArn": ARN, "resource": "/songs/{id}", "httpMethod": "GET"}
    return made


@pytest.fixture
def person(world: World) -> Person:
    return world.tenant().user()


def allowed(function: Handler, event: dict[str, Any]) -> bool:
    """Whether the answer lets the request in."""
    answer = function(event, None)
    if event["version"] == "2.0":
        found: bool = answer["isAuthorized"]
        return found
    (statement,) = answer["policyDocument"]["Statement"]
    return bool(statement["Effect"] == "Allow")


VERSIONS = pytest.mark.parametrize("version", ["1.0", "2.0"])


@VERSIONS
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_a_token_of_the_application_is_let_in(
    function: Handler, person: Person, version: str, scheme: str
) -> None:
    assert allowed(function, asked(version, person.tenant.id, f"{scheme} {person.access}"))


def test_the_simple_answer_says_who_it_is(function: Handler, person: Person) -> None:
    answer = function(asked("2.0", person.tenant.id, f"Bearer {person.access}"), None)
    assert answer["isAuthorized"] is True
    context = answer["context"]
    assert context["applicationId"] == person.tenant.id
    assert context["userId"] == person.id
    assert context.keys() == {"applicationId", "userId", "sessionId", "expires"}


def test_the_policy_speaks_for_the_stage_and_ends_with_the_token(
    world: World, function: Handler, person: Person
) -> None:
    answer = function(asked("1.0", person.tenant.id, f"Bearer {person.access}"), None)
    assert answer["principalId"] == person.id
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement["Action"] == "execute-api:Invoke"
    assert statement["Resource"] == "arn:aws:execute-api:us-east-1:123456789012:a1b2c3/prod/*"
    ends = datetime.fromisoformat(statement["Condition"]["DateLessThan"]["aws:CurrentTime"])
    assert (ends - world.hour.now).total_seconds() == 900


@VERSIONS
def test_a_token_of_another_application_is_kept_out(
    world: World, function: Handler, person: Person, version: str
) -> None:
    other = world.tenant()
    assert not allowed(function, asked(version, other.id, f"Bearer {person.access}"))


@VERSIONS
@pytest.mark.parametrize("application", [None, "", "nobody", "*"])
def test_an_api_that_names_no_application_lets_nobody_in(
    function: Handler, person: Person, version: str, application: str | None
) -> None:
    assert not allowed(function, asked(version, application, f"Bearer {person.access}"))


@VERSIONS
@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer ", "Bearer a.b.c", "Basic YTpi"])
def test_whoever_brings_no_token_is_kept_out(
    function: Handler, person: Person, version: str, token: str | None
) -> None:
    assert not allowed(function, asked(version, person.tenant.id, token))


@VERSIONS
def test_a_refresh_token_is_none(function: Handler, person: Person, version: str) -> None:
    assert not allowed(function, asked(version, person.tenant.id, f"Bearer {person.refresh}"))


@VERSIONS
def test_a_token_counts_until_it_expires(
    world: World, function: Handler, person: Person, version: str
) -> None:
    event = asked(version, person.tenant.id, f"Bearer {person.access}")
    world.advance(899)
    assert allowed(function, event)
    world.advance(1)
    assert not allowed(function, event)


@VERSIONS
def test_a_session_that_has_ended_is_kept_out(
    function: Handler, person: Person, version: str
) -> None:
    person.tenant.revoke(person.refresh)
    assert not allowed(function, asked(version, person.tenant.id, f"Bearer {person.access}"))


@VERSIONS
def test_a_suspended_user_and_a_suspended_application_are_kept_out(
    function: Handler, person: Person, version: str
) -> None:
    event = asked(version, person.tenant.id, f"Bearer {person.access}")
    person.tenant.update(applicationState="suspended")
    assert not allowed(function, event)
    person.tenant.update(applicationState="active")
    assert allowed(function, event)
    person.admin("PATCH", {"state": "suspended"})
    assert not allowed(function, event)


@pytest.mark.parametrize(
    "event",
    [
        {},
        [],
        None,
        "text",
        {"Records": []},
        {"Records": ["text"]},
        {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
        {"Records": [{"eventSource": "aws:s3"}]},
        {"Records": [{"eventSource": "aws:dynamodb"}, {"eventSource": "aws:sqs"}]},
        {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}},
        {"type": "TOKEN", "authorizationToken": "Bearer x", "methodArn": ARN},
        {"type": "REQUEST"},
        {"requestContext": {"elb": {"targetGroupArn": "x"}}, "httpMethod": "GET", "path": "/"},
        {"httpMethod": "GET", "path": "/health"},
        {"version": "2.0", "requestContext": {"authorizer": {"admin": True}}},
    ],
)
def test_every_other_event_is_refused(function: Handler, event: Any) -> None:
    with pytest.raises(UnknownEvent):
        function(event, None)


def test_what_a_gateways_own_authorizer_said_counts_for_nothing(function: Handler) -> None:
    forged = {"authorizer": {"jwt": {"claims": {"sub": "admin"}}, "principalId": "admin"}}
    event = {
        "version": "2.0",
        "rawPath": "/v1/applications",
        "rawQueryString": "",
        "headers": {"host": "auth.example.com"},
        "requestContext": {
            "http": {"method": "GET", "path": "/v1/applications", "sourceIp": "203.0.113.7"},
            **forged,
        },
    }
    assert function(event, None)["statusCode"] == 401
