"""A row of a quiet file goes straight through recognition, one of a loud file by way of the queue: to the same end."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switchboard.accounts import service as accounts
from switchboard.accounts.models import system_caller
from switchboard.intake import importing, service
from switchboard.intake.wiring import job_handlers
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.jobs import JobLoop
from switchboard.people import service as people
from switchboard.people.models import Sighting
from tests.intake.conftest import recognise_all

HEADERS = ("Name", "Email", "Phone", "Company", "Message", "Consent", "Stage", "Value", "Colour")
# Few of each, so that people meet themselves, each other, and addresses that several share.
ROWS = st.tuples(
    st.sampled_from(["Ada Lovelace", "ADA LOVELACE", "Grace Hopper", "Joan", ""]),
    st.sampled_from(["ada@x.example", "Ada@X.example", "grace@x.example", "desk@x.example", "nonsense", ""]),
    st.sampled_from(["+14155550100", "(415) 555-0100", "+14155550101", "12", ""]),
    st.sampled_from(["Engines", "Engines Ltd", ""]),
    st.sampled_from(["Call me\ufffd", "Once more", ""]),
    st.sampled_from(["yes", "no", "I agree to letters", ""]),
    st.sampled_from(["won", "Qualified", "nowhere", ""]),
    st.sampled_from(["EUR 1,250.50", "7", "much", ""]),
    st.sampled_from(["red", "blue", ""]),
)
TABLES = {
    "contact": "SELECT name, first_name, last_name, company, fields, name_key, company_key FROM app.contact",
    "identity": """SELECT i.kind, i.value, i.raw, i.is_shared, c.name FROM app.identity i
        JOIN app.contact c ON c.id = i.contact_id""",
    "words": """SELECT c.name, (SELECT count(*) FROM app.identity i WHERE i.contact_id = c.id) FROM app.contact c""",
    "consent": """SELECT c.name, s.channel, s.purpose, s.is_granted, s.proof FROM app.consent s
        JOIN app.contact c ON c.id = s.contact_id""",
    "suggestion": "SELECT score, reasons FROM app.merge_suggestion",
    "lead": """SELECT c.name, l.stage, l.title, l.value_minor, l.currency, l.utm, l.fields, l.signals, l.owner_id,
        l.is_junk, l.closed_at IS NULL, l.respond_by IS NULL
        FROM app.lead l JOIN app.contact c ON c.id = l.contact_id""",
    "assignment": "SELECT subject_kind, state, owner_id, rota_id, contact_id IS NULL FROM app.assignment",
    "decision": "SELECT trigger, state, note, candidates FROM app.decision",
    "event": """SELECT kind, actor_kind, contact_id IS NULL, lead_id IS NULL, data - 'source_id' - 'cause'
        FROM app.event WHERE kind NOT LIKE 'source.%' AND kind NOT LIKE 'workspace.%'""",
    "signal": """SELECT s.payload::text, s.import_row, o.outcome, o.problems, o.contact_id IS NULL, o.lead_id IS NULL
        FROM app.signal s LEFT JOIN app.signal_outcome o ON o.signal_id = s.id""",
    "key": "SELECT count(*), count(DISTINCT signal_id) FROM app.signal_key",
    "due": "SELECT count(*) FROM app.signal_due",
    "problem": "SELECT row_number, reason, cells FROM app.import_problem",
    "import": """SELECT state, rows_total, rows_read, is_read, rows_new, rows_updated, rows_duplicate, rows_failed
        FROM app.import""",
}


async def _parts(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _open_workspace(database: Database) -> UUID:
    async with database.directory() as tx:
        workspace_id = await accounts.create_workspace(
            tx, name="Files", time_zone="UTC", default_region="US", mail_domain="files.example"
        )
    async with database.transaction(workspace_id) as tx:
        await service.create_source(tx, system_caller(workspace_id), name="Lists", format_name="generic")
        await people.recognise(tx, [Sighting(name="Ada Lovelace", email="desk@x.example")], "US")
        await people.recognise(tx, [Sighting(name="Ada Byron", phone="+14155550101")], "US")
        await tx.execute("UPDATE app.identity SET is_shared = true WHERE kind = 'email'")
    return workspace_id


async def _bring_in(database: Database, workspace_id: UUID, rows: list[tuple[str, ...]], *, by_queue: bool) -> None:
    caller = system_caller(workspace_id)
    text = "\n".join(",".join(f'"{cell}"' for cell in row) for row in (HEADERS, *rows))
    async with database.transaction(workspace_id) as tx:
        (source,) = await service.list_sources(tx, caller)
        import_id = (await importing.upload(tx, caller, source.id, "people.csv", _parts(text.encode()))).id
    jobs = JobLoop(database, job_handlers(database))
    while (await jobs.tick()).handled:
        pass
    async with database.transaction(workspace_id) as tx:
        await importing.start(tx, caller, import_id, starts_flows=by_queue)
    while (await jobs.tick()).handled:
        pass
    if by_queue:
        await recognise_all(database)


async def _tell(tx: Tx) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for name, sql in TABLES.items():
        rows: list[tuple[Any, ...]] = await tx.fetch_tuples(sql)
        told[name] = sorted(map(repr, rows))
    return told


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(ROWS, min_size=1, max_size=8))
async def test_both_ways_leave_the_same_rows(database: Database, rows: list[tuple[str, ...]]) -> None:
    told = []
    for by_queue in (False, True):
        workspace_id = await _open_workspace(database)
        await _bring_in(database, workspace_id, rows, by_queue=by_queue)
        async with database.transaction(workspace_id) as tx:
            told.append(await _tell(tx))
    assert told[0] == told[1]
