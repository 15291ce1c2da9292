"""SQL on flows, their versions and their tallies."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from switchboard.flows.models import WHOLE, SavedVersion, SourceText, StoredFlow, Tally, VersionKey, WholeTally
from switchboard.kernel.db import Tx

_FLOW = "id, name, title, subject_kind, version, is_active, updated_at"
MOST_FLOWS = 500


async def upsert_flow(tx: Tx, flow_id: UUID, *, name: str, title: str, subject_kind: str) -> tuple[UUID, int]:
    """Add a flow at version 1, or raise the version of the one with that name; returns its id and version."""
    # One row, by the unique index on workspace and name.
    rows = await tx.fetch_tuples(
        """
        INSERT INTO app.flow (id, workspace_id, name, title, subject_kind) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (workspace_id, name) DO UPDATE SET title = excluded.title, subject_kind = excluded.subject_kind,
            version = flow.version + 1, updated_at = app.now()
        RETURNING id, version
        """,
        (flow_id, tx.workspace_id, name, title, subject_kind),
    )
    return rows[0][0], rows[0][1]


async def insert_version(tx: Tx, key: VersionKey, source: str, saved_by: UUID | None) -> None:
    """Keep the text of a version; it never changes afterwards."""
    # One row.
    await tx.execute(
        "INSERT INTO app.flow_version (flow_id, version, workspace_id, source, saved_by) VALUES (%s, %s, %s, %s, %s)",
        (*key, tx.workspace_id, source, saved_by),
    )


async def find_flow(tx: Tx, flow_id: UUID) -> StoredFlow | None:
    """One flow."""
    # By primary key.
    return await tx.find_one(
        StoredFlow, f"SELECT {_FLOW} FROM app.flow WHERE workspace_id = %s AND id = %s", (tx.workspace_id, flow_id)
    )


async def find_flow_by_name(tx: Tx, name: str) -> StoredFlow | None:
    """The flow with that name."""
    # By the unique index on workspace and name.
    return await tx.find_one(
        StoredFlow, f"SELECT {_FLOW} FROM app.flow WHERE workspace_id = %s AND name = %s", (tx.workspace_id, name)
    )


async def list_flows(tx: Tx) -> list[StoredFlow]:
    """Every flow by title; a workspace has some dozens."""
    # The prefix of the unique index on workspace and name.
    return await tx.fetch_all(
        StoredFlow,
        f"SELECT {_FLOW} FROM app.flow WHERE workspace_id = %s ORDER BY title, id LIMIT {MOST_FLOWS}",
        (tx.workspace_id,),
    )


async def list_active_versions(tx: Tx) -> list[VersionKey]:
    """The version that new runs take, of each active flow, in the order in which entries are locked."""
    # The prefix of the unique index on workspace and name.
    rows = await tx.fetch_tuples(
        "SELECT id, version FROM app.flow WHERE workspace_id = %s AND is_active ORDER BY id", (tx.workspace_id,)
    )
    return [(row[0], row[1]) for row in rows]


async def list_named(tx: Tx, words: Sequence[str]) -> set[str]:
    """Which of these words stand in the text of some version of a flow, whether it is in use or not."""
    # The prefix of the unique index on workspace and name, its versions by primary key. A text with an escape may hold
    # any word without showing it.
    rows = await tx.fetch_tuples(
        """
        SELECT word FROM unnest(%s::text[]) AS word WHERE EXISTS (
            SELECT FROM app.flow f JOIN app.flow_version v ON v.flow_id = f.id
            WHERE f.workspace_id = %s AND v.workspace_id = f.workspace_id
              AND (position(word IN v.source) > 0 OR position(chr(92) IN v.source) > 0)
        )
        """,
        (list(words), tx.workspace_id),
    )
    return {word for (word,) in rows}


async def set_active(tx: Tx, flow_id: UUID, *, is_active: bool) -> bool:
    """Switch a flow on or off; False when it was so already."""
    # By primary key.
    changed = await tx.execute(
        "UPDATE app.flow SET is_active = %s, updated_at = app.now() WHERE workspace_id = %s AND id = %s"
        " AND is_active <> %s",
        (is_active, tx.workspace_id, flow_id, is_active),
    )
    return changed == 1


async def lock_paused(tx: Tx, flow_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these flows are paused, and stay so until this transaction ends."""
    # By primary key.
    rows = await tx.fetch_tuples(
        "SELECT id FROM app.flow WHERE workspace_id = %s AND id = ANY(%s) AND NOT is_active ORDER BY id FOR SHARE",
        (tx.workspace_id, list(flow_ids)),
    )
    return {row[0] for row in rows}


async def load_sources(tx: Tx, keys: Sequence[VersionKey]) -> list[SourceText]:
    """The YAML of these versions."""
    # By primary key.
    return await tx.fetch_all(
        SourceText,
        """
        SELECT v.flow_id, v.version, v.source
        FROM unnest(%s::uuid[], %s::integer[]) AS wanted (flow_id, version)
        JOIN app.flow_version v USING (flow_id, version) WHERE v.workspace_id = %s
        """,
        ([flow_id for flow_id, _ in keys], [version for _, version in keys], tx.workspace_id),
    )


async def list_versions(tx: Tx, flow_id: UUID, limit: int) -> list[SavedVersion]:
    """A flow's newest versions with who saved them, newest first."""
    # The prefix of the primary key, backwards, joined to users by primary key.
    return await tx.fetch_all(
        SavedVersion,
        """
        SELECT v.version, u.name AS saved_by, v.saved_at
        FROM app.flow_version v LEFT JOIN app.user_account u ON u.id = v.saved_by
        WHERE v.workspace_id = %s AND v.flow_id = %s ORDER BY v.version DESC LIMIT %s
        """,
        (tx.workspace_id, flow_id, limit),
    )


async def insert_tallies(tx: Tx, key: VersionKey, tallies: Sequence[Tally]) -> None:
    """Add counts; nothing is locked, so writers never wait for each other."""
    # Some rows a batch.
    await tx.execute(
        """
        INSERT INTO app.flow_tally (workspace_id, flow_id, version, step, outcome, day, runs)
        SELECT %s, %s, %s, step, outcome, (app.now() AT TIME ZONE 'UTC')::date, runs
        FROM unnest(%s::integer[], %s::text[], %s::bigint[]) AS new (step, outcome, runs)
        """,
        (
            tx.workspace_id,
            *key,
            [tally.step for tally in tallies],
            [tally.outcome for tally in tallies],
            [tally.runs for tally in tallies],
        ),
    )


async def fold_tallies(tx: Tx, flow_id: UUID, keep_days: timedelta) -> None:
    """Make one row of all that count the same, unless another process is doing so; old days become one day."""
    # A lock of this flow's tallies only, let go at the end of the transaction.
    is_ours = await tx.fetch_value("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 20))", (str(flow_id),))
    if not is_ours:
        return
    # The rows of one flow by the index flow_tally_by_step.
    await tx.execute(
        """
        WITH gone AS (
            DELETE FROM app.flow_tally WHERE workspace_id = %(workspace)s AND flow_id = %(flow)s
            RETURNING version, step, outcome, runs,
                greatest(day, ((app.now() - %(keep)s) AT TIME ZONE 'UTC')::date) AS day
        )
        INSERT INTO app.flow_tally (workspace_id, flow_id, version, step, outcome, day, runs)
        SELECT %(workspace)s, %(flow)s, version, step, outcome, day, sum(runs) FROM gone
        GROUP BY version, step, outcome, day
        """,
        {"workspace": tx.workspace_id, "flow": flow_id, "keep": keep_days},
    )


async def list_step_tallies(tx: Tx, key: VersionKey) -> list[Tally]:
    """How runs left each step of one version, since it was saved."""
    # By the index flow_tally_by_step.
    return await tx.fetch_all(
        Tally,
        """
        SELECT step, outcome, sum(runs)::bigint AS runs FROM app.flow_tally
        WHERE workspace_id = %s AND flow_id = %s AND version = %s GROUP BY step, outcome ORDER BY step, outcome
        """,
        (tx.workspace_id, *key),
    )


async def list_whole_tallies(tx: Tx, window: timedelta) -> list[WholeTally]:
    """How the runs of each flow began and ended, ever and within `window`."""
    # The index flow_tally_whole, which holds some rows a flow and day of the last weeks.
    return await tx.fetch_all(
        WholeTally,
        f"""
        SELECT flow_id, outcome, sum(runs)::bigint AS runs, coalesce(
            sum(runs) FILTER (WHERE day > ((app.now() - %s) AT TIME ZONE 'UTC')::date), 0
        )::bigint AS runs_lately
        FROM app.flow_tally WHERE workspace_id = %s AND step = {WHOLE}
        GROUP BY flow_id, outcome ORDER BY flow_id, outcome
        """,
        (window, tx.workspace_id),
    )
