"""The one error family: every entry point renders these, and only these, to a caller.

A message says what is wrong and how to mend it, and is safe to show to the person who asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one field.

    `field` is a dotted path in the caller's own words (`rows.3.email`, `steps.2.wait`), empty for the whole.
    `line` and `column` count from 1 and are set where the input was a text.
    """

    field: str
    message: str
    line: int | None = None
    column: int | None = None

    def as_json(self) -> dict[str, object]:
        """The JSON shape shared by every entry point; positions only where there are any."""
        shape: dict[str, object] = {"field": self.field, "message": self.message}
        if self.line is not None:
            shape |= {"line": self.line, "column": self.column}
        return shape


class SwitchboardError(Exception):
    """Base of all errors that are meant for a caller.

    `code` is a stable snake_case name, `status` the HTTP status, `data` typed details safe to show.
    """

    code = "internal"
    status = 500

    def __init__(
        self,
        message: str,
        *,
        problems: Sequence[Problem] = (),
        data: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.problems = tuple(problems)
        self.data = dict(data or {})

    def by_field(self, otherwise: str = "name") -> dict[str, str]:
        """The messages by the field they belong to; where none is named, the error's own at the field `otherwise`."""
        return {problem.field: problem.message for problem in self.problems} or {otherwise: self.message}


class NotFoundError(SwitchboardError):
    """The thing is missing, or belongs to a workspace the caller is not in: the same answer for both."""

    code = "not_found"
    status = 404


class InvalidError(SwitchboardError):
    """The input can be read but breaks a rule; `problems` names each field."""

    code = "invalid"
    status = 422


class UnreadableError(SwitchboardError):
    """The body is not what its content type says."""

    code = "unreadable"
    status = 400


class UnauthenticatedError(SwitchboardError):
    """Nobody is signed in, or the token is not one of ours."""

    code = "unauthenticated"
    status = 401


class ForbiddenError(SwitchboardError):
    """The caller is known and a member, but their role may not do this."""

    code = "forbidden"
    status = 403


class ConflictError(SwitchboardError):
    """The change contradicts what is stored now: load again and decide."""

    code = "conflict"
    status = 409


class TooLargeError(SwitchboardError):
    """The body is over its limit; `data.limit_bytes` or `data.limit_rows` names it."""

    code = "too_large"
    status = 413


class UnsupportedMediaError(SwitchboardError):
    """The content type is not one this address reads."""

    code = "unsupported_media_type"
    status = 415


class ThrottledError(SwitchboardError):
    """Too many calls; try again after `retry_after_seconds`."""

    code = "throttled"
    status = 429

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message, data={"retry_after_seconds": retry_after_seconds})
        self.retry_after_seconds = retry_after_seconds


class UnavailableError(SwitchboardError):
    """A part we stand on is away for now; try again after `retry_after_seconds`."""

    code = "unavailable"
    status = 503

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message, data={"retry_after_seconds": retry_after_seconds})
        self.retry_after_seconds = retry_after_seconds


class ConfigurationError(SwitchboardError):
    """The process cannot start as it is set up; `problems` names every setting at once. Exit code 2."""

    code = "configuration"
    status = 500


class DatabaseAwayError(ConfigurationError):
    """No connection to Postgres can be made: it is away, or DATABASE_URL leads elsewhere."""
