"""How clients reach the function: an HTTP API with limits, access lines and perhaps a name."""

import json

from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra.config import Config
from infra.function import log_group

# No path and no query: either may hold a token.
LINE = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "status": "$context.status",
    "milliseconds": "$context.responseLatency",
    "integration": "$context.integrationLatency",
    "bytes": "$context.responseLength",
    "error": "$context.error.message",
}


class Api(Construct):
    """The API; everything it gets goes to the function, which knows the routes."""

    def __init__(self, scope: Construct, name: str, *, config: Config) -> None:
        super().__init__(scope, name)
        self.log_group = log_group(self, config)
        self.api = gateway.HttpApi(
            self,
            "Api",
            create_default_stage=False,
            disable_execute_api_endpoint=bool(config.domain_name),
        )
        domain = self._domain(config) if config.domain_name else None
        self.stage = gateway.CfnStage(
            self,
            "Stage",
            api_id=self.api.api_id,
            stage_name="$default",
            auto_deploy=True,
            access_log_settings=gateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=self.log_group.log_group_arn, format=json.dumps(LINE)
            ),
            default_route_settings=gateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=config.requests_per_second,
                throttling_burst_limit=config.burst,
            ),
        )
        if domain is not None:
            gateway.CfnApiMapping(
                self,
                "Mapping",
                api_id=self.api.api_id,
                domain_name=domain.name,
                stage="$default",
            ).add_resource_dependency(self.stage)
        self.url = config.public_url or (
            f"https://{config.domain_name}" if config.domain_name else self.api.api_endpoint
        )

    def serve(self, alias: lambda_.Alias) -> None:
        """Send every request to the function."""
        self.api.add_routes(
            path="/{proxy+}",
            methods=[gateway.HttpMethod.ANY],
            integration=HttpLambdaIntegration("Function", alias),
        )
        self.api.add_routes(
            path="/",
            methods=[gateway.HttpMethod.ANY],
            integration=HttpLambdaIntegration("Root", alias),
        )

    def _domain(self, config: Config) -> gateway.DomainName:
        certificate = acm.Certificate.from_certificate_arn(
            self, "Certificate", config.certificate_arn
        )
        domain = gateway.DomainName(
            self, "Domain", domain_name=config.domain_name, certificate=certificate
        )
        if config.hosted_zone_id:
            zone = route53.HostedZone.from_hosted_zone_attributes(
                self,
                "Zone",
                hosted_zone_id=config.hosted_zone_id,
                zone_name=config.hosted_zone_name,
            )
            route53.ARecord(
                self,
                "Record",
                zone=zone,
                record_name=config.domain_name,
                target=route53.RecordTarget.from_alias(
                    targets.ApiGatewayv2DomainProperties(
                        domain.regional_domain_name, domain.regional_hosted_zone_id
                    )
                ),
            )
        return domain
