"""The statements about stages."""

from collections.abc import Sequence

from switchboard.kernel.db import Tx
from switchboard.leads.models import Stage


async def list_stages(tx: Tx) -> list[Stage]:
    """Every stage in the order of the board; a workspace has at most some dozens."""
    # By primary key prefix.
    return await tx.fetch_all(
        Stage,
        "SELECT key, title, position, kind FROM app.stage WHERE workspace_id = %s ORDER BY position, key",
        (tx.workspace_id,),
    )


async def lock_stages(tx: Tx) -> list[Stage]:
    """Every stage, held against changes by others."""
    # By primary key prefix.
    return await tx.fetch_all(
        Stage,
        """
        SELECT key, title, position, kind FROM app.stage WHERE workspace_id = %s ORDER BY position, key FOR UPDATE
        """,
        (tx.workspace_id,),
    )


async def insert_stages(tx: Tx, stages: Sequence[Stage]) -> int:
    """Add those that are not there yet; returns how many were."""
    # By primary key.
    return await tx.execute(
        """
        INSERT INTO app.stage (workspace_id, key, title, position, kind)
        SELECT %s, key, title, position, kind
        FROM unnest(%s::text[], %s::text[], %s::integer[], %s::text[]) AS new (key, title, position, kind)
        ON CONFLICT (workspace_id, key) DO NOTHING
        """,
        (
            tx.workspace_id,
            [stage.key for stage in stages],
            [stage.title for stage in stages],
            [stage.position for stage in stages],
            [stage.kind for stage in stages],
        ),
    )


async def update_title(tx: Tx, key: str, title: str) -> None:
    """Rename a stage."""
    # By primary key.
    await tx.execute(
        "UPDATE app.stage SET title = %s WHERE workspace_id = %s AND key = %s", (title, tx.workspace_id, key)
    )


async def write_order(tx: Tx, keys: Sequence[str]) -> None:
    """Put the stages in this order."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.stage AS s SET position = new.position
        FROM unnest(%s::text[]) WITH ORDINALITY AS new (key, position)
        WHERE s.workspace_id = %s AND s.key = new.key
        """,
        (list(keys), tx.workspace_id),
    )


async def has_leads(tx: Tx, key: str) -> bool:
    """Whether a lead stands in the stage, junk included."""
    # By the index lead_by_stage for ordinary leads, lead_junk_list for junk; each stops at the first row.
    return bool(
        await tx.fetch_value(
            """
            SELECT EXISTS (SELECT FROM app.lead WHERE workspace_id = %(workspace)s AND stage = %(key)s AND NOT is_junk)
                OR EXISTS (SELECT FROM app.lead WHERE workspace_id = %(workspace)s AND stage = %(key)s AND is_junk)
            """,
            {"workspace": tx.workspace_id, "key": key},
        )
    )


async def delete_stage(tx: Tx, key: str) -> None:
    """Remove a stage."""
    # By primary key.
    await tx.execute("DELETE FROM app.stage WHERE workspace_id = %s AND key = %s", (tx.workspace_id, key))
