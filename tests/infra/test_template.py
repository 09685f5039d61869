"""What `cdk deploy` would make, read from the template; nothing is bundled for it."""

import json
import shutil
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from app.limits.types import Rate
from app.settings import load
from infra.config import Config
from tests.needs import missing

Template = dict[str, Any]
SENDER = "Passerine <no-reply@example.com>"


def made(config: Config) -> Template:
    # The binding speaks to a Node process, of whose version it warns.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from aws_cdk import App
        from aws_cdk import aws_lambda as lambda_
        from aws_cdk.assertions import Template as Assertions

        from infra.stack import PasserineStack

        code = lambda_.InlineCode("pass")
        stack = PasserineStack(App(), config.name, config=config, code=code)
        return dict(Assertions.from_stack(stack).to_json())


@pytest.fixture(scope="module")
def template() -> Template:
    if shutil.which("node") is None:
        missing("Node")
    return made(Config(email_from=SENDER))


@pytest.fixture(scope="module")
def removable(template: Template) -> Template:
    return made(Config(email_from=SENDER, removable=True))


def of(template: Template, kind: str) -> list[dict[str, Any]]:
    return [one for one in template["Resources"].values() if one["Type"] == kind]


def statements(template: Template) -> Iterator[dict[str, Any]]:
    for policy in of(template, "AWS::IAM::Policy"):
        yield from policy["Properties"]["PolicyDocument"]["Statement"]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_the_table_is_kept_encrypted_and_recoverable(template: Template) -> None:
    (table,) = of(template, "AWS::DynamoDB::Table")
    (key,) = of(template, "AWS::KMS::Key")
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
    assert key["DeletionPolicy"] == key["UpdateReplacePolicy"] == "Retain"
    assert key["Properties"]["EnableKeyRotation"] is True
    told = table["Properties"]
    assert told["BillingMode"] == "PAY_PER_REQUEST"
    assert told["DeletionProtectionEnabled"] is True
    assert told["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert told["SSESpecification"]["SSEType"] == "KMS"
    assert told["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert told["StreamSpecification"] == {"StreamViewType": "KEYS_ONLY"}


def test_a_stack_for_tests_leaves_nothing_behind(removable: Template) -> None:
    (table,) = of(removable, "AWS::DynamoDB::Table")
    assert table["DeletionPolicy"] == "Delete"
    assert table["Properties"]["DeletionProtectionEnabled"] is False


def test_no_action_and_no_resource_of_the_role_is_a_wildcard(template: Template) -> None:
    found = list(statements(template))
    assert len(found) >= 6
    for statement in found:
        for action in listed(statement["Action"]):
            assert "*" not in action, action
        for resource in listed(statement["Resource"]):
            assert "*" not in str(resource), resource


def test_the_role_may_do_what_the_adapters_do_and_nothing_else(template: Template) -> None:
    actions = {action for one in statements(template) for action in listed(one["Action"])}
    assert actions == {
        "dynamodb:BatchGetItem",
        "dynamodb:ConditionCheckItem",
        "dynamodb:DeleteItem",
        "dynamodb:DescribeStream",
        "dynamodb:GetItem",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "secretsmanager:GetSecretValue",
        "ses:SendEmail",
        "ses:SendRawEmail",
        "sns:Publish",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:SendMessage",
    }


def test_every_log_group_ends(template: Template) -> None:
    groups = of(template, "AWS::Logs::LogGroup")
    assert len(groups) == 2
    assert {group["Properties"]["RetentionInDays"] for group in groups} == {90}


def test_the_function_is_the_bundles(template: Template) -> None:
    (function,) = of(template, "AWS::Lambda::Function")
    told = function["Properties"]
    assert told["Handler"] == "app.lambda_handler.handler"
    assert (told["Runtime"], told["Architectures"]) == ("python3.13", ["arm64"])
    assert told["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert told["LoggingConfig"]["LogFormat"] == "JSON"
    (alias,) = of(template, "AWS::Lambda::Alias")
    assert alias["Properties"]["Name"] == "live"


def test_every_setting_that_the_function_gets_is_one(template: Template) -> None:
    from app.settings import PREFIX, Settings

    (function,) = of(template, "AWS::Lambda::Function")
    told = function["Properties"]["Environment"]["Variables"]
    assert {name.removeprefix(PREFIX).lower() for name in told} <= set(Settings.model_fields)


def test_the_stream_reports_splits_retries_and_gives_up_into_a_queue(template: Template) -> None:
    (mapping,) = of(template, "AWS::Lambda::EventSourceMapping")
    told = mapping["Properties"]
    assert told["BisectBatchOnFunctionError"] is True
    assert told["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert (told["MaximumRetryAttempts"], told["MaximumRecordAgeInSeconds"]) == (10, 900)
    assert "OnFailure" in told["DestinationConfig"]
    (rule,) = told["FilterCriteria"]["Filters"]
    assert json.loads(rule["Pattern"]) == {
        "eventName": ["INSERT"],
        "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "outbox#"}]}}},
    }


def test_the_api_is_limited_and_its_lines_hold_no_path_and_no_query(template: Template) -> None:
    (stage,) = of(template, "AWS::ApiGatewayV2::Stage")
    told = stage["Properties"]
    assert told["DefaultRouteSettings"] == {"ThrottlingRateLimit": 200, "ThrottlingBurstLimit": 400}
    line = told["AccessLogSettings"]["Format"]
    for word in ("path", "query", "authorization", "routeKey"):
        assert word not in line.lower()


def test_a_restored_table_is_served_and_the_own_one_stays() -> None:
    table = "arn:aws:dynamodb:eu-west-1:111122223333:table/restored"
    stream = f"{table}/stream/2026-01-01T00:00:00.000"
    found = made(Config(email_from=SENDER, restored_table=table, restored_stream=stream))
    assert of(found, "AWS::DynamoDB::Table")[0]["DeletionPolicy"] == "Retain"
    (mapping,) = of(found, "AWS::Lambda::EventSourceMapping")
    assert mapping["Properties"]["EventSourceArn"] == stream
    (function,) = of(found, "AWS::Lambda::Function")
    told = function["Properties"]["Environment"]["Variables"]
    assert "restored" in json.dumps(told["PASSERINE_TABLE_NAME"])
    granted = [one for one in statements(found) if "dynamodb:PutItem" in listed(one["Action"])]
    assert [listed(one["Resource"]) for one in granted] == [[table]]


def test_every_alarm_reaches_the_topic_and_a_mailbox_if_one_is_named(template: Template) -> None:
    alarms = of(template, "AWS::CloudWatch::Alarm")
    assert {alarm["Properties"]["MetricName"] for alarm in alarms} == {
        "5xx",
        "ApproximateNumberOfMessagesVisible",
        "Duration",
        "Errors",
        "IteratorAge",
        "ReadThrottleEvents",
        "Throttles",
        "WriteThrottleEvents",
    }
    assert all(len(alarm["Properties"]["AlarmActions"]) == 1 for alarm in alarms)
    assert len(of(template, "AWS::CloudWatch::Dashboard")) == 1
    assert of(template, "AWS::SNS::Subscription") == []
    told = made(Config(email_from=SENDER, alarm_email="operator@example.com"))
    (subscription,) = of(told, "AWS::SNS::Subscription")
    assert subscription["Properties"]["Endpoint"] == "operator@example.com"


def test_traces_are_the_only_right_without_a_resource() -> None:
    found = made(Config(email_from=SENDER, x_ray=True))
    (function,) = of(found, "AWS::Lambda::Function")
    assert function["Properties"]["TracingConfig"] == {"Mode": "Active"}
    wild = [one for one in statements(found) if "*" in listed(one["Resource"])]
    assert [sorted(one["Action"]) for one in wild] == [
        ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    ]


@pytest.mark.parametrize(
    ("context", "named"),
    [
        ({}, "email_from"),
        ({"email_from": SENDER, "colour": "blue"}, "colour"),
        ({"email_from": SENDER, "memory_mb": "much"}, "memory_mb"),
        ({"email_from": SENDER, "removable": "perhaps"}, "removable"),
        ({"email_from": 7}, "email_from"),
        ({"email_from": SENDER, "domain_name": "auth.example.com"}, "certificate_arn"),
        ({"email_from": SENDER, "restored_table": "arn"}, "restored_stream"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(context: dict[str, Any], named: str) -> None:
    with pytest.raises(SystemExit, match=named):
        Config.of(context)


def test_what_the_command_line_says_is_read() -> None:
    config = Config.of({"email_from": SENDER, "memory_mb": "512", "removable": "true"})
    assert (config.memory_mb, config.removable) == (512, True)


def test_limits_reach_the_function_as_settings_that_it_reads() -> None:
    given = Config(email_from=SENDER, limits="MESSAGES=2/1m,10/1h  sign_up_network=100/5m")
    told = given.limit_variables()
    assert told == {
        "PASSERINE_LIMIT_MESSAGES": "2/1m,10/1h",
        "PASSERINE_LIMIT_SIGN_UP_NETWORK": "100/5m",
    }
    limits = load(told).limits
    assert limits.messages == (Rate(2, 60), Rate(10, 3600))
    assert limits.sign_up_network == Rate(100, 300)
    assert Config(email_from=SENDER).limit_variables() == {}


@pytest.mark.parametrize("limits", ["MESSAGES", "MESSAGES=", "PIGEONS=1/1m", "MESSAGES=2"])
def test_limits_that_the_function_would_not_start_with_are_refused(limits: str) -> None:
    with pytest.raises(SystemExit, match=r"passerine\.limits"):
        Config.of({"email_from": SENDER, "limits": limits})
