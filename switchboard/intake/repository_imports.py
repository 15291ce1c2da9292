"""The statements of imports."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from switchboard.intake.models import Import, ImportState
from switchboard.kernel.db import Tx

MOST_LISTED = 50
MOST_PROBLEMS = 100_000

_COLUMNS = """id, workspace_id, source_id, file_name, size_bytes, state, encoding, delimiter, sample, columns,
    rows_total, rows_read, is_read, rows_new, rows_updated, rows_duplicate, rows_failed, detail, created_at,
    finished_at"""


@dataclass(frozen=True, slots=True)
class Progress:
    """What to add to an import's report."""

    read: int = 0
    new: int = 0
    updated: int = 0
    duplicate: int = 0
    failed: int = 0
    is_read: bool = False


@dataclass(frozen=True, slots=True)
class ImportProblem:
    """A row that was not imported: its number in the sheet, why, and its cells."""

    row_number: int
    reason: str
    cells: dict[str, str | int | float | bool]


async def insert_import(tx: Tx, import_id: UUID, source_id: UUID, file_name: str, created_by: UUID | None) -> None:
    """Begin an upload."""
    # One row.
    await tx.execute(
        """
        INSERT INTO app.import (id, workspace_id, source_id, file_name, size_bytes, state, created_by)
        VALUES (%s, %s, %s, %s, 0, 'uploaded', %s)
        """,
        (import_id, tx.workspace_id, source_id, file_name, created_by),
    )


async def insert_chunk(tx: Tx, import_id: UUID, number: int, content: bytes) -> None:
    """Keep one part of the file and count its bytes."""
    # One row.
    await tx.execute(
        "INSERT INTO app.import_chunk (import_id, number, workspace_id, content) VALUES (%s, %s, %s, %s)",
        (import_id, number, tx.workspace_id, content),
    )
    # By primary key.
    await tx.execute("UPDATE app.import SET size_bytes = size_bytes + %s WHERE id = %s", (len(content), import_id))


async def find_chunk(tx: Tx, import_id: UUID, number: int) -> bytes | None:
    """One part of the file, counted from 0; None past the last."""
    # By primary key.
    content = await tx.fetch_value(
        "SELECT content FROM app.import_chunk WHERE import_id = %s AND number = %s", (import_id, number)
    )
    return None if content is None else bytes(content)


async def delete_chunks(tx: Tx, import_id: UUID) -> None:
    """The file is no longer needed."""
    # By primary key.
    await tx.execute("DELETE FROM app.import_chunk WHERE import_id = %s", (import_id,))


async def find_import(tx: Tx, import_id: UUID) -> Import | None:
    """One import of the transaction's workspace."""
    # By primary key.
    return await tx.find_one(
        Import,
        f"SELECT {_COLUMNS} FROM app.import WHERE id = %s AND workspace_id = %s",
        (import_id, tx.workspace_id),
    )


async def list_imports(tx: Tx) -> list[Import]:
    """The newest imports of the workspace."""
    # Walks the index import_list.
    return await tx.fetch_all(
        Import,
        f"SELECT {_COLUMNS} FROM app.import WHERE workspace_id = %s ORDER BY id DESC LIMIT {MOST_LISTED}",
        (tx.workspace_id,),
    )


async def load_columns(tx: Tx, import_ids: Sequence[UUID]) -> dict[UUID, dict[str, object]]:
    """The mappings of imports by id."""
    # By primary key.
    rows = await tx.fetch_tuples("SELECT id, columns FROM app.import WHERE id = ANY(%s)", (list(import_ids),))
    return {row[0]: row[1] for row in rows}


async def find_remembered_columns(tx: Tx, source_id: UUID, headers_key: str) -> dict[str, object] | None:
    """How the columns of such a file were mapped when one was last imported into that source."""
    # Walks the index import_by_source.
    found: dict[str, object] | None = await tx.fetch_value(
        """
        SELECT columns FROM app.import
        WHERE source_id = %s AND headers_key = %s AND state IN ('running', 'done') ORDER BY id DESC LIMIT 1
        """,
        (source_id, headers_key),
    )
    return found


async def save_examined(
    tx: Tx,
    examined: Import,
    headers_key: str,
) -> bool:
    """Keep what reading the top of the file has shown; False when another process was first."""
    # By primary key.
    changed = await tx.execute(
        """
        UPDATE app.import SET state = 'ready', encoding = %s, delimiter = %s, sample = %s, headers_key = %s,
            columns = %s, rows_total = %s, detail = NULL
        WHERE id = %s AND state = 'uploaded'
        """,
        (
            examined.encoding,
            examined.delimiter,
            json.dumps(examined.sample),
            headers_key,
            json.dumps(examined.columns),
            examined.rows_total,
            examined.id,
        ),
    )
    return changed == 1


async def save_reading(tx: Tx, import_id: UUID, encoding: str | None, delimiter: str | None) -> bool:
    """Have the file examined again with these; False when the import has gone on."""
    # By primary key.
    changed = await tx.execute(
        """
        UPDATE app.import SET state = 'uploaded', encoding = %s, delimiter = %s, detail = NULL
        WHERE id = %s AND state IN ('uploaded', 'ready', 'failed') AND rows_read = 0
        """,
        (encoding, delimiter, import_id),
    )
    return changed == 1


async def save_columns(tx: Tx, import_id: UUID, columns: Mapping[str, object]) -> bool:
    """Map the columns of a file that is ready; False when it is not, or no longer."""
    # By primary key.
    changed = await tx.execute(
        "UPDATE app.import SET columns = %s WHERE id = %s AND state = 'ready'", (json.dumps(columns), import_id)
    )
    return changed == 1


async def move_state(
    tx: Tx, import_id: UUID, *, before: Sequence[ImportState], after: ImportState, detail: str | None = None
) -> bool:
    """Move an import on; False when it is in none of the states `before`."""
    # By primary key.
    changed = await tx.execute(
        """
        UPDATE app.import SET state = %(after)s, detail = %(detail)s,
            finished_at = CASE WHEN %(after)s IN ('failed', 'cancelled') THEN app.now() END
        WHERE id = %(id)s AND state = ANY(%(before)s)
        """,
        {"id": import_id, "before": list(before), "after": after, "detail": detail},
    )
    return changed == 1


async def allow_flows(tx: Tx, import_id: UUID) -> None:
    """Let what this import brings begin flows, as live signals do."""
    # By primary key.
    await tx.execute("UPDATE app.import SET starts_flows = true WHERE id = %s", (import_id,))


async def find_quiet(tx: Tx, import_ids: Collection[UUID]) -> set[UUID]:
    """Those of the imports that begin no flows."""
    # By primary key.
    rows = await tx.fetch_tuples(
        "SELECT id FROM app.import WHERE id = ANY(%s) AND NOT starts_flows", (list(import_ids),)
    )
    return {row[0] for row in rows}


async def lock_place(tx: Tx, import_id: UUID, rows_read: int) -> bool:
    """Hold the import until the transaction ends; False unless it runs, and so many of its rows have been read."""
    # By primary key.
    found = await tx.fetch_value(
        "SELECT true FROM app.import WHERE id = %s AND rows_read = %s AND state = 'running' FOR NO KEY UPDATE",
        (import_id, rows_read),
    )
    return found is not None


async def add_progress(tx: Tx, import_id: UUID, progress: Progress) -> bool:
    """Add to an import's report; True when that finished it: every row that was read has been recognised."""
    # By primary key.
    finished = await tx.fetch_value(
        """
        UPDATE app.import SET rows_read = rows_read + %(read)s, is_read = is_read OR %(is_read)s,
            rows_total = CASE WHEN %(is_read)s THEN rows_read + %(read)s ELSE rows_total END,
            rows_new = rows_new + %(new)s, rows_updated = rows_updated + %(updated)s,
            rows_duplicate = rows_duplicate + %(duplicate)s, rows_failed = rows_failed + %(failed)s
        WHERE id = %(id)s
        RETURNING state = 'running' AND is_read
            AND rows_new + rows_updated + rows_duplicate + rows_failed >= rows_read
        """,
        {
            "id": import_id,
            "read": progress.read,
            "new": progress.new,
            "updated": progress.updated,
            "duplicate": progress.duplicate,
            "failed": progress.failed,
            "is_read": progress.is_read,
        },
    )
    if finished:
        # By primary key.
        await tx.execute("UPDATE app.import SET state = 'done', finished_at = app.now() WHERE id = %s", (import_id,))
    return bool(finished)


async def insert_problems(tx: Tx, import_id: UUID, rejected: Sequence[ImportProblem]) -> None:
    """Keep rows that were not imported; a row fails once."""
    # By primary key.
    await tx.execute(
        """
        INSERT INTO app.import_problem (import_id, row_number, workspace_id, reason, cells)
        SELECT %s, row_number, %s, reason, cells::jsonb
        FROM unnest(%s::int[], %s::text[], %s::text[]) AS new (row_number, reason, cells)
        ON CONFLICT (import_id, row_number) DO UPDATE SET reason = excluded.reason
        """,
        (
            import_id,
            tx.workspace_id,
            [row.row_number for row in rejected],
            [row.reason for row in rejected],
            [json.dumps(row.cells) for row in rejected],
        ),
    )


async def take_back_problems(tx: Tx, signal_ids: Sequence[UUID]) -> None:
    """These imported signals are recognised again: they count as not settled, and their imports as running."""
    if not signal_ids:
        return
    # By primary keys.
    await tx.execute(
        """
        WITH taken_back AS (
            DELETE FROM app.import_problem p USING app.signal s
            WHERE s.id = ANY(%s) AND p.import_id = s.import_id AND p.row_number = s.import_row
            RETURNING p.import_id
        ), counted AS (
            SELECT import_id, count(*) AS number FROM taken_back GROUP BY import_id
        )
        UPDATE app.import i SET rows_failed = rows_failed - counted.number, finished_at = NULL,
            state = CASE WHEN state = 'done' THEN 'running' ELSE state END
        FROM counted WHERE i.id = counted.import_id
        """,
        (list(signal_ids),),
    )


async def list_problems(tx: Tx, import_id: UUID, most: int = MOST_PROBLEMS) -> list[ImportProblem]:
    """The rows that were not imported, in the order of the sheet."""
    # By primary key.
    return await tx.fetch_all(
        ImportProblem,
        """
        SELECT row_number, reason, cells FROM app.import_problem WHERE import_id = %s ORDER BY row_number LIMIT %s
        """,
        (import_id, most),
    )


async def delete_due_of_import(tx: Tx, import_id: UUID) -> int:
    """Let the rows of a cancelled import that nobody recognises at this moment go."""
    # Walks the part of the index signal_due_order that holds rows of files. Recognition holds its rows while it waits
    # for the import's own row, which a cancel has locked: waiting for them here would be a deadlock.
    return await tx.execute(
        """
        DELETE FROM app.signal_due WHERE signal_id IN (
            SELECT signal_id FROM app.signal_due WHERE import_id IS NOT NULL AND import_id = %s
            FOR UPDATE SKIP LOCKED)
        """,
        (import_id,),
    )
