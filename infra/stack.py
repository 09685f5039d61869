"""The stack: a construct for each capability, and who may do what to what."""

from aws_cdk import CfnOutput, Environment, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ses as ses
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.api import Api
from infra.config import Config
from infra.function import Function
from infra.operations import Operations
from infra.storage import Storage

# What the driver calls. A transaction needs the right to each kind of its members.
TABLE_ACTIONS = (
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
)
KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")


class PasserineStack(Stack):
    """One deployment of the service."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        config: Config,
        code: lambda_.Code,
        env: Environment | None = None,
    ) -> None:
        super().__init__(scope, name, env=env, description="Passerine, authentication service")
        storage = Storage(self, "Storage", config=config)
        topic = sns.Topic(
            self, "Events", fifo=config.fifo_events, master_key=storage.key, enforce_ssl=True
        )
        admin_key = secretsmanager.Secret(
            self,
            "AdminKey",
            description="The first API key of Passerine",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=48, exclude_punctuation=True
            ),
        )
        api = Api(self, "Api", config=config)
        function = Function(
            self,
            "Function",
            config=config,
            code=code,
            environment={
                "PASSERINE_STORE": "dynamodb",
                "PASSERINE_TABLE_NAME": storage.table.table_name,
                "PASSERINE_KMS_KEY_ID": storage.key.key_arn,
                "PASSERINE_EVENTS_TOPIC_ARN": topic.topic_arn,
                "PASSERINE_ADMIN_API_KEY_SECRET": admin_key.secret_arn,
                "PASSERINE_PUBLIC_URL": api.url,
                "PASSERINE_EMAIL": "ses",
                "PASSERINE_EMAIL_FROM": config.email_from,
                "PASSERINE_LOG_FORMAT": "json",
                **config.limit_variables(),
            },
        )
        # Exactly these: the grants of CDK's constructs bring actions with wildcards.
        storage.table.grant(function.role, *TABLE_ACTIONS)
        storage.key.grant(function.role, *KEY_ACTIONS)
        for action, resource in (
            ("sns:Publish", topic.topic_arn),
            ("secretsmanager:GetSecretValue", admin_key.secret_arn),
        ):
            function.role.add_to_policy(iam.PolicyStatement(actions=[action], resources=[resource]))
        self._mail(function.role, config)
        dead = function.serve_stream(storage.table)
        api.serve(function.alias)
        operations = Operations(
            self,
            "Operations",
            config=config,
            storage=storage,
            function=function,
            dead=dead,
            api=api,
        )
        CfnOutput(self, "Url", value=api.url)
        CfnOutput(self, "AdminKeySecret", value=admin_key.secret_arn)
        CfnOutput(self, "EventsTopic", value=topic.topic_arn)
        CfnOutput(self, "AlarmsTopic", value=operations.topic.topic_arn)
        CfnOutput(self, "TableName", value=storage.table.table_name)
        CfnOutput(self, "FunctionName", value=function.function.function_name)
        CfnOutput(self, "FunctionLogs", value=function.log_group.log_group_name)
        CfnOutput(self, "DeadLetters", value=dead.queue_url)

    def _mail(self, role: iam.Role, config: Config) -> None:
        if config.email_identity:
            at = config.email_identity.partition("@")[1]
            known = ses.Identity.email if at else ses.Identity.domain
            ses.EmailIdentity(self, "Sender", identity=known(config.email_identity))
        address = config.email_from.rpartition("<")[2].rstrip("> ")
        identities = {address, address.rpartition("@")[2], config.email_identity} - {""}
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["ses:SendEmail", "ses:SendRawEmail"],
                resources=[
                    self.format_arn(service="ses", resource="identity", resource_name=one)
                    for one in sorted(identities)
                ],
            )
        )
