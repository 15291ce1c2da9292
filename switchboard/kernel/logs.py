"""Logs: one JSON object a line, constant event names, ids as fields, and no personal data."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

PERSONAL_KEYS = frozenset(
    {"email", "phone", "name", "address", "recipient", "subject", "body", "payload", "password", "token"}
)
REDACTED = "[redacted]"
_EMAIL = re.compile(r"[^\s<>@\"',;()]+@[^\s<>@\"',;()]+")
_PHONE = re.compile(r"\+\d[\d ().-]{6,}\d")


def configure_logs(level: str, log_format: str) -> None:
    """Set up structlog and the standard library's loggers to write redacted lines to standard error."""
    renderer: Any = structlog.dev.ConsoleRenderer() if log_format == "console" else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LibraryFormatter(renderer))
    logging.basicConfig(handlers=[handler], level=max(logging.getLevelName(level.upper()), logging.WARNING), force=True)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: personal fields are emptied, addresses inside texts are masked."""
    for key, value in event.items():
        if key in PERSONAL_KEYS:
            event[key] = REDACTED
        elif isinstance(value, str):
            event[key] = mask(value)
    return event


def mask(text: str) -> str:
    """The text with e-mail addresses and international phone numbers replaced."""
    return _PHONE.sub("[phone]", _EMAIL.sub("[email]", text))


class _LibraryFormatter(logging.Formatter):
    """Lines of libraries in the same shape as ours."""

    def __init__(self, renderer: Any) -> None:  # noqa: ANN401 structlog's renderers share no type
        super().__init__()
        self._renderer = renderer

    def format(self, record: logging.LogRecord) -> str:
        event: MutableMapping[str, Any] = {
            "event": "library.message",
            "logger": record.name,
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return str(self._renderer(None, record.levelname.lower(), redact(None, "", event)))
