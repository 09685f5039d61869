"""The rules of cdk-nag's AwsSolutions pack, and which of them do not fit, with the reason."""

import cdk_nag
from aws_cdk import Stack, Validations

# Each is true of the whole stack.
REASONS = {
    "AwsSolutions-APIG4": "Routes of sign-in are public; the application authorizes each request.",
    "AwsSolutions-L1": "Python 3.13 is what the service is tested with.",
    "AwsSolutions-SMG4": "The first admin key is rotated by its owner: clients hold it too.",
    "Annotation::@aws-cdk/aws-lambda:snapStartRequirePublish": "The alias publishes each version.",
    "AwsSolutions-SQS3": "The queue is itself the stream's queue of dead letters.",
}
TRACING = "X-Ray's actions know no resource."


def check(stack: Stack, *, x_ray: bool) -> None:
    """Let the synthesis fail on a rule that is broken without a reason."""
    Validations.of(stack).add_plugins(cdk_nag.AwsSolutionsChecks(stack, verbose=True))
    reasons = dict(REASONS)
    if x_ray:
        reasons["AwsSolutions-IAM5[Resource::*]"] = TRACING
    # Not `acknowledge`, which takes no id of a single finding.
    stack.node.add_metadata(Validations.ACKNOWLEDGED_RULES_METADATA_KEY, reasons)
