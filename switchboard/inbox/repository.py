"""The statements about conversations and drafts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from switchboard.inbox.models import Conversation, Incoming, Position, View
from switchboard.kernel.db import Tx
from switchboard.kernel.ids import HIGHEST_ID

_COLUMNS = """id, contact_id, channel, subject, preview, state, owner_id, lead_id, reply_address, snoozed_until,
    waiting_since, last_message_at"""

# What each view shows, so that conversation_list, conversation_by_owner or conversation_unowned has it in order.
_VIEWS: dict[View, str] = {
    "open": "state = 'open'",
    "mine": "state = 'open' AND owner_id = %(me)s",
    "unassigned": "state = 'open' AND owner_id IS NULL",
    "snoozed": "state = 'snoozed'",
    "closed": "state = 'closed'",
}


async def list_conversations(
    tx: Tx, view: View, *, me: UUID | None, after: Position | None, limit: int
) -> list[Conversation]:
    """The conversations of a view by their last message, newest first, from a position on."""
    # A page of one view; walks conversation_list, conversation_by_owner or conversation_unowned.
    sql = f"""
        SELECT {_COLUMNS} FROM app.conversation
        WHERE workspace_id = %(workspace)s AND absorbed_into IS NULL AND {_VIEWS[view]}
          AND (last_message_at, id) < (%(at)s, %(id)s)
        ORDER BY last_message_at DESC, id DESC LIMIT %(limit)s
        """
    return await tx.fetch_all(
        Conversation,
        sql,
        {
            "workspace": tx.workspace_id,
            "me": me,
            "at": after.last_message_at if after else "infinity",
            "id": after.id if after else HIGHEST_ID,
            "limit": limit,
        },
    )


async def list_overdue(tx: Tx, patience: timedelta, limit: int) -> list[Conversation]:
    """The open conversations that have waited longer than `patience`, the longest first."""
    # Walks the partial index conversation_waiting from its old end.
    return await tx.fetch_all(
        Conversation,
        f"""
        SELECT {_COLUMNS} FROM app.conversation
        WHERE workspace_id = %s AND waiting_since IS NOT NULL AND state = 'open' AND absorbed_into IS NULL
          AND waiting_since < app.now() - %s
        ORDER BY waiting_since LIMIT %s
        """,
        (tx.workspace_id, patience, limit),
    )


async def count_waiting(tx: Tx, most: int) -> int:
    """How many open conversations wait for an answer, counted up to `most`."""
    # Reads at most so many entries of the partial index conversation_waiting.
    counted: int = await tx.fetch_value(
        """
        SELECT count(*) FROM (
            SELECT FROM app.conversation
            WHERE workspace_id = %s AND waiting_since IS NOT NULL AND state = 'open' AND absorbed_into IS NULL LIMIT %s
        ) AS waiting
        """,
        (tx.workspace_id, most),
    )
    return counted


async def find_conversation(tx: Tx, conversation_id: UUID) -> Conversation | None:
    """The conversation, or the one it was absorbed into."""
    # By primary key, twice at most.
    return await tx.find_one(
        Conversation,
        f"""
        SELECT {_COLUMNS} FROM app.conversation
        WHERE workspace_id = %(workspace)s
          AND id = (SELECT coalesce(absorbed_into, id) FROM app.conversation WHERE id = %(id)s)
        """,
        {"workspace": tx.workspace_id, "id": conversation_id},
    )


async def find_by_contact(tx: Tx, contact_id: UUID, channel: str) -> Conversation | None:
    """The conversation with a contact."""
    # By the unique index conversation_of_contact.
    return await tx.find_one(
        Conversation,
        f"""
        SELECT {_COLUMNS} FROM app.conversation
        WHERE workspace_id = %s AND contact_id = %s AND channel = %s AND absorbed_into IS NULL
        """,
        (tx.workspace_id, contact_id, channel),
    )


async def lock_conversation(tx: Tx, conversation_id: UUID) -> Conversation | None:
    """The conversation, held against changes by others until the transaction ends."""
    # By primary key.
    return await tx.find_one(
        Conversation,
        f"SELECT {_COLUMNS} FROM app.conversation WHERE workspace_id = %s AND id = %s FOR UPDATE",
        (tx.workspace_id, conversation_id),
    )


async def receive(tx: Tx, conversation_id: UUID, incoming: Incoming) -> Conversation:
    """Open the conversation with a contact who wrote, or begin it; somebody waits in it from now on.

    A closed one begins to wait now; one that waited already waits since then.
    """
    # One row by the unique index conversation_of_contact, whoever comes first.
    found = await tx.find_one(
        Conversation,
        f"""
        INSERT INTO app.conversation AS c (id, workspace_id, contact_id, channel, subject, preview, state, owner_id,
            lead_id, reply_address, waiting_since, last_message_at)
        VALUES (%(id)s, %(workspace)s, %(contact)s, %(channel)s, %(subject)s, %(preview)s, 'open', %(owner)s,
            %(lead)s, %(reply)s, app.now(), app.now())
        ON CONFLICT (workspace_id, contact_id, channel) WHERE absorbed_into IS NULL DO UPDATE
        SET subject = CASE WHEN excluded.subject = '' THEN c.subject ELSE excluded.subject END,
            preview = excluded.preview, state = 'open', snoozed_until = NULL, reply_address = excluded.reply_address,
            owner_id = coalesce(c.owner_id, excluded.owner_id), lead_id = coalesce(excluded.lead_id, c.lead_id),
            waiting_since = CASE WHEN c.state = 'closed' OR c.waiting_since IS NULL THEN app.now()
                                 ELSE c.waiting_since END,
            last_message_at = app.now()
        RETURNING {_COLUMNS}
        """,
        {
            "id": conversation_id,
            "workspace": tx.workspace_id,
            "contact": incoming.contact_id,
            "channel": incoming.channel,
            "subject": incoming.subject,
            "preview": incoming.preview,
            "owner": incoming.owner_id,
            "lead": incoming.lead_id,
            "reply": incoming.reply_address,
        },
    )
    if found is None:
        raise RuntimeError("an upsert that always writes has written nothing")
    return found


async def ensure_conversation(
    tx: Tx, conversation_id: UUID, contact_id: UUID, channel: str, *, lead_id: UUID | None, owner_id: UUID | None
) -> Conversation:
    """The conversation with a contact, begun by us where there is none; it is locked either way."""
    # One row by the unique index conversation_of_contact; the update locks it and keeps what it says.
    found = await tx.find_one(
        Conversation,
        f"""
        INSERT INTO app.conversation AS c (id, workspace_id, contact_id, channel, state, lead_id, owner_id)
        VALUES (%s, %s, %s, %s, 'open', %s, %s)
        ON CONFLICT (workspace_id, contact_id, channel) WHERE absorbed_into IS NULL DO UPDATE
        SET lead_id = coalesce(excluded.lead_id, c.lead_id), owner_id = coalesce(c.owner_id, excluded.owner_id)
        RETURNING {_COLUMNS}
        """,
        (conversation_id, tx.workspace_id, contact_id, channel, lead_id, owner_id),
    )
    if found is None:
        raise RuntimeError("an upsert that always writes has written nothing")
    return found


async def set_state(tx: Tx, conversation_id: UUID, state: str, snoozed_until: datetime | None) -> None:
    """Open, put off or close a conversation. How long it has waited stays known, for when it is opened again."""
    # By primary key.
    await tx.execute(
        "UPDATE app.conversation SET state = %s, snoozed_until = %s WHERE id = %s",
        (state, snoozed_until, conversation_id),
    )


async def set_owner(tx: Tx, conversation_id: UUID, owner_id: UUID | None) -> None:
    """Give a conversation to a member, or to nobody."""
    # By primary key.
    await tx.execute("UPDATE app.conversation SET owner_id = %s WHERE id = %s", (owner_id, conversation_id))


async def begin_answer(tx: Tx, conversation_id: UUID, answer_key: UUID) -> bool:
    """False when the form with this key was answered already."""
    # By primary key; the row lock makes a second poster wait and then find its key there.
    return bool(
        await tx.execute(
            """
            UPDATE app.conversation SET answer_key = %(key)s
            WHERE id = %(id)s AND answer_key IS DISTINCT FROM %(key)s
            """,
            {"key": answer_key, "id": conversation_id},
        )
    )


async def set_answered(tx: Tx, conversation_id: UUID, *, owner_id: UUID | None, subject: str, preview: str) -> None:
    """Nobody waits any more; who answers an unowned conversation owns it."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.conversation SET waiting_since = NULL, owner_id = coalesce(owner_id, %s),
            last_message_at = app.now(), subject = CASE WHEN subject = '' THEN %s ELSE subject END, preview = %s
        WHERE id = %s
        """,
        (owner_id, subject, preview, conversation_id),
    )


async def set_waiting_again(tx: Tx, conversation_ids: Sequence[UUID]) -> list[Conversation]:
    """Answers did not get through: their conversations are open and wait again."""
    # By primary key.
    return await tx.fetch_all(
        Conversation,
        f"""
        UPDATE app.conversation SET state = 'open', snoozed_until = NULL,
            waiting_since = coalesce(waiting_since, app.now())
        WHERE workspace_id = %s AND id = ANY(%s) RETURNING {_COLUMNS}
        """,
        (tx.workspace_id, list(conversation_ids)),
    )


async def wake_due(tx: Tx, conversation_id: UUID) -> Conversation | None:
    """Open a conversation that was put off until now; None when it is not, or not yet, to be opened."""
    # By primary key.
    return await tx.find_one(
        Conversation,
        f"""
        UPDATE app.conversation SET state = 'open', snoozed_until = NULL
        WHERE workspace_id = %s AND id = %s AND state = 'snoozed' AND snoozed_until <= app.now() RETURNING {_COLUMNS}
        """,
        (tx.workspace_id, conversation_id),
    )


async def mark_notified(tx: Tx, conversation_id: UUID, pause: timedelta) -> bool:
    """False when the owner was told less than `pause` ago."""
    # By primary key; of two that want to tell at once, one writes.
    return bool(
        await tx.execute(
            """
            UPDATE app.conversation SET notified_at = app.now()
            WHERE id = %s AND (notified_at IS NULL OR notified_at <= app.now() - %s)
            """,
            (conversation_id, pause),
        )
    )


async def follow_leads(
    tx: Tx, contact_ids: Sequence[UUID], lead_ids: Sequence[UUID], owner_ids: Sequence[UUID | None]
) -> None:
    """Tell the conversations of these contacts which lead they are about; those without an owner get the lead's."""
    # By the unique index conversation_of_contact, once a contact.
    await tx.execute(
        """
        UPDATE app.conversation c SET lead_id = new.lead_id, owner_id = coalesce(c.owner_id, new.owner_id)
        FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[]) AS new (contact_id, lead_id, owner_id)
        WHERE c.workspace_id = %s AND c.contact_id = new.contact_id AND c.absorbed_into IS NULL
          AND (c.lead_id IS DISTINCT FROM new.lead_id OR (c.owner_id IS NULL AND new.owner_id IS NOT NULL))
        """,
        (list(contact_ids), list(lead_ids), list(owner_ids), tx.workspace_id),
    )


async def move_contact(tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
    """Give the conversations of one contact to another, who keeps their own of the same channel; the moved ids.

    One that meets another is absorbed: what was waiting or open in it is so in the one that goes on.
    """
    # First the ones that meet another are folded into it, then all move; by conversation_of_contact and
    # conversation_by_contact.
    await tx.execute(
        """
        UPDATE app.conversation kept SET
            state = CASE WHEN lost.state = 'open' THEN 'open' ELSE kept.state END,
            snoozed_until = CASE WHEN lost.state = 'open' THEN NULL ELSE kept.snoozed_until END,
            waiting_since = CASE WHEN lost.state = 'open' THEN least(kept.waiting_since, lost.waiting_since)
                                 ELSE kept.waiting_since END,
            reply_address = CASE WHEN kept.reply_address = '' THEN lost.reply_address ELSE kept.reply_address END,
            last_message_at = greatest(kept.last_message_at, lost.last_message_at),
            owner_id = coalesce(kept.owner_id, lost.owner_id)
        FROM app.conversation lost
        WHERE kept.workspace_id = %(workspace)s AND kept.contact_id = %(to)s AND kept.absorbed_into IS NULL
          AND lost.contact_id = %(from)s AND lost.channel = kept.channel AND lost.absorbed_into IS NULL
        """,
        {"workspace": tx.workspace_id, "from": from_id, "to": to_id},
    )
    # By conversation_by_contact; the kept one of the channel by conversation_of_contact.
    rows = await tx.fetch_tuples(
        """
        UPDATE app.conversation lost SET contact_id = %(to)s, absorbed_into = coalesce(lost.absorbed_into, (
            SELECT kept.id FROM app.conversation kept
            WHERE kept.workspace_id = %(workspace)s AND kept.contact_id = %(to)s AND kept.channel = lost.channel
              AND kept.absorbed_into IS NULL))
        WHERE lost.workspace_id = %(workspace)s AND lost.contact_id = %(from)s RETURNING lost.id
        """,
        {"workspace": tx.workspace_id, "from": from_id, "to": to_id},
    )
    return [row[0] for row in rows]


async def move_back(tx: Tx, conversation_ids: Sequence[UUID], to_id: UUID) -> None:
    """Give these conversations back to a contact; each is its own again, in the state it had."""
    # By primary key. One absorbed before, into another of these, stays so.
    await tx.execute(
        """
        UPDATE app.conversation SET contact_id = %(to)s,
            absorbed_into = CASE WHEN absorbed_into = ANY(%(ids)s) THEN absorbed_into END
        WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)
        """,
        {"workspace": tx.workspace_id, "ids": list(conversation_ids), "to": to_id},
    )


async def find_draft(tx: Tx, conversation_id: UUID, user_id: UUID) -> str:
    """What a member has written in a conversation and not sent; empty when there is nothing."""
    # By primary key.
    body: str | None = await tx.fetch_value(
        "SELECT body FROM app.draft WHERE conversation_id = %s AND user_id = %s", (conversation_id, user_id)
    )
    return body or ""


async def save_draft(tx: Tx, conversation_id: UUID, user_id: UUID, body: str) -> None:
    """Keep what a member has written so far."""
    # One row by primary key.
    await tx.execute(
        """
        INSERT INTO app.draft (conversation_id, user_id, workspace_id, body) VALUES (%s, %s, %s, %s)
        ON CONFLICT (conversation_id, user_id) DO UPDATE SET body = excluded.body, saved_at = app.now()
        """,
        (conversation_id, user_id, tx.workspace_id, body),
    )


async def delete_draft(tx: Tx, conversation_id: UUID, user_id: UUID) -> None:
    """Forget what a member has written and not sent."""
    # By primary key.
    await tx.execute("DELETE FROM app.draft WHERE conversation_id = %s AND user_id = %s", (conversation_id, user_id))
