"""The local mailbox needs no settings; its form is empty."""

from pydantic import BaseModel, ConfigDict


class MailboxSettings(BaseModel):
    """Nothing to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")
