"""The statements of the intake room's hot path: sources, accepting, claiming, outcomes."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from switchboard.intake.models import DueSignal, NewSignal, SignalOutcome, Source, StoredSignal
from switchboard.kernel.columns import read_ids
from switchboard.kernel.db import Tx

SOURCE_COLUMNS = """id, workspace_id, name, format, token, signing_secret, mapping, mapping_version, settings,
    created_at, paused_at"""

# Whether any signal waits to be recognised; by the index signal_due_order.
IS_DUE = "EXISTS (SELECT FROM app.signal_due WHERE due_at <= app.now())"

# Stores the signals whose key is new or has expired, and makes them due; one round trip for a whole batch.
# Uses the primary key of signal_key; keys go in sorted, so that two batches never wait for each other crosswise.
# Arrays travel in binary (%b): as text, every quote of every payload would have to be escaped.
_ACCEPT = """
WITH incoming AS (
    SELECT * FROM unnest(%(ids)b::uuid[], %(sources)b::uuid[], %(keys)b::uuid[], %(windows)s::int[],
                         %(payloads)b::text[], %(imports)s::uuid[], %(import_rows)s::int[])
        AS new (id, source_id, key, window_seconds, payload, import_id, import_row)
), accepted AS (
    INSERT INTO app.signal_key AS known (source_id, key, workspace_id, signal_id, expires_at)
    SELECT source_id, key, %(workspace)s, id, app.now() + make_interval(secs => window_seconds)
    FROM incoming ORDER BY source_id, key
    ON CONFLICT (source_id, key) DO UPDATE SET signal_id = excluded.signal_id, expires_at = excluded.expires_at
    WHERE known.expires_at <= app.now()
    RETURNING signal_id
), stored AS (
    INSERT INTO app.signal (id, workspace_id, source_id, received_at, payload, import_id, import_row)
    SELECT incoming.id, %(workspace)s, incoming.source_id, app.now(), incoming.payload::json, import_id, import_row
    FROM incoming JOIN accepted ON accepted.signal_id = incoming.id
), due AS (
    INSERT INTO app.signal_due (signal_id, workspace_id, source_id, received_at, due_at, import_id, import_row)
    SELECT incoming.id, %(workspace)s, incoming.source_id, app.now(), app.now(), import_id, import_row
    FROM incoming JOIN accepted ON accepted.signal_id = incoming.id
)
SELECT signal_id FROM accepted
"""


async def insert_signals(tx: Tx, signals: Sequence[NewSignal]) -> set[UUID]:
    """Store the signals of the transaction's workspace; returns the ids that were new.

    No two of `signals` may have the same source and key.
    """
    # See the statement.
    rows = await tx.fetch_tuples(
        _ACCEPT,
        {
            "workspace": tx.workspace_id,
            "ids": [signal.id for signal in signals],
            "sources": [signal.source_id for signal in signals],
            "keys": [signal.key for signal in signals],
            "windows": [signal.window_seconds for signal in signals],
            "payloads": [signal.payload for signal in signals],
            "imports": [signal.import_id for signal in signals],
            "import_rows": [signal.import_row for signal in signals],
        },
    )
    return {row[0] for row in rows}


# As _ACCEPT, for signals that are recognised in the same transaction: nothing becomes due. They have one workspace,
# source and import; all that were new is told in one value, because a row for each costs more than the rest.
_KEEP = """
WITH incoming AS (
    SELECT * FROM unnest(%(ids)b::uuid[], %(keys)b::uuid[], %(windows)s::int[], %(payloads)b::text[],
                         %(import_rows)s::int[])
        AS new (id, key, window_seconds, payload, import_row)
), accepted AS (
    INSERT INTO app.signal_key AS known (source_id, key, workspace_id, signal_id, expires_at)
    SELECT %(source)s, key, %(workspace)s, id, app.now() + make_interval(secs => window_seconds)
    FROM incoming ORDER BY key
    ON CONFLICT (source_id, key) DO UPDATE SET signal_id = excluded.signal_id, expires_at = excluded.expires_at
    WHERE known.expires_at <= app.now()
    RETURNING signal_id
), stored AS (
    INSERT INTO app.signal (id, workspace_id, source_id, received_at, payload, import_id, import_row)
    SELECT id, %(workspace)s, %(source)s, app.now(), payload::json, %(import)s, import_row
    FROM incoming WHERE id IN (SELECT signal_id FROM accepted)
)
SELECT CASE WHEN count(*) < %(number)s THEN coalesce(array_agg(signal_id), '{}')::text END FROM accepted
"""


async def insert_undue_signals(tx: Tx, signals: Sequence[NewSignal]) -> Collection[UUID]:
    """Store rows of one file that are recognised in this transaction; returns the ids that were new.

    No two of `signals` may have the same key.
    """
    ids = [signal.id for signal in signals]
    # See the statement.
    new = await tx.fetch_value(
        _KEEP,
        {
            "workspace": tx.workspace_id,
            "source": signals[0].source_id,
            "import": signals[0].import_id,
            "number": len(signals),
            "ids": ids,
            "keys": [signal.key for signal in signals],
            "windows": [signal.window_seconds for signal in signals],
            "payloads": [signal.payload for signal in signals],
            "import_rows": [signal.import_row for signal in signals],
        },
    )
    return set(ids) if new is None else {signal_id for signal_id in read_ids(new) if signal_id is not None}


async def find_signal_ids(tx: Tx, keys: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], UUID]:
    """The signals that hold these (source, key) pairs."""
    # By the primary key of signal_key.
    rows = await tx.fetch_tuples(
        """
        SELECT k.source_id, k.key, k.signal_id FROM app.signal_key k
        JOIN unnest(%s::uuid[], %s::uuid[]) AS wanted (source_id, key) USING (source_id, key)
        """,
        ([source_id for source_id, _ in keys], [key for _, key in keys]),
    )
    return {(row[0], row[1]): row[2] for row in rows}


async def claim_due(tx: Tx, most: int) -> list[DueSignal]:
    """Lock the oldest due signals of all workspaces that nobody else has locked; those of files come last.

    Where there are any, the transaction has entered the workspace of one of them.
    """
    # Walks the index signal_due_order; enters a workspace and reads its revision by primary key in the same round trip.
    rows = await tx.fetch_tuples(
        """
        WITH claimed AS MATERIALIZED (
            SELECT signal_id, workspace_id, source_id, received_at, import_id, import_row, attempts FROM app.signal_due
            WHERE due_at <= app.now() ORDER BY (import_id IS NOT NULL), due_at LIMIT %s FOR UPDATE SKIP LOCKED
        ), entered AS MATERIALIZED (
            SELECT workspace_id, set_config('app.workspace_id', workspace_id::text, true) FROM claimed LIMIT 1
        )
        SELECT c.*, e.workspace_id, app.now(), f.revision FROM claimed c CROSS JOIN entered e
        LEFT JOIN app.furniture f ON f.workspace_id = e.workspace_id
        """,
        (most,),
    )
    if rows:
        tx.note_entered(*rows[0][-3:])
    return [DueSignal(*row[:-3]) for row in rows]


async def load_signals(tx: Tx, due: Sequence[DueSignal]) -> list[StoredSignal]:
    """The payloads of claimed signals, decoded, in no order."""
    # By the primary key of signal, each in its month's partition. OFFSET 0 keeps it so: many rows of a file came at the
    # same instant, of which Postgres knows nothing yet, and it would read the whole month.
    return await tx.fetch_all(
        StoredSignal,
        """
        SELECT s.* FROM unnest(%s::uuid[], %s::timestamptz[]) AS wanted (id, received_at) CROSS JOIN LATERAL (
            SELECT id, source_id, received_at, payload, import_id, import_row FROM app.signal
            WHERE id = wanted.id AND received_at = wanted.received_at OFFSET 0
        ) AS s
        """,
        ([signal.signal_id for signal in due], [signal.received_at for signal in due]),
    )


async def postpone_due(tx: Tx, signal_id: UUID, due_at: datetime) -> None:
    """Try this signal again later."""
    # By primary key.
    await tx.execute(
        "UPDATE app.signal_due SET due_at = %s, attempts = attempts + 1 WHERE signal_id = %s", (due_at, signal_id)
    )


async def check_references(tx: Tx) -> None:
    """Check now what else would be checked at the commit: that all addresses and words have their contact."""
    # By the primary key of contact, once a row written so far; what is written from here on is checked at once.
    await tx.write("SET CONSTRAINTS ALL IMMEDIATE")


async def conclude(tx: Tx, outcomes: Sequence[SignalOutcome]) -> None:
    """Write down what became of recognised signals, which are due no longer."""
    # Takes rows from signal_due by primary key, and adds a batch of rows.
    await tx.write(
        """
        WITH recognised AS (DELETE FROM app.signal_due WHERE signal_id = ANY(%s))
        INSERT INTO app.signal_outcome
            (signal_id, received_at, workspace_id, source_id, outcome, contact_id, lead_id, problems)
        SELECT signal_id, received_at, %s, source_id, outcome, contact_id, lead_id, problems::jsonb
        FROM unnest(%s::uuid[], %s::timestamptz[], %s::uuid[], %s::text[], %s::uuid[], %s::uuid[], %s::text[])
            AS new (signal_id, received_at, source_id, outcome, contact_id, lead_id, problems)
        """,
        (
            [each.signal_id for each in outcomes],
            tx.workspace_id,
            [each.signal_id for each in outcomes],
            [each.received_at for each in outcomes],
            [each.source_id for each in outcomes],
            [each.outcome for each in outcomes],
            [each.contact_id for each in outcomes],
            [each.lead_id for each in outcomes],
            [json.dumps(each.problems) if each.problems else "[]" for each in outcomes],
        ),
    )


async def insert_outcomes(tx: Tx, outcomes: Sequence[SignalOutcome]) -> None:
    """Write down what became of signals that were never due."""
    if not outcomes:
        return
    # Adds a batch of rows; the primary key and the partial indexes of outcomes are touched.
    await tx.write(
        """
        INSERT INTO app.signal_outcome
            (signal_id, received_at, workspace_id, source_id, outcome, contact_id, lead_id, problems)
        SELECT signal_id, app.now(), %(workspace)s, %(source)s, outcome, contact_id, lead_id, problems::jsonb
        FROM unnest(%(signals)s::uuid[], %(outcomes)s::text[], %(contacts)s::uuid[], %(leads)s::uuid[],
                    %(problems)s::text[])
            AS new (signal_id, outcome, contact_id, lead_id, problems)
        """,
        {
            "workspace": tx.workspace_id,
            "source": outcomes[0].source_id,
            "signals": [each.signal_id for each in outcomes],
            "outcomes": [each.outcome for each in outcomes],
            "contacts": [each.contact_id for each in outcomes],
            "leads": [each.lead_id for each in outcomes],
            "problems": [json.dumps(each.problems) if each.problems else "[]" for each in outcomes],
        },
    )


async def find_source(tx: Tx, source_id: UUID) -> Source | None:
    """One source of the transaction's workspace."""
    # By primary key.
    return await tx.find_one(
        Source,
        f"SELECT {SOURCE_COLUMNS} FROM app.source WHERE id = %s AND workspace_id = %s",
        (source_id, tx.workspace_id),
    )


async def load_sources(tx: Tx, source_ids: Sequence[UUID]) -> dict[UUID, Source]:
    """Several sources by id."""
    # By primary key.
    rows = await tx.fetch_all(
        Source, f"SELECT {SOURCE_COLUMNS} FROM app.source WHERE id = ANY(%s)", (list(source_ids),)
    )
    return {row.id: row for row in rows}


async def insert_source(tx: Tx, source: Source) -> bool:
    """False when the workspace has a source of that name."""
    # Adds one row; by the unique index source_name.
    added = await tx.execute(
        """
        INSERT INTO app.source (id, workspace_id, name, format, token, signing_secret, mapping, settings)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (workspace_id, lower(name)) DO NOTHING
        """,
        (
            source.id,
            tx.workspace_id,
            source.name,
            source.format,
            source.token,
            source.signing_secret,
            json.dumps(source.mapping),
            json.dumps(source.settings),
        ),
    )
    return added == 1
