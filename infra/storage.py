"""What is kept: the table, and the key that everything secret is sealed under."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.config import Config


class Storage(Construct):
    """The table and its key; both stay when the stack is taken down, unless it is removable."""

    def __init__(self, scope: Construct, name: str, *, config: Config) -> None:
        super().__init__(scope, name)
        kept = RemovalPolicy.DESTROY if config.removable else RemovalPolicy.RETAIN
        self.key = kms.Key(
            self,
            "Key",
            description="Passerine: table, signing keys, letters, events",
            enable_key_rotation=True,
            removal_policy=kept,
        )
        text = dynamodb.AttributeType.STRING
        # Not `TableV2`, which with a key of ours must know its region when it is synthesized.
        own = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="pk", type=text),
            sort_key=dynamodb.Attribute(name="sk", type=text),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            stream=dynamodb.StreamViewType.KEYS_ONLY,
            time_to_live_attribute="expires_at",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=not config.removable,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=self.key,
            removal_policy=kept,
        )
        self.table: dynamodb.ITable = own
        if config.restored_table:
            self.table = dynamodb.Table.from_table_attributes(
                self,
                "Restored",
                table_arn=config.restored_table,
                table_stream_arn=config.restored_stream,
                encryption_key=self.key,
            )
