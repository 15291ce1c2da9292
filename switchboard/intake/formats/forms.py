"""HTML forms, urlencoded or multipart, read into the JSON object that is kept as their payload."""

import codecs
from functools import partial
from urllib.parse import parse_qsl

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from switchboard.intake.formats.payloads import Limits, Payload, check_size, read_payload
from switchboard.kernel.errors import TooLargeError, UnreadableError

FORM_TYPE = "application/x-www-form-urlencoded"
MULTIPART_TYPE = "multipart/form-data"
_CHARSETS = {
    "utf-8": "utf-8",
    "ascii": "utf-8",
    "iso8859-1": "cp1252",
    "cp1252": "cp1252",
    "iso8859-15": "iso8859-15",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5",
}


def read_urlencoded(body: bytes, content_type: str, limits: Limits) -> Payload:
    """The form's fields as one JSON object; a name sent more than once becomes an array."""
    check_size(body, limits.body_bytes)
    _check_field_count(body.count(b"&") + 1, limits.fields)
    charset = _charset(content_type)
    try:
        pairs = parse_qsl(body.decode(charset), keep_blank_values=True, encoding=charset, errors="strict")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"The form is not {charset} text; encode it as UTF-8.") from error
    return _as_payload(list(pairs), limits)


def read_multipart(body: bytes, content_type: str, limits: Limits) -> Payload:
    """As `read_urlencoded`; of a file only its name, type and size are kept."""
    check_size(body, limits.body_bytes)
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise UnreadableError("The multipart content type names no boundary; let the HTTP client set it.")
    try:
        pairs = _parts(body, boundary, limits)
    except (FormParserError, UnicodeDecodeError) as error:
        raise UnreadableError(f"The multipart body cannot be read: {error}") from error
    return _as_payload(pairs, limits)


def _parts(body: bytes, boundary: bytes, limits: Limits) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    ended: list[bool] = []

    def add(part: Field | File) -> None:
        _check_field_count(len(pairs) + 1, limits.fields)
        pairs.append(((part.field_name or b"").decode(), _part_value(part)))

    # Nothing may be spooled to disk: the body is in memory already and is bounded.
    config = {"MAX_MEMORY_FILE_SIZE": limits.body_bytes + 1}
    end = partial(ended.append, True)
    parser = FormParser(MULTIPART_TYPE, add, add, end, boundary=boundary, config=config)
    parser.write(body)
    parser.finalize()
    if not ended:
        raise UnreadableError("The multipart body stops before its closing boundary; send all of it.")
    return pairs


def _part_value(part: Field | File) -> object:
    if isinstance(part, Field):
        return (part.value or b"").decode()
    name = (part.file_name or b"").decode(errors="replace")
    return {"file_name": name, "content_type": part.content_type, "bytes": part.size}


def _as_payload(pairs: list[tuple[str, object]], limits: Limits) -> Payload:
    if not any(name for name, _ in pairs):
        raise UnreadableError("The form has no fields; give each input a name.")
    form: dict[str, object] = {}
    for name, value in pairs:
        if name in form:
            earlier = form[name]
            form[name] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
        else:
            form[name] = value
    return read_payload(msgspec.json.encode(form), limits)


def _check_field_count(count: int, limit: int) -> None:
    if count > limit:
        raise TooLargeError(f"The form has more than {limit:,} fields; send fewer.", data={"limit_fields": limit})


def _charset(content_type: str) -> str:
    name = parse_options_header(content_type)[1].get(b"charset", b"utf-8").decode("latin-1")
    try:
        # Browsers read these labels as the wider character set of the same family, and so do we.
        return _CHARSETS[codecs.lookup(name).name]
    except (LookupError, ValueError) as error:
        raise UnreadableError(f"The form's charset `{name[:40]}` is not read here; send UTF-8.") from error
