"""What must be true when everything is mended, by what the world outside was told and what the providers took."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tests.chaos.load import Told
from tests.chaos.sinks import Taken
from tests.chaos.world import AGAIN, DOMAIN, FIRST, NEWS, SECOND, World

# A send that began before somebody opted out may end after it: as long as a lease, and while a worker stood still.
LEASE_SECONDS = 60.0
LATENESS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
# Nothing is left that a loop would have to do.
STUCK = {
    "signals wait": "SELECT count(*) FROM app.signal_due",
    "messages wait": "SELECT count(*) FROM app.outbox",
    "messages are going out": (
        "SELECT count(*) FROM app.message WHERE direction = 'out' AND state IN ('queued', 'sending')"
    ),
    "runs go on": "SELECT count(*) FROM app.run",
    "jobs are overdue": (
        "SELECT count(*) FROM app.job WHERE failed_at IS NULL AND due_at < app.now() - interval '1 minute'"
    ),
    "leads wait for an owner": "SELECT count(*) FROM app.assignment WHERE owner_id IS NULL",
    "mail is unread": "SELECT count(*) FROM app.inbound_mail WHERE outcome IS NULL",
    "campaigns go on": "SELECT count(*) FROM app.campaign WHERE state <> 'finished'",
}
# What may never be there, at any time.
NEVER = {
    "messages told as sent twice": (
        "SELECT count(*) FROM (SELECT FROM app.event WHERE kind = 'message.sent' GROUP BY subject_id"
        " HAVING count(*) > 1) AS twice"
    ),
    "messages sent without being told": (
        "SELECT count(*) FROM app.message m WHERE direction = 'out' AND state = 'sent'"
        " AND NOT EXISTS (SELECT FROM app.event e WHERE e.kind = 'message.sent' AND e.subject_id = m.id)"
    ),
    "people twice": "SELECT count(*) - count(DISTINCT value) FROM app.identity",
    "leads twice": "SELECT count(*) - count(DISTINCT contact_id) FROM app.lead",
    "jobs that failed for good": "SELECT count(*) FROM app.job WHERE failed_at IS NOT NULL",
    "messages that failed for good": "SELECT count(*) FROM app.message WHERE direction = 'out' AND state = 'failed'",
    "runs that failed": "SELECT count(*) FROM app.run_ended WHERE outcome = 'failed'",
    "recipients counted wrongly": (
        "SELECT count(*) FROM (SELECT state, sum(recipients) AS number FROM app.campaign_tally"
        " WHERE state <> 'under_way' GROUP BY state) AS kept FULL JOIN (SELECT state, count(*) AS number"
        " FROM app.campaign_recipient GROUP BY state) AS counted USING (state)"
        " WHERE coalesce(kept.number, 0) <> coalesce(counted.number, 0)"
    ),
}

# Whose run an answer has stopped, or whose last letter it has called back.
_CALLED_BACK = (
    "SELECT i.value FROM app.identity i JOIN app.run_ended r USING (contact_id) WHERE r.outcome = 'stopped'"
    " UNION SELECT address FROM app.message WHERE state = 'dropped' AND reason = 'stopped'"
)
# Somebody's letter was handed over by a process that was lost, and then called back: nobody knows that it arrived.
_LOST_SIGHT_OF = (
    "SELECT m.address FROM app.message m JOIN app.attempt a ON a.message_id = m.id"
    " WHERE m.state = 'dropped' AND m.campaign_id IS NOT NULL AND a.outcome = 'lease_expired'"
)


def find_stuck(world: World) -> dict[str, int]:
    """What is left to do, by what it is; empty when everything has come to its end."""
    return {what: number for what, sql in STUCK.items() if (number := world.number(sql))}


def is_settled(world: World) -> bool:
    """Whether nothing is left to do; asks no more than it has to."""
    return not any(world.number(sql) for sql in STUCK.values())


def complaints(world: World, told: Told, taken: Sequence[Taken], *, longest_stall: float) -> list[str]:
    """Everything that is not as it must be; empty when nothing was lost, doubled or left behind."""
    found = [f"{what}: {number}" for what, number in find_stuck(world).items()]
    found += [f"intake answered {code}" for code in told.refusals if code not in {429, 503}]
    found += [f"{what}: {number}" for what, sql in NEVER.items() if (number := world.number(sql))]
    return [
        *found,
        *_of_signals(world, told),
        *_of_leads(world, told, taken),
        *_of_pages(told, taken),
        *_of_repeats(taken),
        *_of_order(taken),
        *_of_opt_outs(told, taken, LEASE_SECONDS + longest_stall),
        *_of_campaign(world, taken),
    ]


def _of_signals(world: World, told: Told) -> Iterator[str]:
    """Every acknowledged signal and answer is there, once."""
    rows = world.ask("SELECT id::text, payload->>'email' FROM app.signal")
    stored = Counter(email for _, email in rows if email)
    yield from (f"{email} was stored {times} times" for email, times in stored.items() if times > 1)
    if lost := set(told.ids.values()) - {found for found, _ in rows}:
        yield f"{len(lost)} acknowledged signals are lost"
    answers = {found for (found,) in world.ask("SELECT header_id FROM app.message WHERE direction = 'in'")}
    if lost := {answer.strip("<>") for answer in told.replies} - {answer.strip("<>") for answer in answers}:
        yield f"{len(lost)} acknowledged answers are lost, such as {min(lost)}"


def _of_leads(world: World, told: Told, taken: Sequence[Taken]) -> Iterator[str]:
    """Both letters to each, in order, and the second to nobody whose run an answer has stopped before it."""
    got: dict[str, dict[str, float]] = defaultdict(dict)
    for one in taken:
        got[one.recipient].setdefault(one.subject, one.at)
    stopped = {email for (email,) in world.ask(_CALLED_BACK)}
    if unasked := [email for email in stopped if email.endswith("@chaos.example") and not _has_replied(told, email)]:
        yield f"{len(unasked)} people were spared a letter though they never answered"
    for subject, expected in ((FIRST, set(told.leads)), (SECOND, set(told.leads) - stopped)):
        if lost := [email for email in expected if subject not in got[email]]:
            yield f"{len(lost)} people never got {subject!r}, such as {min(lost)}"


def _has_replied(told: Told, email: str) -> bool:
    return f"<{email.replace('@', '.')}@answers.example>" in told.replies


def count_overtaken(taken: Sequence[Taken]) -> int:
    """People who got the second letter of their run before the first."""
    first: dict[tuple[str, str], float] = {}
    for one in taken:
        first.setdefault((one.recipient, one.subject), one.at)
    pairs = ((FIRST, SECOND), (NEWS, AGAIN))
    people = {one.recipient for one in taken}
    return sum(
        first.get((who, after), float("inf")) < first.get((who, before), float("inf"))
        for who in people
        for before, after in pairs
    )


def _of_order(taken: Sequence[Taken]) -> Iterator[str]:
    if overtaken := count_overtaken(taken):
        yield f"{overtaken} people got the second letter of their run before the first"


def _of_pages(told: Told, taken: Sequence[Taken]) -> Iterator[str]:
    if lost := set(told.pages) - {one.recipient for one in taken}:
        yield f"{len(lost)} pages are lost"


def _of_repeats(taken: Sequence[Taken]) -> Iterator[str]:
    """A message that came twice carries the same Message-ID, and the same key where the provider knows keys."""
    names: dict[tuple[str, str], set[str]] = defaultdict(set)
    keys: dict[str, set[str]] = defaultdict(set)
    for one in taken:
        names[one.recipient, one.subject].add(one.header_id)
        if one.via == "http":
            keys[one.header_id].add(one.key)
    if doubled := [whom for whom, ids in names.items() if len(ids) > 1]:
        yield f"{len(doubled)} letters came under two Message-IDs, such as {doubled[0]}"
    if renamed := [name for name, found in keys.items() if len(found) > 1 or "" in found]:
        yield f"{len(renamed)} messages were posted under several keys or none, such as {renamed[0]}"
    if len({key for found in keys.values() for key in found}) != len(keys):
        yield "one key was given to several messages"


def _of_opt_outs(told: Told, taken: Sequence[Taken], bound: float) -> Iterator[str]:
    late = list(seconds_after_opt_out(told, taken))
    if beyond := [seconds for seconds in late if seconds > bound]:
        yield f"{len(beyond)} letters were sent up to {max(beyond):.0f} s after the opt-out was acknowledged"


def seconds_after_opt_out(told: Told, taken: Sequence[Taken]) -> Iterator[float]:
    """How long after somebody's opt-out was acknowledged a letter to them was taken, for each of those."""
    for one in taken:
        out_at = told.opt_outs.get(one.recipient)
        if out_at is not None and one.at > out_at:
            yield one.at - out_at


def _of_campaign(world: World, taken: Sequence[Taken]) -> Iterator[str]:
    """The campaign's ledger says of each recipient what the providers know.

    It goes to everybody: whoever asks for something while it begins is among its recipients, too.
    """
    rows = world.ask(
        "SELECT i.value, r.state FROM app.campaign_recipient r JOIN app.identity i USING (contact_id)"
        " WHERE r.campaign_id = %(campaign)s",
        {"campaign": world.campaign_id},
    )
    got = {one.recipient for one in taken if one.subject in {NEWS, AGAIN}}
    states: dict[str, str] = dict(rows)
    if (known_before := sum(who.endswith(f"@{DOMAIN}") for who in states)) != world.recipients:
        yield f"{known_before} recipients instead of {world.recipients}"
    if missed := [who for who, state in states.items() if state in {"sent", "opted_out"} and who not in got]:
        yield f"{len(missed)} recipients are said to have got it and have not"
    lost_sight_of = {who for (who,) in world.ask(_LOST_SIGHT_OF)}
    known = {who for who, state in states.items() if state in {"sent", "opted_out", "in_doubt"}}
    if unknown := got - known - lost_sight_of:
        yield f"{len(unknown)} recipients got it and stand as {sorted({str(states.get(who)) for who in unknown})}"


def lateness(told: Told, taken: Sequence[Taken]) -> Mapping[str, Mapping[str, int]]:
    """How many first letters and pages came within so many seconds of being acknowledged."""
    first: dict[str, float] = {}
    for one in taken:
        if one.subject in {FIRST, "Down"}:
            first.setdefault(one.recipient, one.at)
    return {
        "leads": _histogram(first[who] - at for who, at in told.leads.items() if who in first),
        "pages": _histogram(first[who] - at for who, at in told.pages.items() if who in first),
    }


def _histogram(waits: Iterator[float]) -> Mapping[str, int]:
    counts = Counter(bisect_left(LATENESS, wait) for wait in waits)
    names = [*(f"<= {edge:g} s" for edge in LATENESS), f"> {LATENESS[-1]:g} s"]
    return {name: counts[place] for place, name in enumerate(names) if counts[place]}
