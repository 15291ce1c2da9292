"""The statements of imports."""

from collections.abc import Sequence
from uuid import UUID

from switchboard.kernel.db import Tx


async def add_counts(tx: Tx, import_id: UUID, *, new: int, updated: int, failed: int) -> None:
    """Add to an import's report; it is done when every row that was read has been recognised."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.import SET rows_new = rows_new + %(new)s, rows_updated = rows_updated + %(updated)s,
            rows_failed = rows_failed + %(failed)s
        WHERE id = %(id)s
        """,
        {"id": import_id, "new": new, "updated": updated, "failed": failed},
    )


async def insert_problems(tx: Tx, rejected: Sequence[tuple[UUID, int, str, UUID]]) -> None:
    """Keep rows that failed: (import, row number as in the sheet, reason, signal)."""
    # The signal's payload is the row's cells; a row fails once.
    await tx.execute(
        """
        INSERT INTO app.import_problem (import_id, row_number, workspace_id, reason, cells)
        SELECT import_id, row_number, %s, reason, coalesce((
            SELECT s.payload::jsonb FROM app.signal s WHERE s.id = signal_id LIMIT 1), '{}')
        FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::uuid[]) AS new (import_id, row_number, reason, signal_id)
        ON CONFLICT (import_id, row_number) DO UPDATE SET reason = excluded.reason
        """,
        (
            tx.workspace_id,
            [row[0] for row in rejected],
            [row[1] for row in rejected],
            [row[2] for row in rejected],
            [row[3] for row in rejected],
        ),
    )
