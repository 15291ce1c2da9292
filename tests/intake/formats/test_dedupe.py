from uuid import UUID

from switchboard.intake.formats.dedupe import dedupe_key
from switchboard.intake.formats.payloads import Payload, read_payload

SOURCE = UUID("01890000-0000-7000-8000-000000000001")
OTHER = UUID("01890000-0000-7000-8000-000000000002")


def _key(text: bytes, *, source: UUID = SOURCE, key: str | None = None, own: str | None = None, row: int = 0) -> UUID:
    return dedupe_key(source, key, own, read_payload(text), row=row)


def test_the_same_content_is_the_same_signal_however_it_is_written() -> None:
    assert _key(b'{"a":1,"b":{"c":[1,2],"d":null}}') == _key(b'{ "b":{"d":null,"c":[1, 2]}, "a":1 }')
    assert _key(b'{"a":"\\u00e9"}') == _key('{"a":"é"}'.encode())


def test_other_content_another_order_or_another_source_is_another_signal() -> None:
    keys = [_key(b'{"a":[1,2]}'), _key(b'{"a":[2,1]}'), _key(b'{"a":"1"}'), _key(b'{"a":[1,2]}', source=OTHER)]
    assert len(set(keys)) == 4


def test_the_first_that_is_there_decides() -> None:
    assert _key(b'{"a":1}', key="k", own="o") == _key(b'{"a":2}', key="k", own="p")
    assert _key(b'{"a":1}', own="o") == _key(b'{"a":2}', own="o")
    assert _key(b'{"a":1}', key="k", row=0) != _key(b'{"a":1}', key="k", row=1)


def test_kinds_never_collide() -> None:
    keys = {_key(b'"x"'), _key(b'"x"', own='"x"'), _key(b'"x"', key='"x"'), _key(b'"x"', own='0:"x"')}
    assert len(keys) == 4


def test_key_is_stable_between_processes() -> None:
    key = dedupe_key(SOURCE, None, "lead-1", Payload(b"{}", {}))
    assert key == UUID("681c0e3e-3d57-78e6-d988-c51e60468f08")


def test_surrogates_in_keys_do_no_harm() -> None:
    assert _key(b"{}", key="\ud800") != _key(b"{}", own="\ud800")
