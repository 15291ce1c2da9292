"""From the bytes of a request to one payload per signal, whichever way they were sent."""

from collections.abc import Iterable

import msgspec

from switchboard.intake.formats.forms import FORM_TYPE, MULTIPART_TYPE, read_multipart, read_urlencoded
from switchboard.intake.formats.payloads import (
    DEFAULT_LIMITS,
    Limits,
    Payload,
    check_rows,
    check_size,
    find_plain_rows,
    read_payload,
    refuse,
    replace_unpaired,
    require_object,
)
from switchboard.kernel.errors import UnreadableError, UnsupportedMediaError

_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_BOM = b"\xef\xbb\xbf"
_BLANKS = b" \t\r\n"
_LINES_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines"})
# navigator.sendBeacon and some CRMs send JSON as plain text, and some senders name no type at all.
_LENIENT_TYPES = frozenset({"text/plain", "text/json", ""})


def read_body(body: bytes, content_type: str, limits: Limits = DEFAULT_LIMITS) -> list[Payload]:
    """One payload per signal in `body`: a JSON object, an array of them, NDJSON, or a form.

    Raises UnreadableError (400), TooLargeError (413), UnsupportedMediaError (415), InvalidError (422).
    """
    kind = media_type(content_type)
    if kind in _LINES_TYPES:
        return _read_lines(body, limits)
    if kind == FORM_TYPE:
        return [read_urlencoded(body, content_type, limits)]
    if kind == MULTIPART_TYPE:
        return [read_multipart(body, content_type, limits)]
    return _read_json(json_text(body, content_type), limits)


def media_type(content_type: str) -> str:
    """The type and subtype of a Content-Type header, in lower case and without parameters."""
    return content_type.partition(";")[0].strip().lower()


def json_text(body: bytes, content_type: str) -> bytes:
    """The JSON text in a body of a JSON content type, without a byte order mark and outer blanks.

    Raises UnsupportedMediaError when the content type is not JSON, UnreadableError when the body is empty.
    """
    kind = media_type(content_type)
    text = body.removeprefix(_BOM).strip(_BLANKS)
    lenient = kind in _LENIENT_TYPES and text[:1] in {b"{", b"["}
    if not (kind == "application/json" or kind.endswith("+json") or lenient):
        raise UnsupportedMediaError(
            f"Content type `{kind[:100] or 'none'}` is not read here; send application/json, "
            f"application/x-ndjson, {FORM_TYPE} or {MULTIPART_TYPE}."
        )
    if not text:
        raise UnreadableError("The body is empty; send a JSON object or an array of objects.")
    return text


def read_one(body: bytes, content_type: str, limits: Limits = DEFAULT_LIMITS) -> Payload:
    """The one JSON value in `body`, of any shape. Raises what `read_body` raises."""
    check_size(body, limits.body_bytes)
    return read_payload(json_text(body, content_type), limits)


def _read_json(text: bytes, limits: Limits) -> list[Payload]:
    if not text.startswith(b"["):
        check_size(text, limits.body_bytes)
        return [require_object(read_payload(text, limits), "")]
    check_size(text, limits.batch_bytes)
    rows = _split_array(text)
    if len(rows) <= limits.rows and (plain := find_plain_rows(text, rows, limits)):
        return plain
    return _read_rows(map(bytes, rows), len(rows), limits)


def _split_array(text: bytes) -> list[msgspec.Raw]:
    try:
        return _ROWS.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        repaired = replace_unpaired(text)
        if repaired == text:
            refuse(error, "")
        return _split_array(repaired)


def _read_lines(body: bytes, limits: Limits) -> list[Payload]:
    check_size(body, limits.batch_bytes)
    lines = [line for line in (line.strip(_BLANKS) for line in body.removeprefix(_BOM).split(b"\n")) if line]
    return _read_rows(lines, len(lines), limits)


def _read_rows(rows: Iterable[bytes], count: int, limits: Limits) -> list[Payload]:
    check_rows(count, limits.rows)
    named = ((row, f"rows.{index}") for index, row in enumerate(rows))
    return [require_object(_read_row(row, limits, name), name) for row, name in named]


def _read_row(row: bytes, limits: Limits, name: str) -> Payload:
    check_size(row, limits.body_bytes)
    return read_payload(row, limits, row=name)
