"""The channels of this instance, as its settings choose them."""

from collections.abc import Mapping

from pydantic import SecretStr

from switchboard.delivery.channels.base import Channel
from switchboard.delivery.channels.form import read_form
from switchboard.delivery.channels.mailbox.transport import MailboxChannel
from switchboard.delivery.channels.smtp.settings import SmtpSettings
from switchboard.delivery.channels.smtp.transport import SmtpChannel
from switchboard.delivery.channels.webhook.settings import WebhookSettings
from switchboard.delivery.channels.webhook.transport import WebhookChannel
from switchboard.delivery.mailbox import store_mail
from switchboard.kernel.db import Database
from switchboard.kernel.errors import ConfigurationError, InvalidError, Problem
from switchboard.kernel.settings import Settings

_SETTING_OF = {"url": "EMAIL_WEBHOOK_URL", "secret": "EMAIL_WEBHOOK_SECRET"}


def build_channels(settings: Settings, database: Database, *, connections: int) -> Mapping[str, Channel]:
    """Channel by the name that messages carry, with so many connections; e-mail goes where EMAIL_PROVIDER says.

    Raises ConfigurationError for settings that cannot be used.
    """
    if settings.email_provider == "smtp":
        return {"email": SmtpChannel(_smtp_settings(settings, connections))}
    if settings.email_provider == "webhook":
        return {"email": WebhookChannel(_webhook_settings(settings, connections))}
    return {"email": MailboxChannel(store_mail(database))}


def _smtp_settings(settings: Settings, connections: int) -> SmtpSettings:
    return SmtpSettings(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        username=settings.smtp_user,
        password=settings.smtp_password or SecretStr(""),
        connections=connections,
    )


def _webhook_settings(settings: Settings, connections: int) -> WebhookSettings:
    values = {
        "url": settings.email_webhook_url,
        "secret": settings.email_webhook_secret,
        "may_be_private": settings.email_webhook_private,
        "connections": connections,
    }
    try:
        return read_form(WebhookSettings, values)
    except InvalidError as error:
        problems = [Problem(_SETTING_OF.get(one.field, "EMAIL_WEBHOOK_URL"), one.message) for one in error.problems]
        raise ConfigurationError("The settings of the sending API cannot be used.", problems=problems) from error
