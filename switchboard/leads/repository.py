"""The statements that read and change single leads and batches of them."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from switchboard.kernel.db import Tx
from switchboard.leads.models import Lead

_LEAD = """id, contact_id, source_id, stage, title, value_minor, currency, utm, fields, signals, owner_id, is_junk,
    junk_reason, created_at, updated_at, respond_by, accepted_at, first_responded_at, closed_at, joined_into"""


class NewLead(msgspec.Struct, frozen=True):
    """A lead to be written; `signals` is how many enquiries were folded into it."""

    id: UUID
    contact_id: UUID
    source_id: UUID
    stage: str
    title: str
    value_minor: int | None
    currency: str | None
    utm: Mapping[str, object]
    fields: Mapping[str, object]
    signals: int
    created_at: datetime
    junk_reason: str | None = None
    owner_id: UUID | None = None


class Ownership(msgspec.Struct, frozen=True):
    """Who has a lead after routing spoke, and whether they have accepted it."""

    lead_id: UUID
    owner_id: UUID | None
    is_accepted: bool


# What both ways of opening leads begin with.
_ADD_OPEN = """
    INSERT INTO app.lead AS l (id, workspace_id, contact_id, source_id, stage, title, value_minor, currency, utm,
        fields, signals, created_at, owner_id, respond_by)
    SELECT id, %(workspace)s, contact_id, source_id, stage, title, value_minor, currency, utm::jsonb,
        fields::jsonb, signals, created_at, owner_id, app.now() + make_interval(mins => %(minutes)s)
    FROM unnest(%(ids)s::uuid[], %(contacts)s::uuid[], %(sources)s::uuid[], %(stages)s::text[], %(titles)s::text[],
                %(values)s::bigint[], %(currencies)s::text[], %(utms)s::text[], %(fields)s::text[],
                %(signals)s::integer[], %(created)s::timestamptz[], %(owners)s::uuid[])
         AS new (id, contact_id, source_id, stage, title, value_minor, currency, utm, fields, signals, created_at,
                 owner_id)
    ORDER BY contact_id
"""


async def open_or_join(tx: Tx, leads: Sequence[NewLead], first_response_minutes: int) -> dict[UUID, UUID]:
    """The open lead of each contact, at most one new lead a contact: its own id where it was opened by this."""
    # By the unique index lead_open, in the order of contacts, so that no two batches wait for each other in a ring.
    # Who joins adds what the lead lacks: the first touch keeps its campaign, the newest value and answers count.
    rows = await tx.fetch_tuples(
        f"""
        {_ADD_OPEN}
        ON CONFLICT (workspace_id, contact_id) WHERE closed_at IS NULL DO UPDATE SET
            signals = l.signals + excluded.signals,
            title = CASE WHEN l.title = '' THEN excluded.title ELSE l.title END,
            value_minor = coalesce(excluded.value_minor, l.value_minor),
            currency = CASE WHEN excluded.value_minor IS NULL THEN l.currency ELSE excluded.currency END,
            utm = excluded.utm || l.utm,
            fields = l.fields || excluded.fields,
            updated_at = app.now()
        RETURNING l.contact_id, l.id
        """,
        _open_columns(tx, leads, first_response_minutes),
    )
    return dict(rows)


async def open_first(tx: Tx, leads: Sequence[NewLead], first_response_minutes: int) -> None:
    """Add the leads of contacts that nobody else can see yet, one a contact."""
    # Adds rows; the primary key and the indexes of open leads are touched. Nothing can be in the way: not to ask for it
    # saves a look into lead_open and a record of the log for each.
    await tx.write(_ADD_OPEN, _open_columns(tx, leads, first_response_minutes))


def _open_columns(tx: Tx, leads: Sequence[NewLead], first_response_minutes: int) -> dict[str, object]:
    owners = [lead.owner_id for lead in leads]
    return {**_columns(leads), "owners": owners, "workspace": tx.workspace_id, "minutes": first_response_minutes}


async def insert_closed(tx: Tx, leads: Sequence[NewLead]) -> None:
    """Add leads that are over as they come: junk, for which `junk_reason` is set, and deals of the past."""
    # Adds rows; no unique index but the primary key concerns closed leads.
    await tx.execute(
        """
        INSERT INTO app.lead (id, workspace_id, contact_id, source_id, stage, title, value_minor, currency, utm,
            fields, signals, created_at, is_junk, junk_reason, closed_at)
        SELECT id, %(workspace)s, contact_id, source_id, stage, title, value_minor, currency, utm::jsonb,
            fields::jsonb, signals, created_at, junk_reason IS NOT NULL, junk_reason, app.now()
        FROM unnest(%(ids)s::uuid[], %(contacts)s::uuid[], %(sources)s::uuid[], %(stages)s::text[], %(titles)s::text[],
                    %(values)s::bigint[], %(currencies)s::text[], %(utms)s::text[], %(fields)s::text[],
                    %(signals)s::integer[], %(created)s::timestamptz[], %(reasons)s::text[])
             AS new (id, contact_id, source_id, stage, title, value_minor, currency, utm, fields, signals, created_at,
                     junk_reason)
        """,
        {**_columns(leads), "workspace": tx.workspace_id, "reasons": [lead.junk_reason for lead in leads]},
    )


def _columns(leads: Sequence[NewLead]) -> dict[str, object]:
    return {
        "ids": [lead.id for lead in leads],
        "contacts": [lead.contact_id for lead in leads],
        "sources": [lead.source_id for lead in leads],
        "stages": [lead.stage for lead in leads],
        "titles": [lead.title for lead in leads],
        "values": [lead.value_minor for lead in leads],
        "currencies": [lead.currency for lead in leads],
        "utms": [json.dumps(dict(lead.utm), default=str) if lead.utm else "{}" for lead in leads],
        "fields": [json.dumps(dict(lead.fields), default=str) if lead.fields else "{}" for lead in leads],
        "signals": [lead.signals for lead in leads],
        "created": [lead.created_at for lead in leads],
    }


async def load(tx: Tx, lead_ids: Collection[UUID]) -> dict[UUID, Lead]:
    """These leads by id."""
    # By primary key.
    rows = await tx.fetch_all(
        Lead,
        f"SELECT {_LEAD} FROM app.lead WHERE workspace_id = %s AND id = ANY(%s)",
        (tx.workspace_id, list(lead_ids)),
    )
    return {lead.id: lead for lead in rows}


async def lock(tx: Tx, lead_ids: Collection[UUID]) -> dict[UUID, Lead]:
    """These leads, held against changes by others until the transaction ends."""
    # By primary key; sorted, so that no two transactions wait for each other in a ring.
    rows = await tx.fetch_all(
        Lead,
        f"SELECT {_LEAD} FROM app.lead WHERE workspace_id = %s AND id = ANY(%s) ORDER BY id FOR UPDATE",
        (tx.workspace_id, sorted(lead_ids)),
    )
    return {lead.id: lead for lead in rows}


async def lock_open(tx: Tx, contact_ids: Collection[UUID]) -> dict[UUID, Lead]:
    """The open lead of each of these contacts that has one, by contact, held against changes by others."""
    # By the unique index lead_open, in the order in which batches open leads.
    rows = await tx.fetch_all(
        Lead,
        f"""
        SELECT {_LEAD} FROM app.lead WHERE workspace_id = %s AND contact_id = ANY(%s) AND closed_at IS NULL
        ORDER BY contact_id FOR UPDATE
        """,
        (tx.workspace_id, sorted(contact_ids)),
    )
    return {lead.contact_id: lead for lead in rows}


async def list_of_contact(tx: Tx, contact_id: UUID, limit: int) -> list[Lead]:
    """The leads of one contact, newest first."""
    # By the index lead_by_contact.
    return await tx.fetch_all(
        Lead,
        f"SELECT {_LEAD} FROM app.lead WHERE workspace_id = %s AND contact_id = %s ORDER BY id DESC LIMIT %s",
        (tx.workspace_id, contact_id, limit),
    )


async def write_stage(tx: Tx, lead_ids: Sequence[UUID], stage: str, *, is_open: bool) -> None:
    """Put leads into a stage; one that is not open closes them, and an open one reopens all but junk."""
    # By primary key; opening is decided by the unique index lead_open.
    await tx.execute(
        """
        UPDATE app.lead SET stage = %(stage)s, updated_at = app.now(),
            closed_at = CASE WHEN %(is_open)s AND NOT is_junk THEN NULL ELSE coalesce(closed_at, app.now()) END,
            joined_into = CASE WHEN %(is_open)s THEN NULL ELSE joined_into END
        WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)
        """,
        {"stage": stage, "is_open": is_open, "workspace": tx.workspace_id, "ids": list(lead_ids)},
    )


async def write_value(tx: Tx, lead_ids: Sequence[UUID], value_minor: int | None, currency: str | None) -> None:
    """Set what leads are worth."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.lead SET value_minor = %s, currency = %s, updated_at = app.now()
        WHERE workspace_id = %s AND id = ANY(%s)
        """,
        (value_minor, currency, tx.workspace_id, list(lead_ids)),
    )


async def merge_fields(tx: Tx, lead_ids: Sequence[UUID], fields: Mapping[str, object]) -> None:
    """Write some of the leads' own fields, leaving the others."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.lead SET fields = fields || %s::jsonb, updated_at = app.now()
        WHERE workspace_id = %s AND id = ANY(%s)
        """,
        (json.dumps(dict(fields), default=str), tx.workspace_id, list(lead_ids)),
    )


async def write_junk(tx: Tx, lead_ids: Sequence[UUID], reason: str) -> None:
    """Close leads as junk."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.lead SET is_junk = true, junk_reason = %s, closed_at = coalesce(closed_at, app.now()),
            updated_at = app.now()
        WHERE workspace_id = %s AND id = ANY(%s)
        """,
        (reason, tx.workspace_id, list(lead_ids)),
    )


async def clear_junk(tx: Tx, lead_ids: Sequence[UUID], closed_stages: Sequence[str], minutes: int) -> None:
    """Take leads out of junk; they are open again unless they stand in one of `closed_stages`."""
    # By primary key; opening is decided by the unique index lead_open. The clock begins now: nobody knew before.
    await tx.execute(
        """
        UPDATE app.lead SET is_junk = false, junk_reason = NULL, updated_at = app.now(),
            closed_at = CASE WHEN stage = ANY(%(closed)s) THEN closed_at END,
            respond_by = coalesce(respond_by, app.now() + make_interval(mins => %(minutes)s))
        WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)
        """,
        {"closed": list(closed_stages), "minutes": minutes, "workspace": tx.workspace_id, "ids": list(lead_ids)},
    )


async def write_ownership(tx: Tx, owners: Sequence[Ownership]) -> None:
    """Write who has leads now; a new owner has not accepted yet."""
    # By primary key, in one statement; rows are locked in the order of ids.
    await tx.execute(
        """
        WITH new AS (
            SELECT n.lead_id, n.owner_id, n.is_accepted
            FROM unnest(%(leads)s::uuid[], %(owners)s::uuid[], %(accepted)s::boolean[])
                AS n (lead_id, owner_id, is_accepted)
        ), held AS (
            SELECT id FROM app.lead WHERE workspace_id = %(workspace)s AND id = ANY(%(leads)s) ORDER BY id FOR UPDATE
        )
        UPDATE app.lead AS l SET owner_id = new.owner_id, updated_at = app.now(),
            accepted_at = CASE WHEN new.is_accepted THEN coalesce(l.accepted_at, app.now()) END
        FROM new JOIN held ON held.id = new.lead_id
        WHERE l.workspace_id = %(workspace)s AND l.id = held.id
        """,
        {
            "leads": [owner.lead_id for owner in owners],
            "owners": [owner.owner_id for owner in owners],
            "accepted": [owner.is_accepted for owner in owners],
            "workspace": tx.workspace_id,
        },
    )


async def mark_responded(tx: Tx, lead_ids: Collection[UUID], contact_ids: Collection[UUID]) -> None:
    """Stop the first-response clock of these leads, and of the open leads of these contacts."""
    # Both branches by an index: the primary key, and lead_open.
    await tx.execute(
        """
        UPDATE app.lead SET first_responded_at = app.now(), updated_at = app.now()
        WHERE workspace_id = %(workspace)s AND first_responded_at IS NULL AND id IN (
            SELECT id FROM app.lead WHERE workspace_id = %(workspace)s AND id = ANY(%(leads)s)
            UNION
            SELECT id FROM app.lead
            WHERE workspace_id = %(workspace)s AND contact_id = ANY(%(contacts)s) AND closed_at IS NULL
        )
        """,
        {"workspace": tx.workspace_id, "leads": list(lead_ids), "contacts": list(contact_ids)},
    )


async def move_to_contact(tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
    """Give all leads of one contact to another; returns their ids."""
    # By the index lead_by_contact.
    rows = await tx.fetch_tuples(
        "UPDATE app.lead SET contact_id = %s WHERE workspace_id = %s AND contact_id = %s RETURNING id",
        (to_id, tx.workspace_id, from_id),
    )
    return sorted(row[0] for row in rows)


async def give_to_contact(tx: Tx, lead_ids: Sequence[UUID], contact_id: UUID) -> None:
    """Give these leads to a contact."""
    # By primary key.
    await tx.execute(
        "UPDATE app.lead SET contact_id = %s WHERE workspace_id = %s AND id = ANY(%s)",
        (contact_id, tx.workspace_id, list(lead_ids)),
    )


async def join_into(tx: Tx, lead_id: UUID, kept_id: UUID) -> None:
    """Close a lead because another open one of the same contact goes on."""
    # By primary key.
    await tx.execute(
        "UPDATE app.lead SET joined_into = %s, closed_at = app.now() WHERE workspace_id = %s AND id = %s",
        (kept_id, tx.workspace_id, lead_id),
    )


async def part_again(tx: Tx, lead_ids: Sequence[UUID]) -> list[Lead]:
    """Open those of the leads that a merge closed."""
    # By primary key; opening is decided by the unique index lead_open.
    return await tx.fetch_all(
        Lead,
        f"""
        UPDATE app.lead SET joined_into = NULL, closed_at = NULL
        WHERE workspace_id = %s AND id = ANY(%s) AND joined_into IS NOT NULL RETURNING {_LEAD}
        """,
        (tx.workspace_id, list(lead_ids)),
    )


async def list_own_changes(
    tx: Tx, first: UUID, last: UUID, user_id: UUID | None
) -> list[tuple[str, UUID, Mapping[str, object]]]:
    """What one member changed about leads between two events: kind, lead and data, newest first."""
    # By the primary key of the newest partitions of the log; only changes of the last quarter of an hour.
    rows = await tx.fetch_tuples(
        """
        SELECT kind, lead_id, data FROM app.event
        WHERE workspace_id = %s AND id BETWEEN %s AND %s AND at > app.now() - interval '15 minutes'
          AND actor_kind IN ('user', 'system') AND actor_id IS NOT DISTINCT FROM %s AND lead_id IS NOT NULL
          AND kind IN ('lead.stage_changed', 'lead.junked', 'lead.unjunked', 'lead.assigned', 'lead.valued')
        ORDER BY id DESC
        """,
        (tx.workspace_id, first, last, user_id),
    )
    return [(row[0], row[1], row[2]) for row in rows]
