"""Settings: read once from the environment, typed, and passed in. Nothing else reads the environment.

A setting is named as the reference deployments name it. Any secret may come from a file instead: `SMTP_PASSWORD_FILE`
names a file that holds `SMTP_PASSWORD`. Whatever is wrong is said all at once.
"""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from switchboard.kernel.errors import ConfigurationError, Problem

POSTGRES_SCHEMES = ("postgresql://", "postgres://")
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
# Other names that deployments have for the same setting.
OTHER_NAMES = {"REDIS_URI": "REDIS_URL"}

Port = Annotated[int, Field(ge=1, le=65535)]
Months = Annotated[int, Field(ge=0, le=1_200)]


class Settings(BaseModel):
    """Every setting of a process. The alias is the environment name, the description goes into the guide."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    home: Path = Field(
        default=Path("data"), alias="SWITCHBOARD_HOME", description="Folder for the embedded database, keys and logs."
    )
    host: str = Field(default="127.0.0.1", alias="HOST", description="Address the web server listens on.")
    port: Port = Field(default=8000, alias="PORT", description="Port of pages, API and intake.")
    app_url: str = Field(
        default="", alias="APP_URL", description="Public address, used in links of mails; default http://HOST:PORT."
    )
    app_secret: SecretStr | None = Field(
        default=None,
        alias="APP_SECRET",
        min_length=32,
        description="Signs unsubscribe links; default a key kept in SWITCHBOARD_HOME.",
    )
    database_url: SecretStr | None = Field(
        default=None, alias="DATABASE_URL", description="Postgres 15 or newer; default the embedded server."
    )
    database_owner_url: SecretStr | None = Field(
        default=None,
        alias="DATABASE_OWNER_URL",
        description="Role that owns the schema and runs migrations; default DATABASE_URL.",
    )
    database_connections: int = Field(
        default=10, alias="DATABASE_CONNECTIONS", ge=2, le=200, description="Most connections of one process."
    )
    email_provider: Literal["mailbox", "smtp", "webhook"] = Field(
        default="mailbox",
        alias="EMAIL_PROVIDER",
        description="Where mail goes: the local mailbox, an SMTP server, or a sending API of your own.",
    )
    email_connections: int = Field(
        default=10,
        alias="EMAIL_CONNECTIONS",
        ge=3,
        le=100,
        description="Most connections of one process to the mail server or sending API.",
    )
    email_rate_per_minute: int = Field(
        default=0,
        alias="EMAIL_RATE_PER_MINUTE",
        ge=0,
        le=10_000_000,
        description="Most mails a minute, all processes together; 0 for no limit.",
    )
    email_webhook_url: str = Field(
        default="", alias="EMAIL_WEBHOOK_URL", description="Where the sending API takes messages."
    )
    email_webhook_secret: SecretStr | None = Field(
        default=None,
        alias="EMAIL_WEBHOOK_SECRET",
        description="Signs what is posted there; whsec_ and base64, or 24 letters or more.",
    )
    email_webhook_private: bool = Field(
        default=False,
        alias="EMAIL_WEBHOOK_PRIVATE",
        description="Whether the sending API may lie on this machine or a private network.",
    )
    smtp_host: str = Field(default="", alias="SMTP_HOST", description="SMTP server for outgoing mail.")
    smtp_port: Port = Field(default=587, alias="SMTP_PORT", description="Port of the SMTP server.")
    smtp_user: str = Field(default="", alias="SMTP_USER", description="User name at the SMTP server; empty for none.")
    smtp_password: SecretStr | None = Field(default=None, alias="SMTP_PASSWORD", description="Password of SMTP_USER.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", alias="SMTP_SECURITY", description="How the connection is encrypted."
    )
    smtp_from: str = Field(
        default="", alias="SMTP_FROM", description="Sender of workspaces that name none of their own."
    )
    smtp_in_host: str = Field(
        default="127.0.0.1", alias="SMTP_IN_HOST", description="Address the listener for incoming mail binds."
    )
    smtp_in_port: int = Field(
        default=0, alias="SMTP_IN_PORT", ge=0, le=65535, description="Port for incoming mail; 0 is PORT + 25."
    )
    smtp_in_certificate: Path | None = Field(
        default=None,
        alias="SMTP_IN_CERTIFICATE",
        description="PEM file with the certificate chain for incoming mail; with it STARTTLS is offered.",
    )
    smtp_in_key: Path | None = Field(
        default=None, alias="SMTP_IN_KEY", description="PEM file with the private key of SMTP_IN_CERTIFICATE."
    )
    mail_domain: str = Field(
        default="switchboard.localhost", alias="MAIL_DOMAIN", description="Domain of reply addresses and Message-IDs."
    )
    run_queue_consumers: bool = Field(
        default=True, alias="RUN_QUEUE_CONSUMERS", description="Whether `up` also works the queues; `serve` never does."
    )
    intake_buffer: int = Field(
        default=20_000, alias="INTAKE_BUFFER", ge=100, le=1_000_000, description="Most signals waiting for a commit."
    )
    redis_url: SecretStr | None = Field(
        default=None,
        alias="REDIS_URL",
        description="Redis that keeps signals while Postgres is away, for all machines; default this machine's disk.",
    )
    redis_host: str = Field(default="", alias="REDIS_HOST", description="Its host, instead of REDIS_URL.")
    redis_port: Port = Field(default=6379, alias="REDIS_PORT", description="Its port, beside REDIS_HOST.")
    redis_password: SecretStr | None = Field(
        default=None, alias="REDIS_PASSWORD", description="Its password, beside REDIS_HOST."
    )
    redis_intake: Literal["outage", "always"] = Field(
        default="outage",
        alias="REDIS_INTAKE",
        description="Whether signals go through Redis only while Postgres is away, or always.",
    )
    spool_megabytes: int = Field(
        default=256,
        alias="SPOOL_MEGABYTES",
        ge=1,
        le=1_000_000,
        description="Most that is kept of signals while Postgres is away, on the disk of SWITCHBOARD_HOME or in Redis.",
    )
    keep_signals_months: Months = Field(
        default=24,
        alias="KEEP_SIGNALS_MONTHS",
        description="Months that signals, and what came of them, are kept; 0 for ever.",
    )
    keep_events_months: Months = Field(
        default=0,
        alias="KEEP_EVENTS_MONTHS",
        description="Months that events, and with them timelines, are kept; 0 for ever.",
    )
    keep_attempts_months: Months = Field(
        default=24,
        alias="KEEP_ATTEMPTS_MONTHS",
        description="Months that each try to send a message is kept; 0 for ever.",
    )
    keep_runs_months: Months = Field(
        default=24,
        alias="KEEP_RUNS_MONTHS",
        description="Months that the steps of runs, and runs that have ended, are kept; 0 for ever.",
    )
    keep_mail_months: Months = Field(
        default=24,
        alias="KEEP_MAIL_MONTHS",
        description="Months that mail is kept as it came in, beside the message read from it; 0 for ever.",
    )
    session_length: timedelta = Field(
        default=timedelta(days=14), alias="SESSION_LENGTH", description="How long a sign-in lasts, in seconds."
    )
    shutdown_seconds: int = Field(
        default=10, alias="SHUTDOWN_SECONDS", ge=1, le=300, description="Time for requests in flight at a stop."
    )
    metrics_dir: Path | None = Field(
        default=None, alias="PROMETHEUS_MULTIPROC_DIR", description="Where processes of one machine share figures."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", alias="LOG_LEVEL", description="Least severe log line that is written."
    )
    log_format: Literal["json", "console"] = Field(
        default="json", alias="LOG_FORMAT", description="JSON lines for machines, or colours for a person."
    )

    @field_validator("log_level", "log_format", "email_provider", "smtp_security", "redis_intake", mode="before")
    @classmethod
    def _ignore_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(POSTGRES_SCHEMES):
            raise ValueError("expected postgresql://user:password@host:port/database")
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(REDIS_SCHEMES):
            raise ValueError("expected redis://, rediss:// or unix://, like redis://:password@host:6379/0")
        return value

    @field_validator("redis_port", mode="before")
    @classmethod
    def _is_no_address(cls, value: object) -> object:
        # Kubernetes sets this name for a service called redis, to an address that is not meant for us.
        return 6379 if isinstance(value, str) and value.startswith("tcp://") else value

    @field_validator("app_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("expected an address that begins with http:// or https://")
        return value.rstrip("/")

    @field_validator("metrics_dir")
    @classmethod
    def _is_folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError("expected a folder that exists")
        return value

    @property
    def public_url(self) -> str:
        """The address people reach this instance at, without a slash at the end."""
        return self.app_url or f"http://{self.host}:{self.port}"

    @property
    def redis_address(self) -> str | None:
        """The URL of Redis, None without one."""
        if self.redis_url is not None:
            return self.redis_url.get_secret_value()
        if not self.redis_host:
            return None
        secret = "" if self.redis_password is None else f":{quote(self.redis_password.get_secret_value(), safe='')}@"
        return f"redis://{secret}{self.redis_host}:{self.redis_port}/0"

    @property
    def inbound_port(self) -> int:
        """Port of the listener for incoming mail."""
        return self.smtp_in_port or min(self.port + 25, 65535)


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the environment; raises ConfigurationError that names every wrong or missing setting at once."""
    values = dict(os.environ if environment is None else environment)
    for other, name in OTHER_NAMES.items():
        values.setdefault(name, values.get(other, ""))
    problems = _read_secret_files(values)
    known = {name: value for name in setting_names() if (value := values.get(name))}
    problems += _find_wrong(known)
    # What is wrong is left out here, so that what else is missing is said in the same breath.
    named = {problem.field.removesuffix("_FILE") for problem in problems}
    settings = Settings.model_validate({name: value for name, value in known.items() if name not in named})
    problems += [problem for problem in _missing_together(settings) if problem.field not in named]
    if problems:
        raise ConfigurationError("The settings cannot be used as they are.", problems=problems)
    return settings


def setting_names() -> list[str]:
    """Every environment name that is read, in the order of the guide."""
    return [field.alias for field in Settings.model_fields.values() if field.alias is not None]


def process_environment() -> dict[str, str]:
    """A copy of the environment, to hand on to child processes."""
    return dict(os.environ)


def _read_secret_files(values: dict[str, str]) -> list[Problem]:
    problems = []
    for name, path in list(values.items()):
        wanted = name.removesuffix("_FILE")
        if wanted == name or wanted not in setting_names():
            continue
        try:
            values[wanted] = Path(path).read_text().strip()
        except OSError as error:
            problems.append(Problem(name, f"the file {path} cannot be read: {error.strerror}"))
    return problems


def _find_wrong(known: Mapping[str, str]) -> list[Problem]:
    try:
        Settings.model_validate(dict(known))
    except ValidationError as error:
        return [Problem(str(item["loc"][0]), _in_plain_words(item["msg"])) for item in error.errors()]
    return []


def _missing_together(settings: Settings) -> list[Problem]:
    problems = []
    if settings.email_provider == "smtp" and not settings.smtp_host:
        problems.append(Problem("SMTP_HOST", "missing: EMAIL_PROVIDER=smtp needs the name of the SMTP server"))
    if settings.email_provider == "webhook":
        problems += _missing_of_webhook(settings)
    if settings.redis_intake == "always" and settings.redis_address is None:
        problems.append(Problem("REDIS_URL", "missing: REDIS_INTAKE=always needs a Redis"))
    if settings.smtp_user and settings.smtp_password is None:
        problems.append(Problem("SMTP_PASSWORD", "missing: SMTP_USER is set, so its password is needed"))
    if (settings.smtp_in_certificate is None) != (settings.smtp_in_key is None):
        missing = "SMTP_IN_KEY" if settings.smtp_in_key is None else "SMTP_IN_CERTIFICATE"
        problems.append(Problem(missing, "missing: a certificate and its key are needed together"))
    if settings.database_owner_url is not None and settings.database_url is None:
        problems.append(
            Problem("DATABASE_URL", "missing: DATABASE_OWNER_URL is set, so the application's role is needed")
        )
    return problems


def _missing_of_webhook(settings: Settings) -> list[Problem]:
    problems = []
    if not settings.email_webhook_url:
        problems.append(Problem("EMAIL_WEBHOOK_URL", "missing: EMAIL_PROVIDER=webhook needs the address to post to"))
    if settings.email_webhook_secret is None:
        problems.append(Problem("EMAIL_WEBHOOK_SECRET", "missing: EMAIL_PROVIDER=webhook needs a secret to sign with"))
    return problems


def _in_plain_words(message: str) -> str:
    too_short = re.fullmatch(r"Value should have at least (\d+) items.*", message)
    if too_short is not None:
        return f"expected at least {too_short[1]} characters"
    return message.removeprefix("Value error, ").replace("Input should be", "expected")
