from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.intake.formats.bodies import read_body
from switchboard.intake.formats.payloads import Limits, Payload
from switchboard.kernel.errors import (
    InvalidError,
    SwitchboardError,
    TooLargeError,
    UnreadableError,
    UnsupportedMediaError,
)

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=XX"


def _values(payloads: list[Payload]) -> list[object]:
    return [payload.value for payload in payloads]


def test_object_is_kept_byte_for_byte() -> None:
    [payload] = read_body(b'\xef\xbb\xbf  { "b":1.50 , "a":"\\u00e9" }\n', "application/json; charset=utf-8")
    assert payload.raw == b'{ "b":1.50 , "a":"\\u00e9" }'
    assert payload.value == {"b": 1.5, "a": "é"}


def test_array_keeps_each_element_as_received() -> None:
    payloads = read_body(b'[{"a" : 1}, {"b":2.0}]', JSON)
    assert [payload.raw for payload in payloads] == [b'{"a" : 1}', b'{"b":2.0}']


def test_lines_may_be_blank_and_end_in_either_way() -> None:
    payloads = read_body(b'{"a":1}\r\n\n{"a":2}\n', "application/x-ndjson")
    assert _values(payloads) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", "", "application/vnd.api+json", "TEXT/JSON"])
def test_json_under_another_name_is_read(content_type: str) -> None:
    assert _values(read_body(b'{"a":1}', content_type)) == [{"a": 1}]


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/xml", "image/png"])
def test_other_content_is_unsupported(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaError, match="send application/json"):
        read_body(b"<a/>", content_type)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'[{"a":1}, 2]', "rows.1"),
        (b'[{"a":1}, {"b":2}, null]', "rows.2"),
        (b'[[{"a":1}]]', "rows.0"),
        (b'"text"', ""),
        (b'{"a":1e999}', ""),
        (b'[{"a":1}, {"a":1e999}]', "rows.1"),
    ],
)
def test_wrong_shapes_name_the_row(body: bytes, field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        read_body(body, JSON)
    assert [problem.field for problem in caught.value.problems] == [field]


@pytest.mark.parametrize("body", [b"", b"  ", b"{", b"[]", b'{"a":1} x', b"{'a':1}", b'{"a":"\xff"}', b"NaN"])
def test_what_is_no_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_body(body, JSON)


def test_broken_line_is_named() -> None:
    with pytest.raises(UnreadableError) as caught:
        read_body(b'{"a":1}\n{"a":', "application/x-ndjson")
    assert caught.value.problems[0].field == "rows.1"


def test_rows_and_bytes_are_limited() -> None:
    limits = Limits(body_bytes=20, batch_bytes=60, rows=2)
    with pytest.raises(TooLargeError) as too_many:
        read_body(b"[{},{},{}]", JSON, limits)
    assert too_many.value.data == {"limit_rows": 2}
    with pytest.raises(TooLargeError) as too_long:
        read_body(b'{"a":"' + b"x" * 20 + b'"}', JSON, limits)
    assert too_long.value.data == {"limit_bytes": 20}
    with pytest.raises(TooLargeError):
        read_body(b'[{"a":"' + b"x" * 20 + b'"}]', JSON, limits)
    with pytest.raises(TooLargeError):
        read_body(b"{}\n" * 30, "application/x-ndjson", limits)


def test_nesting_is_limited_also_where_the_decoder_gives_up() -> None:
    assert read_body(b'{"a":' * 31 + b"{}" + b"}" * 31, JSON)
    for depth in (33, 900, 100_000):
        with pytest.raises(InvalidError):
            read_body(b'{"a":' * depth + b"{}" + b"}" * depth, JSON)


def test_many_brackets_side_by_side_are_no_depth() -> None:
    assert len(read_body(b'{"a":[' + b",".join([b"[]"] * 100) + b"]}", JSON)) == 1


def test_characters_that_the_database_refuses_are_replaced() -> None:
    [payload] = read_body(b'{"a\\u0000":"x\\u0000y","b":["\\u0000"]}', JSON)
    assert payload.value == {"a�": "x�y", "b": ["�"]}
    assert b"\\u0000" not in payload.raw
    [escaped] = read_body(b'{"a":"\\\\u0000"}', JSON)
    assert escaped.value == {"a": "\\u0000"}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("\\ud83d!", "�!"),
        ("\\ude00", "�"),
        ("\\ud83d\\ud83d\\ude00", "�😀"),
        ("\\ud83d\\ude00", "😀"),
        ("\\ude00\\ud83d", "��"),
        ("\\\\ud83d \\ud83d", "\\ud83d �"),
    ],
)
def test_halves_of_a_pair_are_replaced(text: str, read: str) -> None:
    body = f'{{"a":"{text}"}}'.encode()
    assert _values(read_body(body, JSON)) == [{"a": read}]
    assert _values(read_body(b"[" + body + b"]", JSON)) == [{"a": read}]


def test_form_keeps_repeated_and_empty_fields() -> None:
    [payload] = read_body(b"name=J%C3%BCrgen+M&tag=a&tag=b&tag=c&empty=", FORM)
    assert payload.value == {"name": "Jürgen M", "tag": ["a", "b", "c"], "empty": ""}
    assert msgspec.json.decode(payload.raw) == payload.value


def test_form_in_a_western_charset() -> None:
    assert _values(read_body(b"name=J%FCrgen", f"{FORM}; charset=iso-8859-1")) == [{"name": "Jürgen"}]
    with pytest.raises(UnreadableError, match="UTF-8"):
        read_body(b"name=J%FCrgen", FORM)
    with pytest.raises(UnreadableError, match="charset"):
        read_body(b"name=x", f"{FORM}; charset=zlib")


def test_form_fields_are_limited() -> None:
    with pytest.raises(TooLargeError) as caught:
        read_body(b"&".join([b"a=1"] * 4), FORM, Limits(fields=3))
    assert caught.value.data == {"limit_fields": 3}
    with pytest.raises(UnreadableError):
        read_body(b"", FORM)


def test_multipart_keeps_fields_and_says_what_files_there_were() -> None:
    body = (
        b'--XX\r\nContent-Disposition: form-data; name="name"\r\n\r\nZo\xc3\xab\r\n'
        b'--XX\r\nContent-Disposition: form-data; name="cv"; filename="cv.pdf"\r\n'
        b"Content-Type: application/pdf\r\n\r\n%PDF-\r\n--XX--\r\n"
    )
    [payload] = read_body(body, MULTIPART)
    cv = {"file_name": "cv.pdf", "content_type": "application/pdf", "bytes": 5}
    assert payload.value == {"name": "Zoë", "cv": cv}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--XX\r\n", MULTIPART),
        (b"rubbish", MULTIPART),
        (b"", MULTIPART),
        (b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nb', MULTIPART),
        (b"--XX\r\nContent-Disposition: form-data\r\n\r\nb\r\n--XX--\r\n", MULTIPART),
        (b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--XX--\r\n', MULTIPART),
        (b"--XX--", "multipart/form-data"),
    ],
)
def test_broken_multipart_is_unreadable(body: bytes, content_type: str) -> None:
    with pytest.raises(UnreadableError):
        read_body(body, content_type)


@given(
    st.binary(max_size=200),
    st.sampled_from([JSON, FORM, MULTIPART, "application/x-ndjson", "text/plain", "a/b; charset=é"]),
)
def test_rubbish_is_refused_in_our_words(body: bytes, content_type: str) -> None:
    with suppress(SwitchboardError):
        assert all(msgspec.json.decode(payload.raw) is not None for payload in read_body(body, content_type))


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_what_json_can_say_comes_back(value: object) -> None:
    try:
        [payload] = read_body(msgspec.json.encode({"value": value}), JSON)
    except InvalidError:
        return
    assert msgspec.json.decode(payload.raw) == payload.value


@given(
    rows=st.lists(
        st.recursive(
            st.none() | st.integers(-5, 5) | st.text("a{[\0\\", max_size=3),
            lambda child: st.lists(child, max_size=2) | st.dictionaries(st.text(max_size=2), child, max_size=2),
            max_leaves=6,
        ),
        max_size=4,
    ),
    depth=st.integers(1, 3),
    body_bytes=st.integers(4, 60),
)
def test_an_array_is_read_as_its_rows_would_be_by_themselves(rows: list[object], depth: int, body_bytes: int) -> None:
    limits = Limits(body_bytes=body_bytes, rows=3, depth=depth)
    texts = [msgspec.json.encode(row) for row in rows]
    answers: list[object] = []
    for body, kind in ((b"[%b]" % b",".join(texts), JSON), (b"\n".join(texts), "application/x-ndjson")):
        try:
            answers.append(read_body(body, kind, limits))
        except SwitchboardError as error:
            answers.append((error.code, error.problems))
    assert answers[0] == answers[1]
