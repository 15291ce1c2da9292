"""SQL on campaigns and their variants."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from switchboard.delivery.models import CampaignPriority
from switchboard.flows.campaign_models import Campaign, CampaignForm, CampaignState, Sweep, Variant
from switchboard.kernel.db import Tx
from switchboard.kernel.ids import HIGHEST_ID

_CAMPAIGN = """id, name, title, state, flow_id, audience_kind, audience_id, root_id, sends_to_missed_of, missed_states,
    start_kind, start_at, local_date, local_hour, when_passed, throttle_per_minute, priority, winner_rule,
    winner_after, winner_due_at, winner, pause_at_percent, seen_sent, seen_bad, cursor, is_taken_in, spread_from,
    spread, sweep, sweep_cursor, held_since, pause_reason, started_at, paused_at, ended_at, archived_at, created_by,
    created_at, updated_at"""
_FORM = """name = %(name)s, title = %(title)s, flow_id = %(flow)s, audience_kind = %(audience_kind)s,
    audience_id = %(audience)s, start_kind = %(start_kind)s, start_at = %(start_at)s, local_date = %(local_date)s,
    local_hour = %(local_hour)s, when_passed = %(when_passed)s, throttle_per_minute = %(throttle)s,
    priority = %(priority)s, winner_rule = %(winner_rule)s, winner_after = %(winner_after)s,
    pause_at_percent = %(pause_at_percent)s"""


async def insert_campaign(
    tx: Tx, campaign_id: UUID, form: CampaignForm, created_by: UUID | None, *, missed: Campaign | None = None
) -> bool:
    """Add a draft; of the missed of another campaign where one is named. False when its name is taken."""
    # One row, by the unique index on workspace and name.
    added = await tx.execute(
        """
        INSERT INTO app.campaign (id, workspace_id, name, title, flow_id, audience_kind, audience_id, root_id,
            sends_to_missed_of, start_kind, start_at, local_date, local_hour, when_passed, throttle_per_minute,
            priority, winner_rule, winner_after, pause_at_percent, created_by)
        VALUES (%(id)s, %(workspace)s, %(name)s, %(title)s, %(flow)s, %(audience_kind)s, %(audience)s, %(root)s,
            %(missed)s, %(start_kind)s, %(start_at)s, %(local_date)s, %(local_hour)s, %(when_passed)s, %(throttle)s,
            %(priority)s, %(winner_rule)s, %(winner_after)s, %(pause_at_percent)s, %(created_by)s)
        ON CONFLICT (workspace_id, name) DO NOTHING
        """,
        {
            **_columns(tx, campaign_id, form),
            "root": missed.root_id if missed else campaign_id,
            "missed": missed.id if missed else None,
            "created_by": created_by,
        },
    )
    return added == 1


async def update_campaign(tx: Tx, campaign_id: UUID, form: CampaignForm) -> bool:
    """Write a campaign that has not begun anew; False when the name is taken."""
    # By primary key; the name is looked for by the unique index on workspace and name.
    changed = await tx.execute(
        f"""
        UPDATE app.campaign SET {_FORM}, updated_at = app.now() WHERE workspace_id = %(workspace)s AND id = %(id)s
          AND NOT EXISTS (
            SELECT FROM app.campaign o WHERE o.workspace_id = %(workspace)s AND o.name = %(name)s AND o.id <> %(id)s
          )
        """,
        _columns(tx, campaign_id, form),
    )
    return changed == 1


def _columns(tx: Tx, campaign_id: UUID, form: CampaignForm) -> dict[str, object]:
    return {
        "id": campaign_id,
        "workspace": tx.workspace_id,
        "name": form.name,
        "title": form.title,
        "flow": form.variants[0][0],
        "audience_kind": form.audience_kind,
        "audience": form.audience_id,
        "start_kind": form.start_kind,
        "start_at": form.start_at,
        "local_date": form.local_date,
        "local_hour": form.local_hour,
        "when_passed": form.when_passed,
        "throttle": form.throttle_per_minute,
        "priority": form.priority,
        "winner_rule": form.winner_rule,
        "winner_after": form.winner_after,
        "pause_at_percent": form.pause_at_percent,
    }


async def set_variants(tx: Tx, campaign_id: UUID, variants: Sequence[tuple[UUID, int]]) -> None:
    """Put these flows and shares in the place of a campaign's variants; they are numbered from 1."""
    # By the prefix of the primary key.
    await tx.execute(
        "DELETE FROM app.campaign_variant WHERE workspace_id = %s AND campaign_id = %s", (tx.workspace_id, campaign_id)
    )
    # A handful of rows.
    await tx.execute(
        """
        INSERT INTO app.campaign_variant (campaign_id, number, workspace_id, flow_id, share_percent)
        SELECT %s, number, %s, flow_id, share_percent
        FROM unnest(%s::uuid[], %s::smallint[]) WITH ORDINALITY AS new (flow_id, share_percent, number)
        """,
        (campaign_id, tx.workspace_id, [flow_id for flow_id, _ in variants], [share for _, share in variants]),
    )


async def fix_versions(tx: Tx, campaign_id: UUID) -> None:
    """Let a campaign's runs take the version that each of its flows has now."""
    # By the prefix of the primary key, flows by theirs.
    await tx.execute(
        """
        UPDATE app.campaign_variant v SET flow_version = f.version FROM app.flow f
        WHERE v.workspace_id = %s AND v.campaign_id = %s AND f.id = v.flow_id
        """,
        (tx.workspace_id, campaign_id),
    )


async def list_variants(tx: Tx, campaign_id: UUID) -> list[Variant]:
    """What a campaign sends, by number."""
    # By the prefix of the primary key.
    return await tx.fetch_all(
        Variant,
        """
        SELECT number, flow_id, share_percent, flow_version FROM app.campaign_variant
        WHERE workspace_id = %s AND campaign_id = %s ORDER BY number
        """,
        (tx.workspace_id, campaign_id),
    )


async def find_campaign(tx: Tx, campaign_id: UUID) -> Campaign | None:
    """One campaign."""
    # By primary key.
    return await tx.find_one(
        Campaign,
        f"SELECT {_CAMPAIGN} FROM app.campaign WHERE workspace_id = %s AND id = %s",
        (tx.workspace_id, campaign_id),
    )


async def lock_campaign(tx: Tx, campaign_id: UUID) -> Campaign | None:
    """One campaign, held against changes by others."""
    # By primary key.
    return await tx.find_one(
        Campaign,
        f"SELECT {_CAMPAIGN} FROM app.campaign WHERE workspace_id = %s AND id = %s FOR NO KEY UPDATE",
        (tx.workspace_id, campaign_id),
    )


async def find_campaign_by_name(tx: Tx, name: str) -> Campaign | None:
    """The campaign with that name."""
    # By the unique index on workspace and name.
    return await tx.find_one(
        Campaign,
        f"SELECT {_CAMPAIGN} FROM app.campaign WHERE workspace_id = %s AND name = %s",
        (tx.workspace_id, name),
    )


async def list_campaigns(tx: Tx, before: UUID | None, limit: int) -> list[Campaign]:
    """Campaigns in use, newest first, those older than `before`."""
    # Walks the index campaign_list.
    return await tx.fetch_all(
        Campaign,
        f"""
        SELECT {_CAMPAIGN} FROM app.campaign WHERE workspace_id = %(workspace)s AND archived_at IS NULL
          AND id < %(before)s
        ORDER BY id DESC LIMIT %(limit)s
        """,
        {"workspace": tx.workspace_id, "before": before or HIGHEST_ID, "limit": limit},
    )


async def find_priorities(tx: Tx, campaign_ids: Collection[UUID]) -> dict[UUID, CampaignPriority]:
    """How each of these campaigns queues."""
    # By primary key.
    return dict(
        await tx.fetch_tuples(
            "SELECT id, priority FROM app.campaign WHERE workspace_id = %s AND id = ANY(%s)",
            (tx.workspace_id, list(campaign_ids)),
        )
    )


async def lock_held(tx: Tx, campaign_ids: Collection[UUID]) -> set[UUID]:
    """Which of these campaigns are held, and stay so until this transaction ends."""
    # By primary key. Whoever lets a campaign go on waits for this lock, so that no run is parked behind their back.
    rows = await tx.fetch_tuples(
        """
        SELECT id FROM app.campaign WHERE workspace_id = %s AND id = ANY(%s) AND held_since IS NOT NULL
        ORDER BY id FOR SHARE
        """,
        (tx.workspace_id, list(campaign_ids)),
    )
    return {row[0] for row in rows}


async def find_family(tx: Tx, root_id: UUID) -> list[UUID]:
    """A campaign and all that repeat it for those it missed."""
    # By the index campaign_by_root.
    rows = await tx.fetch_tuples(
        "SELECT id FROM app.campaign WHERE workspace_id = %s AND root_id = %s ORDER BY id", (tx.workspace_id, root_id)
    )
    return [row[0] for row in rows]


async def find_segment_state(tx: Tx, segment_id: UUID) -> str | None:
    """Whether a segment in use is `building` or `live`."""
    # By primary key.
    found: str | None = await tx.fetch_value(
        "SELECT state FROM app.segment WHERE workspace_id = %s AND id = %s AND archived_at IS NULL",
        (tx.workspace_id, segment_id),
    )
    return found


async def find_import_state(tx: Tx, import_id: UUID) -> str | None:
    """How far an import has come; `forgotten` when signals of its time are no longer kept."""
    # By the primary keys of both.
    found: str | None = await tx.fetch_value(
        """
        SELECT CASE WHEN i.created_at < l.kept_since THEN 'forgotten' ELSE i.state END
        FROM app.import i LEFT JOIN app.log_keeping l ON l.log = 'signal'
        WHERE i.workspace_id = %s AND i.id = %s
        """,
        (tx.workspace_id, import_id),
    )
    return found


async def set_missed_states(tx: Tx, campaign_id: UUID, states: Sequence[str]) -> None:
    """Name those of the earlier campaign who get this one."""
    # By primary key.
    await tx.execute(
        "UPDATE app.campaign SET missed_states = %s WHERE workspace_id = %s AND id = %s",
        (list(states), tx.workspace_id, campaign_id),
    )


async def set_state(tx: Tx, campaign_id: UUID, state: CampaignState, *, was: Sequence[CampaignState]) -> bool:
    """Let a campaign stand in a state, with the moment that belongs to it; False when it stood in none of `was`."""
    # By primary key.
    changed = await tx.execute(
        """
        UPDATE app.campaign SET state = %(state)s, updated_at = app.now(),
            started_at = CASE WHEN %(state)s = 'starting' THEN coalesce(started_at, app.now()) ELSE started_at END,
            ended_at = CASE WHEN %(state)s IN ('finished', 'cancelled') THEN app.now() END
        WHERE workspace_id = %(workspace)s AND id = %(id)s AND state = ANY(%(was)s)
        """,
        {"state": state, "workspace": tx.workspace_id, "id": campaign_id, "was": list(was)},
    )
    return changed == 1


async def set_paused(tx: Tx, campaign_id: UUID, reason: str | None) -> bool:
    """Hold a campaign: one row, however many are on their way. False when it is not under way."""
    # By primary key.
    changed = await tx.execute(
        """
        UPDATE app.campaign SET state = 'paused', paused_at = app.now(), held_since = app.now(), pause_reason = %s,
            updated_at = app.now() WHERE workspace_id = %s AND id = %s AND state IN ('starting', 'running')
        """,
        (reason, tx.workspace_id, campaign_id),
    )
    return changed == 1


async def set_resumed(tx: Tx, campaign_id: UUID, state: CampaignState, sweep: Sweep, *, is_held: bool) -> None:
    """Let a paused campaign go on; its runs rest until the walk `sweep` is over where it stays held."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.campaign SET state = %s, paused_at = NULL, pause_reason = NULL, sweep = %s, sweep_cursor = NULL,
            held_since = CASE WHEN %s THEN held_since END, updated_at = app.now()
        WHERE workspace_id = %s AND id = %s
        """,
        (state, sweep, is_held, tx.workspace_id, campaign_id),
    )


async def set_pace(tx: Tx, campaign_id: UUID, *, title: str, throttle: int | None, priority: str) -> None:
    """Change what may be changed of a campaign that is under way."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.campaign SET title = %s, throttle_per_minute = %s, priority = %s, updated_at = app.now()
        WHERE workspace_id = %s AND id = %s
        """,
        (title, throttle, priority, tx.workspace_id, campaign_id),
    )


async def begin_sweep(tx: Tx, campaign_id: UUID, sweep: Sweep, *, is_held: bool) -> None:
    """Begin a walk over the ledger; with `is_held` nobody goes on meanwhile."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.campaign SET sweep = %s, sweep_cursor = NULL,
            held_since = CASE WHEN %s THEN coalesce(held_since, app.now()) ELSE held_since END
        WHERE workspace_id = %s AND id = %s
        """,
        (sweep, is_held, tx.workspace_id, campaign_id),
    )


async def move_sweep(tx: Tx, campaign_id: UUID, sweep: Sweep, cursor: UUID) -> None:
    """Note how far a walk has come, unless another has begun meanwhile."""
    # By primary key.
    await tx.execute(
        "UPDATE app.campaign SET sweep_cursor = %s WHERE workspace_id = %s AND id = %s AND sweep = %s",
        (cursor, tx.workspace_id, campaign_id, sweep),
    )


async def end_sweep(tx: Tx, campaign_id: UUID, sweep: Sweep) -> None:
    """Note that a walk is over, unless another has begun meanwhile; runs go on unless it is paused."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.campaign SET sweep = NULL, sweep_cursor = NULL,
            held_since = CASE WHEN state <> 'paused' THEN NULL ELSE held_since END
        WHERE workspace_id = %s AND id = %s AND sweep = %s
        """,
        (tx.workspace_id, campaign_id, sweep),
    )


async def set_spread(tx: Tx, campaign_id: UUID, since: datetime | None, spread: Mapping[str, int]) -> None:
    """Note from when recipients are spread, and how many go from each moment already."""
    # By primary key.
    await tx.execute(
        "UPDATE app.campaign SET spread_from = %s, spread = %s WHERE workspace_id = %s AND id = %s",
        (since, json.dumps(spread), tx.workspace_id, campaign_id),
    )


async def move_cursor(tx: Tx, campaign_id: UUID, cursor: UUID | None, *, is_taken_in: bool) -> None:
    """Note how far the audience has been taken in."""
    # By primary key.
    await tx.execute(
        "UPDATE app.campaign SET cursor = %s, is_taken_in = %s WHERE workspace_id = %s AND id = %s",
        (cursor, is_taken_in, tx.workspace_id, campaign_id),
    )


async def set_winner_due(tx: Tx, campaign_id: UUID) -> None:
    """The test's part is out: the winner is looked for so much later."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.campaign SET winner_due_at = app.now() + winner_after
        WHERE workspace_id = %s AND id = %s AND winner_due_at IS NULL
        """,
        (tx.workspace_id, campaign_id),
    )


async def set_winner(tx: Tx, campaign_id: UUID, number: int) -> bool:
    """Send this variant to everybody who got none; False when one was chosen already."""
    # By primary key.
    changed = await tx.execute(
        """
        UPDATE app.campaign SET winner = %s, is_taken_in = false, cursor = NULL, spread_from = NULL, spread = '{}',
            updated_at = app.now() WHERE workspace_id = %s AND id = %s AND winner IS NULL
        """,
        (number, tx.workspace_id, campaign_id),
    )
    return changed == 1


async def set_seen(tx: Tx, campaign_id: UUID, sent: int, bad: int) -> None:
    """Judge deliverability by what happens from here on."""
    # By primary key.
    await tx.execute(
        "UPDATE app.campaign SET seen_sent = %s, seen_bad = %s WHERE workspace_id = %s AND id = %s",
        (sent, bad, tx.workspace_id, campaign_id),
    )


async def archive_campaign(tx: Tx, campaign_id: UUID) -> None:
    """Take a campaign out of the list."""
    # By primary key.
    await tx.execute(
        "UPDATE app.campaign SET archived_at = coalesce(archived_at, app.now()) WHERE workspace_id = %s AND id = %s",
        (tx.workspace_id, campaign_id),
    )
