"""The statements about messages and their attempts."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from switchboard.delivery import repository_frames
from switchboard.delivery.models import Attempt, Draft, Message, NewAttempt, Trouble, TroubleCount
from switchboard.kernel.db import ROWS_AT_ONCE, Tx
from switchboard.kernel.ids import HIGHEST_ID, in_order
from switchboard.kernel.turns import in_turns

# As the rows have it: a letter kept by its pieces has no markup here, and one that is just going out is still queued.
_ROW = """id, direction, channel, purpose, state, reason, detail, contact_id, lead_id, user_id, conversation_id,
    run_id, run_revision, campaign_id, template_id, template_version, address, subject, body_text, body_html, header_id,
    in_reply_to, reference_ids, is_urgent, not_after, when_late, stop_reason, sent_anyway_by, created_by, created_at,
    sent_at"""

# A message is going out while its row of the outbox is taken, found by primary key; why it waited counts no more then.
_IS_TAKEN = "state = 'queued' AND (SELECT lease_until FROM app.outbox WHERE message_id = message.id) IS NOT NULL"
_MESSAGE = (
    _ROW.replace("body_html", f"{repository_frames.HTML} AS body_html")
    .replace("state,", f"CASE WHEN {_IS_TAKEN} THEN 'sending' ELSE state END AS state,")
    .replace("reason, detail", f"CASE WHEN {_IS_TAKEN} THEN NULL ELSE reason END AS reason, detail", 1)
)


async def insert_messages(tx: Tx, rows: Sequence[Mapping[str, object]]) -> set[UUID]:
    """Add messages given by their columns; returns the ids added, without those whose step has one already."""
    # Adds a batch once a step of a run; by the unique index message_of_step.
    added = await tx.fetch_tuples(
        """
        INSERT INTO app.message (id, workspace_id, direction, channel, purpose, state, reason, detail, contact_id,
            lead_id, user_id, conversation_id, run_id, run_revision, campaign_id, template_id, template_version,
            address, subject, body_text, body_html, header_id, in_reply_to, reference_ids,
            is_urgent, not_after, when_late, created_by, created_at)
        SELECT id, %s, direction, channel, purpose, state, reason, detail, contact_id,
            lead_id, user_id, conversation_id, run_id, run_revision, campaign_id, template_id, template_version,
            address, subject, body_text, body_html, header_id, in_reply_to, reference_ids,
            is_urgent, not_after, when_late, created_by, app.now()
        FROM jsonb_populate_recordset(NULL::app.message, %s::jsonb)
        ON CONFLICT DO NOTHING RETURNING id
        """,
        (tx.workspace_id, _as_json(rows)),
    )
    return {message_id for (message_id,) in added}


async def find_ids_of_steps(tx: Tx, drafts: Sequence[Draft]) -> dict[tuple[UUID, int], UUID]:
    """The messages that steps of runs have written already, by run and revision."""
    steps = [draft for draft in drafts if draft.run_id is not None]
    # By the unique index message_of_step.
    found = await tx.fetch_tuples(
        """
        SELECT m.run_id, m.run_revision, m.id
        FROM unnest(%s::uuid[], %s::integer[]) AS step (run_id, run_revision)
        JOIN app.message m ON m.run_id = step.run_id AND m.run_revision = step.run_revision
        """,
        ([step.run_id for step in steps], [step.run_revision for step in steps]),
    )
    return {(run_id, revision): message_id for run_id, revision, message_id in found}


async def find_id_by_header(tx: Tx, header_id: str) -> UUID | None:
    """The message of that Message-ID."""
    # By the unique index message_header_id.
    found: UUID | None = await tx.fetch_value(
        "SELECT id FROM app.message WHERE workspace_id = %s AND header_id = %s", (tx.workspace_id, header_id)
    )
    return found


async def find_by_header_ids(tx: Tx, header_ids: Sequence[str]) -> Message | None:
    """The newest message among these Message-IDs."""
    # By the unique index message_header_id.
    return await tx.find_one(
        Message,
        f"""
        SELECT {_MESSAGE} FROM app.message WHERE workspace_id = %s AND header_id = ANY(%s) ORDER BY id DESC LIMIT 1
        """,
        (tx.workspace_id, list(header_ids)),
    )


async def load_messages(tx: Tx, message_ids: Collection[UUID]) -> list[Message]:
    """These messages, oldest first."""
    # By primary key.
    return await tx.fetch_all(
        Message,
        f"SELECT {_MESSAGE} FROM app.message WHERE workspace_id = %s AND id = ANY(%s) ORDER BY id",
        (tx.workspace_id, list(message_ids)),
    )


async def lock_messages(tx: Tx, message_ids: Collection[UUID]) -> list[Message]:
    """These messages, held against changes by others, in the order of their ids.

    What went out before has no markup here.
    """
    # By primary key; sorted, so that two processes never wait for each other.
    return await tx.fetch_all(
        Message,
        f"""
        SELECT {_ROW} FROM app.message WHERE workspace_id = %s AND id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
        """,
        (tx.workspace_id, in_order(message_ids)),
    )


async def lock_to_decide(tx: Tx, message_ids: Collection[UUID]) -> tuple[list[Message], set[UUID]]:
    """The same, and the contacts of advertising on whose frequency caps another process is just deciding.

    The other contacts are ours until the transaction ends. Nobody is waited for, so that it cannot deadlock.
    """
    # By primary key; sorted, so that two processes never wait for each other.
    rows = await tx.fetch_tuples(
        f"""
        SELECT {_ROW}, CASE WHEN purpose = 'marketing' AND contact_id IS NOT NULL
            THEN NOT pg_try_advisory_xact_lock(hashtextextended('delivery.cap:' || contact_id::text, 0)) END
        FROM app.message WHERE workspace_id = %s AND id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
        """,
        (tx.workspace_id, in_order(message_ids)),
    )
    messages = [Message(*row[:-1]) async for some in in_turns(rows, ROWS_AT_ONCE) for row in some]
    return messages, {
        message.contact_id for message, row in zip(messages, rows, strict=True) if row[-1] and message.contact_id
    }


async def list_of_contact(tx: Tx, contact_id: UUID, before: UUID | None, limit: int) -> list[Message]:
    """A contact's messages both ways, newest first."""
    # Walks the index message_by_contact.
    return await tx.fetch_all(
        Message,
        f"""
        SELECT {_MESSAGE} FROM app.message
        WHERE workspace_id = %(workspace)s AND contact_id = %(contact)s
          AND id < %(before)s
        ORDER BY id DESC LIMIT %(limit)s
        """,
        {"workspace": tx.workspace_id, "contact": contact_id, "before": before or HIGHEST_ID, "limit": limit},
    )


async def find_last_written(tx: Tx, contact_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """When these contacts last wrote to us themselves; nothing for those who never did."""
    # From the end of each contact's range in the index message_by_contact.
    found = await tx.fetch_tuples(
        """
        SELECT contact.id, last.created_at FROM unnest(%s::uuid[]) AS contact (id) CROSS JOIN LATERAL (
            SELECT created_at FROM app.message
            WHERE workspace_id = %s AND contact_id = contact.id AND direction = 'in'
              AND reason IS DISTINCT FROM 'automatic'
            ORDER BY id DESC LIMIT 1
        ) AS last
        """,
        (list(contact_ids), tx.workspace_id),
    )
    return dict(found)


async def set_states(tx: Tx, rows: Sequence[Mapping[str, object]]) -> None:
    """Write `state`, `reason` and `detail` of messages, each row with its `id`."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.message m SET state = new.state, reason = new.reason, detail = new.detail
        FROM jsonb_populate_recordset(NULL::app.message, %s::jsonb) AS new
        WHERE m.id = new.id AND m.workspace_id = %s
        """,
        (_as_json(rows), tx.workspace_id),
    )


async def release(tx: Tx, message_id: UUID, sent_anyway_by: UUID | None) -> None:
    """Make a message one that waits to go out, whatever held it and however late it is."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.message SET state = 'queued', reason = NULL, detail = NULL, stop_reason = NULL, not_after = NULL,
            sent_at = NULL, seen_at = NULL, sent_anyway_by = %s
        WHERE id = %s AND workspace_id = %s
        """,
        (sent_anyway_by, message_id, tx.workspace_id),
    )


async def move_contact(tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
    """Give all messages of one contact to another; returns their ids."""
    # By the index message_by_contact.
    found = await tx.fetch_tuples(
        "SELECT id FROM app.message WHERE workspace_id = %s AND contact_id = %s ORDER BY id FOR NO KEY UPDATE",
        (tx.workspace_id, from_id),
    )
    ids = [message_id for (message_id,) in found]
    await set_contact(tx, ids, to_id)
    return ids


async def set_contact(tx: Tx, message_ids: Sequence[UUID], contact_id: UUID) -> None:
    """Give these messages to a contact."""
    # By primary key.
    await tx.execute(
        "UPDATE app.message SET contact_id = %s WHERE id = ANY(%s) AND workspace_id = %s",
        (contact_id, list(message_ids), tx.workspace_id),
    )


async def list_troubles(
    tx: Tx,
    states: Sequence[str],
    *,
    reason: str = "",
    before: UUID | None = None,
    limit: int,
    is_unseen: bool = False,
) -> list[Trouble]:
    """Messages in these states, newest first; of one reason, or of those nobody took note of, where that is asked."""
    # Walks the partial index message_troubled, one range a state.
    return await tx.fetch_all(
        Trouble,
        """
        SELECT m.id, m.state, m.reason, m.detail, m.purpose, m.contact_id, m.address,
            coalesce(nullif(m.subject, ''), nullif(t.title, ''), t.name, '') AS title, m.created_at
        FROM unnest(%(states)s::text[]) AS wanted (state)
        CROSS JOIN LATERAL (
            SELECT * FROM app.message
            WHERE workspace_id = %(workspace)s AND state = wanted.state
              AND state IN ('held', 'dropped', 'failed', 'in_doubt', 'bounced')
              AND id < %(before)s
              AND (%(reason)s = '' OR reason = %(reason)s)
              AND (NOT %(unseen)s OR seen_at IS NULL)
            ORDER BY id DESC LIMIT %(limit)s
        ) AS m
        LEFT JOIN app.template t ON t.id = m.template_id
        ORDER BY m.id DESC LIMIT %(limit)s
        """,
        {
            "workspace": tx.workspace_id,
            "states": list(states),
            "before": before or HIGHEST_ID,
            "reason": reason,
            "limit": limit,
            "unseen": is_unseen,
        },
    )


async def mark_seen(tx: Tx, message_id: UUID) -> bool:
    """Note that a person knows of it; whether nobody did before."""
    # By primary key.
    changed = await tx.execute(
        "UPDATE app.message SET seen_at = app.now() WHERE id = %s AND workspace_id = %s AND seen_at IS NULL",
        (message_id, tx.workspace_id),
    )
    return changed == 1


async def count_troubles(tx: Tx, oldest_id: UUID) -> list[TroubleCount]:
    """How many messages since the id `oldest_id` stand in each troubled state, by reason."""
    # The end of each state's range in the partial index message_troubled.
    return await tx.fetch_all(
        TroubleCount,
        """
        SELECT state, reason, count(*)::integer AS messages FROM app.message
        WHERE workspace_id = %s AND state IN ('held', 'dropped', 'failed', 'in_doubt', 'bounced') AND id >= %s
        GROUP BY state, reason ORDER BY messages DESC, state, reason
        """,
        (tx.workspace_id, oldest_id),
    )


async def insert_attempts(tx: Tx, rows: Sequence[NewAttempt]) -> None:
    """Add tries that end now."""
    # Adds a batch; the present partition's primary key is touched.
    await tx.execute(
        """
        INSERT INTO app.attempt (message_id, token, workspace_id, started_at, ended_at, outcome, response)
        SELECT message_id, token, %s, app.now() - seconds * interval '1 second', app.now(), outcome, response
        FROM unnest(%s::uuid[], %s::bigint[], %s::double precision[], %s::text[], %s::text[])
             AS new (message_id, token, seconds, outcome, response)
        ON CONFLICT DO NOTHING
        """,
        (
            tx.workspace_id,
            [row.message_id for row in rows],
            [row.token for row in rows],
            [row.seconds for row in rows],
            [row.outcome for row in rows],
            [row.response for row in rows],
        ),
    )


async def list_attempts(tx: Tx, message_id: UUID, limit: int) -> list[Attempt]:
    """A message's tries, newest first."""
    # By primary key in each partition; a message is tried some ten times.
    return await tx.fetch_all(
        Attempt,
        """
        SELECT token, started_at, ended_at, outcome, response FROM app.attempt
        WHERE workspace_id = %s AND message_id = %s ORDER BY ended_at DESC, token DESC LIMIT %s
        """,
        (tx.workspace_id, message_id, limit),
    )


async def find_last_token(tx: Tx, message_id: UUID) -> int:
    """The highest token a message was ever tried with, 0 before its first try."""
    # By primary key in each partition.
    token: int = await tx.fetch_value(
        "SELECT coalesce(max(token), 0) FROM app.attempt WHERE workspace_id = %s AND message_id = %s",
        (tx.workspace_id, message_id),
    )
    return token


async def find_cap_times(tx: Tx, contact_ids: Collection[UUID], window: timedelta) -> list[tuple[UUID, datetime, str]]:
    """When each contact was sent marketing within `window`, over which channel; what is going out was sent now."""
    # By the partial indexes message_sent_to, message_to_go with the outbox by primary key, and message_under_way, which
    # is about messages of a version that said it in their rows.
    return [
        (contact_id, at, channel)
        for contact_id, at, channel in await tx.fetch_tuples(
            """
            SELECT contact_id, sent_at, channel FROM app.message
            WHERE workspace_id = %(workspace)s AND contact_id = ANY(%(contacts)s) AND direction = 'out'
              AND sent_at IS NOT NULL AND purpose = 'marketing' AND sent_at > app.now() - %(window)s
            UNION ALL
            SELECT contact_id, app.now(), channel FROM app.message
            WHERE workspace_id = %(workspace)s AND contact_id = ANY(%(contacts)s) AND direction = 'out'
              AND state = 'queued' AND purpose = 'marketing'
              AND (SELECT lease_until FROM app.outbox WHERE message_id = message.id) IS NOT NULL
            UNION ALL
            SELECT contact_id, app.now(), channel FROM app.message
            WHERE workspace_id = %(workspace)s AND contact_id = ANY(%(contacts)s) AND direction = 'out'
              AND state = 'sending' AND purpose = 'marketing'
            """,
            {"workspace": tx.workspace_id, "contacts": list(contact_ids), "window": window},
        )
    ]


def _as_json(rows: Sequence[Mapping[str, object]]) -> str:
    return msgspec.json.encode(rows).decode()
