"""What a sending API of one's own needs to be told, and what its form asks."""

import base64
import binascii
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from switchboard.kernel.addresses import is_loopback

KEY_MARK = "whsec_"
SHORTEST_KEY_BYTES = 24


class WebhookSettings(BaseModel):
    """One address that takes messages as JSON. Times are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    url: str = Field(title="Address", max_length=2_000, description="Where each message is posted, with https.")
    secret: SecretStr = Field(
        title="Signing secret",
        description="As whsec_ and base64, or any text of 24 letters or more; signs every request.",
    )
    may_be_private: bool = Field(
        False, title="Private network", description="Whether the address may lie on this machine or a private network."
    )
    connections: int = Field(10, title="Connections", ge=1, le=100, description="How many may be open at once.")
    connect_timeout_seconds: float = Field(
        5, title="Patience to connect", gt=0, le=10, description="How long a connection may take."
    )
    send_timeout_seconds: float = Field(
        10,
        title="Patience a message",
        gt=0,
        le=25,
        description="How long a whole message may take, connecting included; below the lease of a message.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
            raise ValueError("This is no address to post to: it looks like https://example.org/send.")
        return value

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, value: SecretStr) -> SecretStr:
        if len(read_secret(value.get_secret_value())) < SHORTEST_KEY_BYTES:
            raise ValueError(f"The secret is too short: it needs {SHORTEST_KEY_BYTES} bytes.")
        return value

    @model_validator(mode="after")
    def _check_encryption(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.may_be_private and not is_loopback(parts.hostname or ""):
            raise ValueError("Messages would be readable on their way: use an https address.")
        return self


def read_secret(text: str) -> bytes:
    """The bytes that sign: what stands in base64 behind `whsec_`, or the text itself."""
    if not text.startswith(KEY_MARK):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(KEY_MARK), validate=True)
    except binascii.Error as error:
        raise ValueError("Behind whsec_ the secret is base64.") from error
