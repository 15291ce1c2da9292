"""The statement that writes down what became of messages that were taken."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from switchboard.kernel.db import Tx


class Settlement(NamedTuple):
    """What one try of a message came to, and what is written of it.

    `token` is the one it was taken with. `outcome` is that of the attempt, which took `seconds`; None where it was not
    tried. One that `is_over` leaves the outbox. The texts are those that went out: where `subject` is None nothing has,
    and the message keeps its own. Markup is either `body_html`, or `frame_id` with `frame_pieces`, a JSON array.
    """

    message_id: UUID
    token: int
    seconds: float
    outcome: str | None
    response: str
    state: str
    reason: str | None
    detail: str | None
    is_over: bool
    subject: str | None = None
    body_text: str | None = None
    body_html: str | None = None
    frame_id: UUID | None = None
    frame_pieces: str | None = None


async def settle(tx: Tx, settlements: Sequence[Settlement]) -> list[int]:
    """Write these, but only of rows that are still taken with these very tokens.

    Returns the places of those that still counted, from 0, in the order of their messages' ids. The rows of those that
    are not over are held, and stay taken. Reads the revision of the workspace's furniture along.
    """
    # Rows of the outbox by primary key, then their messages, each in the order of their ids as all take them who take
    # several; the token is the fence. Adds a batch of attempts, by the present partition's primary key. The texts are
    # long, and arrays spare them the way through JSON and back.
    rows = await tx.fetch_tuples(
        """
        WITH mine AS MATERIALIZED (
            SELECT new.* FROM unnest(
                %s::uuid[], %s::bigint[], %s::double precision[], %s::text[], %s::text[], %s::text[], %s::text[],
                %s::text[], %s::boolean[], %s::text[], %s::text[], %s::text[], %s::uuid[], %s::text[]
            ) WITH ORDINALITY AS new (message_id, token, seconds, outcome, response, state, reason, detail, is_over,
                                      subject, body_text, body_html, frame_id, frame_pieces, place)
            JOIN app.outbox o ON o.message_id = new.message_id AND o.token = new.token
            WHERE o.workspace_id = %s
            ORDER BY o.message_id FOR UPDATE OF o
        ), held AS MATERIALIZED (
            SELECT mine.* FROM mine JOIN app.message m ON m.id = mine.message_id WHERE m.workspace_id = %s
            ORDER BY m.id FOR NO KEY UPDATE OF m
        ), tried AS (
            INSERT INTO app.attempt (message_id, token, workspace_id, started_at, ended_at, outcome, response)
            SELECT message_id, token, %s, app.now() - seconds * interval '1 second', app.now(), outcome, response
            FROM mine WHERE outcome IS NOT NULL ON CONFLICT DO NOTHING
        ), written AS (
            UPDATE app.message m SET state = new.state, reason = new.reason, detail = new.detail,
                subject = coalesce(new.subject, m.subject),
                body_text = coalesce(new.body_text, m.body_text),
                body_html = CASE WHEN new.subject IS NULL THEN m.body_html ELSE new.body_html END,
                frame_id = CASE WHEN new.subject IS NULL THEN m.frame_id ELSE new.frame_id END,
                frame_pieces = CASE WHEN new.subject IS NULL THEN m.frame_pieces ELSE new.frame_pieces::jsonb END,
                sent_at = CASE WHEN new.subject IS NULL THEN m.sent_at ELSE app.now() END
            FROM held AS new WHERE m.id = new.message_id AND m.workspace_id = %s
        ), over AS (
            DELETE FROM app.outbox o USING mine WHERE mine.is_over AND o.message_id = mine.message_id
        )
        SELECT app.now(), (SELECT revision FROM app.furniture WHERE workspace_id = %s), place::integer - 1
        FROM (SELECT) AS one LEFT JOIN mine ON true
        """,
        (*(_array(column) for column in zip(*settlements, strict=True)), *[tx.workspace_id] * 5),
    )
    tx.note_entered(tx.workspace_id, *rows[0][:2])
    return [place for *_, place in rows if place is not None]


def _array(column: Sequence[object]) -> list[object] | None:
    """None where there is nothing in any place, which is what Postgres fills short arrays up with."""
    return None if column[0] is None and column.count(None) == len(column) else list(column)
