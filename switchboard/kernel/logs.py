"""Logs: one JSON object a line, constant event names, ids as fields, and no personal data."""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

import psycopg
import structlog

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]

PERSONAL_KEYS = frozenset(
    {"email", "phone", "name", "address", "recipient", "subject", "body", "payload", "password", "token"}
)
REDACTED = "[redacted]"
_STAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)
_EMAIL = re.compile(r"[^\s<>@\"',;()]+@[^\s<>@\"',;()]+")
_QUOTED = re.compile(r'"[^"]*"|"[^"]*\Z', re.DOTALL)
_PHONE = re.compile(r"\+\d[\d ().-]{6,}\d")


def configure_logs(level: str, log_format: str) -> None:
    """Set up structlog and the standard library's loggers to write redacted lines to standard error."""
    renderer: Any = structlog.dev.ConsoleRenderer() if log_format == "console" else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _STAMP,
            structlog.processors.ExceptionRenderer(_format_exc_info),
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # A line and its end in one write: the processes of one command share the pipe.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
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


def describe_error(error: BaseException) -> str:
    """The traceback of an error and of those that led to it, without the values that Postgres repeats in its own."""
    parts = []
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        parts.append(f"{describe_error(earlier)}\n\nwhich led to:\n\n")
    parts += ["Traceback (most recent call last):\n", *traceback.format_tb(error.__traceback__)]
    parts.append(f"{type(error).__module__}.{type(error).__qualname__}: {_message_of(error)}")
    if isinstance(error, BaseExceptionGroup):
        parts += [f"\n\none of them:\n\n{describe_error(inner)}" for inner in error.exceptions]
    return "".join(parts)


def _message_of(error: BaseException) -> str:
    if not isinstance(error, psycopg.Error):
        return mask(str(error))
    # The detail, the context and whatever stands in quotation marks may be somebody's name or message.
    said = _QUOTED.sub('"…"', error.diag.message_primary or str(error).partition("\n")[0])
    place = error.diag.constraint_name or error.diag.table_name or ""
    return mask(" ".join(part for part in (error.sqlstate, said, place) if part))


def _format_exc_info(exc_info: ExcInfo) -> str:
    return "" if exc_info[1] is None else describe_error(exc_info[1])


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
        event = _STAMP(None, "", event)
        if record.exc_info:
            event["exception"] = _format_exc_info(record.exc_info)
        return str(self._renderer(None, record.levelname.lower(), redact(None, "", event)))
