"""How signals are written down outside Postgres: one record a request, so that each is kept whole or not at all."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from switchboard.intake.models import NewSignal, RefusedSignal


class _Kept(msgspec.Struct, array_like=True, frozen=True):
    id: UUID
    workspace_id: UUID
    source_id: UUID
    key: UUID
    window_seconds: int
    payload: str


class _Refused(_Kept, array_like=True, frozen=True):
    """One element longer, which whoever reads the others leaves out."""

    reason: str


_ENCODER = msgspec.msgpack.Encoder(uuid_format="bytes")
_DECODER = msgspec.msgpack.Decoder(list[_Kept])


def encode_request(signals: Sequence[NewSignal]) -> bytes:
    """One request's signals as one record."""
    return _ENCODER.encode(
        [_Kept(one.id, one.workspace_id, one.source_id, one.key, one.window_seconds, one.payload) for one in signals]
    )


def encode_refused(refused: Sequence[RefusedSignal]) -> bytes:
    """Refused signals as one record, each with its reason; it can be read as that of a request, too."""
    return _ENCODER.encode(
        [
            _Refused(one.id, one.workspace_id, one.source_id, one.key, one.window_seconds, one.payload, each.reason)
            for each in refused
            for one in (each.signal,)
        ]
    )


def decode_request(record: bytes) -> list[NewSignal]:
    """The signals of one record; raises msgspec.DecodeError for anything else."""
    return [
        NewSignal(one.id, one.workspace_id, one.source_id, one.key, one.window_seconds, one.payload)
        for one in _DECODER.decode(record)
    ]
