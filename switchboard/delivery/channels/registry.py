"""The channels of this instance, as its settings choose them."""

from collections.abc import Mapping

from pydantic import SecretStr

from switchboard.delivery.channels.base import Channel
from switchboard.delivery.channels.mailbox.transport import MailboxChannel
from switchboard.delivery.channels.smtp.settings import SmtpSettings
from switchboard.delivery.channels.smtp.transport import SmtpChannel
from switchboard.delivery.mailbox import store_mail
from switchboard.delivery.outbox import SLOTS
from switchboard.kernel.db import Database
from switchboard.kernel.settings import Settings


def build_channels(settings: Settings, database: Database) -> Mapping[str, Channel]:
    """Channel by the name that messages carry; e-mail goes to an SMTP server or stays in the local mailbox."""
    if settings.email_provider == "smtp":
        return {"email": SmtpChannel(_smtp_settings(settings))}
    return {"email": MailboxChannel(store_mail(database))}


def _smtp_settings(settings: Settings) -> SmtpSettings:
    return SmtpSettings(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        username=settings.smtp_user,
        password=settings.smtp_password or SecretStr(""),
        connections=SLOTS,
    )
