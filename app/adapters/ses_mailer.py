"""A `Mailer` over Amazon SES (API version 2)."""

from dataclasses import dataclass

from app.adapters.aws import Aws
from app.adapters.aws_json import AwsFault
from app.adapters.mime import POLICY, mail, parse_sender
from app.messages.types import MailerUnavailable, Message, MessageRefused

# API reference, SendEmail: what is wrong with the request itself. A rejected message may be due
# to a sender that is not verified yet, and everything else to this account: both are mended.
LASTING = frozenset({"BadRequestException", "InvalidParameterValue"})


@dataclass(frozen=True, kw_only=True, eq=False)
class SesMailer:
    """Sends each message raw, with the headers that every other mailer of ours writes."""

    aws: Aws
    sender: str

    def __post_init__(self) -> None:
        """Refuse a malformed sender at the start, not at the first message."""
        parse_sender(self.sender)

    def send(self, message: Message) -> None:
        """Hand the message to SES, to one recipient."""
        sender = parse_sender(self.sender)
        written = mail(message, sender).as_bytes(policy=POLICY.clone(utf8=True))
        try:
            self.aws.ask(
                "sesv2",
                "send_email",
                FromEmailAddress=sender.addr_spec,
                Destination={"ToAddresses": [message.to]},
                Content={"Raw": {"Data": written}},
            )
        except AwsFault as fault:
            if str(fault) in LASTING:
                raise MessageRefused(f"SES refuses the message ({fault})") from None
            raise MailerUnavailable(f"SES did not take the message ({fault})") from None
