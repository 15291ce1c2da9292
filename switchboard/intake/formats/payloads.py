"""One JSON text made safe to keep: decoded, bounded, and free of what Postgres' jsonb refuses."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

import msgspec

from switchboard.kernel.errors import InvalidError, Problem, TooLargeError, UnreadableError

_JSON = msgspec.json.Decoder()
_OBJECTS = msgspec.json.Decoder(list[dict[str, object]])
# In this order: a pair of surrogates, a surrogate by itself, any other escape (so that `\\ud83d` is not one).
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<unpaired>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may hold: bytes of one signal, of a batch, rows, form fields, nesting."""

    body_bytes: int = 1 << 20
    batch_bytes: int = 10 << 20
    rows: int = 1_000
    fields: int = 1_000
    depth: int = 32


DEFAULT_LIMITS = Limits()


class Payload(NamedTuple):
    """One signal's payload: `raw` is JSON text that Postgres' jsonb accepts, `value` the same decoded."""

    raw: bytes
    value: object


def read_payload(text: bytes, limits: Limits = DEFAULT_LIMITS, *, row: str = "") -> Payload:
    """Decode one JSON text; `row` is the path to name in errors (`rows.3`), empty for a whole body.

    `raw` is the text as received, save that U+0000 and halves of surrogate pairs, which Postgres cannot keep,
    become U+FFFD: a lead is not lost over a broken emoji. Raises UnreadableError and InvalidError.
    """
    try:
        value = _JSON.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        repaired = replace_unpaired(text)
        if repaired == text:
            refuse(error, row)
        return read_payload(repaired, limits, row=row)
    if text.count(b"{") + text.count(b"[") > limits.depth and _depth(value, limits.depth) > limits.depth:
        problem = Problem(row, f"Nested more than {limits.depth} deep; send a flatter payload.")
        raise InvalidError("The payload is nested too deep.", problems=[problem])
    if b"\\u0000" in text:
        value = _without_nul(value)
        text = msgspec.json.encode(value)
    return Payload(text, value)


def find_plain_rows(text: bytes, rows: Sequence[msgspec.Raw], limits: Limits) -> list[Payload] | None:
    """What `read_payload` and `require_object` make of each row of a JSON array, told from the whole text at once.

    None where it cannot be told: then each row is looked at by itself.
    """
    # An array of objects has one bracket and each row a brace: what is left is the deepest that any row can nest.
    deepest = text.count(b"{") + text.count(b"[") - len(rows)
    if deepest > limits.depth or len(text) > limits.body_bytes or b"\\u0000" in text:
        return None
    try:
        values = _OBJECTS.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return [Payload(bytes(row), value) for row, value in zip(rows, values, strict=True)]


def require_object(payload: Payload, row: str) -> Payload:
    """The same payload, when it is a JSON object; InvalidError naming `row` otherwise."""
    if isinstance(payload.value, dict):
        return payload
    problem = Problem(row, f'Expected an object like {{"email": "…"}}, found {_kind(payload.value)}.')
    raise InvalidError("Every signal must be a JSON object.", problems=[problem])


def refuse(error: Exception, row: str) -> NoReturn:
    """Turn a decoder's error into ours, with the row that it happened in."""
    where = f"In {row}: " if row else ""
    problems = [Problem(row, str(error))]
    if isinstance(error, msgspec.ValidationError):
        raise InvalidError(f"{where}{error}; send big numbers as text.", problems=problems) from error
    if isinstance(error, RecursionError):
        raise InvalidError(f"{where}the payload is nested too deep.", problems=problems) from error
    raise UnreadableError(f"{where}the body is not valid JSON in UTF-8: {error}", problems=problems) from error


def check_size(body: bytes, limit: int) -> None:
    """Raise TooLargeError when `body` has more than `limit` bytes."""
    if len(body) > limit:
        raise TooLargeError(f"The body has {len(body):,} bytes; the limit is {limit:,}.", data={"limit_bytes": limit})


def check_rows(count: int, limit: int) -> None:
    """Raise unless there are between one and `limit` rows."""
    if not count:
        raise UnreadableError("The body holds no rows; send at least one object.")
    if count > limit:
        raise TooLargeError(
            f"The body holds {count:,} rows; send at most {limit:,} at a time.", data={"limit_rows": limit}
        )


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "an array"}
    return names[type(value)]


def _depth(value: object, limit: int) -> int:
    """How deep `value` nests, counted no further than one past `limit`."""
    level, depth = [value], 0
    while level and depth <= limit:
        level = [child for parent in level for child in _children(parent)]
        depth += 1 if level else 0
    return depth


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _without_nul(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\0", "�")
    if isinstance(value, dict):
        return {key.replace("\0", "�"): _without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    return value


def replace_unpaired(text: bytes) -> bytes:
    """Put U+FFFD for every escaped surrogate that is not half of a pair."""
    return _ESCAPE.sub(lambda match: b"\\ufffd" if match["unpaired"] else match[0], text)
