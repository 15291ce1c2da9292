"""Liquid for texts written by users: bounded in loops, memory, output and work, with no way to a file.

Templates are written by people we do not know and run over data from people they do not know, so every
limit that the library leaves off is set here, and filters that can multiply their input are held in.
"""

import functools
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from liquid import BoundTemplate, Environment, StrictDefaultUndefined, Undefined
from liquid.exceptions import FilterArgumentError, LiquidError, ResourceLimitError

from switchboard.kernel.errors import InvalidError, Problem

LOOP_ITERATIONS = 1_000
OUTPUT_BYTES = 512 * 1024
LOCAL_BYTES = 128 * 1024
VALUE_LENGTH = 64 * 1024
INTEGER_BITS = 256
WORK_PER_RENDER = 8_000_000
COST_OF_A_FILTER = 64

# `include` and `render` would reach for other templates; `safe` would let a contact's name carry markup.
_TAGS_LEFT_OUT = ("include", "render")
_FILTERS_LEFT_OUT = ("safe", "escapejs")

_work: ContextVar[list[int] | None] = ContextVar("liquid_work", default=None)


class TemplateError(InvalidError):
    """A user's template cannot be read or rendered; `problems` names each place."""

    code = "template_invalid"


def parse_markup(source: str, *, field: str = "body", strict: bool = False) -> BoundTemplate:
    """Parse Liquid whose values are escaped for HTML; raises `TemplateError`."""
    return _parse(_STRICT_MARKUP if strict else _MARKUP, source, field)


def parse_plain(source: str, *, field: str = "text") -> BoundTemplate:
    """Parse Liquid whose values go out as they are; raises `TemplateError`."""
    return _parse(_PLAIN, source, field)


def render_bounded(template: BoundTemplate, variables: Mapping[str, object], *, field: str = "body") -> str:
    """Render within the limits of this module; raises `TemplateError` when one is hit or a filter fails."""
    reset = _work.set([WORK_PER_RENDER])
    try:
        return template.render(variables)
    except LiquidError as error:
        problems = [problem_of(error, field)]
        raise TemplateError("The template cannot be rendered.", problems=problems) from error
    except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
        # The library lets a few errors of Python itself through, such as printing an oversized number.
        message = f"A value in the template cannot be worked out: {error}."
        raise TemplateError(message, problems=[Problem(field, message)]) from error
    finally:
        _work.reset(reset)


def problem_of(error: LiquidError, field: str) -> Problem:
    """What went wrong and where, counting lines and columns from 1."""
    place = _find_place(error)
    message = str(error.message or error.__class__.__name__)
    if isinstance(error, ResourceLimitError):
        message = f"{message}: shorten the loop or the text"
    if place is None:
        return Problem(field, message)
    return Problem(field, message, line=place[0], column=place[1] + 1)


def _find_place(error: LiquidError) -> tuple[int, int, str, str, str] | None:
    try:
        return error.context()
    except ValueError:
        # An error at the very end of the text lies outside of it as the library counts.
        return None


class BoundedEnvironment(Environment):
    """Liquid's environment with every limit set and its filters held in."""

    loop_iteration_limit = LOOP_ITERATIONS
    output_stream_limit = OUTPUT_BYTES
    local_namespace_limit = LOCAL_BYTES

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """Register the standard set, less what could leave the template."""
        super().setup_tags_and_filters(extra=extra)
        for name in _TAGS_LEFT_OUT:
            self.tags.pop(name, None)
        for name in _FILTERS_LEFT_OUT:
            self.filters.pop(name, None)

    def add_filter(self, name: str, func: Callable[..., Any]) -> None:
        """Register a filter whose arguments, result and cost are bounded."""
        super().add_filter(name, _bound_filter(name, func))


def _bound_filter(name: str, func: Callable[..., Any]) -> Callable[..., Any]:
    predict = _GROWTH.get(name)

    @functools.wraps(func)
    def bounded(*args: Any, **kwargs: Any) -> object:  # noqa: ANN401 -- a filter takes what the template hands it.
        _spend(COST_OF_A_FILTER + sum(map(_measure, args)))
        if predict is not None:
            _measure_at_most(predict(*args))
        try:
            result: object = func(*args, **kwargs)
        except (ArithmeticError, AttributeError, ValueError) as error:
            raise FilterArgumentError(f"{name}: {error}", token=None) from error
        _measure(result)
        return result

    return bounded


def _spend(cost: int) -> None:
    budget = _work.get()
    if budget is None:
        return
    budget[0] -= cost
    if budget[0] < 0:
        raise ResourceLimitError("the template does too much work", token=None)


def _measure(value: object) -> int:
    """The size of one value in characters or items; raises when it is over what a value may be."""
    if isinstance(value, int):
        if value.bit_length() > INTEGER_BITS:
            raise ResourceLimitError("a number is too large", token=None)
        return 1
    if isinstance(value, str | list | tuple | range):
        return _measure_at_most(len(value))
    return 1


def _measure_at_most(size: int) -> int:
    if size > VALUE_LENGTH:
        raise ResourceLimitError(f"a value is longer than {VALUE_LENGTH} characters", token=None)
    return size


def _grown_by_replace(value: object, search: object = "", replacement: object = "") -> int:
    text, needle = _as_text(value), _as_text(search)
    return len(text) + text.count(needle) * len(_as_text(replacement))


def _grown_by_join(value: object, separator: object = " ") -> int:
    items = value if isinstance(value, list | tuple | range) else [value]
    return sum(len(_as_text(item)) for item in items) + len(items) * len(_as_text(separator))


def _as_text(value: object) -> str:
    if value is None or isinstance(value, Undefined):
        return ""
    if isinstance(value, str):
        return value
    return str(value)


_GROWTH: Mapping[str, Callable[..., int]] = {"replace": _grown_by_replace, "join": _grown_by_join}


def _parse(environment: Environment, source: str, field: str) -> BoundTemplate:
    try:
        return environment.from_string(source)
    except LiquidError as error:
        raise TemplateError("The template cannot be read.", problems=[problem_of(error, field)]) from error


_MARKUP = BoundedEnvironment(autoescape=True)
_PLAIN = BoundedEnvironment()
_STRICT_MARKUP = BoundedEnvironment(autoescape=True, undefined=StrictDefaultUndefined)
