"""The statements about what is due to go out, and about channels that take a break."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from switchboard.delivery.models import ChannelBreak
from switchboard.kernel.db import Tx


@dataclass(frozen=True, slots=True)
class Due:
    """One row of the outbox. `attempts` are those begun so far, `token` the one of the last."""

    message_id: UUID
    workspace_id: UUID
    channel: str
    lane: int
    attempts: int
    token: int


async def insert_outbox(tx: Tx, message_ids: Sequence[UUID], channels: Sequence[str], lanes: Sequence[int]) -> None:
    """Make messages of the transaction's workspace due now."""
    # Adds a batch; primary key and the partial index outbox_due are touched.
    await tx.execute(
        """
        INSERT INTO app.outbox (message_id, workspace_id, channel, lane)
        SELECT message_id, %s, channel, lane
        FROM unnest(%s::uuid[], %s::text[], %s::smallint[]) AS new (message_id, channel, lane)
        """,
        (tx.workspace_id, list(message_ids), list(channels), list(lanes)),
    )


async def insert_again(tx: Tx, message_id: UUID, channel: str, lane: int, token: int) -> bool:
    """Make a message due that was given up; its next try gets a higher token than `token`. False when it is due."""
    # By primary key.
    added = await tx.execute(
        """
        INSERT INTO app.outbox (message_id, workspace_id, channel, lane, token) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (message_id) DO NOTHING
        """,
        (message_id, tx.workspace_id, channel, lane, token),
    )
    return added == 1


async def claim(tx: Tx, channels: Collection[str], *, slots: int, slots_for_flows: int) -> list[Due]:
    """Hold rows that are due on these channels, the urgent lanes first.

    At most `slots` altogether, and at most `slots_for_flows` of those of the lanes that may wait.
    """
    # One range of the partial index outbox_due a lane: what is put off in one lane is never walked for another.
    return await tx.fetch_all(
        Due,
        """
        WITH urgent AS (
            SELECT message_id, workspace_id, channel, lane, attempts, token FROM app.outbox
            WHERE lease_until IS NULL AND lane = 0 AND due_at <= app.now() AND channel = ANY(%(channels)s)
            ORDER BY due_at LIMIT %(slots)s FOR UPDATE SKIP LOCKED
        ), reply AS (
            SELECT message_id, workspace_id, channel, lane, attempts, token FROM app.outbox
            WHERE lease_until IS NULL AND lane = 1 AND due_at <= app.now() AND channel = ANY(%(channels)s)
            ORDER BY due_at LIMIT %(slots)s - (SELECT count(*) FROM urgent) FOR UPDATE SKIP LOCKED
        ), flow AS (
            SELECT message_id, workspace_id, channel, lane, attempts, token FROM app.outbox
            WHERE lease_until IS NULL AND lane = 5 AND due_at <= app.now() AND channel = ANY(%(channels)s)
            ORDER BY due_at
            LIMIT least(%(flows)s, %(slots)s - (SELECT count(*) FROM urgent) - (SELECT count(*) FROM reply))
            FOR UPDATE SKIP LOCKED
        ), bulk AS (
            SELECT message_id, workspace_id, channel, lane, attempts, token FROM app.outbox
            WHERE lease_until IS NULL AND lane = 9 AND due_at <= app.now() AND channel = ANY(%(channels)s)
            ORDER BY due_at
            LIMIT least(%(flows)s, %(slots)s - (SELECT count(*) FROM urgent) - (SELECT count(*) FROM reply))
                - (SELECT count(*) FROM flow)
            FOR UPDATE SKIP LOCKED
        )
        SELECT * FROM urgent UNION ALL SELECT * FROM reply UNION ALL SELECT * FROM flow UNION ALL SELECT * FROM bulk
        """,
        {"channels": list(channels), "slots": slots, "flows": slots_for_flows},
    )


async def lease(tx: Tx, message_ids: Sequence[UUID], length: timedelta) -> dict[UUID, int]:
    """Take claimed rows for `length`; the token of each is what its outcome must be written with."""
    # By primary key.
    leased = await tx.fetch_tuples(
        """
        UPDATE app.outbox SET token = token + 1, attempts = attempts + 1, lease_until = app.now() + %s
        WHERE message_id = ANY(%s) RETURNING message_id, token
        """,
        (length, list(message_ids)),
    )
    return dict(leased)


async def lock_leased(tx: Tx, message_ids: Sequence[UUID], tokens: Sequence[int]) -> dict[UUID, Due]:
    """The rows still taken with these very tokens, held; a row that has been taken anew is missing."""
    # By primary key, in its order; the token is the fence.
    rows = await tx.fetch_all(
        Due,
        """
        SELECT o.message_id, o.workspace_id, o.channel, o.lane, o.attempts, o.token FROM app.outbox o
        JOIN unnest(%s::uuid[], %s::bigint[]) AS mine (message_id, token)
          ON mine.message_id = o.message_id AND mine.token = o.token
        ORDER BY o.message_id FOR UPDATE OF o
        """,
        (list(message_ids), list(tokens)),
    )
    return {row.message_id: row for row in rows}


async def delete_outbox(tx: Tx, message_ids: Collection[UUID]) -> None:
    """Nothing more is due for these messages."""
    if message_ids:
        # By primary key.
        await tx.execute("DELETE FROM app.outbox WHERE message_id = ANY(%s)", (list(message_ids),))


async def put_off(tx: Tx, rows: Sequence[Mapping[str, object]]) -> None:
    """Free rows until later: each has `message_id`, `attempts`, and `until` or else `seconds` from now."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.outbox o SET lease_until = NULL, attempts = new.attempts,
            due_at = coalesce(new.until, app.now() + new.seconds * interval '1 second')
        FROM jsonb_to_recordset(%s::jsonb)
             AS new (message_id uuid, attempts integer, until timestamptz, seconds double precision)
        WHERE o.message_id = new.message_id
        """,
        (json.dumps([dict(row) for row in rows], default=str),),
    )


async def keep_leased(tx: Tx, message_ids: Sequence[UUID], length: timedelta) -> None:
    """Leave rows taken for `length` longer, after which the reaper takes them back."""
    # By primary key.
    await tx.execute(
        "UPDATE app.outbox SET lease_until = app.now() + %s WHERE message_id = ANY(%s)", (length, list(message_ids))
    )


async def claim_expired(tx: Tx, limit: int) -> list[Due]:
    """Hold rows whose lease has run out, in all workspaces."""
    # Walks the partial index outbox_leased.
    return await tx.fetch_all(
        Due,
        """
        SELECT message_id, workspace_id, channel, lane, attempts, token FROM app.outbox
        WHERE lease_until IS NOT NULL AND lease_until < app.now()
        ORDER BY lease_until LIMIT %s FOR UPDATE SKIP LOCKED
        """,
        (limit,),
    )


async def delete_queued_of_runs(tx: Tx, run_ids: Sequence[UUID]) -> list[UUID]:
    """Take the messages of these runs out of the outbox, except those that are going out; returns their ids."""
    # The runs' messages by the unique index message_of_step, their rows by primary key.
    deleted = await tx.fetch_tuples(
        """
        DELETE FROM app.outbox o USING app.message m
        WHERE m.workspace_id = %s AND m.run_id = ANY(%s) AND o.message_id = m.id
          AND (o.lease_until IS NULL OR m.state = 'in_doubt')
        RETURNING o.message_id
        """,
        (tx.workspace_id, list(run_ids)),
    )
    return [message_id for (message_id,) in deleted]


async def mark_stopped(tx: Tx, run_ids: Sequence[UUID], reason: str) -> None:
    """Note on the messages of these runs that are going out that they were called back."""
    # The runs' messages by the unique index message_of_step.
    await tx.execute(
        """
        UPDATE app.message SET stop_reason = %s
        WHERE workspace_id = %s AND run_id = ANY(%s) AND run_id IS NOT NULL AND state = 'sending'
        """,
        (reason, tx.workspace_id, list(run_ids)),
    )


async def try_contact_locks(tx: Tx, contact_ids: Sequence[UUID]) -> set[UUID]:
    """Of these contacts, those whom no other process is just deciding a frequency cap for.

    Never waits, so that it cannot deadlock; the locks end with the transaction.
    """
    # No table.
    found = await tx.fetch_tuples(
        """
        SELECT id FROM unnest(%s::uuid[]) AS id
        WHERE pg_try_advisory_xact_lock(hashtextextended('delivery.cap:' || id::text, 0))
        """,
        (sorted(contact_ids),),
    )
    return {contact_id for (contact_id,) in found}


async def list_breaks(tx: Tx) -> list[ChannelBreak]:
    """The channels that take a break; a handful."""
    # The whole table: at most one row a channel.
    return await tx.fetch_all(
        ChannelBreak, "SELECT channel, began_at, ends_at, failures, detail FROM app.channel_break ORDER BY channel"
    )


async def begin_break(tx: Tx, channel: str, length: timedelta, detail: str) -> None:
    """Let a channel rest for `length`, or longer when it rests already."""
    # By primary key.
    await tx.execute(
        """
        INSERT INTO app.channel_break AS b (channel, ends_at, detail)
        VALUES (%(channel)s, app.now() + %(length)s, %(detail)s)
        ON CONFLICT (channel) DO UPDATE
        SET ends_at = app.now() + %(length)s, failures = b.failures + 1, detail = excluded.detail
        """,
        {"channel": channel, "length": length, "detail": detail},
    )


async def extend_breaks(tx: Tx, channels: Collection[str], length: timedelta) -> None:
    """Let these channels rest for `length` from now, without another failure."""
    if channels:
        # By primary key.
        await tx.execute(
            "UPDATE app.channel_break SET ends_at = app.now() + %s WHERE channel = ANY(%s)", (length, list(channels))
        )


async def end_break(tx: Tx, channels: Collection[str]) -> int:
    """The channels work again."""
    # By primary key.
    return await tx.execute("DELETE FROM app.channel_break WHERE channel = ANY(%s)", (list(channels),))
