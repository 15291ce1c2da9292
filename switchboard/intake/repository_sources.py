"""The statements of sources as people see and change them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.intake.models import Source
from switchboard.intake.repository import SOURCE_COLUMNS
from switchboard.kernel.db import Tx

MOST_COUNTED = 10_000
MOST_FAILED = 1_000


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """How a source does: counts stop at `MOST_COUNTED` and `MOST_FAILED`."""

    source_id: UUID
    last_at: datetime | None
    day_count: int
    failed_count: int


async def list_sources(tx: Tx) -> list[Source]:
    """Every source of the workspace, by name."""
    # By the unique index source_name.
    return await tx.fetch_all(
        Source,
        f"SELECT {SOURCE_COLUMNS} FROM app.source WHERE workspace_id = %s ORDER BY lower(name)",
        (tx.workspace_id,),
    )


async def find_source_by_name(tx: Tx, name: str) -> Source | None:
    """The source of that name, whatever its case."""
    # By the unique index source_name.
    return await tx.find_one(
        Source,
        f"SELECT {SOURCE_COLUMNS} FROM app.source WHERE workspace_id = %s AND lower(name) = lower(%s)",
        (tx.workspace_id, name),
    )


async def lock_source(tx: Tx, source_id: UUID) -> Source | None:
    """One source of the transaction's workspace, to be changed."""
    # By primary key.
    return await tx.find_one(
        Source,
        f"SELECT {SOURCE_COLUMNS} FROM app.source WHERE id = %s AND workspace_id = %s FOR UPDATE",
        (source_id, tx.workspace_id),
    )


async def update_source(tx: Tx, source: Source) -> None:
    """Save everything of a source that can change."""
    # By primary key; a name that another source has breaks the unique index source_name.
    await tx.execute(
        """
        UPDATE app.source SET name = %s, token = %s, signing_secret = %s, mapping = %s, mapping_version = %s,
            settings = %s, paused_at = %s
        WHERE id = %s
        """,
        (
            source.name,
            source.token,
            source.signing_secret,
            json.dumps(source.mapping),
            source.mapping_version,
            json.dumps(source.settings),
            source.paused_at,
            source.id,
        ),
    )


async def list_figures(tx: Tx, source_ids: list[UUID], since: datetime, since_id: UUID) -> Mapping[UUID, SourceFigures]:
    """Each source's last signal, its signals since then, and those that failed since and still stand failed."""
    # For each source three bounded walks: of signal_by_source from its end, and of signal_outcome_failed.
    rows = await tx.fetch_all(
        SourceFigures,
        f"""
        SELECT wanted.id AS source_id, last.received_at AS last_at, day.count AS day_count,
            failed.count AS failed_count
        FROM unnest(%(ids)s::uuid[]) AS wanted (id)
        LEFT JOIN LATERAL (
            SELECT s.received_at FROM app.signal s WHERE s.source_id = wanted.id ORDER BY s.id DESC LIMIT 1
        ) AS last ON true
        CROSS JOIN LATERAL (
            SELECT count(*) FROM (
                SELECT FROM app.signal s WHERE s.source_id = wanted.id AND s.id >= %(since_id)s
                    AND s.received_at >= %(since)s
                LIMIT {MOST_COUNTED}) AS counted
        ) AS day
        CROSS JOIN LATERAL (
            SELECT count(*) FROM (
                SELECT FROM app.signal_outcome o WHERE o.source_id = wanted.id AND o.outcome = 'failed'
                    AND o.at >= %(since)s
                    AND NOT EXISTS (
                        SELECT FROM app.signal_outcome later
                        WHERE later.signal_id = o.signal_id AND later.received_at = o.received_at AND later.at > o.at)
                LIMIT {MOST_FAILED}) AS counted
        ) AS failed
        """,
        {"ids": source_ids, "since": since, "since_id": since_id},
    )
    return {row.source_id: row for row in rows}
