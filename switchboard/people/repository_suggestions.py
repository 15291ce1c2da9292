"""The statements about contacts who may be one person."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.kernel.ids import HIGHEST_ID, new_id
from switchboard.people.models import Reason, Suggestion

MOST_CANDIDATES = 40
ABOVE_ALL_SCORES = 101


@dataclass(frozen=True, slots=True)
class Named:
    """What contacts who may be one person are found by, and compared by first."""

    id: UUID
    name: str
    company: str
    name_key: str
    company_key: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two contacts with what speaks for their being one person."""

    first_id: UUID
    second_id: UUID
    score: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class SuggestionRow:
    """A suggestion with what is shown of both contacts."""

    id: UUID
    first_id: UUID
    second_id: UUID
    first_title: str
    second_title: str
    first_detail: str
    second_detail: str
    score: int
    reasons: list[dict[str, object]]
    created_at: datetime


_TITLE = """coalesce(nullif({0}.name, ''), (
    SELECT i.value FROM app.identity i WHERE i.contact_id = {0}.id ORDER BY i.rank, i.id LIMIT 1
), 'Nameless contact')"""
_DETAIL = """concat_ws(', ', nullif({0}.company, ''), (
    SELECT string_agg(i.value, ', ' ORDER BY i.kind, i.rank, i.id) FROM app.identity i WHERE i.contact_id = {0}.id))"""
_SUGGESTION = f"""s.id, s.first_id, s.second_id, s.score, s.reasons, s.created_at,
    {_TITLE.format("a")} AS first_title, {_TITLE.format("b")} AS second_title,
    {_DETAIL.format("a")} AS first_detail, {_DETAIL.format("b")} AS second_detail"""
_BOTH = """app.merge_suggestion s
    JOIN app.contact a ON a.id = s.first_id AND a.merged_into IS NULL
    JOIN app.contact b ON b.id = s.second_id AND b.merged_into IS NULL"""


async def load_named(tx: Tx, contact_ids: Collection[UUID]) -> list[Named]:
    """What these contacts are found by, without those merged away."""
    # By primary key.
    return await tx.fetch_all(
        Named,
        """
        SELECT id, name, company, name_key, company_key FROM app.contact
        WHERE id = ANY(%s) AND workspace_id = %s AND merged_into IS NULL ORDER BY id
        """,
        (list(contact_ids), tx.workspace_id),
    )


async def find_near(
    tx: Tx, name_keys: Collection[str], company_keys: Collection[str]
) -> tuple[dict[str, list[Named]], dict[str, list[Named]]]:
    """A few contacts for each key of names, and for each of companies with initials: all where there are only a few."""
    # By the partial indexes contact_by_name and contact_by_company, a bounded number of rows a key.
    rows = await tx.fetch_tuples(
        f"""
        SELECT false, near.* FROM unnest(%(names)s::text[]) AS asked (key) CROSS JOIN LATERAL (
            SELECT id, name, company, name_key, company_key FROM app.contact
            WHERE workspace_id = %(workspace)s AND merged_into IS NULL AND name_key <> '' AND name_key = asked.key
            LIMIT {MOST_CANDIDATES}
        ) AS near
        UNION ALL
        SELECT true, near.* FROM unnest(%(companies)s::text[]) AS asked (key) CROSS JOIN LATERAL (
            SELECT id, name, company, name_key, company_key FROM app.contact
            WHERE workspace_id = %(workspace)s AND merged_into IS NULL AND company_key <> '' AND company_key = asked.key
            LIMIT {MOST_CANDIDATES}
        ) AS near
        """,
        {"workspace": tx.workspace_id, "names": list(name_keys), "companies": list(company_keys)},
    )
    by_name: dict[str, list[Named]] = defaultdict(list)
    by_company: dict[str, list[Named]] = defaultdict(list)
    for is_by_company, *columns in rows:
        near = Named(*columns)
        if is_by_company:
            by_company[near.company_key].append(near)
        else:
            by_name[near.name_key].append(near)
    return by_name, by_company


async def load_addresses(tx: Tx, contact_ids: Collection[UUID]) -> dict[UUID, list[tuple[str, str]]]:
    """Kind and value of each address of these contacts."""
    # By the index identity_by_contact.
    rows = await tx.fetch_tuples(
        "SELECT contact_id, kind, value FROM app.identity WHERE contact_id = ANY(%s) AND workspace_id = %s",
        (list(contact_ids), tx.workspace_id),
    )
    found: dict[UUID, list[tuple[str, str]]] = defaultdict(list)
    for contact_id, kind, value in rows:
        found[contact_id].append((kind, value))
    return found


async def upsert_suggestions(tx: Tx, pairs: Sequence[Pair]) -> list[UUID]:
    """Write suggestions and return the ids of new ones.

    An open one takes better grounds; one that a person has decided stays as it is.
    """
    # By the unique index on both contacts, in the order of pairs, so that no two batches wait in a ring.
    rows = await tx.fetch_tuples(
        """
        INSERT INTO app.merge_suggestion AS s (id, workspace_id, first_id, second_id, score, reasons)
        SELECT id, %(workspace)s, first_id, second_id, score, reasons::jsonb
        FROM unnest(%(ids)s::uuid[], %(firsts)s::uuid[], %(seconds)s::uuid[], %(scores)s::smallint[],
                    %(reasons)s::text[]) AS new (id, first_id, second_id, score, reasons)
        ON CONFLICT (first_id, second_id) DO UPDATE SET score = excluded.score, reasons = excluded.reasons
        WHERE s.state = 'open' AND s.score < excluded.score
        RETURNING s.id
        """,
        _pair_columns(tx, sorted(pairs, key=lambda pair: (pair.first_id, pair.second_id))),
    )
    return [row[0] for row in rows]


async def list_open(tx: Tx, after: tuple[int, UUID] | None, limit: int) -> list[Suggestion]:
    """Open suggestions, the surest first, those after the given score and id."""
    # Walks the partial index merge_suggestion_open.
    rows = await tx.fetch_all(
        SuggestionRow,
        f"""
        SELECT {_SUGGESTION} FROM {_BOTH}
        WHERE s.workspace_id = %s AND s.state = 'open' AND (s.score, s.id) < (%s, %s)
        ORDER BY s.score DESC, s.id DESC LIMIT %s
        """,
        (tx.workspace_id, *(after or (ABOVE_ALL_SCORES, HIGHEST_ID)), limit),
    )
    return [_suggestion(row) for row in rows]


async def list_of_contact(tx: Tx, contact_id: UUID) -> list[Suggestion]:
    """Open suggestions that one contact is part of, the surest first."""
    # By the unique index on both contacts, and the index merge_suggestion_second.
    rows = await tx.fetch_all(
        SuggestionRow,
        f"""
        SELECT {_SUGGESTION} FROM {_BOTH}
        WHERE s.workspace_id = %s AND s.state = 'open' AND (s.first_id = %s OR s.second_id = %s)
        ORDER BY s.score DESC, s.id DESC LIMIT 20
        """,
        (tx.workspace_id, contact_id, contact_id),
    )
    return [_suggestion(row) for row in rows]


async def find_open(tx: Tx, suggestion_id: UUID) -> Suggestion | None:
    """One open suggestion."""
    # By primary key.
    row = await tx.find_one(
        SuggestionRow,
        f"SELECT {_SUGGESTION} FROM {_BOTH} WHERE s.id = %s AND s.workspace_id = %s AND s.state = 'open'",
        (suggestion_id, tx.workspace_id),
    )
    return None if row is None else _suggestion(row)


async def decide(tx: Tx, suggestion_id: UUID, state: str) -> bool:
    """Close an open suggestion; False when it is not open any more."""
    # By primary key.
    changed = await tx.execute(
        "UPDATE app.merge_suggestion SET state = %s WHERE id = %s AND state = 'open'", (state, suggestion_id)
    )
    return changed == 1


async def decide_pair(tx: Tx, one_id: UUID, other_id: UUID, before: str, after: str) -> bool:
    """Change the state of the suggestion about two contacts; False when there is none in the state `before`."""
    # By the unique index on both contacts.
    changed = await tx.execute(
        """
        UPDATE app.merge_suggestion SET state = %s
        WHERE first_id = %s AND second_id = %s AND workspace_id = %s AND state = %s
        """,
        (after, min(one_id, other_id), max(one_id, other_id), tx.workspace_id, before),
    )
    return changed == 1


def _suggestion(row: SuggestionRow) -> Suggestion:
    reasons = [
        Reason(str(r["text"]), int(str(r["points"])), str(r.get("kind", "")), str(r.get("value", "")))
        for r in row.reasons
    ]
    return Suggestion(
        row.id,
        row.first_id,
        row.second_id,
        row.first_title,
        row.second_title,
        row.first_detail,
        row.second_detail,
        row.score,
        reasons,
        row.created_at,
    )


def _pair_columns(tx: Tx, pairs: Sequence[Pair]) -> dict[str, object]:
    return {
        "workspace": tx.workspace_id,
        "ids": [new_id() for _ in pairs],
        "firsts": [pair.first_id for pair in pairs],
        "seconds": [pair.second_id for pair in pairs],
        "scores": [pair.score for pair in pairs],
        "reasons": [json.dumps([_reason_json(reason) for reason in pair.reasons]) for pair in pairs],
    }


def _reason_json(reason: Reason) -> dict[str, object]:
    return {"text": reason.text, "points": reason.points, "kind": reason.kind, "value": reason.value}
