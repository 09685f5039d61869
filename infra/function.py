"""The one function, its role, and what wakes it besides HTTP."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.config import Config

HANDLER = "app.lambda_handler.handler"
TIMEOUT = Duration.seconds(20)  # the API waits 30
# Each failed record is tried again for a quarter of an hour at most: what waits behind it in the
# stream waits as long. It stays in the outbox, where its next neighbour takes it along.
RETRIES = 10
RECORD_AGE = Duration.minutes(15)
BATCH = 25


class Function(Construct):
    """The function behind an alias, which is what everything calls."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        config: Config,
        code: lambda_.Code,
        environment: dict[str, str],
    ) -> None:
        super().__init__(scope, name)
        self.log_group = log_group(self, config)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log_group.grant_write(self.role)
        arm = config.platform.startswith("aarch64")
        snap = lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if config.snap_start else None
        self.function = lambda_.Function(
            self,
            "Function",
            description="Passerine: HTTP, the table's stream, and authorizer",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64 if arm else lambda_.Architecture.X86_64,
            handler=HANDLER,
            code=code,
            role=self.role,
            memory_size=config.memory_mb,
            timeout=TIMEOUT,
            snap_start=snap,
            tracing=lambda_.Tracing.ACTIVE if config.x_ray else lambda_.Tracing.DISABLED,
            logging_format=lambda_.LoggingFormat.JSON,
            log_group=self.log_group,
            environment=environment,
        )
        self.alias = lambda_.Alias(
            self, "Live", alias_name="live", version=self.function.current_version
        )

    def serve_stream(self, table: dynamodb.ITable) -> sqs.Queue:
        """Let the table's stream wake the function; the queue of what it could not deliver."""
        dead = sqs.Queue(
            self,
            "DeadLetters",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        self.alias.add_event_source_mapping(
            "Stream",
            event_source_arn=str(table.table_stream_arn),
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=BATCH,
            bisect_batch_on_error=True,
            report_batch_item_failures=True,
            retry_attempts=RETRIES,
            max_record_age=RECORD_AGE,
            on_failure=sources.SqsDlq(dead),
            filters=[
                lambda_.FilterCriteria.filter(
                    {
                        "eventName": lambda_.FilterRule.is_equal("INSERT"),
                        "dynamodb": {
                            "Keys": {"pk": {"S": lambda_.FilterRule.begins_with("outbox#")}}
                        },
                    }
                )
            ],
        )
        # CDK's own event source would let the role list every stream of the account.
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "dynamodb:DescribeStream",
                    "dynamodb:GetRecords",
                    "dynamodb:GetShardIterator",
                ],
                resources=[str(table.table_stream_arn)],
            )
        )
        return dead


def log_group(scope: Construct, config: Config) -> logs.LogGroup:
    """Where a construct's lines go."""
    return logs.LogGroup(
        scope,
        "Logs",
        retention=_days(config.log_days),
        removal_policy=RemovalPolicy.DESTROY if config.removable else RemovalPolicy.RETAIN,
    )


def _days(count: int) -> logs.RetentionDays:
    """How long a log group keeps its lines, of what CloudWatch offers."""
    found = {one.name: one for one in logs.RetentionDays}
    words = {1: "ONE_DAY", 7: "ONE_WEEK", 14: "TWO_WEEKS", 30: "ONE_MONTH", 90: "THREE_MONTHS"}
    words |= {180: "SIX_MONTHS", 365: "ONE_YEAR", 400: "THIRTEEN_MONTHS"}
    if count not in words:
        raise SystemExit(f"cdk.json: passerine.log_days must be one of {sorted(words)}.")
    return found[words[count]]
