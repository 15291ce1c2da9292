"""SQL on the audience of campaigns: who belongs to it, who of them goes, and taking them in a slice at a time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from switchboard.flows.campaign_models import UNDER_WAY, AudienceKind, Campaign, Slice
from switchboard.flows.models import STARTED, WHOLE
from switchboard.kernel.db import Tx
from switchboard.kernel.ids import LOWEST_ID

# The next members in the order of `place`, which is the contact's id but for an import: there it is the signal's.
_MEMBERS: Mapping[AudienceKind, str] = {
    # The primary key of segment_member in its order.
    "segment": """
        SELECT contact_id AS place, contact_id FROM app.segment_member
        WHERE workspace_id = %(workspace)s AND segment_id = %(audience)s AND contact_id > %(after)s
        ORDER BY contact_id LIMIT %(limit)s
    """,
    # The index contact_list in its order.
    "everybody": """
        SELECT id AS place, id AS contact_id FROM app.contact
        WHERE workspace_id = %(workspace)s AND merged_into IS NULL AND id > %(after)s
        ORDER BY id LIMIT %(limit)s
    """,
    # The source's signals by signal_by_source, what came of each by primary key, contacts by theirs.
    "import": """
        SELECT s.id AS place, coalesce(c.merged_into, c.id) AS contact_id
        FROM (
            SELECT s.id, s.received_at FROM app.signal s
            WHERE s.workspace_id = %(workspace)s AND s.import_id = %(audience)s AND s.id > %(after)s
              AND s.source_id = (
                SELECT source_id FROM app.import WHERE workspace_id = %(workspace)s AND id = %(audience)s
              )
            ORDER BY s.id LIMIT %(limit)s
        ) AS s
        LEFT JOIN app.signal_outcome o ON o.signal_id = s.id AND o.received_at = s.received_at
        LEFT JOIN app.contact c ON c.id = o.contact_id
    """,
    # The earlier campaign's ledger by primary key in its order.
    "missed": """
        SELECT contact_id AS place, contact_id FROM app.campaign_recipient
        WHERE workspace_id = %(workspace)s AND campaign_id = %(missed)s AND contact_id > %(after)s
          AND state = ANY(%(missed_states)s)
        ORDER BY contact_id LIMIT %(limit)s
    """,
}
# What names a place for the sake of its clock: the contact's own zone, else the beginning of the first number and the
# country, from which a zone is guessed.
_CLOCK = """
    coalesce(c.time_zone, coalesce(left(phone.value, 8) || length(phone.value), '') || ' ' || coalesce(c.country, ''))
"""
# OFFSET 0 and LIMIT 1 keep each look a look by its index: from tables without statistics, which a new audience and a
# new ledger are, Postgres would expect a handful of rows, and read all of them for each person.
_CONTACT = """
    SELECT id, name, time_zone, country, opted_out_at FROM app.contact
    WHERE id = m.contact_id AND workspace_id = %(workspace)s AND merged_into IS NULL OFFSET 0
"""
# The first number of each; by the index identity_by_contact.
_PHONE = """
    SELECT i.value FROM app.identity i WHERE i.contact_id = c.id AND i.kind = 'phone' ORDER BY i.rank, i.id LIMIT 1
"""

# Who goes, and why the others do not. Each question is one look by a primary key or a unique index:
# campaign_recipient and flow_entry by their primary keys, identity_by_contact, suppression by its primary key, and
# run_by_subject. Nothing is joined but by such a look, so that no estimate can make it slow.
_PERSONS = f"""
    member AS MATERIALIZED ({{members}}),
    part AS MATERIALIZED (
        SELECT * FROM unnest(%(numbers)s::smallint[], %(flows)s::uuid[], %(versions)s::integer[],
                             %(reentries)s::interval[], %(channels)s::text[], %(lows)s::integer[], %(highs)s::integer[])
             AS part (variant, flow_id, version, reentry, channel, low, high)
    ), person AS MATERIALIZED (
        SELECT c.id AS contact_id, c.name, part.variant, part.flow_id, part.version, clock.base, CASE
            WHEN (
                SELECT true FROM app.campaign_recipient l WHERE l.campaign_id = ANY(%(family)s) AND l.contact_id = c.id
                  AND l.state NOT IN ('failed', 'dropped', 'held', 'bounced', 'excluded', 'cancelled')
                  AND l.state <> ALL (%(missed_states)s) LIMIT 1
            ) THEN 'got_it'
            WHEN c.opted_out_at IS NOT NULL THEN 'opted_out'
            WHEN part.channel <> '' AND (
                SELECT true FROM app.identity i WHERE i.contact_id = c.id AND i.kind = part.channel LIMIT 1
            ) IS NULL THEN 'no_address'
            WHEN (
                SELECT true FROM app.identity i CROSS JOIN LATERAL (
                    SELECT FROM app.suppression s
                    WHERE s.workspace_id = %(workspace)s AND s.kind = i.kind AND s.value = i.value OFFSET 0
                ) AS s WHERE i.contact_id = c.id LIMIT 1
            ) THEN 'suppressed'
            WHEN (
                SELECT true FROM app.run r WHERE r.subject_id = c.id AND r.flow_id = part.flow_id LIMIT 1
            ) THEN 'in_flow'
            WHEN NOT %(is_again)s AND (
                SELECT true FROM app.flow_entry e WHERE e.flow_id = part.flow_id AND e.subject_id = c.id
                  AND (part.reentry IS NULL OR e.entered_at > app.now() - part.reentry) LIMIT 1
            ) THEN 'was_in_flow'
            WHEN clock.base IS NULL THEN 'hour_passed'
        END AS reason
        FROM (SELECT DISTINCT contact_id FROM member) AS m
        CROSS JOIN LATERAL ({_CONTACT}) AS c
        CROSS JOIN LATERAL (
            SELECT (hashtextextended(c.id::text || %(campaign)s::text, 0) %% 100 + 100) %% 100 AS hundredth OFFSET 0
        ) AS dice
        JOIN part ON dice.hundredth >= part.low AND dice.hundredth < part.high
        LEFT JOIN LATERAL ({_PHONE}) AS phone ON %(is_local)s AND c.time_zone IS NULL
        CROSS JOIN LATERAL (
            SELECT CASE WHEN %(is_local)s THEN (%(clocks)s::jsonb ->> {_CLOCK})::timestamptz ELSE %(base)s END AS base
        ) AS clock
        WHERE (
            SELECT true FROM app.campaign_recipient l
            WHERE l.campaign_id = %(campaign)s AND l.contact_id = c.id LIMIT 1
        ) IS NULL
    ), turn AS MATERIALIZED (
        SELECT contact_id, name, variant, flow_id, version, reason, extract(epoch FROM base)::bigint::text AS moment,
            CASE WHEN reason IS NULL THEN app.uuid7() END AS run_id,
            CASE WHEN reason IS NULL THEN base + (
                row_number() OVER (PARTITION BY base, reason IS NULL ORDER BY contact_id) - 1
                + coalesce((%(spread)s::jsonb ->> extract(epoch FROM base)::bigint::text)::bigint, 0)
            ) * %(gap)s::interval END AS due_at
        FROM person
    )
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A share of the audience and the version its runs take; `low` and `high` are bounds of hundredths.

    `channel` is the kind of address that the first letter needs, empty when it needs none.
    """

    variant: int
    flow_id: UUID
    version: int
    reentry: timedelta | None
    channel: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Place:
    """One name of a clock in a slice, with somebody who is there: zone, or else number and country."""

    name: str
    time_zone: str | None
    phone: str | None
    country: str | None


@dataclass(frozen=True, slots=True)
class Terms:
    """By which recipients go: in which parts, from when, and how far apart. `clocks` are instants by a place's name."""

    parts: Sequence[Part]
    family: Sequence[UUID]
    base: datetime | None
    gap: timedelta
    clocks: Mapping[str, datetime | None]


@dataclass(frozen=True, slots=True)
class Member:
    """One person of the audience tried out: when it is their turn, or why they get nothing."""

    contact_id: UUID
    name: str
    variant: int
    flow_id: UUID
    version: int
    reason: str | None
    due_at: datetime | None


async def list_places(tx: Tx, campaign: Campaign, after: UUID | None, limit: int) -> list[Place]:
    """The clocks that the next members live by, each with the first of those who are there."""
    # The members as in _MEMBERS; contacts by primary key, numbers by identity_by_contact.
    return await tx.fetch_all(
        Place,
        f"""
        WITH member AS MATERIALIZED ({_MEMBERS[campaign.audience_kind]})
        SELECT {_CLOCK} AS name, min(c.time_zone) AS time_zone, min(phone.value) AS phone, min(c.country) AS country
        FROM member m CROSS JOIN LATERAL ({_CONTACT}) AS c
        LEFT JOIN LATERAL ({_PHONE}) AS phone ON c.time_zone IS NULL
        GROUP BY 1
        """,
        _whom(tx, campaign, after, limit),
    )


async def take_in(tx: Tx, campaign: Campaign, terms: Terms, limit: int) -> Slice:
    """Take in the next members: their lines of the ledger, their runs with the moment each is due, and all counts.

    One statement, whatever the number. Whoever has a line already is passed by, so a slice that is done again after
    a crash does nothing twice.
    """
    # Persons as above; runs are guarded by the unique index run_by_subject, lines by their primary key.
    rows = await tx.fetch_tuples(
        f"""
        WITH {_PERSONS.format(members=_MEMBERS[campaign.audience_kind])},
        entered AS (
            INSERT INTO app.flow_entry (flow_id, subject_id, workspace_id)
            SELECT flow_id, contact_id, %(workspace)s FROM turn WHERE reason IS NULL ORDER BY flow_id, contact_id
            ON CONFLICT (flow_id, subject_id) DO UPDATE SET entered_at = app.now()
        ), begun AS (
            INSERT INTO app.run (id, workspace_id, flow_id, version, subject_kind, subject_id, contact_id, due_at,
                                 campaign_id)
            SELECT run_id, %(workspace)s, flow_id, version, 'contact', contact_id, contact_id, due_at, %(campaign)s
            FROM turn WHERE reason IS NULL ORDER BY contact_id
            ON CONFLICT (subject_id, flow_id) DO NOTHING RETURNING id
        ), line AS (
            INSERT INTO app.campaign_recipient (campaign_id, contact_id, workspace_id, variant, state, reason, run_id,
                                                due_at)
            SELECT %(campaign)s, contact_id, %(workspace)s, variant,
                CASE WHEN reason IS NULL THEN 'waiting' ELSE 'excluded' END, reason, run_id, due_at
            FROM turn ORDER BY contact_id
        ), counted AS (
            INSERT INTO app.campaign_tally (workspace_id, campaign_id, variant, state, recipients)
            SELECT %(workspace)s, %(campaign)s, variant, state, count(*)
            FROM turn CROSS JOIN LATERAL unnest(
                CASE WHEN reason IS NULL THEN ARRAY['waiting', '{UNDER_WAY}'] ELSE ARRAY['excluded'] END
            ) AS each (state) GROUP BY variant, state
        ), told AS (
            INSERT INTO app.flow_tally (workspace_id, flow_id, version, step, outcome, day, runs)
            SELECT %(workspace)s, flow_id, version, {WHOLE}, '{STARTED}', (app.now() AT TIME ZONE 'UTC')::date, count(*)
            FROM turn WHERE reason IS NULL GROUP BY flow_id, version
        )
        SELECT (SELECT place FROM member ORDER BY place DESC LIMIT 1), (SELECT count(*) FROM member),
            (SELECT count(*) FROM begun), (SELECT count(*) FROM turn WHERE reason IS NULL),
            (SELECT coalesce(jsonb_object_agg(moment, n), '{{}}')
             FROM (SELECT moment, count(*) AS n FROM turn WHERE reason IS NULL GROUP BY moment) AS moments)
        """,
        {**_whom(tx, campaign, campaign.cursor, limit), **_how(campaign, terms)},
    )
    cursor, looked_at, begun, going, spread = rows[0]
    if begun < going:
        await _leave_out_unbegun(tx, campaign)
    return Slice(cursor, looked_at, begun, spread)


async def _leave_out_unbegun(tx: Tx, campaign: Campaign) -> None:
    """Somebody else began a run of the same flow at the same moment: those persons get nothing from this campaign."""
    # Those who wait, by the index campaign_recipient_by_state, each run by primary key; it hardly ever happens.
    await tx.execute(
        f"""
        WITH line AS MATERIALIZED (
            SELECT l.contact_id, v.variant, v.flow_id, v.flow_version FROM app.campaign_recipient l
            JOIN (SELECT number AS variant, flow_id, flow_version FROM app.campaign_variant
                  WHERE campaign_id = %(campaign)s) AS v USING (variant)
            WHERE l.workspace_id = %(workspace)s AND l.campaign_id = %(campaign)s AND l.state = 'waiting'
              AND NOT EXISTS (SELECT FROM app.run r WHERE r.id = l.run_id)
        ), counted AS (
            INSERT INTO app.campaign_tally (workspace_id, campaign_id, variant, state, recipients)
            SELECT %(workspace)s, %(campaign)s, variant, change.state, sum(change.recipients)
            FROM line CROSS JOIN (VALUES ('waiting', -1), ('{UNDER_WAY}', -1), ('excluded', 1))
                AS change (state, recipients) GROUP BY variant, change.state
        ), told AS (
            INSERT INTO app.flow_tally (workspace_id, flow_id, version, step, outcome, day, runs)
            SELECT %(workspace)s, flow_id, flow_version, {WHOLE}, '{STARTED}', (app.now() AT TIME ZONE 'UTC')::date,
                -count(*) FROM line GROUP BY flow_id, flow_version
        )
        UPDATE app.campaign_recipient l SET state = 'excluded', reason = 'in_flow', run_id = NULL, due_at = NULL
        FROM line WHERE l.campaign_id = %(campaign)s AND l.contact_id = line.contact_id
        """,
        {"workspace": tx.workspace_id, "campaign": campaign.id},
    )


async def list_members(tx: Tx, campaign: Campaign, terms: Terms, after: UUID | None, limit: int) -> list[Member]:
    """The next members as `take_in` would take them in; nothing is written."""
    # Persons as above.
    return await tx.fetch_all(
        Member,
        f"""
        WITH {_PERSONS.format(members=_MEMBERS[campaign.audience_kind])}
        SELECT contact_id, name, variant, flow_id, version, reason, due_at FROM turn ORDER BY contact_id
        """,
        {**_whom(tx, campaign, after, limit), **_how(campaign, terms)},
    )


async def find_last_place(tx: Tx, campaign: Campaign, after: UUID | None, limit: int) -> UUID | None:
    """Where a page of `limit` members after `after` ends; None when it is not full."""
    # The members as in _MEMBERS.
    rows = await tx.fetch_tuples(
        f"WITH member AS ({_MEMBERS[campaign.audience_kind]}) SELECT place FROM member ORDER BY place",
        _whom(tx, campaign, after, limit),
    )
    return rows[-1][0] if len(rows) == limit else None


async def count_audience(tx: Tx, campaign: Campaign, terms: Terms, limit: int) -> tuple[dict[str, int], int]:
    """How many of the first members would go (`send`), how many would not, by reason, and how many were looked at."""
    # Persons as above, all in one statement.
    rows = await tx.fetch_tuples(
        f"""
        WITH {_PERSONS.format(members=_MEMBERS[campaign.audience_kind])}
        SELECT coalesce(reason, 'send'), count(*) FROM person GROUP BY 1
        UNION ALL SELECT NULL, count(*) FROM member
        """,
        {**_whom(tx, campaign, None, limit), **_how(campaign, terms)},
    )
    totals = {row[0]: row[1] for row in rows if row[0] is not None}
    return totals, next(row[1] for row in rows if row[0] is None)


def _whom(tx: Tx, campaign: Campaign, after: UUID | None, limit: int) -> dict[str, object]:
    return {
        "workspace": tx.workspace_id,
        "campaign": campaign.id,
        "audience": campaign.audience_id,
        "missed": campaign.sends_to_missed_of,
        "missed_states": list(campaign.missed_states),
        "after": after or LOWEST_ID,
        "limit": limit,
    }


def _how(campaign: Campaign, terms: Terms) -> dict[str, object]:
    return {
        "numbers": [part.variant for part in terms.parts],
        "flows": [part.flow_id for part in terms.parts],
        "versions": [part.version for part in terms.parts],
        "reentries": [part.reentry for part in terms.parts],
        "channels": [part.channel for part in terms.parts],
        "lows": [part.low for part in terms.parts],
        "highs": [part.high for part in terms.parts],
        "clocks": json.dumps(terms.clocks, default=str),
        "is_local": campaign.start_kind == "local_hour",
        "is_again": campaign.sends_to_missed_of is not None,
        "family": [one for one in terms.family if one != campaign.id],
        "base": terms.base,
        "gap": terms.gap,
        "spread": json.dumps(campaign.spread),
    }
