"""The statements about assignments and decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from switchboard.kernel.db import Tx
from switchboard.kernel.ids import new_id
from switchboard.routing.models import Assignment, Candidate, Decision, RuleMatch, State
from switchboard.routing.picking import Standing

_ASSIGNMENT = """subject_id, subject_kind, contact_id, state, owner_id, rota_id, rule_id, hand_ons, passed_over,
    offered_at, accept_within, accept_by, accepted_at, waiting_since"""

# Whether anybody waits for a rota, in which somebody may be available by now; by the partial index assignment_waiting.
IS_WAITED = "EXISTS (SELECT FROM app.assignment WHERE state = 'waiting' AND rota_id IS NOT NULL)"


class Ruling(msgspec.Struct, frozen=True):
    """What one subject's assignment and its explanation are to be."""

    subject_id: UUID
    kind: str
    contact_id: UUID | None
    trigger: str
    state: State
    owner_id: UUID | None
    rota_id: UUID | None
    rota_name: str | None
    strategy: str | None
    rule: RuleMatch | None
    hand_ons: int
    passed_over: Sequence[UUID]
    accept_within: timedelta | None
    note: str
    candidates: Sequence[Candidate]
    is_last_resort: bool = False


@dataclass(frozen=True, slots=True)
class _DecisionRow:
    id: UUID
    at: datetime
    trigger: str
    state: State
    rule_id: UUID | None
    rule_name: str | None
    rule_version: int | None
    rule_text: str | None
    rota_id: UUID | None
    rota_name: str | None
    strategy: str | None
    chosen_id: UUID | None
    note: str
    candidates: list[dict[str, str]]


async def lock_assignments(tx: Tx, subject_ids: Sequence[UUID]) -> dict[UUID, Assignment]:
    """The assignments of these subjects, locked in the order of their ids."""
    # By primary key; sorted, so that two processes never wait for each other.
    found = await tx.fetch_all(
        Assignment,
        f"""
        SELECT {_ASSIGNMENT} FROM app.assignment WHERE workspace_id = %s AND subject_id = ANY(%s)
        ORDER BY subject_id FOR UPDATE
        """,
        (tx.workspace_id, sorted(subject_ids)),
    )
    return {assignment.subject_id: assignment for assignment in found}


async def find_assignments(tx: Tx, subject_ids: Sequence[UUID]) -> dict[UUID, Assignment]:
    """The assignments of these subjects."""
    # By primary key.
    found = await tx.fetch_all(
        Assignment,
        f"SELECT {_ASSIGNMENT} FROM app.assignment WHERE workspace_id = %s AND subject_id = ANY(%s)",
        (tx.workspace_id, list(subject_ids)),
    )
    return {assignment.subject_id: assignment for assignment in found}


# One assignment a subject, by primary key; whoever waits already keeps their place in the queue of the same rota.
# Beside each the decision that explains it; the index decision_by_subject grows at the subject's end. What that counts
# for the locked members of the rotas goes along, by primary key. What is said of the candidates is often the same for
# hundreds: each wording is sent once, and named by its place.
_SAVE_FIRST_RULINGS = """
WITH new AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(subjects)s::uuid[], %(kinds)s::text[], %(contacts)s::uuid[],
            %(triggers)s::text[], %(states)s::text[], %(owners)s::uuid[], %(rules)s::uuid[], %(rule_names)s::text[],
            %(rule_versions)s::integer[], %(rule_texts)s::text[], %(rotas)s::uuid[], %(rota_names)s::text[],
            %(strategies)s::text[], %(hand_ons)s::integer[], %(passed_over)s::text[], %(accept_within)s::interval[],
            %(notes)s::text[], %(wordings)s::integer[])
        AS given (id, subject_id, kind, contact_id, trigger, state, owner_id, rule_id, rule_name, rule_version,
            rule_text, rota_id, rota_name, strategy, hand_ons, passed_over, accept_within, note, wording)
), explained AS (
    INSERT INTO app.decision (id, workspace_id, subject_id, at, trigger, rule_id, rule_name, rule_version,
        rule_text, rota_id, rota_name, strategy, state, chosen_id, note, candidates)
    SELECT id, %(workspace)s, subject_id, app.now(), trigger, rule_id, rule_name, rule_version, rule_text, rota_id,
        rota_name, strategy, state, owner_id, note, %(candidates)s::jsonb -> wording
    FROM new
), counted AS (
    UPDATE app.rota_member AS m SET assigned = moved.assigned, last_turn = moved.last_turn, credit = moved.credit,
        last_assigned_at = CASE WHEN moved.assigned > m.assigned THEN app.now() ELSE m.last_assigned_at END
    FROM unnest(%(member_rotas)s::uuid[], %(member_users)s::uuid[], %(assigned)s::bigint[], %(last_turns)s::bigint[],
            %(credits)s::bigint[]) AS moved (rota_id, user_id, assigned, last_turn, credit)
    WHERE m.workspace_id = %(workspace)s AND m.rota_id = moved.rota_id AND m.user_id = moved.user_id
)
INSERT INTO app.assignment AS old (subject_id, workspace_id, subject_kind, contact_id, state, owner_id, rota_id,
    rule_id, hand_ons, passed_over, offered_at, accept_within, accept_by, waiting_since)
SELECT subject_id, %(workspace)s, kind, contact_id, state, owner_id, rota_id, rule_id, hand_ons,
    passed_over::uuid[], CASE WHEN state = 'offered' THEN app.now() END, accept_within,
    CASE WHEN state = 'offered' THEN app.now() + accept_within END,
    CASE WHEN state = 'waiting' THEN app.now() END
FROM new ORDER BY subject_id
"""
_SAVE_RULINGS = f"""
{_SAVE_FIRST_RULINGS}
ON CONFLICT (subject_id) DO UPDATE SET state = excluded.state, owner_id = excluded.owner_id,
    contact_id = coalesce(excluded.contact_id, old.contact_id), rota_id = excluded.rota_id,
    rule_id = excluded.rule_id, hand_ons = excluded.hand_ons, passed_over = excluded.passed_over,
    offered_at = excluded.offered_at, accept_within = excluded.accept_within, accept_by = excluded.accept_by,
    accepted_at = NULL, updated_at = app.now(),
    waiting_since = CASE WHEN excluded.state = 'waiting' AND old.state = 'waiting'
        AND old.rota_id IS NOT DISTINCT FROM excluded.rota_id THEN old.waiting_since
        ELSE excluded.waiting_since END
WHERE old.workspace_id = excluded.workspace_id
"""


async def save_rulings(
    tx: Tx, rulings: Sequence[Ruling], moved: Sequence[tuple[UUID, Standing]] = (), *, are_first: bool = False
) -> None:
    """Write the assignments and, beside each, the decision that explains it; and the counters of moved members.

    `are_first` says that nobody else can see these subjects yet, and that none of them has an assignment.
    """
    # A batch's explanations are often the very same object.
    told = {id(ruling.candidates): ruling.candidates for ruling in rulings}
    places = {known: place for place, known in enumerate(told)}
    # See the statement. Of a first assignment it need not be asked whether one is in the way.
    await tx.write(
        _SAVE_FIRST_RULINGS if are_first else _SAVE_RULINGS,
        {
            "workspace": tx.workspace_id,
            "ids": [new_id() for _ in rulings],
            "subjects": [ruling.subject_id for ruling in rulings],
            "kinds": [ruling.kind for ruling in rulings],
            "contacts": [ruling.contact_id for ruling in rulings],
            "triggers": [ruling.trigger for ruling in rulings],
            "states": [ruling.state for ruling in rulings],
            "owners": [ruling.owner_id for ruling in rulings],
            "rules": [ruling.rule.rule_id if ruling.rule else None for ruling in rulings],
            "rule_names": [ruling.rule.name if ruling.rule else None for ruling in rulings],
            "rule_versions": [ruling.rule.version if ruling.rule else None for ruling in rulings],
            "rule_texts": [ruling.rule.text if ruling.rule else None for ruling in rulings],
            "rotas": [ruling.rota_id for ruling in rulings],
            "rota_names": [ruling.rota_name for ruling in rulings],
            "strategies": [ruling.strategy for ruling in rulings],
            "hand_ons": [ruling.hand_ons for ruling in rulings],
            "passed_over": ["{" + ",".join(map(str, ruling.passed_over)) + "}" for ruling in rulings],
            "accept_within": [ruling.accept_within for ruling in rulings],
            "notes": [ruling.note for ruling in rulings],
            "wordings": [places[id(ruling.candidates)] for ruling in rulings],
            # One document, because an array of texts costs an escape for each of their quotes.
            "candidates": msgspec.json.encode([_candidates_shape(each) for each in told.values()]).decode(),
            "member_rotas": [rota_id for rota_id, _ in moved],
            "member_users": [standing.user_id for _, standing in moved],
            "assigned": [standing.assigned for _, standing in moved],
            "last_turns": [standing.last_turn for _, standing in moved],
            "credits": [standing.credit for _, standing in moved],
        },
    )


def _candidates_shape(candidates: Sequence[Candidate]) -> list[dict[str, object]]:
    return [{"id": c.user_id, "name": c.name, "code": c.code, "text": c.text} for c in candidates]


async def list_decisions(tx: Tx, subject_id: UUID, limit: int) -> list[Decision]:
    """The newest decisions about a subject, newest first."""
    # By the index decision_by_subject.
    rows = await tx.fetch_all(
        _DecisionRow,
        """
        SELECT id, at, trigger, state, rule_id, rule_name, rule_version, rule_text, rota_id, rota_name, strategy,
            chosen_id, note, candidates
        FROM app.decision WHERE workspace_id = %s AND subject_id = %s ORDER BY id DESC LIMIT %s
        """,
        (tx.workspace_id, subject_id, limit),
    )
    return [_decision(row) for row in rows]


def _decision(row: _DecisionRow) -> Decision:
    rule = None
    if row.rule_name is not None:
        rule = RuleMatch(row.rule_id, row.rule_name, row.rule_version or 1, row.rule_text or "")
    return Decision(
        id=row.id,
        at=row.at,
        trigger=row.trigger,
        state=row.state,
        rule=rule,
        rota_id=row.rota_id,
        rota_name=row.rota_name,
        strategy=row.strategy,
        chosen_id=row.chosen_id,
        note=row.note,
        candidates=tuple(Candidate(UUID(c["id"]), c["name"], c["code"], c["text"]) for c in row.candidates),
    )


async def find_rule_matches(tx: Tx, subject_ids: Sequence[UUID]) -> dict[UUID, RuleMatch]:
    """The rule that was decided by last for each subject, as it was then."""
    # One step into the index decision_by_subject a subject.
    rows = await tx.fetch_tuples(
        """
        SELECT subject.id, last.rule_id, last.rule_name, last.rule_version, last.rule_text
        FROM unnest(%s::uuid[]) AS subject (id) CROSS JOIN LATERAL (
            SELECT rule_id, rule_name, rule_version, rule_text FROM app.decision
            WHERE workspace_id = %s AND subject_id = subject.id ORDER BY id DESC LIMIT 1
        ) AS last
        WHERE last.rule_name IS NOT NULL
        """,
        (list(subject_ids), tx.workspace_id),
    )
    return {row[0]: RuleMatch(row[1], row[2], row[3], row[4]) for row in rows}


async def count_open(tx: Tx, user_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many offered or accepted subjects each of these people holds; nothing for those who hold none."""
    # By the partial index assignment_load, index only.
    rows = await tx.fetch_tuples(
        """
        SELECT owner_id, count(*) FROM app.assignment
        WHERE workspace_id = %s AND owner_id = ANY(%s) AND state IN ('offered', 'accepted') GROUP BY owner_id
        """,
        (tx.workspace_id, list(user_ids)),
    )
    return {row[0]: row[1] for row in rows}


async def find_open_of_contact(tx: Tx, contact_id: UUID, kind: str) -> Assignment | None:
    """The newest assignment of a contact's subjects of that kind which is not released."""
    # From the newest end of the contact's range in the index assignment_by_contact.
    return await tx.find_one(
        Assignment,
        f"""
        SELECT {_ASSIGNMENT} FROM app.assignment
        WHERE workspace_id = %s AND contact_id = %s AND subject_kind = %s AND state <> 'released'
        ORDER BY updated_at DESC, subject_id DESC LIMIT 1
        """,
        (tx.workspace_id, contact_id, kind),
    )


async def find_former_owners(tx: Tx, contact_ids: Sequence[UUID], except_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Who last had something of each contact, not counting the subjects in `except_ids`."""
    # A step into the index assignment_by_contact a contact.
    rows = await tx.fetch_tuples(
        """
        SELECT contact.id, last.owner_id FROM unnest(%s::uuid[]) AS contact (id) CROSS JOIN LATERAL (
            SELECT owner_id FROM app.assignment
            WHERE workspace_id = %s AND contact_id = contact.id AND owner_id IS NOT NULL AND NOT subject_id = ANY(%s)
            ORDER BY updated_at DESC LIMIT 1
        ) AS last
        """,
        (list(contact_ids), tx.workspace_id, list(except_ids)),
    )
    return {row[0]: row[1] for row in rows}


async def find_waiting_rotas(tx: Tx, rota_ids: Sequence[UUID], except_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the rotas for which somebody else than `except_ids` waits."""
    # A step into the partial index assignment_waiting a rota.
    rows = await tx.fetch_tuples(
        """
        SELECT rota.id FROM unnest(%s::uuid[]) AS rota (id) WHERE EXISTS (
            SELECT FROM app.assignment
            WHERE workspace_id = %s AND rota_id = rota.id AND state = 'waiting' AND NOT subject_id = ANY(%s)
        )
        """,
        (list(rota_ids), tx.workspace_id, list(except_ids)),
    )
    return {row[0] for row in rows}


async def count_waiting(tx: Tx, rota_ids: Sequence[UUID], most: int) -> dict[UUID, int]:
    """How many wait for each rota, counted up to `most`."""
    # The first `most` entries of the partial index assignment_waiting a rota.
    rows = await tx.fetch_tuples(
        """
        SELECT rota.id, waiting.count FROM unnest(%s::uuid[]) AS rota (id) CROSS JOIN LATERAL (
            SELECT count(*) FROM (
                SELECT FROM app.assignment WHERE workspace_id = %s AND rota_id = rota.id AND state = 'waiting' LIMIT %s
            ) AS first
        ) AS waiting
        """,
        (list(rota_ids), tx.workspace_id, most),
    )
    return {row[0]: row[1] for row in rows}


async def find_oldest_waiting(tx: Tx, rota_id: UUID, limit: int) -> list[UUID]:
    """The subjects that have waited longest for a rota, not locked."""
    # In the order of the partial index assignment_waiting.
    rows = await tx.fetch_tuples(
        """
        SELECT subject_id FROM app.assignment WHERE workspace_id = %s AND rota_id = %s AND state = 'waiting'
        ORDER BY waiting_since, subject_id LIMIT %s
        """,
        (tx.workspace_id, rota_id, limit),
    )
    return [row[0] for row in rows]


async def lock_oldest_waiting(tx: Tx, rota_id: UUID, limit: int) -> list[Assignment]:
    """Those who have waited longest for a rota, locked; the rota's members must be locked before.

    A row locked elsewhere is being accepted or closed this moment, and who does that waits for our members: so it
    is left out rather than waited for. Nobody but the holder of the members hands out waiting rows, so none overtakes.
    """
    # In the order of the partial index assignment_waiting.
    return await tx.fetch_all(
        Assignment,
        f"""
        SELECT {_ASSIGNMENT} FROM app.assignment WHERE workspace_id = %s AND rota_id = %s AND state = 'waiting'
        ORDER BY waiting_since, subject_id LIMIT %s FOR UPDATE SKIP LOCKED
        """,
        (tx.workspace_id, rota_id, limit),
    )


async def list_waiting_rotas(tx: Tx) -> list[tuple[UUID, UUID]]:
    """Each workspace and rota that somebody waits for, in order; for queue loops, across all workspaces."""
    # Skips from rota to rota along the partial index assignment_waiting, however many wait for each.
    rows = await tx.fetch_tuples(
        """
        WITH RECURSIVE rota AS (
            (SELECT workspace_id, rota_id FROM app.assignment WHERE state = 'waiting' AND rota_id IS NOT NULL
             ORDER BY workspace_id, rota_id LIMIT 1)
            UNION ALL
            SELECT next.workspace_id, next.rota_id FROM rota CROSS JOIN LATERAL (
                SELECT workspace_id, rota_id FROM app.assignment
                WHERE state = 'waiting' AND rota_id IS NOT NULL
                    AND (workspace_id, rota_id) > (rota.workspace_id, rota.rota_id)
                ORDER BY workspace_id, rota_id LIMIT 1
            ) AS next
        )
        SELECT workspace_id, rota_id FROM rota
        """
    )
    return [(row[0], row[1]) for row in rows]


async def adopt_unrouted(tx: Tx, rota_id: UUID) -> int:
    """Let those who came before there was any rule wait for this rota; returns how many."""
    # By the partial index assignment_waiting, whose second column is null for these.
    return await tx.execute(
        """
        UPDATE app.assignment SET rota_id = %s, updated_at = app.now()
        WHERE workspace_id = %s AND rota_id IS NULL AND state = 'waiting'
        """,
        (rota_id, tx.workspace_id),
    )


async def mark_accepted(tx: Tx, subject_id: UUID, user_id: UUID) -> None:
    """Write that the user has accepted; the row must be locked."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.assignment SET state = 'accepted', owner_id = %(user)s, accepted_at = app.now(),
            offered_at = coalesce(offered_at, app.now()), waiting_since = NULL, updated_at = app.now()
        WHERE workspace_id = %(workspace)s AND subject_id = %(subject)s
        """,
        {"user": user_id, "workspace": tx.workspace_id, "subject": subject_id},
    )


async def set_clock(tx: Tx, subject_ids: Sequence[UUID], accept_within: timedelta) -> None:
    """Start the clock of subjects that stay where they are; those who wait get it when they are offered."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.assignment SET accept_within = %(within)s, updated_at = app.now(),
            accept_by = CASE WHEN state = 'offered' THEN app.now() + %(within)s END
        WHERE workspace_id = %(workspace)s AND subject_id = ANY(%(subjects)s) AND state IN ('offered', 'waiting')
        """,
        {"within": accept_within, "workspace": tx.workspace_id, "subjects": list(subject_ids)},
    )


async def mark_released(tx: Tx, subject_ids: Sequence[UUID]) -> None:
    """Write that these are closed; the rows must be locked."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.assignment SET state = 'released', waiting_since = NULL, accept_by = NULL, updated_at = app.now()
        WHERE workspace_id = %s AND subject_id = ANY(%s)
        """,
        (tx.workspace_id, list(subject_ids)),
    )


async def move_contact(tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
    """Give one contact's assignments to another; returns the subjects."""
    # By the index assignment_by_contact.
    rows = await tx.fetch_tuples(
        """
        UPDATE app.assignment SET contact_id = %s WHERE workspace_id = %s AND contact_id = %s RETURNING subject_id
        """,
        (to_id, tx.workspace_id, from_id),
    )
    return [row[0] for row in rows]


async def set_contact(tx: Tx, subject_ids: Sequence[UUID], contact_id: UUID) -> None:
    """Give these subjects to a contact."""
    # By primary key.
    await tx.execute(
        "UPDATE app.assignment SET contact_id = %s WHERE workspace_id = %s AND subject_id = ANY(%s)",
        (contact_id, tx.workspace_id, list(subject_ids)),
    )
