"""What an SMTP server needs to be told, and what its form asks."""

import socket
import ssl
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from switchboard.kernel.addresses import is_loopback


class SmtpSettings(BaseModel):
    """One outgoing mail server. Times are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    host: str = Field(title="Server", min_length=1, max_length=253, description="Its name, such as smtp.example.org.")
    port: int = Field(
        587, title="Port", ge=1, le=65_535, description="587 for STARTTLS, 465 for TLS, 25 inside a network."
    )
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        title="Encryption",
        description="STARTTLS is what most servers want on port 587, TLS on 465; none only on this machine.",
    )
    username: str = Field(
        "", title="User name", max_length=320, description="Leave empty for a server that asks for none."
    )
    password: SecretStr = Field(
        SecretStr(""), title="Password", description="Often an app password, made in the provider's settings."
    )
    ca_certificate: str = Field(
        "",
        title="Certificate authority",
        max_length=100_000,
        description="In PEM form, only for a server whose certificate no public authority signed.",
        json_schema_extra={"lines": True},
    )
    helo_name: str = Field(
        "",
        title="Name given to the server",
        max_length=253,
        pattern=r"^[A-Za-z0-9.:\[\]-]*$",
        description="This machine's public name; empty takes the name it gives itself.",
    )
    connections: int = Field(
        4, title="Connections", ge=1, le=100, description="How many may be open at once; providers often cap it."
    )
    messages_per_connection: int = Field(
        100, title="Messages a connection", ge=1, le=10_000, description="After so many a new one is opened."
    )
    idle_seconds: float = Field(
        60, title="Idle seconds", ge=1, le=600, description="A connection unused for longer is closed."
    )
    command_timeout_seconds: float = Field(
        10, title="Patience a command", gt=0, le=10, description="How long one answer may take."
    )
    send_timeout_seconds: float = Field(
        20,
        title="Patience a message",
        gt=0,
        le=25,
        description="How long a whole message may take, connecting included; below the lease of a message.",
    )

    @field_validator("ca_certificate")
    @classmethod
    def _check_certificate(cls, value: str) -> str:
        if value:
            try:
                ssl.create_default_context(cadata=value)
            except (ssl.SSLError, ValueError) as error:
                raise ValueError(
                    "This is no certificate in PEM form: it begins with -----BEGIN CERTIFICATE-----."
                ) from error
        return value

    @model_validator(mode="after")
    def _check_password_is_covered(self) -> Self:
        if self.username and self.security == "none" and not is_loopback(self.host):
            raise ValueError("The password would be readable on its way: choose STARTTLS or TLS.")
        return self

    def make_tls_context(self) -> ssl.SSLContext:
        """A context that checks the server's certificate and name."""
        return ssl.create_default_context(cadata=self.ca_certificate or None)

    def get_helo_name(self) -> str:
        """The name to greet with; an ASCII name that the server can read."""
        name = self.helo_name or socket.gethostname()
        return name if name.isascii() else "localhost"
