"""What the owner of a deployment says of it: `passerine` in the context of `cdk.json`."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from app.common.errors import CannotStart
from app.settings import PREFIX, Settings, load


@dataclass(frozen=True, kw_only=True)
class Config:
    """One deployment.

    Attributes:
        name: of the stack.
        email_from: the sender of messages, `Name <address>` or an address.
        email_identity: a domain or address that this stack makes known to SES; empty for one
            that SES knows already, such as one of another stack.
        public_url: what clients call the service; empty for the API's own address or `domain_name`.
        domain_name: of the service; needs `certificate_arn` (of the same region).
        certificate_arn: of the certificate for `domain_name` in AWS Certificate Manager.
        hosted_zone_id: of the Route 53 zone that gets the name; empty if DNS is elsewhere.
        hosted_zone_name: of the same zone.
        fifo_events: whether the topic keeps the order of a user's events; its subscribers are then
            SQS queues alone.
        memory_mb: of the function; CPU grows with it, one whole core at 1,769.
        snap_start: whether new environments start from a snapshot.
        limits: those that are to differ from the service's defaults, such as
            `MESSAGES=2/1m,10/1h SIGN_UP_NETWORK=100/5m`; the README lists them.
        x_ray: whether requests are traced.
        requests_per_second: that the API lets in.
        burst: that it lets in above them for a moment.
        log_days: how long log lines are kept.
        alarm_email: who is told of alarms, after confirming it to AWS; empty for nobody yet.
        restored_table: ARN of a table restored from a backup, which is then served in place of the
            stack's own.
        restored_stream: ARN of that table's stream.
        removable: whether taking the stack down takes the data with it; for tests alone.
        code: a folder with the function's code that `infra/bundle.py` has made before; empty to
            make it now.
        platform: of the function's libraries; emulators run those of their own machine.
        python: the interpreter that compiles the code.
    """

    name: str = "Passerine"
    email_from: str = ""
    email_identity: str = ""
    public_url: str = ""
    domain_name: str = ""
    certificate_arn: str = ""
    hosted_zone_id: str = ""
    hosted_zone_name: str = ""
    fifo_events: bool = True
    memory_mb: int = 1769
    snap_start: bool = True
    limits: str = ""
    x_ray: bool = False
    requests_per_second: int = 200
    burst: int = 400
    log_days: int = 90
    alarm_email: str = ""
    restored_table: str = ""
    restored_stream: str = ""
    removable: bool = False
    code: str = ""
    platform: str = "aarch64-manylinux_2_28"
    python: str = "3.13"

    @classmethod
    def of(cls, context: Mapping[str, Any] | None) -> "Config":
        """The configuration in a context.

        Raises:
            SystemExit: a member is unknown, of another kind, or missing.
        """
        given = dict(context or {})
        kinds = {one.name: type(one.default) for one in fields(cls)}
        for name, value in given.items():
            kind = kinds.get(name)
            if kind is None:
                raise SystemExit(f"cdk.json: passerine.{name} is no setting; see infra/config.py.")
            if kind is not str and isinstance(value, str):
                given[name] = _read(name, value, kind)
            elif type(value) is not kind:
                raise SystemExit(f"cdk.json: passerine.{name} must be {kind.__name__}.")
        made = cls(**given)
        if not made.email_from:
            raise SystemExit("cdk.json: passerine.email_from must be set: messages need a sender.")
        if made.domain_name and not made.certificate_arn:
            raise SystemExit("cdk.json: passerine.domain_name needs passerine.certificate_arn.")
        if bool(made.restored_table) != bool(made.restored_stream):
            raise SystemExit("cdk.json: passerine.restored_table needs passerine.restored_stream.")
        made.check_limits()
        return made

    def limit_variables(self) -> dict[str, str]:
        """The limits as variables of the function."""
        given = dict(one.partition("=")[::2] for one in self.limits.split())
        return {f"{PREFIX}LIMIT_{name.upper()}": rate for name, rate in given.items()}

    def check_limits(self) -> None:
        """Refuse what the function would not start with, or would pass over.

        Raises:
            SystemExit: a limit is unknown or no rate.
        """
        variables = self.limit_variables()
        known = {PREFIX + name.upper() for name in Settings.model_fields}
        try:
            load(variables)
            wrong = [name for name, rate in variables.items() if name not in known or not rate]
        except CannotStart as error:
            raise SystemExit(f"cdk.json: passerine.limits: {error}") from None
        if wrong:
            raise SystemExit(f"cdk.json: passerine.limits: {wrong[0]} is no limit with its rate.")


def _read(name: str, text: str, kind: type) -> bool | int:
    """A value that `--context` brought, which is always text."""
    if kind is bool and text in {"true", "false"}:
        return text == "true"
    if kind is int and text.isdecimal():
        return int(text)
    raise SystemExit(f"cdk.json: passerine.{name} must be {kind.__name__}.")
