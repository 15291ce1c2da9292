"""What must be true when the story is over, whatever happened in between."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg

from tests.crash_points.company import FIRST, SECOND
from tests.crash_points.story import Scene

# Nothing is left that a loop would have to do, and nothing is held for anybody.
STUCK = {
    "signals wait": "SELECT count(*) FROM app.signal_due",
    "messages wait": "SELECT count(*) FROM app.outbox",
    "messages are going out": "SELECT count(*) FROM app.message WHERE state IN ('queued', 'sending')",
    "runs go on": "SELECT count(*) FROM app.run",
    "jobs are overdue or have failed": (
        "SELECT count(*) FROM app.job WHERE due_at < app.now() - interval '1 minute' OR last_error IS NOT NULL"
    ),
    "leads wait for an owner": "SELECT count(*) FROM app.assignment WHERE owner_id IS NULL",
    "mail is unread": "SELECT count(*) FROM app.inbound_mail WHERE outcome IS NULL",
}
# One of each for each of the three people, and nothing beside it.
ONCE = {
    "signals": "SELECT count(*) FROM app.signal WHERE payload->>'email' = %(address)s",
    "contacts": "SELECT count(*) FROM app.identity WHERE value = %(address)s",
    "leads": "SELECT count(*) FROM app.lead l JOIN app.identity i USING (contact_id) WHERE i.value = %(address)s",
    "owners": (
        "SELECT count(a.owner_id) FROM app.assignment a JOIN app.identity i USING (contact_id)"
        " WHERE i.value = %(address)s"
    ),
    "runs": ("SELECT count(*) FROM app.run_ended r JOIN app.identity i USING (contact_id) WHERE i.value = %(address)s"),
    "starts told": (
        "SELECT count(*) FROM app.event e JOIN app.identity i USING (contact_id)"
        " WHERE i.value = %(address)s AND e.kind = 'run.started'"
    ),
    "leads told": (
        "SELECT count(*) FROM app.event e JOIN app.identity i USING (contact_id)"
        " WHERE i.value = %(address)s AND e.kind = 'lead.created'"
    ),
    "assignments told": (
        "SELECT count(*) FROM app.event e JOIN app.identity i USING (contact_id)"
        " WHERE i.value = %(address)s AND e.kind = 'lead.assigned'"
    ),
}
# Counters kept beside the rows must say what the rows say.
EQUAL = {
    "runs started": (
        "SELECT coalesce(sum(runs), 0) FROM app.flow_tally WHERE step = -1 AND outcome = 'started'",
        "SELECT count(*) FROM app.run_ended",
    ),
    "runs ended": (
        "SELECT coalesce(sum(runs), 0) FROM app.flow_tally WHERE step = -1 AND outcome <> 'started'",
        "SELECT count(*) FROM app.run_ended",
    ),
    "steps passed": (
        "SELECT coalesce(sum(runs), 0) FROM app.flow_tally WHERE step >= 0 AND outcome NOT LIKE 'left%'",
        "SELECT count(*) FROM app.run_step WHERE outcome IN (SELECT outcome FROM app.flow_tally WHERE step >= 0)",
    ),
    "messages told as sent": (
        "SELECT count(*) FROM app.event WHERE kind = 'message.sent'",
        "SELECT count(*) FROM app.message WHERE direction = 'out' AND state = 'sent'",
    ),
}
OUTCOMES = {"ann": "stopped", "bob": "finished", "cleo": "finished"}


def complaints(scene: Scene, *, may_repeat: bool) -> list[str]:
    """Everything that is not as it must be; empty when nothing was lost, doubled or left behind.

    `may_repeat` says that a provider may have been asked twice, because whoever asked first was gone.
    """
    with psycopg.connect(scene.superuser_url, autocommit=True) as connection:
        found = [*_of_rows(scene, connection), *_of_deliveries(scene)]
    return found if may_repeat else [*found, *_of_repeats(scene)]


def _of_rows(scene: Scene, connection: psycopg.Connection[Any]) -> Iterator[str]:
    def count(sql: str, **params: str) -> int:
        found = connection.execute(sql.encode(), params or None).fetchone()
        return int(found[0]) if found else 0

    for what, sql in STUCK.items():
        if stuck := count(sql):
            yield f"{what}: {stuck}"
    for address in scene.people:
        yield from (
            f"{address} has {found} {what}" for what, sql in ONCE.items() if (found := count(sql, address=address)) != 1
        )
    for what, (counter, rows) in EQUAL.items():
        if count(counter) != count(rows):
            yield f"{what}: counted {count(counter)}, rows {count(rows)}"
    for name, expected in OUTCOMES.items():
        sql = "SELECT r.outcome FROM app.run_ended r JOIN app.identity i USING (contact_id) WHERE i.value = %s"
        outcomes = [row[0] for row in connection.execute(sql.encode(), (scene.address(name),)).fetchall()]
        if outcomes != [expected]:
            yield f"the run of {name} ended as {outcomes}"


def _of_deliveries(scene: Scene) -> Iterator[str]:
    lines = scene.ledger.read()
    # Whoever asked twice, because the first answer took too long, was told the same signals.
    acknowledged = {line.subject for line in lines if line.what == "acknowledged"}
    if len(acknowledged) != 1:
        yield f"acknowledged as {sorted(acknowledged)}"
    subjects = {"ann": [FIRST], "bob": [FIRST], "cleo": [FIRST, SECOND]}
    for name, expected in subjects.items():
        mails = scene.ledger.mails_to(scene.address(name))
        # A repeat is forgiven when it carries the same Message-ID: then it is the same letter.
        letters = {mail.header_id: mail.subject for mail in mails}
        if list(letters.values()) != expected:
            yield f"{name} got {list(letters.values())}"
    ends = [place for place, line in enumerate(lines) if line.what == "unsubscribed"]
    for line in lines[ends[0] :] if ends else []:
        if (line.recipient, line.subject) == (scene.address("bob"), SECOND):
            yield "bob got advertising after he had unsubscribed"


def _of_repeats(scene: Scene) -> Iterator[str]:
    counts = Counter(line.header_id for line in scene.ledger.read() if line.what == "mail")
    yield from (f"{header_id} went out {count} times" for header_id, count in counts.items() if count > 1)
