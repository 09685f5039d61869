"""What tells the operator that something is wrong: alarms to a topic, and a dashboard."""

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.api import Api
from infra.config import Config
from infra.function import Function
from infra.storage import Storage

MINUTES = Duration.minutes(5)
SLOW_MILLISECONDS = 3000  # a sign-in takes a tenth of it
# The stream is read several times a second: what waits longer does not get through.
OLD_MILLISECONDS = 60_000


class Operations(Construct):
    """Alarms and their topic, and the dashboard; few enough to be within AWS's free ones."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        config: Config,
        storage: Storage,
        function: Function,
        dead: sqs.Queue,
        api: Api,
    ) -> None:
        super().__init__(scope, name)
        self.topic = sns.Topic(self, "Alarms", master_key=storage.key, enforce_ssl=True)
        # CloudWatch publishes as itself; the key's policy must let it.
        storage.key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],  # in a key's own policy: this key
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
        if config.alarm_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(config.alarm_email))
        alias, table = function.alias, storage.table
        errors = alias.metric_errors(period=MINUTES)
        throttles = alias.metric_throttles(period=MINUTES)
        slow = alias.metric_duration(period=MINUTES, statistic="p99")
        age = alias.metric("IteratorAge", period=MINUTES, statistic="Maximum")
        letters = dead.metric_approximate_number_of_messages_visible(
            period=MINUTES, statistic="Maximum"
        )
        broken = api.api.metric_server_error(period=MINUTES, statistic="Sum")
        table_throttles = [
            table.metric(f"{kind}ThrottleEvents", period=MINUTES, statistic="Sum")
            for kind in ("Read", "Write")
        ]
        for title, metric, threshold, periods, text in (
            ("Errors", errors, 1, 1, "An invocation of the function failed."),
            ("Throttles", throttles, 1, 1, "The account's concurrency is used up."),
            ("Slow", slow, SLOW_MILLISECONDS, 3, "One request in a hundred is slow."),
            ("DeadLetters", letters, 1, 1, "Events wait in the outbox: see the README."),
            ("OutboxAge", age, OLD_MILLISECONDS, 2, "Events do not leave the outbox in time."),
            ("ServerErrors", broken, 5, 1, "Clients get answers of 500 and above."),
            ("ReadThrottles", table_throttles[0], 1, 2, "The table refuses reads."),
            ("WriteThrottles", table_throttles[1], 1, 2, "The table refuses writes."),
        ):
            cloudwatch.Alarm(
                self,
                title,
                alarm_description=text,
                metric=metric,
                threshold=threshold,
                evaluation_periods=periods,
                comparison_operator=(
                    cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
                ),
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            ).add_alarm_action(actions.SnsAction(self.topic))
        used = [
            table.metric(f"Consumed{kind}CapacityUnits", period=MINUTES, statistic="Sum")
            for kind in ("Read", "Write")
        ]
        times = [
            alias.metric_duration(period=MINUTES, statistic=statistic)
            for statistic in ("p50", "p95", "p99")
        ]
        calls = alias.metric_invocations(period=MINUTES)
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            widgets=[
                [_graph("Invocations", calls), _graph("Milliseconds", *times)],
                [
                    _graph("Failures", errors, throttles, broken),
                    _graph("Outbox: oldest, ms", age),
                    _graph("Dead letters", letters),
                ],
                [
                    _graph("Table: request units", *used),
                    _graph("Table: throttles", *table_throttles),
                ],
            ],
        )


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8)
