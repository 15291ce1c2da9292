"""The statements behind lists, the board and the numbers of leads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.kernel.ids import lowest_id
from switchboard.leads.models import LeadFilter

MOST_COUNTED = 500
MOST_OVERDUE = 99

_ROW = """id, contact_id, source_id, stage, title, value_minor, currency, owner_id, is_junk, created_at, respond_by,
    accepted_at, first_responded_at, closed_at"""
# Literal, so that the planner can prove each partial index.
_VIEWS = {
    "open": "closed_at IS NULL",
    "waiting": "accepted_at IS NULL AND closed_at IS NULL",
    "mine": "closed_at IS NULL",
    "closed": "closed_at IS NOT NULL AND NOT is_junk",
    "junk": "is_junk",
}


@dataclass(frozen=True, slots=True)
class LeadRow:
    """The columns of a lead that a row or a card shows."""

    id: UUID
    contact_id: UUID
    source_id: UUID
    stage: str
    title: str
    value_minor: int | None
    currency: str | None
    owner_id: UUID | None
    is_junk: bool
    created_at: datetime
    respond_by: datetime | None
    accepted_at: datetime | None
    first_responded_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class SourceName:
    """A source as lists and rules name it."""

    id: UUID
    name: str
    format: str


@dataclass(frozen=True, slots=True)
class AnswerDay:
    """The first answers of one day: how many, the median seconds people waited, and how many within the target."""

    day: date
    answers: int
    median_seconds: float
    in_time: int


async def list_leads(
    tx: Tx, chosen: LeadFilter, *, before: UUID | None, after: UUID | None, limit: int
) -> list[LeadRow]:
    """Leads by the filter, newest first: those older than `before`, or the nearest that are newer than `after`."""
    is_backwards = after is not None
    where, params = _conditions(chosen)
    where.append(_view(chosen))
    if before is not None:
        where.append("id < %(before)s")
    if is_backwards:
        where.append("id > %(after)s")
    by_stage = ("stage DESC, " if is_backwards else "stage, ") if chosen.stage else ""
    listed = f"app.lead WHERE {' AND '.join(where)}"
    if chosen.contact_ids is not None:
        # Contact by contact: a planner that thinks a few leads to be near would walk the list to its end to find none.
        listed = f"""unnest(%(contacts)s::uuid[]) AS chosen (contact)
            CROSS JOIN LATERAL (SELECT {_ROW} FROM {listed} AND contact_id = chosen.contact OFFSET 0) AS of_contact"""
    # One index walk in the order of ids: the view's partial index, or lead_by_stage, lead_by_owner, lead_by_source
    # where the filter names one; lead_open or lead_by_contact once a contact.
    rows = await tx.fetch_all(
        LeadRow,
        f"""
        SELECT {_ROW} FROM {listed}
        ORDER BY {by_stage}id {"ASC" if is_backwards else "DESC"} LIMIT %(limit)s
        """,
        {**params, "workspace": tx.workspace_id, "before": before, "after": after, "limit": limit},
    )
    return rows[::-1] if is_backwards else rows


def _view(chosen: LeadFilter) -> str:
    """A stage says itself whether its leads are open or closed, so it replaces the two plain views."""
    is_plain = chosen.view in ("open", "closed")
    return "NOT is_junk" if chosen.stage and is_plain else _VIEWS[chosen.view]


def _conditions(chosen: LeadFilter) -> tuple[list[str], dict[str, object]]:
    where = ["workspace_id = %(workspace)s"]
    if chosen.stage:
        # A range of one, and ordered by, so that only lead_by_stage serves: for a stage with few leads the list in the
        # order of ids would be read to its end.
        where.append("stage BETWEEN %(stage)s AND %(stage)s")
    if chosen.is_unowned:
        where.append("owner_id IS NULL")
    if chosen.owner_id is not None:
        where.append("owner_id = %(owner)s")
    if chosen.source_id is not None:
        where.append("source_id = %(source)s")
    params: dict[str, object] = {
        "stage": chosen.stage,
        "owner": chosen.owner_id,
        "source": chosen.source_id,
        "contacts": list(chosen.contact_ids or ()),
    }
    return where, params


async def list_board(tx: Tx, stages: Sequence[str], limits: Sequence[int], chosen: LeadFilter) -> list[LeadRow]:
    """The newest leads of each stage, at most its limit; the filter's view and stage do not matter."""
    where, params = _conditions(replace(chosen, stage=""))
    if chosen.contact_ids is not None:
        where.append("contact_id = ANY(%(contacts)s)")
    # One walk of the index lead_by_stage a stage: see _conditions for the range of one.
    return await tx.fetch_all(
        LeadRow,
        f"""
        SELECT {", ".join(f"l.{column.strip()}" for column in _ROW.split(","))}
        FROM unnest(%(stages)s::text[], %(limits)s::integer[]) AS s (stage_key, most)
        CROSS JOIN LATERAL (
            SELECT {_ROW} FROM app.lead
            WHERE {" AND ".join(where)} AND NOT is_junk AND stage BETWEEN s.stage_key AND s.stage_key
            ORDER BY stage, id DESC LIMIT s.most
        ) AS l
        """,
        {**params, "workspace": tx.workspace_id, "stages": list(stages), "limits": list(limits)},
    )


async def count_by_stage(tx: Tx, stages: Sequence[str]) -> dict[str, int]:
    """How many leads stand in each stage; one more than `MOST_COUNTED` means that there are more."""
    # A bounded walk of the index lead_by_stage a stage.
    rows = await tx.fetch_tuples(
        f"""
        SELECT s.stage_key, c.leads FROM unnest(%(stages)s::text[]) AS s (stage_key)
        CROSS JOIN LATERAL (
            SELECT count(*) AS leads FROM (
                SELECT FROM app.lead WHERE workspace_id = %(workspace)s AND stage = s.stage_key AND NOT is_junk
                LIMIT {MOST_COUNTED} + 1
            ) AS counted
        ) AS c
        """,
        {"workspace": tx.workspace_id, "stages": list(stages)},
    )
    return dict(rows)


async def list_unanswered(tx: Tx, limit: int) -> list[LeadRow]:
    """Open leads that nobody has answered, the most urgent first."""
    # Walks the index lead_unanswered in its order.
    return await tx.fetch_all(
        LeadRow,
        f"""
        SELECT {_ROW} FROM app.lead
        WHERE workspace_id = %s AND first_responded_at IS NULL AND closed_at IS NULL
        ORDER BY respond_by LIMIT %s
        """,
        (tx.workspace_id, limit),
    )


async def count_overdue(tx: Tx) -> int:
    """How many open leads should have been answered by now, counted up to `MOST_OVERDUE`."""
    # Walks the front of the index lead_unanswered.
    found: int = await tx.fetch_value(
        f"""
        SELECT count(*) FROM (
            SELECT FROM app.lead
            WHERE workspace_id = %s AND first_responded_at IS NULL AND closed_at IS NULL AND respond_by < app.now()
            LIMIT {MOST_OVERDUE}
        ) AS late
        """,
        (tx.workspace_id,),
    )
    return found


async def list_overdue_contacts(tx: Tx) -> list[UUID]:
    """Whose open leads should have been answered by now, of up to `MOST_OVERDUE` leads."""
    # Walks the front of the index lead_unanswered.
    rows = await tx.fetch_tuples(
        f"""
        SELECT contact_id FROM app.lead
        WHERE workspace_id = %s AND first_responded_at IS NULL AND closed_at IS NULL AND respond_by < app.now()
        ORDER BY respond_by LIMIT {MOST_OVERDUE}
        """,
        (tx.workspace_id,),
    )
    return [contact_id for (contact_id,) in rows]


async def count_since(tx: Tx, since: datetime, limit: int) -> int:
    """How many leads have come since then, counted up to `limit`."""
    # Walks the newest end of the index lead_list.
    found: int = await tx.fetch_value(
        """
        SELECT count(*) FROM (
            SELECT FROM app.lead WHERE workspace_id = %s AND id >= %s ORDER BY id DESC LIMIT %s
        ) AS fresh
        """,
        (tx.workspace_id, lowest_id(since), limit),
    )
    return found


async def list_answer_days(
    tx: Tx, since: datetime, until: datetime, *, zone: str, target_seconds: int
) -> list[AnswerDay]:
    """The first answers from `since` until before `until`, by day in `zone`; days without any are missing."""
    # An index-only scan of the end of lead_answered. A clock cannot run before we hear of somebody, so it begins then.
    return await tx.fetch_all(
        AnswerDay,
        """
        SELECT (first_responded_at AT TIME ZONE %(zone)s)::date AS day, count(*) AS answers,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM first_responded_at - heard_at)::float8)
                AS median_seconds,
            count(*) FILTER (WHERE first_responded_at - heard_at <= make_interval(secs => %(target)s)) AS in_time
        FROM app.lead
        WHERE workspace_id = %(workspace)s AND first_responded_at IS NOT NULL
          AND first_responded_at >= %(since)s AND first_responded_at < %(until)s
        GROUP BY 1 ORDER BY 1
        """,
        {"zone": zone, "target": target_seconds, "workspace": tx.workspace_id, "since": since, "until": until},
    )


async def list_sources(tx: Tx) -> dict[UUID, SourceName]:
    """The sources of the workspace by id; intake writes them, lists and rules name them."""
    # A scan of the workspace's few sources.
    rows = await tx.fetch_all(
        SourceName,
        "SELECT id, name, format FROM app.source WHERE workspace_id = %s ORDER BY lower(name) LIMIT 500",
        (tx.workspace_id,),
    )
    return {source.id: source for source in rows}
