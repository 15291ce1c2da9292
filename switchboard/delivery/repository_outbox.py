"""The statements about what is due to go out, and about channels that take a break."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

import msgspec

from switchboard.delivery.models import LANE_REPLY, LANES, ChannelBreak, Message
from switchboard.kernel.db import Tx
from switchboard.kernel.low_water import EVERYTHING

# How soon to look again whether the letter before has gone, and how late where that one is tried again in hours.
PAUSE_BEHIND = timedelta(seconds=1)
LONGEST_WAIT_BEHIND = timedelta(minutes=5)

# Whether a lease has run out; by the partial index outbox_leased.
IS_EXPIRED = "EXISTS (SELECT FROM app.outbox WHERE lease_until IS NOT NULL AND lease_until < app.now())"


class Due(msgspec.Struct, frozen=True):
    """One row of the outbox. `attempts` are those begun so far, `token` the one of the last.

    One that `is_held` belongs to a campaign that must not go on, and was parked as it was claimed.
    """

    message_id: UUID
    workspace_id: UUID
    channel: str
    lane: int
    attempts: int
    token: int
    due_at: datetime | None = None
    is_held: bool = False


def is_due(lanes: Collection[int]) -> str:
    """The condition, in SQL, that a message of these lanes is due."""
    among = ", ".join(str(lane) for lane in sorted(lanes))
    # By the partial index outbox_due, a range a lane.
    return f"EXISTS (SELECT FROM app.outbox WHERE lease_until IS NULL AND lane IN ({among}) AND due_at <= app.now())"


async def insert_outbox(
    tx: Tx,
    message_ids: Sequence[UUID],
    channels: Sequence[str],
    lanes: Sequence[int],
    campaign_ids: Sequence[UUID | None],
) -> None:
    """Make messages of the transaction's workspace due now."""
    # Adds a batch; primary key and the partial index outbox_due are touched.
    await tx.execute(
        """
        INSERT INTO app.outbox (message_id, workspace_id, channel, lane, campaign_id)
        SELECT message_id, %s, channel, lane, campaign_id
        FROM unnest(%s::uuid[], %s::text[], %s::smallint[], %s::uuid[]) AS new (message_id, channel, lane, campaign_id)
        """,
        (tx.workspace_id, list(message_ids), list(channels), list(lanes), list(campaign_ids)),
    )


async def insert_again(tx: Tx, message: Message, lane: int, token: int) -> bool:
    """Make a message due that was given up; its next try gets a higher token than `token`. False when it is due."""
    # By primary key.
    added = await tx.execute(
        """
        INSERT INTO app.outbox (message_id, workspace_id, channel, lane, campaign_id, token)
        VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (message_id) DO NOTHING
        """,
        (message.id, tx.workspace_id, message.channel, lane, message.campaign_id, token),
    )
    return added == 1


FROM_THE_BEGINNING: Mapping[int, datetime] = dict.fromkeys(LANES, EVERYTHING)

_OF_LANE = """
        lane_{lane} AS (
            SELECT message_id, workspace_id, channel, lane, attempts, token, due_at, campaign_id FROM app.outbox
            WHERE lease_until IS NULL AND lane = {lane} AND due_at <= app.now() AND due_at >= %(since_{lane})s
              AND channel = ANY ((SELECT channels FROM working)::text[])
            ORDER BY due_at LIMIT greatest(0, {room}) FOR UPDATE SKIP LOCKED
        )"""


@cache
def _claim_statement(lanes: Sequence[int]) -> str:
    """One range of the index a lane, the urgent lanes first; each takes what those before it have left."""
    parts, before = [], ""
    for lane in lanes:
        room = (
            f"%(slots)s{before}" if lane <= LANE_REPLY else f"least(%(flows)s, %(slots)s{before}){_behind(lane, lanes)}"
        )
        parts.append(_OF_LANE.format(lane=lane, room=room))
        if lane <= LANE_REPLY:
            before += _less(lane)
    rows = " UNION ALL ".join(f"TABLE lane_{lane}" for lane in lanes)
    # A campaign is let go on only after what was parked under its hold is committed: hence the lock on the hold.
    # Takes what is due, by one range of the partial index outbox_due a lane; holds and breaks are few and read as a
    # whole. Enters the first of the rows' workspaces and reads its revision by primary key. That, the moment and the
    # breaks are a row of their own.
    return f"""
        WITH working AS MATERIALIZED (
            SELECT array_agg(channel) AS channels FROM unnest(%(channels)s::text[]) AS wanted (channel)
            WHERE %(of_resting)s OR NOT EXISTS (SELECT FROM app.channel_break b WHERE b.channel = wanted.channel)
        ),
        held AS MATERIALIZED (SELECT campaign_id FROM app.send_hold FOR KEY SHARE SKIP LOCKED),
        {",".join(parts)},
        taken AS (SELECT *, campaign_id IN (SELECT campaign_id FROM held) IS TRUE AS is_held FROM ({rows}) AS lanes),
        parked AS (
            UPDATE app.outbox o SET due_at = 'infinity' FROM taken
            WHERE taken.is_held AND o.message_id = taken.message_id
        )
        , entered AS MATERIALIZED (
            SELECT workspace_id, set_config('app.workspace_id', workspace_id::text, true)
            FROM (SELECT workspace_id FROM taken ORDER BY workspace_id LIMIT 1) AS first
        )
        SELECT e.workspace_id, app.now(), f.revision, EXISTS (SELECT FROM app.channel_break),
               NULL::uuid, NULL::uuid, NULL, NULL::smallint, NULL::integer, NULL::bigint, NULL::timestamptz,
               NULL::boolean
        FROM (SELECT) AS one LEFT JOIN entered e ON true LEFT JOIN app.furniture f ON f.workspace_id = e.workspace_id
        UNION ALL
        SELECT NULL, NULL, NULL, NULL, message_id, workspace_id, channel, lane, attempts, token, due_at, is_held
        FROM taken
        """


def _behind(lane: int, lanes: Sequence[int]) -> str:
    return "".join(_less(other) for other in lanes if LANE_REPLY < other < lane)


def _less(lane: int) -> str:
    return f" - (SELECT count(*) FROM lane_{lane})"


async def claim(
    tx: Tx,
    channels: Collection[str],
    *,
    slots: int,
    slots_for_flows: int,
    since: Mapping[int, datetime] = FROM_THE_BEGINNING,
    of_resting: bool = False,
) -> tuple[list[Due], bool]:
    """Hold rows that are due on these channels, the urgent lanes first; those of held campaigns are parked.

    At most `slots` altogether, and at most `slots_for_flows` of those of the lanes that may wait. `since` says for each
    lane to be looked at from which moment on. Of a channel that takes a break nothing is taken, unless `of_resting`.
    Says besides whether any channel takes a break. Where there are rows, the transaction has entered the first of their
    workspaces.
    """
    # One range of the partial index outbox_due a lane: what is put off in one lane is never walked for another.
    statement = _claim_statement(tuple(sorted(since)))
    marks = {f"since_{lane}": moment for lane, moment in since.items()}
    params = {"channels": list(channels), "of_resting": of_resting, "slots": slots, "flows": slots_for_flows, **marks}
    rows = await tx.fetch_tuples(statement, params)
    workspace_id, now, revision, has_breaks = next(row[:4] for row in rows if row[1] is not None)
    if workspace_id is None:
        tx.note_now(now)
        return [], has_breaks
    tx.note_entered(workspace_id, now, revision)
    return [Due(*row[4:]) for row in rows if row[1] is None], has_breaks


async def take(tx: Tx, message_ids: Sequence[UUID], length: timedelta) -> None:
    """Take claimed rows for `length`: their messages are going out, which their own rows need not say.

    The outcome of each must be written with a token that is by one higher than the row's. The caller holds the rows and
    the messages.
    """
    # By primary key.
    await tx.execute(
        """
        UPDATE app.outbox SET token = token + 1, attempts = attempts + 1, lease_until = app.now() + %s
        WHERE message_id = ANY(%s)
        """,
        (length, list(message_ids)),
    )


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
        (msgspec.json.encode(rows).decode(),),
    )


async def find_behind(tx: Tx, messages: Sequence[Message]) -> dict[UUID, datetime]:
    """Those of these messages of runs before which an earlier one of their run is still to go, and when to look again.

    An earlier one that the gate has put off holds up nobody: only one that is due, under way, or tried again.
    """
    if not messages:
        return {}
    # The earlier ones by the unique index message_of_step, and whether they are still to go by primary key.
    rows = await tx.fetch_tuples(
        """
        SELECT mine.id, least(max(greatest(o.due_at, app.now())), app.now() + %(longest)s) + %(pause)s
        FROM unnest(%(ids)s::uuid[], %(runs)s::uuid[], %(revisions)s::integer[]) AS mine (id, run_id, revision)
        JOIN app.message earlier ON earlier.run_id = mine.run_id AND earlier.run_revision < mine.revision
        JOIN app.outbox o ON o.message_id = earlier.id
        WHERE earlier.workspace_id = %(workspace)s AND (
            earlier.state IN ('sending', 'in_doubt')
            OR earlier.state = 'queued' AND (
                o.due_at <= app.now() OR o.lease_until IS NOT NULL OR earlier.reason IN ('retrying', 'in_order')
            )
        )
        GROUP BY mine.id
        """,
        {
            "workspace": tx.workspace_id,
            "ids": [message.id for message in messages],
            "runs": [message.run_id for message in messages],
            "revisions": [message.run_revision for message in messages],
            "longest": LONGEST_WAIT_BEHIND,
            "pause": PAUSE_BEHIND,
        },
    )
    return dict(rows)


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
    # The runs' messages by the unique index message_of_step, and whether they are taken by primary key.
    await tx.execute(
        """
        UPDATE app.message m SET stop_reason = %s FROM app.outbox o
        WHERE m.workspace_id = %s AND m.run_id = ANY(%s) AND m.run_id IS NOT NULL AND m.state IN ('queued', 'sending')
          AND o.message_id = m.id AND o.lease_until IS NOT NULL
        """,
        (reason, tx.workspace_id, list(run_ids)),
    )


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
