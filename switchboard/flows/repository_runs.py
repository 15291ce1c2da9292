"""SQL on runs: claiming, moving and ending them in batches, and who stands where."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from switchboard.flows.models import (
    STARTED,
    WHOLE,
    EndedRun,
    Ending,
    FailedRun,
    NewRun,
    Run,
    RunPosition,
    StandingRun,
    StepRecord,
    VersionKey,
)
from switchboard.kernel.db import Tx

RUN = (
    "id, workspace_id, flow_id, version, subject_kind, subject_id, contact_id, lead_id, step, revision, phase, due_at, "
    "awaits, rounds, attempts, event_data, campaign_id"
)
_STANDING = (
    "id, flow_id, version, step, subject_kind, subject_id, contact_id, lead_id, phase, due_at, awaits, parked, "
    "attempts, last_error, started_at"
)


async def try_hold(tx: Tx, run_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these runs no other stepper is moving right now; they are ours until this transaction ends."""
    # No table is touched. An advisory lock never waits here, so it cannot be part of a deadlock.
    rows = await tx.fetch_tuples(
        "SELECT id FROM unnest(%s::uuid[]) AS run (id) WHERE pg_try_advisory_xact_lock(hashtextextended(id::text, 21))",
        (list(run_ids),),
    )
    return {row[0] for row in rows}


async def find_due(tx: Tx, run_ids: Sequence[UUID]) -> list[Run]:
    """Those of these runs that are still due, and whose flow and campaign still go on."""
    # By the primary key of each table; a plan that is kept must not go by how few runs were due when it was made.
    return await tx.fetch_all(
        Run,
        f"""
        SELECT {RUN} FROM app.run r
        WHERE workspace_id = %s AND id = ANY(%s) AND coalesce(due_at <= app.now(), false) AND parked IS NULL
          AND NOT EXISTS (SELECT FROM app.flow f WHERE f.id = r.flow_id AND NOT f.is_active)
          AND NOT EXISTS (SELECT FROM app.campaign c WHERE c.id = r.campaign_id AND c.held_since IS NOT NULL)
        ORDER BY id
        """,
        (tx.workspace_id, list(run_ids)),
    )


async def find_about(tx: Tx, lead_ids: Sequence[UUID], contact_ids: Sequence[UUID]) -> list[Run]:
    """Runs of these leads, and all runs of these contacts, each once."""
    # A look into run_by_subject or run_by_contact for each id. OFFSET 0 keeps it so: from a table without statistics
    # Postgres expects a single row of the workspace, and would read all of it first.
    return await tx.fetch_all(
        Run,
        f"""
        SELECT found.* FROM unnest(%(leads)s::uuid[]) AS wanted (id), LATERAL (
            SELECT {RUN} FROM app.run r WHERE r.workspace_id = %(workspace)s AND r.subject_id = wanted.id OFFSET 0
        ) AS found
        UNION ALL
        SELECT found.* FROM unnest(%(contacts)s::uuid[]) AS wanted (id), LATERAL (
            SELECT {RUN} FROM app.run r
            WHERE r.workspace_id = %(workspace)s AND r.contact_id = wanted.id
              AND r.subject_id <> ALL (%(leads)s::uuid[])
            OFFSET 0
        ) AS found
        """,
        {"workspace": tx.workspace_id, "leads": list(lead_ids), "contacts": list(contact_ids)},
    )


async def find_ended_lately(tx: Tx, contact_ids: Sequence[UUID], window: timedelta) -> list[EndedRun]:
    """Runs of these contacts that have ended by themselves within `window`: their last message may still be queued."""
    # By the index run_ended_by_contact; a plan that is kept must not go by how few runs had ended when it was made.
    return await tx.fetch_all(
        EndedRun,
        """
        SELECT id, flow_id, version, subject_id, contact_id, lead_id, step, outcome, reason, campaign_id
        FROM app.run_ended
        WHERE workspace_id = %s AND contact_id = ANY(%s) AND coalesce(ended_at > app.now() - %s, false)
          AND outcome <> 'failed'
        """,
        (tx.workspace_id, list(contact_ids), window),
    )


async def find_depths_of_runs(tx: Tx, run_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How deep these runs stand, or stood."""
    # By primary key of both tables.
    rows = await tx.fetch_tuples(
        """
        SELECT id, depth FROM app.run WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)
        UNION ALL
        SELECT id, depth FROM app.run_ended WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)
        """,
        {"workspace": tx.workspace_id, "ids": list(run_ids)},
    )
    return {row[0]: row[1] for row in rows}


async def find_depths_of_flows(
    tx: Tx, flow_ids: Sequence[UUID], subject_ids: Sequence[UUID]
) -> dict[tuple[UUID, UUID], int]:
    """How deep the runs of these flows and subjects stand, by flow and subject."""
    # By the unique index run_by_subject.
    rows = await tx.fetch_tuples(
        """
        SELECT flow_id, subject_id, depth FROM app.run
        WHERE workspace_id = %s AND subject_id = ANY(%s) AND flow_id = ANY(%s)
        """,
        (tx.workspace_id, list(subject_ids), list(flow_ids)),
    )
    return {(row[0], row[1]): row[2] for row in rows}


# What both ways of beginning runs start with.
_WANTED = """
        WITH wanted AS (
            SELECT * FROM unnest(%(ids)s::uuid[], %(kinds)s::text[], %(subjects)s::uuid[], %(contacts)s::uuid[],
                                 %(leads)s::uuid[], %(depths)s::smallint[], %(data)s::text[])
                 AS new (id, subject_kind, subject_id, contact_id, lead_id, depth, event_data)
        )
"""


async def enter(tx: Tx, key: VersionKey, reentry_after: timedelta | None, runs: Sequence[NewRun]) -> list[UUID]:
    """Begin these runs, but not for a subject that is in the flow now or was in it too lately; counts and returns them.

    The runs are sorted by subject, and each subject is among them once.
    """
    # Guarded by the primary key of flow_entry and the unique index run_by_subject; a row that counts the begun.
    rows = await tx.fetch_tuples(
        f"""
        {_WANTED}, entered AS (
            INSERT INTO app.flow_entry AS e (flow_id, subject_id, workspace_id)
            SELECT %(flow)s, w.subject_id, %(workspace)s FROM wanted w
            WHERE NOT EXISTS (SELECT FROM app.run r WHERE r.subject_id = w.subject_id AND r.flow_id = %(flow)s)
            ORDER BY w.subject_id
            ON CONFLICT (flow_id, subject_id) DO UPDATE SET entered_at = app.now()
            WHERE e.entered_at <= app.now() - %(reentry)s::interval
            RETURNING subject_id
        ), begun AS (
            INSERT INTO app.run (id, workspace_id, flow_id, version, subject_kind, subject_id, contact_id, lead_id,
                                 depth, event_data, due_at)
            SELECT w.id, %(workspace)s, %(flow)s, %(version)s, w.subject_kind, w.subject_id, w.contact_id, w.lead_id,
                   w.depth, w.event_data::jsonb, app.now()
            FROM wanted w JOIN entered USING (subject_id)
            ON CONFLICT (subject_id, flow_id) DO NOTHING RETURNING id
        ), counted AS (
            INSERT INTO app.flow_tally (workspace_id, flow_id, version, step, outcome, day, runs)
            SELECT %(workspace)s, %(flow)s, %(version)s, %(whole)s, %(started)s,
                   (app.now() AT TIME ZONE 'UTC')::date, count(*)
            FROM begun HAVING count(*) > 0
        )
        SELECT id FROM begun
        """,
        {**_new_columns(tx, key, runs), "reentry": reentry_after},
    )
    return [row[0] for row in rows]


async def enter_first(tx: Tx, key: VersionKey, runs: Sequence[NewRun]) -> None:
    """Begin and count these runs of subjects that nobody else can see yet and that have been in no flow, each once."""
    # Adds rows. Nothing can be in the way: not to ask for it saves a look into run_by_subject, and two records of the
    # log, for each.
    await tx.write(
        f"""
        {_WANTED}, entered AS (
            INSERT INTO app.flow_entry (flow_id, subject_id, workspace_id)
            SELECT %(flow)s, subject_id, %(workspace)s FROM wanted
        ), begun AS (
            INSERT INTO app.run (id, workspace_id, flow_id, version, subject_kind, subject_id, contact_id, lead_id,
                                 depth, event_data, due_at)
            SELECT id, %(workspace)s, %(flow)s, %(version)s, subject_kind, subject_id, contact_id, lead_id,
                   depth, event_data::jsonb, app.now()
            FROM wanted
        )
        INSERT INTO app.flow_tally (workspace_id, flow_id, version, step, outcome, day, runs)
        VALUES (%(workspace)s, %(flow)s, %(version)s, %(whole)s, %(started)s, (app.now() AT TIME ZONE 'UTC')::date,
                %(number)s)
        """,
        {**_new_columns(tx, key, runs), "number": len(runs)},
    )


def _new_columns(tx: Tx, key: VersionKey, runs: Sequence[NewRun]) -> dict[str, object]:
    return {
        "workspace": tx.workspace_id,
        "whole": WHOLE,
        "started": STARTED,
        "flow": key[0],
        "version": key[1],
        "ids": [run.id for run in runs],
        "kinds": [run.subject_kind for run in runs],
        "subjects": [run.subject_id for run in runs],
        "contacts": [run.contact_id for run in runs],
        "leads": [run.lead_id for run in runs],
        "depths": [run.depth for run in runs],
        "data": [json.dumps(run.event_data) if run.event_data else "{}" for run in runs],
    }


async def wake_runs(tx: Tx, run_ids: Sequence[UUID]) -> int:
    """Let these runs go on at once, because what they await has happened."""
    # By primary key, locked in the order of ids so that no two batches wait for each other.
    return await tx.execute(
        """
        WITH held AS (
            SELECT id FROM app.run WHERE workspace_id = %s AND id = ANY(%s) AND awaits IS NOT NULL
            ORDER BY id FOR UPDATE
        )
        UPDATE app.run r SET phase = 'woken', due_at = app.now(), awaits = NULL FROM held
        WHERE r.id = held.id AND r.awaits IS NOT NULL
        """,
        (tx.workspace_id, sorted(run_ids)),
    )


async def save_positions(tx: Tx, positions: Sequence[RunPosition]) -> set[UUID]:
    """Write where these runs stand now; returns those that were still there."""
    # By primary key, in one statement.
    rows = await tx.fetch_tuples(
        """
        UPDATE app.run r SET step = new.step, revision = new.revision, phase = new.phase, due_at = new.due_at,
            awaits = new.awaits, rounds = new.rounds, attempts = 0, last_error = NULL
        FROM unnest(%(ids)s::uuid[], %(steps)s::integer[], %(revisions)s::integer[], %(phases)s::text[],
                    %(dues)s::timestamptz[], %(awaits)s::text[], %(rounds)s::smallint[])
             AS new (id, step, revision, phase, due_at, awaits, rounds)
        WHERE r.id = new.id AND r.workspace_id = %(workspace)s AND r.revision < new.revision
        RETURNING r.id
        """,
        {
            "workspace": tx.workspace_id,
            "ids": [position.run_id for position in positions],
            "steps": [position.step for position in positions],
            "revisions": [position.revision for position in positions],
            "phases": [position.phase for position in positions],
            "dues": [position.due_at for position in positions],
            "awaits": [position.awaits for position in positions],
            "rounds": [position.rounds for position in positions],
        },
    )
    return {row[0] for row in rows}


async def save_failure(tx: Tx, run_id: UUID, pause: timedelta, reason: str) -> None:
    """Try this run's step again after `pause`."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.run SET attempts = attempts + 1, due_at = app.now() + %s, last_error = %s
        WHERE workspace_id = %s AND id = %s
        """,
        (pause, reason, tx.workspace_id, run_id),
    )


async def unpark_paused(tx: Tx, flow_id: UUID) -> int:
    """Let the runs of a flow go on that rested while it was paused."""
    # The runs of one flow by the index run_by_step, at a rare moment.
    return await tx.execute(
        "UPDATE app.run SET parked = NULL WHERE workspace_id = %s AND flow_id = %s AND parked = 'paused'",
        (tx.workspace_id, flow_id),
    )


async def end_runs(tx: Tx, endings: Sequence[Ending]) -> list[EndedRun]:
    """Move these runs to the ended ones; returns those that were still going."""
    # By primary key, locked in the order of ids so that no two batches wait for each other.
    return await tx.fetch_all(
        EndedRun,
        """
        WITH wanted AS (
            SELECT * FROM unnest(%(ids)s::uuid[], %(outcomes)s::text[], %(reasons)s::text[], %(steps)s::integer[])
                 AS new (id, outcome, reason, step)
        ), held AS (
            SELECT id FROM app.run WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s) ORDER BY id FOR UPDATE
        ), gone AS (
            DELETE FROM app.run r USING held WHERE r.id = held.id RETURNING r.*
        )
        INSERT INTO app.run_ended (id, workspace_id, flow_id, version, subject_kind, subject_id, contact_id, lead_id,
                                   step, depth, outcome, reason, started_at, campaign_id)
        SELECT g.id, g.workspace_id, g.flow_id, g.version, g.subject_kind, g.subject_id, g.contact_id, g.lead_id,
               coalesce(w.step, g.step), g.depth, w.outcome, w.reason, g.started_at, g.campaign_id
        FROM gone g JOIN wanted w USING (id)
        RETURNING id, flow_id, version, subject_id, contact_id, lead_id, step, outcome, reason, campaign_id
        """,
        {
            "workspace": tx.workspace_id,
            "ids": [ending.run_id for ending in endings],
            "outcomes": [ending.outcome for ending in endings],
            "reasons": [ending.reason for ending in endings],
            "steps": [ending.step for ending in endings],
        },
    )


async def delete_ended(tx: Tx, before: datetime, most: int) -> int:
    """Forget runs that had ended by then, the oldest first; says how many they were."""
    # By the index run_ended_by_end from its beginning, at most a batch, chosen once.
    return await tx.execute(
        """
        WITH old AS MATERIALIZED (
            SELECT id FROM app.run_ended WHERE workspace_id = %(workspace)s AND ended_at < %(before)s
            ORDER BY ended_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
        )
        DELETE FROM app.run_ended e USING old WHERE e.workspace_id = %(workspace)s AND e.id = old.id
        """,
        {"workspace": tx.workspace_id, "before": before, "most": most},
    )


async def insert_history(tx: Tx, records: Sequence[StepRecord]) -> None:
    """Add lines to the history of runs."""
    # Some rows a batch.
    await tx.execute(
        """
        INSERT INTO app.run_step (run_id, revision, workspace_id, at, step, outcome, detail)
        SELECT run_id, revision, %s, app.now(), step, outcome, detail
        FROM unnest(%s::uuid[], %s::integer[], %s::integer[], %s::text[], %s::text[])
             AS new (run_id, revision, step, outcome, detail)
        """,
        (
            tx.workspace_id,
            [record.run_id for record in records],
            [record.revision for record in records],
            [record.step for record in records],
            [record.outcome for record in records],
            [record.detail for record in records],
        ),
    )


async def list_history(tx: Tx, run_id: UUID, limit: int) -> list[StepRecord]:
    """What a run did, in order."""
    # The prefix of the primary key.
    return await tx.fetch_all(
        StepRecord,
        """
        SELECT run_id, revision, step, outcome, detail FROM app.run_step
        WHERE workspace_id = %s AND run_id = %s ORDER BY revision LIMIT %s
        """,
        (tx.workspace_id, run_id, limit),
    )


async def count_at_steps(tx: Tx, key: VersionKey, most: int) -> dict[int, int]:
    """How many runs stand at each step of a version now, each counted up to `most`."""
    # One bounded scan of the index run_by_step for each step that the version can have.
    rows = await tx.fetch_tuples(
        """
        SELECT s.step, n.runs FROM generate_series(0, 200) AS s (step), LATERAL (
            SELECT count(*) AS runs FROM (
                SELECT FROM app.run
                WHERE workspace_id = %s AND flow_id = %s AND version = %s AND step = s.step LIMIT %s
            ) AS bounded
        ) AS n WHERE n.runs > 0
        """,
        (tx.workspace_id, *key, most),
    )
    return {row[0]: row[1] for row in rows}


async def count_by_version(tx: Tx, flow_id: UUID, versions: Sequence[int], most: int) -> dict[int, int]:
    """How many runs each of these versions has now, counted up to `most`."""
    # One bounded scan of the index run_by_step a version.
    rows = await tx.fetch_tuples(
        """
        SELECT v.version, n.runs FROM unnest(%s::integer[]) AS v (version), LATERAL (
            SELECT count(*) AS runs FROM (
                SELECT FROM app.run WHERE workspace_id = %s AND flow_id = %s AND version = v.version LIMIT %s
            ) AS bounded
        ) AS n
        """,
        (list(versions), tx.workspace_id, flow_id, most),
    )
    return {row[0]: row[1] for row in rows}


async def list_standing(tx: Tx, key: VersionKey, step: int, after: UUID | None, limit: int) -> list[StandingRun]:
    """Who stands at a step, those who began first first, beyond the run `after`."""
    # The index run_by_step in its order.
    return await tx.fetch_all(
        StandingRun,
        f"""
        SELECT {_STANDING} FROM app.run
        WHERE workspace_id = %(workspace)s AND flow_id = %(flow)s AND version = %(version)s AND step = %(step)s
          AND id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000')
        ORDER BY id LIMIT %(limit)s
        """,
        {
            "workspace": tx.workspace_id,
            "flow": key[0],
            "version": key[1],
            "step": step,
            "after": after,
            "limit": limit,
        },
    )


async def list_of_flow(tx: Tx, flow_id: UUID | None, limit: int) -> list[StandingRun]:
    """Runs that are going, of one flow or of all."""
    # The prefix of the index run_by_step, or the first rows that row security lets pass.
    return await tx.fetch_all(
        StandingRun,
        f"""
        SELECT {_STANDING} FROM app.run
        WHERE workspace_id = %(workspace)s AND flow_id IN (
            SELECT id FROM app.flow WHERE workspace_id = %(workspace)s AND id = coalesce(%(flow)s, id)
        )
        ORDER BY flow_id, version, step, id LIMIT %(limit)s
        """,
        {"workspace": tx.workspace_id, "flow": flow_id, "limit": limit},
    )


async def list_failed(tx: Tx, window: timedelta, limit: int) -> list[FailedRun]:
    """Runs that fail and are tried again, and then those that failed for good within `window`, newest first."""
    # By the partial indexes run_troubled and run_ended_failed, joined to flows by primary key.
    return await tx.fetch_all(
        FailedRun,
        """
        SELECT t.id, t.flow_id, f.title AS flow_title, t.contact_id, t.lead_id, t.reason, t.ended_at FROM (
            (SELECT id, flow_id, contact_id, lead_id, coalesce(last_error, '') AS reason, app.now() AS ended_at
             FROM app.run WHERE workspace_id = %(workspace)s AND attempts > 0 ORDER BY id DESC LIMIT %(limit)s)
            UNION ALL
            (SELECT id, flow_id, contact_id, lead_id, reason, ended_at FROM app.run_ended
             WHERE workspace_id = %(workspace)s AND outcome = 'failed' AND ended_at > app.now() - %(window)s
             ORDER BY ended_at DESC LIMIT %(limit)s)
        ) AS t JOIN app.flow f ON f.id = t.flow_id ORDER BY t.ended_at DESC, t.id DESC LIMIT %(limit)s
        """,
        {"workspace": tx.workspace_id, "window": window, "limit": limit},
    )


async def move_contact(tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
    """Give a contact's runs to another; where both go through one flow, the first one's rest. Returns their ids."""
    # By the index run_by_contact; the twin is found by the unique index run_by_subject.
    rows = await tx.fetch_tuples(
        """
        WITH held AS (
            SELECT r.id, r.subject_id = %(from)s AS is_subject, EXISTS (
                SELECT FROM app.run twin WHERE twin.subject_id = %(to)s AND twin.flow_id = r.flow_id
            ) AND r.subject_id = %(from)s AS has_twin
            FROM app.run r WHERE r.workspace_id = %(workspace)s AND r.contact_id = %(from)s ORDER BY r.id FOR UPDATE
        )
        UPDATE app.run r SET contact_id = %(to)s,
            subject_id = CASE WHEN held.is_subject AND NOT held.has_twin THEN %(to)s ELSE r.subject_id END,
            parked = CASE WHEN held.has_twin THEN 'merged' ELSE r.parked END
        FROM held WHERE r.id = held.id RETURNING r.id
        """,
        {"workspace": tx.workspace_id, "from": from_id, "to": to_id},
    )
    return [row[0] for row in rows]


async def move_back_contact(tx: Tx, run_ids: Sequence[UUID], to_id: UUID) -> None:
    """Give these runs back to a contact and let those go on that rested because of the merge."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.run SET contact_id = %(to)s, parked = CASE WHEN parked = 'merged' THEN NULL ELSE parked END,
            subject_id = CASE WHEN subject_kind = 'contact' THEN %(to)s ELSE subject_id END
        WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)
        """,
        {"workspace": tx.workspace_id, "ids": sorted(run_ids), "to": to_id},
    )
