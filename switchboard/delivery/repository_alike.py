"""The statement that writes one letter to many."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from switchboard.kernel.columns import Column
from switchboard.kernel.db import Tx


@dataclass(frozen=True, slots=True)
class AddedMessages:
    """Messages just added that stand in one state, as columns in one order."""

    state: str
    message_ids: Column
    run_ids: Column
    contact_ids: Column
    lead_ids: Column


@dataclass(frozen=True, slots=True)
class Recipients:
    """Runs that write the same letter, as columns in one order; `due_ats` are when their steps were due."""

    run_ids: Column
    revisions: Column
    contact_ids: Column
    lead_ids: Column
    due_ats: Column


async def insert_alike(
    tx: Tx, to: Recipients, moment: bytes, columns: Mapping[str, object], template: tuple[UUID, int] | None
) -> list[AddedMessages]:
    """Add a message for each run whose step has none yet, and make those due that have an address.

    `columns` are those that all have in common; `moment` begins their ids. Returns the added by state.
    """
    # The first address of each contact by the index identity_by_contact; adds a batch once a step of a run, by the
    # unique index message_of_step.
    return await tx.fetch_all(
        AddedMessages,
        """
        WITH addressed AS (
            SELECT new.*, encode(overlay(uuid_send(new.run_id) PLACING %(moment)s FROM 1 FOR 8), 'hex') AS hex,
                   (SELECT i.value FROM app.identity i WHERE i.contact_id = new.contact_id AND i.kind = %(kind)s
                    ORDER BY i.rank, i.id LIMIT 1) AS address
            FROM unnest(%(runs)s::uuid[], %(revisions)s::integer[], %(contacts)s::uuid[], %(leads)s::uuid[],
                        %(dues)s::timestamptz[]) AS new (run_id, revision, contact_id, lead_id, due_at)
        ), added AS (
            INSERT INTO app.message (id, workspace_id, direction, channel, purpose, state, reason, detail, contact_id,
                lead_id, run_id, run_revision, campaign_id, template_id, template_version, address, subject, body_text,
                body_html, header_id, is_urgent, not_after, when_late)
            SELECT hex::uuid, %(workspace)s, 'out', %(channel)s, %(purpose)s,
                CASE WHEN address IS NULL THEN 'dropped' ELSE %(state)s END,
                CASE WHEN address IS NULL THEN 'no_address' ELSE %(reason)s END,
                CASE WHEN address IS NULL THEN %(no_address)s ELSE %(detail)s END,
                contact_id, lead_id, run_id, revision + %(revision)s, %(campaign)s::uuid, %(template)s::uuid,
                %(template_version)s::integer, coalesce(address, ''), %(subject)s, %(text)s, %(html)s,
                '<' || hex || %(header_tail)s, %(is_urgent)s, due_at + %(not_after)s::interval, %(when_late)s
            FROM addressed
            ON CONFLICT DO NOTHING RETURNING id, state, run_id, contact_id, lead_id
        ), due AS (
            INSERT INTO app.outbox (message_id, workspace_id, channel, lane, campaign_id)
            SELECT id, %(workspace)s, %(channel)s, %(lane)s::smallint, %(campaign)s::uuid
            FROM added WHERE state = 'queued'
        )
        SELECT state, array_agg(id)::text AS message_ids, array_agg(run_id)::text AS run_ids,
               array_agg(contact_id)::text AS contact_ids, array_agg(lead_id)::text AS lead_ids
        FROM added GROUP BY state ORDER BY state
        """,
        {
            "workspace": tx.workspace_id,
            "moment": moment,
            "runs": to.run_ids,
            "revisions": to.revisions,
            "contacts": to.contact_ids,
            "leads": to.lead_ids,
            "dues": to.due_ats,
            "template": template[0] if template else None,
            "template_version": template[1] if template else None,
            **columns,
        },
    )
