"""The statement of the hottest path: what many requests to the sources of one workspace brought, stored at once."""

from collections.abc import Collection, Sequence
from uuid import UUID

from switchboard.intake.models import NewSignal
from switchboard.kernel.columns import NOTHING, read_ids
from switchboard.kernel.db import Database
from switchboard.kernel.queues import WAKE_CHANNEL

# Stores the signals whose key is new or has expired, makes them due and wakes their queue: a transaction by itself.
# Uses the primary key of signal_key; keys go in sorted, so that two batches never wait for each other crosswise. No
# row of `incoming` is there before the workspace is entered. What all signals share is sent once, and all that were
# new are told in one value.
_STORE = """
WITH entered AS MATERIALIZED (
    SELECT set_config('app.workspace_id', %(workspace)s::text, true)
), incoming AS (
    SELECT id, coalesce(source_id, %(source)s) AS source_id, key, payload,
        coalesce(window_seconds, %(window)s) AS window_seconds
    FROM entered CROSS JOIN unnest(%(ids)b::uuid[], %(sources)s::uuid[], %(keys)b::uuid[], %(windows)s::int[],
                                   %(payloads)b::text[])
        AS new (id, source_id, key, window_seconds, payload)
), accepted AS (
    INSERT INTO app.signal_key AS known (source_id, key, workspace_id, signal_id, expires_at)
    SELECT source_id, key, %(workspace)s, id, app.now() + make_interval(secs => window_seconds)
    FROM incoming ORDER BY source_id, key
    ON CONFLICT (source_id, key) DO UPDATE SET signal_id = excluded.signal_id, expires_at = excluded.expires_at
    WHERE known.expires_at <= app.now()
    RETURNING signal_id
), stored AS (
    INSERT INTO app.signal (id, workspace_id, source_id, received_at, payload)
    SELECT incoming.id, %(workspace)s, incoming.source_id, app.now(), incoming.payload::json
    FROM incoming JOIN accepted ON accepted.signal_id = incoming.id
), due AS (
    INSERT INTO app.signal_due (signal_id, workspace_id, source_id, received_at, due_at)
    SELECT incoming.id, %(workspace)s, incoming.source_id, app.now(), app.now()
    FROM incoming JOIN accepted ON accepted.signal_id = incoming.id
)
SELECT CASE WHEN count(*) < %(number)s THEN coalesce(array_agg(signal_id)::text, '{}') END,
    pg_notify(%(channel)s, %(notice)s)
FROM accepted
"""


async def store_signals(database: Database, signals: Sequence[NewSignal], queue: str) -> Collection[UUID]:
    """Commit signals of one workspace that come from no file; returns the ids that were new.

    No two of `signals` may have the same source and key. Storing the same signals again changes nothing.
    """
    first = signals[0]
    ids = [signal.id for signal in signals]
    sources = [signal.source_id for signal in signals]
    windows = [signal.window_seconds for signal in signals]
    # See the statement.
    found = await database.fetch_alone(
        first.workspace_id,
        _STORE,
        {
            "ids": ids,
            "source": first.source_id,
            "sources": sources if any(source is not first.source_id for source in sources) else NOTHING,
            "keys": [signal.key for signal in signals],
            "window": first.window_seconds,
            "windows": windows if any(window != first.window_seconds for window in windows) else NOTHING,
            "payloads": [signal.payload for signal in signals],
            "number": len(signals),
        },
        (WAKE_CHANNEL, queue),
    )
    new = None if found is None else found[0]
    return ids if new is None else {signal_id for signal_id in read_ids(new) if signal_id is not None}
