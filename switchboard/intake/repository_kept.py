"""The statements for signals that were kept outside Postgres while it was away."""

from collections.abc import Sequence
from uuid import UUID

from switchboard.intake.models import NewSignal
from switchboard.kernel.db import Tx
from switchboard.kernel.ids import instant_of

# Stores what was kept, as received when its id was made, and makes it due in that order. What is stored already is left
# alone: by its key while that lives, and later by its id. Uses the primary keys of signal_key and of signal.
_ACCEPT_KEPT = """
WITH incoming AS (
    SELECT * FROM unnest(%(ids)b::uuid[], %(received)s::timestamptz[], %(sources)b::uuid[], %(keys)b::uuid[],
                         %(windows)s::int[], %(payloads)b::text[])
        AS new (id, received_at, source_id, key, window_seconds, payload)
    WHERE NOT EXISTS (SELECT FROM app.signal s WHERE s.id = new.id
                      AND s.received_at >= new.received_at - interval '1 day')
), accepted AS (
    INSERT INTO app.signal_key AS known (source_id, key, workspace_id, signal_id, expires_at)
    SELECT source_id, key, %(workspace)s, id, received_at + make_interval(secs => window_seconds)
    FROM incoming ORDER BY source_id, key
    ON CONFLICT (source_id, key) DO UPDATE SET signal_id = excluded.signal_id, expires_at = excluded.expires_at
    WHERE known.expires_at <= app.now()
    RETURNING signal_id
), stored AS (
    INSERT INTO app.signal (id, workspace_id, source_id, received_at, payload)
    SELECT incoming.id, %(workspace)s, incoming.source_id, incoming.received_at, incoming.payload::json
    FROM incoming JOIN accepted ON accepted.signal_id = incoming.id
), due AS (
    INSERT INTO app.signal_due (signal_id, workspace_id, source_id, received_at, due_at)
    SELECT incoming.id, %(workspace)s, incoming.source_id, incoming.received_at,
           least(incoming.received_at, app.now())
    FROM incoming JOIN accepted ON accepted.signal_id = incoming.id
)
SELECT signal_id FROM accepted
"""


async def insert_kept_signals(tx: Tx, signals: Sequence[NewSignal]) -> set[UUID]:
    """Store kept signals of the transaction's workspace; returns the ids that were new.

    No two of `signals` may have the same source and key.
    """
    # See the statement.
    rows = await tx.fetch_tuples(
        _ACCEPT_KEPT,
        {
            "workspace": tx.workspace_id,
            "ids": [signal.id for signal in signals],
            "received": [instant_of(signal.id) for signal in signals],
            "sources": [signal.source_id for signal in signals],
            "keys": [signal.key for signal in signals],
            "windows": [signal.window_seconds for signal in signals],
            "payloads": [signal.payload for signal in signals],
        },
    )
    return {row[0] for row in rows}


async def takes_writes(tx: Tx) -> bool:
    """Whether this server can be written to: after a failover one may be talking to a copy."""
    # One value.
    return bool(await tx.fetch_value("SELECT current_setting('transaction_read_only') = 'off'"))
