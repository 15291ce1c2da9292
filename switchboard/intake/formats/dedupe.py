"""What makes two arrivals the same signal."""

from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

import msgspec

from switchboard.intake.formats.payloads import Payload
from switchboard.kernel.ids import id_of


def dedupe_key(
    source_id: UUID,
    idempotency_key: str | None,
    own_id: str | None,
    payload: Payload,
    *,
    row: int = 0,
) -> UUID:
    """16 bytes that are equal exactly for the same signal of one source.

    The first that is there decides: the sender's Idempotency-Key (with `row`, as one request may hold many), the
    sender's own id of the submission, or the content, whatever the order of its keys and its white space.
    """
    if idempotency_key:
        return _digest(source_id, b"key", f"{row}:{idempotency_key}".encode(errors="surrogatepass"))
    if own_id:
        return _digest(source_id, b"own", own_id.encode(errors="surrogatepass"))
    return _digest(source_id, b"content", msgspec.json.encode(payload.value, order="sorted"))


def _digest(source_id: UUID, kind: bytes, content: bytes) -> UUID:
    digest = _begun(source_id.int, kind).copy()
    digest.update(content)
    return id_of(digest.digest())


# To begin a keyed digest costs more than to go on with one that has been begun; and a UUID is hashed by Python code.
@lru_cache(maxsize=2_048)
def _begun(source: int, kind: bytes) -> blake2b:
    return blake2b(digest_size=16, key=source.to_bytes(16), person=kind)
