"""What the process is told by its environment, read once and refused with one clear line."""

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from app.applications.types import Application, check_url
from app.common.errors import CannotStart
from app.limits.types import LONGEST_PERIOD, Limits, Rate
from app.web.context import Network, loopback_origin

PREFIX = "PASSERINE_"
DEFAULT = Limits()


def _rate(given: object) -> object:
    return Rate.parse(given) if isinstance(given, str) else given


def _rates(given: object) -> object:
    return tuple(map(Rate.parse, given.split(","))) if isinstance(given, str) else given


ARate = Annotated[Rate, BeforeValidator(_rate)]


class Settings(BaseModel):
    """The settings of the process; `PASSERINE_` and the name in capitals set each."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    store: Literal["sqlite", "dynamodb"] = Field(
        "sqlite", description="Where everything is kept: a file in the data folder, or a table."
    )
    table_name: str | None = Field(
        None,
        pattern=r"^[a-zA-Z0-9_.-]{3,255}$",
        description="The DynamoDB table. Required for `STORE=dynamodb`.",
    )
    data_dir: Path = Field(
        Path(".passerine"),
        description="The folder of the database, the key file, the admin key and the mailbox.",
    )
    kms_key_id: str | None = Field(
        None,
        max_length=2048,
        description="The KMS key, by id or ARN, that everything secret is sealed under; when "
        "unset, the key file in the data folder.",
    )
    events_topic_arn: str | None = Field(
        None,
        pattern=r"^arn:[^:]+:sns:[^:]+:[^:]+:[^:]+$",
        description="The SNS topic that events are published to.",
    )
    admin_api_key: str | None = Field(
        None,
        min_length=24,
        pattern=r"^[\x21-\x7e]+$",
        max_length=256,
        repr=False,
        description="The first API key, of at least 24 characters. When unset, one is made at the "
        "first start, kept in the data folder and printed.",
    )
    admin_api_key_secret: str | None = Field(
        None,
        max_length=2048,
        description="The secret of AWS Secrets Manager, by name or ARN, that holds the first API "
        "key.",
    )
    public_url: str | None = Field(
        None,
        description="What clients call this service, such as https://auth.example.com. When "
        "unset, each request's own host, which must then be a loopback name.",
    )
    email: Literal["mailbox", "smtp", "ses"] = Field(
        "mailbox", description="How messages leave: into a folder, to a mail server, or by SES."
    )
    email_from: str = Field("Passerine <no-reply@localhost>", description="The sender of messages.")
    smtp_url: str | None = Field(
        None,
        repr=False,
        description="`smtps://user:password@host:port`, or `smtp://` with STARTTLS (not needed "
        "on loopback). Required for `EMAIL=smtp`.",
    )
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="Networks, separated by commas, whose X-Forwarded-For is believed."
    )
    rate_limits: Literal["on", "off"] = Field(
        "on", description="`off` for load tests on one machine alone."
    )
    limit_sign_in: ARate = Field(
        DEFAULT.sign_in, description="Wrong passwords for one account from one network."
    )
    limit_sign_in_longest_wait: int = Field(
        DEFAULT.longest_wait,
        ge=Limits.FIRST_WAIT,
        le=LONGEST_PERIOD,
        description="Seconds that the wait after more of them may grow to.",
    )
    limit_sign_in_account: ARate = Field(
        DEFAULT.sign_in_account, description="Wrong passwords for one account from everywhere."
    )
    limit_sign_in_network: ARate = Field(
        DEFAULT.sign_in_network, description="Wrong passwords for all accounts from one network."
    )
    limit_messages: Annotated[tuple[Rate, ...], BeforeValidator(_rates)] = Field(
        DEFAULT.messages, description="Messages of one kind to one address."
    )
    limit_messages_network: ARate = Field(
        DEFAULT.messages_network, description="Messages that one network asks for."
    )
    limit_sign_up_network: ARate = Field(
        DEFAULT.sign_up_network, description="Sign-ups from one network."
    )
    limit_refresh: ARate = Field(
        DEFAULT.refresh,
        description="Refreshes of one session, and refused refresh tokens from one network.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe lines that are written."
    )
    log_format: Literal["text", "json"] = Field("text", description="How lines are written.")

    @field_validator("public_url")
    @classmethod
    def _origin(cls, url: str | None) -> str | None:
        if url is None:
            return None
        origin = check_url(url.rstrip("/").lower())
        if origin.count("/") != len("//") or "?" in origin:
            raise ValueError("must have no path, query or fragment")
        return origin

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        try:
            return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
        except ValueError:
            raise ValueError("must be networks such as 10.0.0.0/8, with commas between") from None

    @field_validator("log_level", "log_format", "store", "email", "rate_limits", mode="before")
    @classmethod
    def _lower(cls, word: object) -> object:
        return word.lower() if isinstance(word, str) else word

    @model_validator(mode="after")
    def _together(self) -> "Settings":
        if self.email == "smtp" and self.smtp_url is None:
            raise ValueError("EMAIL=smtp needs PASSERINE_SMTP_URL")
        if self.email == "ses" and "email_from" not in self.model_fields_set:
            raise ValueError("EMAIL=ses needs PASSERINE_EMAIL_FROM, an address that SES knows")
        if self.rate_limits == "off" and self.store != "sqlite":
            raise ValueError("RATE_LIMITS=off is for load tests with STORE=sqlite alone")
        if self.store == "dynamodb" and self.table_name is None:
            raise ValueError("STORE=dynamodb needs PASSERINE_TABLE_NAME")
        return self

    @property
    def limits(self) -> Limits:
        """The limits that these settings ask for."""
        return Limits(
            on=self.rate_limits == "on",
            sign_in=self.limit_sign_in,
            longest_wait=self.limit_sign_in_longest_wait,
            sign_in_account=self.limit_sign_in_account,
            sign_in_network=self.limit_sign_in_network,
            messages=self.limit_messages,
            messages_network=self.limit_messages_network,
            sign_up_network=self.limit_sign_up_network,
            refresh=self.limit_refresh,
        )

    def known_issuer(self, issuer: str, application: Application, origin: str) -> bool:
        """Whether a token's issuer is our name for an application.

        Without a public URL one service has several names: localhost, 127.0.0.1, another port of
        the same data folder. Each of them is this very machine, and the signature decides.
        """
        if issuer == application.issuer(origin):
            return True
        if self.public_url is not None or not issuer.endswith(application.path):
            return False
        return loopback_origin(issuer.removesuffix(application.path))

    def check_for_lambda(self) -> None:
        """Refuse what an execution environment without a disk cannot do.

        Raises:
            CannotStart: a setting has no place there, or one is missing.
        """
        needed = {
            "STORE=dynamodb": self.store == "dynamodb",
            "PUBLIC_URL": self.public_url is not None,
            "KMS_KEY_ID": self.kms_key_id is not None,
            "ADMIN_API_KEY_SECRET": self.admin_api_key_secret or self.admin_api_key,
            "EMAIL=ses or EMAIL=smtp": self.email != "mailbox",
        }
        missing = [PREFIX + name for name, given in needed.items() if not given]
        if missing:
            raise CannotStart(f"On Lambda these must be set: {', '.join(missing)}.")


def load(environment: Mapping[str, str]) -> Settings:
    """The settings of an environment.

    Raises:
        CannotStart: one of them is wrong or missing; the line names it and shows no value.
    """
    named = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and value
    }
    try:
        return Settings(**named)
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else "settings"
        text = str(first["msg"]).removeprefix("Value error, ")
        raise CannotStart(f"{name}: {text}.") from None
