"""SQL on the ledger of campaigns: what became of each recipient, and how many stand in each state."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from switchboard.flows.campaign_models import CANCELLED, UNDER_WAY, AlikeChanges, Change, Recipient
from switchboard.flows.models import VersionKey
from switchboard.kernel.db import Tx
from switchboard.kernel.ids import LOWEST_ID

# Whoever got it is not taken for somebody who did not, whatever happens to a later message of theirs; an answer and an
# opt-out come after everything else. Whoever was never taken in stays so.
_MAY_COME_TO = """
    held.old <> held.state AND CASE held.old
        WHEN 'sent' THEN held.state IN ('answered', 'bounced', 'opted_out')
        WHEN 'bounced' THEN held.state IN ('answered', 'opted_out')
        WHEN 'answered' THEN held.state = 'opted_out'
        WHEN 'opted_out' THEN false
        WHEN 'excluded' THEN false
        WHEN 'cancelled' THEN held.state IN ('sent', 'in_doubt', 'bounced', 'failed', 'queued')
        ELSE held.state <> 'opted_out' AND held.state <> 'answered' OR held.old = 'in_doubt'
    END
"""
# Lines by primary key, locked in its order, so that no two batches wait for each other, and then found again by where
# they lie, which holds while they are locked. OFFSET 0 keeps it so: the statistics of a new ledger say nothing.
_HELD = """
    new AS MATERIALIZED ({changes}), held AS MATERIALIZED (
        SELECT new.*, l.state AS old, l.variant, l.place FROM new CROSS JOIN LATERAL (
            SELECT state, variant, ctid AS place FROM app.campaign_recipient
            WHERE workspace_id = %(workspace)s AND campaign_id = new.campaign_id AND contact_id = new.contact_id
              AND (new.run_id IS NULL OR run_id = new.run_id)
            OFFSET 0 FOR NO KEY UPDATE
        ) AS l
    )
"""
# Changes that differ, for _HELD; no table.
_ONE_BY_ONE = """
    SELECT * FROM unnest(%(campaigns)s::uuid[], %(contacts)s::uuid[], %(states)s::text[], %(reasons)s::text[],
                         %(runs)s::uuid[], %(messages)s::uuid[])
         AS new (campaign_id, contact_id, state, reason, run_id, message_id) ORDER BY campaign_id, contact_id
"""
# Changes that are alike, for _HELD; no table.
_ALIKE = """
    SELECT %(campaign)s::uuid AS campaign_id, contact_id, %(state)s::text AS state, %(reason)s::text AS reason, run_id,
        message_id
    FROM unnest(%(contacts)s::uuid[], %(runs)s::uuid[], %(messages)s::uuid[]) AS new (contact_id, run_id, message_id)
    WHERE contact_id IS NOT NULL ORDER BY contact_id
"""
# Counts what a statement named `moved` did, which adds some rows, and answers with those that have no line.
_COUNT_MOVES = """
    , counted AS (
    INSERT INTO app.campaign_tally (workspace_id, campaign_id, variant, state, recipients)
    SELECT %(workspace)s, campaign_id, variant, state, sum(recipients) FROM (
        SELECT campaign_id, variant, old AS state, -1 AS recipients FROM moved
        UNION ALL SELECT campaign_id, variant, state, 1 FROM moved
    ) AS step GROUP BY campaign_id, variant, state HAVING sum(recipients) <> 0
    )
"""
# Those of a statement's changes that found no line; its own rows only.
_UNFOUND = """
    SELECT campaign_id, contact_id, state, reason, run_id, message_id FROM new
    WHERE (campaign_id, contact_id, coalesce(run_id, contact_id)) NOT IN (
        SELECT campaign_id, contact_id, coalesce(run_id, contact_id) FROM held
    )
"""
# The lines come to their states, as far as they may.
_MOVE = f"""
    WITH {_HELD}, moved AS (
        UPDATE app.campaign_recipient l SET state = held.state, reason = held.reason, updated_at = app.now(),
            message_id = coalesce(held.message_id, l.message_id), run_id = coalesce(held.run_id, l.run_id)
        FROM held WHERE l.ctid = held.place AND {_MAY_COME_TO}
        RETURNING l.campaign_id, held.variant, held.old, l.state
    )
    {_COUNT_MOVES}
    {_UNFOUND}
"""
# The runs count as ended, and the lines of those who still wait say why they get nothing.
_END = f"""
    WITH {_HELD}, moved AS (
        UPDATE app.campaign_recipient l SET state = held.state, reason = held.reason, updated_at = app.now()
        FROM held WHERE l.ctid = held.place AND held.old = 'waiting'
        RETURNING l.campaign_id, held.variant, held.old, l.state
    ), ended AS (
        INSERT INTO app.campaign_tally (workspace_id, campaign_id, variant, state, recipients)
        SELECT %(workspace)s, campaign_id, variant, '{UNDER_WAY}', -count(*) FROM held GROUP BY campaign_id, variant
    )
    {_COUNT_MOVES}
    {_UNFOUND}
"""


async def move_recipients(tx: Tx, changes: Sequence[Change]) -> list[Change]:
    """Write what happened to recipients, each of them once, and count it; returns the changes that found no line.

    A change that comes too late for its line, such as a message dropped after an earlier one was sent, is left out.
    """
    # Lines as in _HELD.
    return await tx.fetch_all(Change, _MOVE.format(changes=_ONE_BY_ONE), _columns(tx, changes))


async def move_alike(tx: Tx, changes: AlikeChanges) -> list[Change]:
    """The same of recipients to whom the same happened."""
    # Lines as in _HELD.
    return await tx.fetch_all(Change, _MOVE.format(changes=_ALIKE), _columns_of(tx, changes))


async def end_waiting(tx: Tx, changes: Sequence[Change]) -> list[Change]:
    """Write why recipients get nothing whose run ended before it wrote to them, and count runs as ended.

    Returns the changes that found no line.
    """
    # Lines as in _HELD.
    return await tx.fetch_all(Change, _END.format(changes=_ONE_BY_ONE), _columns(tx, changes))


async def end_alike(tx: Tx, changes: AlikeChanges) -> list[Change]:
    """The same of recipients whose runs ended alike."""
    # Lines as in _HELD.
    return await tx.fetch_all(Change, _END.format(changes=_ALIKE), _columns_of(tx, changes))


async def find_moved(tx: Tx, changes: Sequence[Change]) -> list[Change]:
    """These changes at the lines that merging has left or moved elsewhere; those without a line are missing."""
    # Each contact up and down the merges it is part of, by primary key and contact_merged; lines by primary key.
    return await tx.fetch_all(
        Change,
        """
        WITH RECURSIVE wanted AS (
            SELECT * FROM unnest(%(campaigns)s::uuid[], %(contacts)s::uuid[], %(states)s::text[], %(reasons)s::text[],
                                 %(runs)s::uuid[], %(messages)s::uuid[])
                 AS wanted (campaign_id, contact_id, state, reason, run_id, message_id)
        ), kept AS (
            SELECT contact_id, contact_id AS id FROM wanted
            UNION SELECT kept.contact_id, c.merged_into FROM kept JOIN app.contact c ON c.id = kept.id
            WHERE c.merged_into IS NOT NULL
        ), relative AS (
            SELECT contact_id, id FROM kept
            UNION SELECT relative.contact_id, c.id FROM relative JOIN app.contact c ON c.merged_into = relative.id
        )
        SELECT l.campaign_id, l.contact_id, wanted.state, wanted.reason, wanted.run_id, wanted.message_id
        FROM wanted JOIN relative USING (contact_id) JOIN app.campaign_recipient l
          ON l.campaign_id = wanted.campaign_id AND l.contact_id = relative.id AND l.run_id = wanted.run_id
        WHERE l.workspace_id = %(workspace)s
        """,
        _columns(tx, changes),
    )


def _columns(tx: Tx, changes: Sequence[Change]) -> dict[str, object]:
    return {
        "workspace": tx.workspace_id,
        "campaigns": [change.campaign_id for change in changes],
        "contacts": [change.contact_id for change in changes],
        "states": [change.state for change in changes],
        "reasons": [change.reason for change in changes],
        "runs": [change.run_id for change in changes],
        "messages": [change.message_id for change in changes],
    }


def _columns_of(tx: Tx, changes: AlikeChanges) -> dict[str, object]:
    return {
        "workspace": tx.workspace_id,
        "campaign": changes.campaign_id,
        "state": changes.state,
        "reason": changes.reason,
        "contacts": changes.contact_ids,
        "runs": changes.run_ids,
        "messages": changes.message_ids,
    }


async def find_lately_reached(tx: Tx, contact_ids: Collection[UUID], window: timedelta) -> list[tuple[UUID, UUID]]:
    """Of the campaigns that began within `window`, the last that reached each of these contacts: campaign, contact."""
    # The workspace's campaigns by the prefix of campaign_list, a handful; each contact's lines by primary key.
    return [
        (row[0], row[1])
        for row in await tx.fetch_tuples(
            """
            SELECT DISTINCT ON (wanted.contact_id) c.id, wanted.contact_id
            FROM (SELECT id FROM app.campaign WHERE workspace_id = %s AND started_at > app.now() - %s) AS c
            CROSS JOIN unnest(%s::uuid[]) AS wanted (contact_id)
            CROSS JOIN LATERAL (
                SELECT updated_at FROM app.campaign_recipient
                WHERE campaign_id = c.id AND contact_id = wanted.contact_id
                  AND state IN ('sent', 'answered', 'bounced', 'in_doubt') OFFSET 0
            ) AS l
            ORDER BY wanted.contact_id, l.updated_at DESC, c.id
            """,
            (tx.workspace_id, window, list(contact_ids)),
        )
    ]


async def list_recipients(
    tx: Tx, campaign_id: UUID, state: str | None, after: UUID | None, limit: int
) -> list[Recipient]:
    """Lines of the ledger in the order of contacts, those beyond `after`; of one state where that is asked."""
    only = "AND l.state = %(state)s" if state else ""
    # The index campaign_recipient_by_state in its order, or the primary key in its.
    return await tx.fetch_all(
        Recipient,
        f"""
        SELECT l.contact_id, coalesce(c.name, '') AS name, l.variant, l.state, l.reason, l.run_id, l.message_id,
            l.due_at, l.updated_at
        FROM app.campaign_recipient l LEFT JOIN app.contact c ON c.id = l.contact_id
        WHERE l.workspace_id = %(workspace)s AND l.campaign_id = %(campaign)s {only} AND l.contact_id > %(after)s
        ORDER BY l.contact_id LIMIT %(limit)s
        """,
        {
            "workspace": tx.workspace_id,
            "campaign": campaign_id,
            "state": state,
            "after": after or LOWEST_ID,
            "limit": limit,
        },
    )


async def find_recipient(tx: Tx, campaign_id: UUID, contact_id: UUID) -> Recipient | None:
    """What became of one contact in a campaign."""
    # By primary key.
    return await tx.find_one(
        Recipient,
        """
        SELECT l.contact_id, coalesce(c.name, '') AS name, l.variant, l.state, l.reason, l.run_id, l.message_id,
            l.due_at, l.updated_at
        FROM app.campaign_recipient l LEFT JOIN app.contact c ON c.id = l.contact_id
        WHERE l.workspace_id = %s AND l.campaign_id = %s AND l.contact_id = %s
        """,
        (tx.workspace_id, campaign_id, contact_id),
    )


async def count_states(tx: Tx, campaign_ids: Sequence[UUID]) -> list[tuple[UUID, int, str, int]]:
    """How many recipients of each campaign and variant stand in each state."""
    # The index campaign_tally_by_state, which holds some rows a campaign once they are folded.
    return [
        (row[0], row[1], row[2], row[3])
        for row in await tx.fetch_tuples(
            """
            SELECT campaign_id, variant, state, sum(recipients)::bigint FROM app.campaign_tally
            WHERE workspace_id = %s AND campaign_id = ANY(%s)
            GROUP BY campaign_id, variant, state HAVING sum(recipients) <> 0 ORDER BY campaign_id, variant, state
            """,
            (tx.workspace_id, list(campaign_ids)),
        )
    ]


async def fold_tallies(tx: Tx, campaign_id: UUID) -> None:
    """Make one row of all that count the same, unless another process is doing so."""
    # No table: a lock of this campaign's tallies only, let go at the end of the transaction.
    is_ours = await tx.fetch_value("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 22))", (str(campaign_id),))
    if is_ours:
        # The campaign's range of the index campaign_tally_by_state; rows added meanwhile are left for the next time.
        await tx.execute(
            """
            WITH gone AS (
                DELETE FROM app.campaign_tally WHERE workspace_id = %(workspace)s AND campaign_id = %(campaign)s
                RETURNING variant, state, recipients
            )
            INSERT INTO app.campaign_tally (workspace_id, campaign_id, variant, state, recipients)
            SELECT %(workspace)s, %(campaign)s, variant, state, sum(recipients) FROM gone
            GROUP BY variant, state HAVING sum(recipients) <> 0
            """,
            {"workspace": tx.workspace_id, "campaign": campaign_id},
        )


async def page_of_runs(
    tx: Tx, campaign_id: UUID, after: UUID | None, limit: int
) -> list[tuple[UUID, UUID | None, str]]:
    """The next lines of the ledger: contact, run and state."""
    # The primary key in its order.
    return [
        (row[0], row[1], row[2])
        for row in await tx.fetch_tuples(
            """
            SELECT contact_id, run_id, state FROM app.campaign_recipient
            WHERE workspace_id = %s AND campaign_id = %s AND contact_id > %s ORDER BY contact_id LIMIT %s
            """,
            (tx.workspace_id, campaign_id, after or LOWEST_ID, limit),
        )
    ]


async def find_versions(tx: Tx, run_ids: Sequence[UUID]) -> dict[UUID, VersionKey]:
    """Which version each of these runs goes through; those that have ended are missing."""
    # By primary key.
    rows = await tx.fetch_tuples(
        "SELECT id, flow_id, version FROM app.run WHERE workspace_id = %s AND id = ANY(%s)",
        (tx.workspace_id, list(run_ids)),
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def unpark_runs(tx: Tx, run_ids: Sequence[UUID]) -> int:
    """Let those of these runs go on that rest because their campaign was held."""
    # By primary key, locked in the order of ids.
    return await tx.execute(
        """
        WITH held AS (
            SELECT id FROM app.run WHERE workspace_id = %s AND id = ANY(%s) AND parked = 'paused'
            ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE app.run r SET parked = NULL FROM held WHERE r.id = held.id
        """,
        (tx.workspace_id, sorted(run_ids)),
    )


async def spread_runs(
    tx: Tx,
    campaign_id: UUID,
    contact_ids: Sequence[UUID],
    since: datetime,
    gap: timedelta,
    *,
    place: int,
    only_past: bool,
) -> int:
    """Let those of these recipients whose run has not begun go one after the other; how many.

    The first goes at `since` plus `place` times `gap`. With `only_past` those stay whose moment is still to come.
    """
    # Lines and runs by primary key; runs are locked before lines, as everywhere. A run that somebody holds is being
    # moved at this moment, so it needs no turn.
    return await tx.execute(
        """
        WITH turn AS MATERIALIZED (
            SELECT wanted.contact_id, l.line, r.id, r.place
            FROM unnest(%(contacts)s::uuid[]) AS wanted (contact_id)
            CROSS JOIN LATERAL (
                SELECT run_id, ctid AS line FROM app.campaign_recipient
                WHERE workspace_id = %(workspace)s AND campaign_id = %(campaign)s AND contact_id = wanted.contact_id
                  AND state = 'waiting' OFFSET 0
            ) AS l
            CROSS JOIN LATERAL (
                SELECT id, ctid AS place FROM app.run
                WHERE id = l.run_id AND revision = 0 AND parked IS DISTINCT FROM 'merged'
                  AND (NOT %(only_past)s OR due_at <= %(since)s + interval '1 second')
                OFFSET 0 FOR NO KEY UPDATE SKIP LOCKED
            ) AS r
        ), slot AS MATERIALIZED (
            SELECT line, place, %(since)s
                + (%(place)s + row_number() OVER (ORDER BY contact_id) - 1) * %(gap)s::interval AS due_at FROM turn
        ), moved AS (
            UPDATE app.run r SET due_at = slot.due_at FROM slot WHERE r.ctid = slot.place
        )
        UPDATE app.campaign_recipient l SET due_at = slot.due_at FROM slot WHERE l.ctid = slot.line
        """,
        {
            "workspace": tx.workspace_id,
            "campaign": campaign_id,
            "contacts": list(contact_ids),
            "since": since,
            "gap": gap,
            "place": place,
            "only_past": only_past,
        },
    )


async def mark_cancelled(tx: Tx, campaign_id: UUID, contact_ids: Sequence[UUID]) -> None:
    """Note that these recipients get nothing because their campaign was cancelled, where nothing was on its way."""
    # By primary key, locked in its order.
    await tx.execute(
        f"""
        WITH held AS MATERIALIZED (
            SELECT l.* FROM (SELECT * FROM unnest(%(contacts)s::uuid[]) AS id ORDER BY id) AS wanted
            CROSS JOIN LATERAL (
                SELECT variant, state AS old, ctid AS place FROM app.campaign_recipient
                WHERE workspace_id = %(workspace)s AND campaign_id = %(campaign)s AND contact_id = wanted.id
                  AND (state = 'waiting' OR state = 'dropped' AND reason IN ('stopped', %(cancelled)s))
                OFFSET 0 FOR NO KEY UPDATE
            ) AS l
        ), moved AS (
            UPDATE app.campaign_recipient l SET state = 'cancelled', reason = NULL, updated_at = app.now() FROM held
            WHERE l.ctid = held.place
            RETURNING l.campaign_id, held.variant, held.old, l.state
        )
        {_COUNT_MOVES}
        SELECT
        """,
        {
            "workspace": tx.workspace_id,
            "campaign": campaign_id,
            "contacts": list(contact_ids),
            "cancelled": CANCELLED,
        },
    )


async def count_resting(tx: Tx, campaign_id: UUID) -> int:
    """How many wait for good, because they were merged into somebody who is in the campaign, too."""
    # The range of those waiting in campaign_recipient_by_state; it is asked when nobody else waits.
    found: int = await tx.fetch_value(
        """
        SELECT count(*) FROM app.campaign_recipient
        WHERE workspace_id = %s AND campaign_id = %s AND state = 'waiting' AND reason = 'merged'
        """,
        (tx.workspace_id, campaign_id),
    )
    return found


async def has_under_way(tx: Tx, campaign_id: UUID) -> bool:
    """Whether somebody of a campaign still waits, or has a message that has not gone."""
    # Two looks into the index campaign_recipient_by_state.
    found: bool = await tx.fetch_value(
        """
        SELECT EXISTS (
            SELECT FROM app.campaign_recipient
            WHERE workspace_id = %(workspace)s AND campaign_id = %(campaign)s AND state = 'waiting'
              AND reason IS DISTINCT FROM 'merged'
        ) OR EXISTS (
            SELECT FROM app.campaign_recipient
            WHERE workspace_id = %(workspace)s AND campaign_id = %(campaign)s AND state = 'queued'
        )
        """,
        {"workspace": tx.workspace_id, "campaign": campaign_id},
    )
    return found


async def move_contact(tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
    """Give a contact's lines to another; returns the ids of the campaigns they are in.

    Where both have a line, the first one's stays: their run rests (see the merging of runs), and the line says so.
    """
    # The workspace's campaigns by the prefix of campaign_list, each contact's line by primary key.
    rows = await tx.fetch_tuples(
        """
        WITH line AS MATERIALIZED (
            SELECT l.campaign_id, EXISTS (
                SELECT FROM app.campaign_recipient twin
                WHERE twin.campaign_id = l.campaign_id AND twin.contact_id = %(to)s
            ) AS has_twin
            FROM app.campaign c JOIN app.campaign_recipient l ON l.campaign_id = c.id AND l.contact_id = %(from)s
            WHERE c.workspace_id = %(workspace)s ORDER BY l.campaign_id FOR UPDATE OF l
        ), moved AS (
            UPDATE app.campaign_recipient l SET
                contact_id = CASE WHEN line.has_twin THEN l.contact_id ELSE %(to)s END,
                reason = CASE WHEN line.has_twin AND l.state = 'waiting' THEN 'merged' ELSE l.reason END
            FROM line WHERE l.campaign_id = line.campaign_id AND l.contact_id = %(from)s
        )
        SELECT campaign_id FROM line ORDER BY campaign_id
        """,
        {"workspace": tx.workspace_id, "from": from_id, "to": to_id},
    )
    return [row[0] for row in rows]


async def move_back_contact(tx: Tx, campaign_ids: Sequence[UUID], to_id: UUID) -> None:
    """Give the lines in these campaigns back to a contact that is still merged, and let its own wait again."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.campaign_recipient l SET contact_id = lost.id FROM app.contact lost
        WHERE lost.id = %(to)s AND l.workspace_id = %(workspace)s AND l.campaign_id = ANY(%(campaigns)s)
          AND l.contact_id = lost.merged_into AND NOT EXISTS (
            SELECT FROM app.campaign_recipient own WHERE own.campaign_id = l.campaign_id AND own.contact_id = lost.id
          )
        """,
        {"to": to_id, "workspace": tx.workspace_id, "campaigns": list(campaign_ids)},
    )
    # By primary key.
    await tx.execute(
        """
        UPDATE app.campaign_recipient SET reason = NULL
        WHERE workspace_id = %s AND campaign_id = ANY(%s) AND contact_id = %s AND reason = 'merged'
        """,
        (tx.workspace_id, list(campaign_ids), to_id),
    )
