"""The statements of the payload log: signals as people look at them and run them again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.intake.models import LoggedSignal, SignalHistory, SignalStep, StoredSignal
from switchboard.kernel.db import Tx
from switchboard.kernel.ids import HIGHEST_ID

MOST_RERUN = 1_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which page of a keyset list: rows older or newer than an id, newest first either way."""

    older_than: UUID | None = None
    newer_than: UUID | None = None


# A signal with what became of it last; each lateral is one probe of a primary key.
_LOGGED = """
    s.id, s.source_id, s.received_at, s.payload, s.import_id, s.import_row, o.outcome, o.contact_id, o.lead_id,
    o.problems, d.signal_id IS NOT NULL AS is_due
"""
_BESIDE = """
    LEFT JOIN LATERAL (
        SELECT outcome, contact_id, lead_id, problems FROM app.signal_outcome o
        WHERE o.signal_id = s.id AND o.received_at = s.received_at ORDER BY o.at DESC LIMIT 1
    ) AS o ON true
    LEFT JOIN app.signal_due d ON d.signal_id = s.id
"""


async def list_signals(tx: Tx, source_id: UUID, bounds: Bounds, most: int) -> list[LoggedSignal]:
    """A page of a source's signals, newest first."""
    is_upward = bounds.newer_than is not None
    comparison, order = (">", "ASC") if is_upward else ("<", "DESC")
    # Walks the index signal_by_source from the bound; the joins probe primary keys.
    return await tx.fetch_all(
        LoggedSignal,
        f"""
        SELECT {_LOGGED} FROM (
            SELECT id, source_id, received_at, payload, import_id, import_row FROM app.signal
            WHERE source_id = %(source)s AND id {comparison} %(bound)s
            ORDER BY id {order} LIMIT %(most)s
        ) AS s {_BESIDE} ORDER BY s.id DESC
        """,
        {"source": source_id, "bound": bounds.newer_than or bounds.older_than or HIGHEST_ID, "most": most},
    )


async def list_failed_signals(tx: Tx, source_id: UUID, since: datetime, most: int) -> list[LoggedSignal]:
    """The signals of a source whose last outcome is a failure, the latest failure first, none that waits to run."""
    # Walks the partial index signal_outcome_failed; the joins probe primary keys.
    return await tx.fetch_all(
        LoggedSignal,
        """
        SELECT s.id, s.source_id, s.received_at, s.payload, s.import_id, s.import_row, o.outcome,
            o.contact_id, o.lead_id, o.problems, false AS is_due
        FROM app.signal_outcome o JOIN app.signal s ON s.id = o.signal_id AND s.received_at = o.received_at
        WHERE o.source_id = %s AND o.outcome = 'failed' AND o.at >= %s
            AND NOT EXISTS (
                SELECT FROM app.signal_outcome later
                WHERE later.signal_id = o.signal_id AND later.received_at = o.received_at AND later.at > o.at)
            AND NOT EXISTS (SELECT FROM app.signal_due d WHERE d.signal_id = o.signal_id)
        ORDER BY o.at DESC LIMIT %s
        """,
        (source_id, since, most),
    )


async def list_payloads(tx: Tx, source_id: UUID, most: int) -> list[StoredSignal]:
    """The newest payloads that came to a source's address, not those of files."""
    # Walks the index signal_by_source.
    return await tx.fetch_all(
        StoredSignal,
        """
        SELECT id, source_id, received_at, payload, import_id, import_row FROM app.signal
        WHERE source_id = %s AND import_id IS NULL ORDER BY id DESC LIMIT %s
        """,
        (source_id, most),
    )


async def find_signal(tx: Tx, signal_id: UUID) -> StoredSignal | None:
    """One signal of the workspace."""
    # By primary key in each month's partition.
    return await tx.find_one(
        StoredSignal,
        """
        SELECT id, source_id, received_at, payload, import_id, import_row FROM app.signal
        WHERE id = %s AND workspace_id = %s
        """,
        (signal_id, tx.workspace_id),
    )


async def list_signals_of_lead(tx: Tx, lead_id: UUID, most: int) -> list[LoggedSignal]:
    """The signals that opened or joined a lead, newest first."""
    # By the partial index signal_outcome_by_lead, then by primary key.
    return await tx.fetch_all(
        LoggedSignal,
        f"""
        SELECT {_LOGGED} FROM (
            SELECT DISTINCT signal_id, received_at FROM app.signal_outcome WHERE lead_id = %s
        ) AS known
        JOIN app.signal s ON s.id = known.signal_id AND s.received_at = known.received_at {_BESIDE}
        ORDER BY s.id DESC LIMIT %s
        """,
        (lead_id, most),
    )


async def list_history(tx: Tx, signal: StoredSignal) -> list[SignalHistory]:
    """Every outcome of a signal, newest first."""
    # By primary key.
    return await tx.fetch_all(
        SignalHistory,
        """
        SELECT at, outcome, contact_id, lead_id, problems FROM app.signal_outcome
        WHERE signal_id = %s AND received_at = %s ORDER BY at DESC
        """,
        (signal.id, signal.received_at),
    )


async def is_due(tx: Tx, signal_id: UUID) -> bool:
    """Whether a signal waits to be recognised."""
    # By primary key.
    return bool(await tx.fetch_value("SELECT EXISTS (SELECT FROM app.signal_due WHERE signal_id = %s)", (signal_id,)))


async def insert_due(tx: Tx, signals: Sequence[StoredSignal]) -> int:
    """Make signals due once more; those that wait already are left alone. Returns how many were added."""
    # By primary key.
    return await tx.execute(
        """
        INSERT INTO app.signal_due (signal_id, workspace_id, source_id, received_at, due_at, import_id, import_row)
        SELECT id, %s, source_id, received_at, app.now(), import_id, import_row
        FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::uuid[], %s::int[])
            AS again (id, source_id, received_at, import_id, import_row)
        ORDER BY id ON CONFLICT (signal_id) DO NOTHING
        """,
        (
            tx.workspace_id,
            [signal.id for signal in signals],
            [signal.source_id for signal in signals],
            [signal.received_at for signal in signals],
            [signal.import_id for signal in signals],
            [signal.import_row for signal in signals],
        ),
    )


async def list_steps(tx: Tx, contact_id: UUID, lead_id: UUID, since: datetime) -> list[SignalStep]:
    """What happened to a lead since an instant, oldest first."""
    # By the partial index event_by_contact.
    return await tx.fetch_all(
        SignalStep,
        """
        SELECT kind, at, data FROM app.event
        WHERE workspace_id = %s AND contact_id = %s AND lead_id = %s AND at >= %s ORDER BY id LIMIT 100
        """,
        (tx.workspace_id, contact_id, lead_id, since),
    )


async def delete_expired_keys(tx: Tx, most: int) -> int:
    """Forget keys whose time is over."""
    # Walks the index signal_key_expired, at most a batch, chosen once.
    return await tx.execute(
        """
        WITH old AS MATERIALIZED (
            SELECT source_id, key FROM app.signal_key WHERE workspace_id = %s AND expires_at <= app.now()
            ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED
        )
        DELETE FROM app.signal_key k USING old WHERE k.source_id = old.source_id AND k.key = old.key
        """,
        (tx.workspace_id, most),
    )
