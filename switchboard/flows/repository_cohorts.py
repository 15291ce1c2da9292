"""SQL on cohorts: runs that stand alike are claimed, moved and ended together, whatever their number."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from switchboard.flows.cohorts import Cohort
from switchboard.flows.models import Ending, Run, RunPosition, StepRecord, Tally
from switchboard.flows.repository_runs import RUN
from switchboard.kernel.columns import Column
from switchboard.kernel.db import Tx

_ALIKE = "workspace_id, flow_id, version, step, phase, campaign_id, contact_id IS NOT NULL"
_COHORT = f"""{_ALIKE} AS has_contact, count(*), min(due_at), max(due_at), array_agg(place)::text, array_agg(id)::text,
                   array_agg(revision)::text, array_agg(contact_id)::text, array_agg(lead_id)::text,
                   array_agg(due_at)::text"""
# Whether a run is due; by the partial index run_due_single or run_due_campaign.
_IS_DUE = """EXISTS (
        SELECT FROM app.run WHERE due_at <= app.now() AND due_at IS NOT NULL AND parked IS NULL AND {kind})"""
_OF_CAMPAIGNS, _OF_EVENTS = "campaign_id IS NOT NULL", "campaign_id IS NULL"


def is_due(*, of_campaigns: bool) -> str:
    """The condition, in SQL, that a run of a campaign is due, or one of the others."""
    return _IS_DUE.format(kind=_OF_CAMPAIGNS if of_campaigns else _OF_EVENTS)


async def claim(tx: Tx, since: datetime, limit: int, *, of_campaigns: bool = False) -> tuple[datetime, list[Cohort]]:
    """Runs of all workspaces that are due, at `since` or later, the longest overdue first; with the present moment.

    They are those of campaigns or all others, and held until this transaction ends.
    """
    kind = _OF_CAMPAIGNS if of_campaigns else _OF_EVENTS
    # Walks the partial index run_due_single or run_due_campaign; what another process holds is passed by.
    rows = await tx.fetch_tuples(
        # gate: choice it is joined to the one row of "one", for which it is made once.
        f"""
        SELECT app.now(), cohort.* FROM (SELECT) AS one LEFT JOIN (
            SELECT {_COHORT} FROM (
                SELECT ctid AS place, workspace_id, flow_id, version, step, phase, id, revision, contact_id, lead_id,
                       campaign_id, due_at
                FROM app.run
                WHERE due_at >= %s AND due_at <= app.now() AND due_at IS NOT NULL AND parked IS NULL
                  AND {kind}
                ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
            ) AS due GROUP BY {_ALIKE}
        ) AS cohort ON true
        """,
        (since, limit),
    )
    return rows[0][0], [Cohort(*row[1:]) for row in rows if row[1] is not None]


async def find_begun(tx: Tx, run_ids: Sequence[UUID]) -> list[Cohort]:
    """Runs that this very transaction has begun, as far as they are due: nobody else can see them."""
    # By primary key; a plan that is kept must not go by how few runs were due when it was made.
    rows = await tx.fetch_tuples(
        f"""
        SELECT {_COHORT} FROM (
            SELECT ctid AS place, * FROM app.run
            WHERE workspace_id = %s AND id = ANY(%s) AND coalesce(due_at <= app.now(), false) AND parked IS NULL
        ) AS begun GROUP BY {_ALIKE}
        """,
        (tx.workspace_id, list(run_ids)),
    )
    return [Cohort(*row) for row in rows]


async def load_runs(tx: Tx, places: Sequence[Column], most: int) -> list[Run]:
    """The runs that lie in these places, which this transaction holds."""
    # By the places of the rows.
    return await tx.fetch_all(
        Run,
        f"""
        SELECT {RUN} FROM app.run
        WHERE workspace_id = %s AND ctid = ANY(%s::tid[]) ORDER BY due_at, id LIMIT %s
        """,
        (tx.workspace_id, _joined(places), most),
    )


async def park(tx: Tx, places: Sequence[Column]) -> None:
    """Let these runs rest until their flow or campaign goes on; the caller holds that and the runs."""
    # By the places of the rows.
    await tx.execute(
        "UPDATE app.run SET parked = 'paused' WHERE workspace_id = %s AND ctid = ANY(%s::tid[])",
        (tx.workspace_id, _joined(places)),
    )


async def move(
    tx: Tx, cohort: Cohort, position: RunPosition, history: Sequence[StepRecord], tallies: Sequence[Tally]
) -> int:
    """Write where the runs stand now, what they did and what that counts; returns how many were still there.

    `position` and `history` are those of one run that began at revision 0; a `due_at` of None leaves each its own.
    """
    # By the places of the rows, which this transaction holds; their history in the same statement.
    moved: int = await tx.fetch_value(
        """
        WITH moved AS (
            UPDATE app.run SET step = %(step)s, revision = revision + %(revisions)s, phase = %(phase)s,
                due_at = coalesce(%(due)s, due_at), awaits = %(awaits)s, rounds = %(rounds)s::smallint, attempts = 0,
                last_error = NULL
            WHERE workspace_id = %(workspace)s AND ctid = ANY(%(places)s::tid[])
            RETURNING id, revision - %(revisions)s AS revision
        ), noted AS (
            INSERT INTO app.run_step (run_id, revision, workspace_id, at, step, outcome, detail)
            SELECT m.id, m.revision + line.revision, %(workspace)s, app.now(), line.step, line.outcome, line.detail
            FROM moved m, unnest(%(line_revisions)s::integer[], %(line_steps)s::integer[], %(line_outcomes)s::text[],
                                 %(line_details)s::text[]) AS line (revision, step, outcome, detail)
        ), counted AS (
            INSERT INTO app.flow_tally (workspace_id, flow_id, version, step, outcome, day, runs)
            SELECT %(workspace)s, %(flow)s, %(version)s, step, outcome, (app.now() AT TIME ZONE 'UTC')::date, runs
            FROM unnest(%(tally_steps)s::integer[], %(tally_outcomes)s::text[], %(tally_runs)s::bigint[])
                 AS tally (step, outcome, runs)
        )
        SELECT count(*) FROM moved
        """,
        {
            "workspace": tx.workspace_id,
            "places": cohort.places,
            "step": position.step,
            "revisions": position.revision,
            "phase": position.phase,
            "due": position.due_at,
            "awaits": position.awaits,
            "rounds": position.rounds,
            **_lines(history),
            **_counts(cohort, tallies),
        },
    )
    return moved


async def end(tx: Tx, cohort: Cohort, ending: Ending, history: Sequence[StepRecord], tallies: Sequence[Tally]) -> int:
    """Move the runs to the ended ones, with what they did and what that counts; returns how many were still there.

    `ending` and `history` are those of one run that began at revision 0.
    """
    # By the places of the rows, which this transaction holds; their history in the same statement.
    ended: int = await tx.fetch_value(
        """
        WITH gone AS (
            DELETE FROM app.run WHERE workspace_id = %(workspace)s AND ctid = ANY(%(places)s::tid[]) RETURNING *
        ), noted AS (
            INSERT INTO app.run_step (run_id, revision, workspace_id, at, step, outcome, detail)
            SELECT g.id, g.revision + line.revision, %(workspace)s, app.now(), line.step, line.outcome, line.detail
            FROM gone g, unnest(%(line_revisions)s::integer[], %(line_steps)s::integer[], %(line_outcomes)s::text[],
                                %(line_details)s::text[]) AS line (revision, step, outcome, detail)
        ), kept AS (
            INSERT INTO app.run_ended (id, workspace_id, flow_id, version, subject_kind, subject_id, contact_id,
                                       lead_id, step, depth, outcome, reason, started_at, campaign_id)
            SELECT id, workspace_id, flow_id, version, subject_kind, subject_id, contact_id, lead_id, %(step)s, depth,
                   %(outcome)s, %(reason)s, started_at, campaign_id
            FROM gone
        ), counted AS (
            INSERT INTO app.flow_tally (workspace_id, flow_id, version, step, outcome, day, runs)
            SELECT %(workspace)s, %(flow)s, %(version)s, step, outcome, (app.now() AT TIME ZONE 'UTC')::date, runs
            FROM unnest(%(tally_steps)s::integer[], %(tally_outcomes)s::text[], %(tally_runs)s::bigint[])
                 AS tally (step, outcome, runs)
        )
        SELECT count(*) FROM gone
        """,
        {
            "workspace": tx.workspace_id,
            "places": cohort.places,
            "step": ending.step,
            "outcome": ending.outcome,
            "reason": ending.reason,
            **_lines(history),
            **_counts(cohort, tallies),
        },
    )
    return ended


def _lines(history: Sequence[StepRecord]) -> dict[str, object]:
    return {
        "line_revisions": [record.revision for record in history],
        "line_steps": [record.step for record in history],
        "line_outcomes": [record.outcome for record in history],
        "line_details": [record.detail for record in history],
    }


def _counts(cohort: Cohort, tallies: Sequence[Tally]) -> dict[str, object]:
    return {
        "flow": cohort.flow_id,
        "version": cohort.version,
        "tally_steps": [tally.step for tally in tallies],
        "tally_outcomes": [tally.outcome for tally in tallies],
        "tally_runs": [tally.runs for tally in tallies],
    }


def _joined(places: Sequence[Column]) -> Column:
    """Several columns as one."""
    return "{" + ",".join(column[1:-1] for column in places) + "}"
