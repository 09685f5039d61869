"""What the process is told by its environment, read once and refused with one clear line."""

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.applications.types import check_url
from app.common.errors import CannotStart
from app.web.context import Network

PREFIX = "PASSERINE_"


class Settings(BaseModel):
    """The settings of the process; `PASSERINE_` and the name in capitals set each."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    store: Literal["sqlite"] = Field("sqlite", description="Where everything is kept.")
    data_dir: Path = Field(
        Path(".passerine"), description="The folder of the database, the key file and the mailbox."
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
    public_url: str | None = Field(
        None,
        description="What clients call this service, such as https://auth.example.com. When "
        "unset, each request's own host, which must then be a loopback name.",
    )
    email: Literal["mailbox", "smtp"] = Field(
        "mailbox", description="How messages leave: into a folder, or to a mail server."
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

    @field_validator("log_level", "log_format", "store", "email", mode="before")
    @classmethod
    def _lower(cls, word: object) -> object:
        return word.lower() if isinstance(word, str) else word

    @model_validator(mode="after")
    def _smtp(self) -> "Settings":
        if self.email == "smtp" and self.smtp_url is None:
            raise ValueError("EMAIL=smtp needs PASSERINE_SMTP_URL")
        return self


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
