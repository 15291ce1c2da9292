"""A file from upload to report: columns, preview, slices, failures, cancelling."""

import io
from collections.abc import AsyncIterator, Mapping
from uuid import UUID

import psycopg
import pytest
from openpyxl import Workbook

from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import subject_kinds
from switchboard.flows import service as flows
from switchboard.intake import import_jobs, import_relay, importing, repository, signals
from switchboard.intake.errors import ImportMissingError, ImportStateError
from switchboard.intake.models import Import, Source
from switchboard.intake.recognition import RecognitionLoop
from switchboard.intake.repository_signals import Bounds
from switchboard.intake.wiring import job_handlers
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError, UnreadableError
from switchboard.kernel.jobs import JobHandler, JobLoop
from tests.conftest import Urls, move_clock
from tests.intake.conftest import recognise_all, store

LEADS = (
    "Full Name,E-Mail Address,Mobile\n"
    "Ada Lovelace,ada@x.example,+44 20 7946 0958\n"
    "Nobody,,\n"
    "Ada Lovelace,ada@x.example,+44 20 7946 0958\n"
    "Grace,grace@x.example,\n"
    "Grace H,GRACE@x.example,\n"
    "Wide,a@x.example,,extra\n"
)


async def _parts(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), importing.CHUNK_BYTES):
        yield content[start : start + importing.CHUNK_BYTES]


async def _upload(database: Database, caller: Caller, source: Source, text: str) -> UUID:
    async with database.transaction(source.workspace_id) as tx:
        return (await importing.upload(tx, caller, source.id, "C:\\Lists\\leads.csv", _parts(text.encode()))).id


async def _work(database: Database, handlers: Mapping[str, JobHandler]) -> None:
    loop = JobLoop(database, handlers)
    while (await loop.tick()).handled:
        pass


async def _find(database: Database, caller: Caller, import_id: UUID) -> Import:
    async with database.transaction(caller.workspace_id) as tx:
        return await importing.access_import(tx, caller, import_id)


async def _run(database: Database, caller: Caller, import_id: UUID, *, starts_flows: bool = False) -> Import:
    handlers = job_handlers(database)
    await _work(database, handlers)
    async with database.transaction(caller.workspace_id) as tx:
        await importing.start(tx, caller, import_id, starts_flows=starts_flows)
    await _work(database, handlers)
    await recognise_all(database)
    return await _find(database, caller, import_id)


async def test_a_file_is_examined_and_previewed_before_anything_is_imported(
    database: Database, source: Source, owner: Caller
) -> None:
    import_id = await _upload(database, owner, source, LEADS)
    await _work(database, job_handlers(database))
    import_ = await _find(database, owner, import_id)
    assert (import_.state, import_.file_name, import_.rows_total) == ("ready", "leads.csv", 6)
    assert (import_.encoding, import_.delimiter, import_.size_bytes) == ("utf-8", ",", len(LEADS))
    assert import_.columns == {
        "name": "Full Name",
        "email": "E-Mail Address",
        "phone": "Mobile",
        "options": {"guess": False, "ignore": []},
    }
    rows = importing.preview_rows(import_)
    assert [row.number for row in rows] == [2, 3, 4, 5, 6, 7]
    assert [row.parsed.email if row.parsed else None for row in rows[:2]] == ["ada@x.example", None]
    async with database.transaction(source.workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.signal") == 0


async def test_the_report_counts_each_row_once_and_keeps_reasons(
    database: Database, source: Source, owner: Caller
) -> None:
    import_id = await _upload(database, owner, source, LEADS)
    import_ = await _run(database, owner, import_id)
    counts = (import_.rows_new, import_.rows_updated, import_.rows_duplicate, import_.rows_failed)
    assert (import_.state, import_.rows_read, counts) == ("done", 6, (2, 1, 1, 2))
    async with database.transaction(source.workspace_id) as tx:
        problems = await importing.list_problems(tx, owner, import_id, most=10)
        assert await tx.fetch_value("SELECT count(*) FROM app.import_chunk") == 0
        assert await tx.fetch_value("SELECT count(*) FROM app.contact") == 2
    assert [row.row_number for row in problems] == [3, 7]
    assert "No e-mail address or phone number" in problems[0].reason
    file = importing.errors_file(import_, problems).decode("utf-8-sig").splitlines()
    assert file[0] == "Row,Problem,Full Name,E-Mail Address,Mobile"
    assert file[1].startswith("3,")


async def test_importing_the_same_file_again_updates_instead_of_adding(
    database: Database, source: Source, owner: Caller
) -> None:
    await _run(database, owner, await _upload(database, owner, source, LEADS))
    again = await _run(database, owner, await _upload(database, owner, source, LEADS))
    counts = (again.rows_new, again.rows_updated, again.rows_duplicate, again.rows_failed)
    assert counts == (0, 3, 1, 2)


FLOW = "flow: hello\ntitle: Hello\nsubject: lead\nstarts: [lead.created]\nsteps:\n  - wait: 1d\n"


@pytest.mark.parametrize(("starts_flows", "runs"), [(False, 0), (True, 2)])
async def test_flows_begin_for_a_file_only_when_asked_and_for_live_signals_always(
    database: Database, source: Source, owner: Caller, starts_flows: bool, runs: int
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        flow = await flows.save_flow(tx, owner, FLOW, subject_kinds())
        await flows.activate(tx, owner, flow.id, subject_kinds())
    await _run(database, owner, await _upload(database, owner, source, LEADS), starts_flows=starts_flows)
    await store(database, source, {"email": "live@x.example"})
    await recognise_all(database)
    async with database.transaction(owner.workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.lead") == 3
        assert await tx.fetch_value("SELECT count(*) FROM app.run") == runs + 1


async def test_a_file_of_several_slices_goes_on_after_a_crash_without_loss_or_repeat(
    database: Database, source: Source, owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_jobs, "SLICE_ROWS", 10)
    monkeypatch.setattr(import_relay, "RELAY_SECONDS", 0.0)
    text = "email\n" + "".join(f"p{number}@x.example\n" for number in range(45))
    import_id = await _upload(database, owner, source, text)
    await _work(database, job_handlers(database))
    async with database.transaction(owner.workspace_id) as tx:
        await importing.start(tx, owner, import_id)
    first = JobLoop(database, job_handlers(database))
    await first.tick()
    await first.tick()
    assert (await _find(database, owner, import_id)).rows_read == 20
    # Another process goes on: it has neither the file nor the place in it.
    await _work(database, job_handlers(database))
    await recognise_all(database)
    import_ = await _find(database, owner, import_id)
    assert (import_.state, import_.rows_read, import_.rows_total, import_.rows_new) == ("done", 45, 45, 45)
    async with database.transaction(owner.workspace_id) as tx:
        rows = await tx.fetch_tuples("SELECT import_row FROM app.signal ORDER BY import_row")
    assert [row[0] for row in rows] == list(range(2, 47))


async def test_rows_of_a_quiet_file_are_recognised_without_waiting_in_the_queue(
    database: Database, source: Source, owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_jobs, "SLICE_ROWS", 2)
    import_id = await _upload(database, owner, source, LEADS)
    handlers = job_handlers(database)
    await _work(database, handlers)
    async with database.transaction(owner.workspace_id) as tx:
        await importing.start(tx, owner, import_id)
    await _work(database, handlers)
    import_ = await _find(database, owner, import_id)
    counts = (import_.rows_new, import_.rows_updated, import_.rows_duplicate, import_.rows_failed)
    assert (import_.state, import_.rows_read, counts) == ("done", 6, (2, 1, 1, 2))
    assert await recognise_all(database) == 0


async def test_a_row_that_spoils_its_slice_keeps_none_of_the_others_out(
    database: Database, source: Source, owner: Caller, urls: Urls
) -> None:
    with psycopg.connect(urls.owner) as connection:
        connection.execute("ALTER TABLE app.contact ADD CONSTRAINT refused CHECK (name <> 'Spoiler') NOT VALID")
    text = "name,email\nAda,ada@x.example\nSpoiler,spoiler@x.example\nGrace,grace@x.example\nNobody,\n"
    import_ = await _run(database, owner, await _upload(database, owner, source, text))
    assert (import_.state, import_.rows_read, import_.rows_new, import_.rows_failed) == ("running", 4, 2, 1)
    with psycopg.connect(urls.owner) as connection:
        connection.execute("ALTER TABLE app.contact DROP CONSTRAINT refused")
    await move_clock(urls, "1 day")
    assert await recognise_all(database) == 1
    mended = await _find(database, owner, import_.id)
    assert (mended.state, mended.rows_new, mended.rows_failed) == ("done", 3, 1)


async def test_people_who_wait_go_before_a_file(database: Database, source: Source, owner: Caller) -> None:
    text = "email\n" + "".join(f"p{number}@x.example\n" for number in range(400))
    import_id = await _upload(database, owner, source, text)
    handlers = job_handlers(database)
    await _work(database, handlers)
    async with database.transaction(owner.workspace_id) as tx:
        await importing.start(tx, owner, import_id, starts_flows=True)
    await _work(database, handlers)
    (live,) = await store(database, source, {"email": "now@x.example"})
    async with database.queue_loop() as tx:
        order = await tx.fetch_tuples(
            "SELECT signal_id FROM app.signal_due ORDER BY (import_id IS NOT NULL), due_at LIMIT 1"
        )
    assert order == [(live,)]
    # It is done by itself, and committed before a row of the file is begun.
    await RecognitionLoop(database).tick()
    async with database.transaction(owner.workspace_id) as tx:
        done = await tx.fetch_value("SELECT count(*) FROM app.signal_outcome")
        first = await tx.fetch_tuples(
            "SELECT signal_id FROM app.signal_outcome WHERE at = (SELECT min(at) FROM app.signal_outcome)"
        )
    assert (done, first) == (401, [(live,)])


async def test_columns_are_corrected_and_remembered_for_the_next_file_like_it(
    database: Database, source: Source, owner: Caller
) -> None:
    import_id = await _upload(database, owner, source, LEADS)
    await _work(database, job_handlers(database))
    columns = {"company": "Full Name", "email": "E-Mail Address", "options": {"guess": False, "ignore": ["Mobile"]}}
    async with database.transaction(owner.workspace_id) as tx:
        mapped = await importing.map_columns(tx, owner, import_id, columns)
        with pytest.raises(InvalidError):
            await importing.map_columns(tx, owner, import_id, {"nonsense": "Mobile"})
    first = importing.preview_rows(mapped)[0].parsed
    assert first is not None
    assert (first.company, first.phone, dict(first.fields)) == ("Ada Lovelace", None, {})
    await _run(database, owner, import_id)
    again = await _upload(database, owner, source, LEADS)
    await _work(database, job_handlers(database))
    assert (await _find(database, owner, again)).columns == columns


async def test_an_import_without_an_address_column_is_refused(
    database: Database, source: Source, owner: Caller
) -> None:
    import_id = await _upload(database, owner, source, "color,size\nred,10\n")
    await _work(database, job_handlers(database))
    async with database.transaction(owner.workspace_id) as tx:
        with pytest.raises(InvalidError, match="Nobody could be reached"):
            await importing.start(tx, owner, import_id)
    assert (await _find(database, owner, import_id)).state == "ready"


async def test_cancelling_keeps_what_is_done_and_lets_the_rest_go(
    database: Database, source: Source, owner: Caller
) -> None:
    import_id = await _upload(database, owner, source, LEADS)
    handlers = job_handlers(database)
    await _work(database, handlers)
    async with database.transaction(owner.workspace_id) as tx:
        await importing.start(tx, owner, import_id, starts_flows=True)
    await _work(database, handlers)
    async with database.transaction(owner.workspace_id) as tx:
        cancelled = await importing.cancel(tx, owner, import_id)
        with pytest.raises(ImportStateError):
            await importing.start(tx, owner, import_id)
    assert (cancelled.state, await recognise_all(database)) == ("cancelled", 0)


async def test_cancelling_never_waits_for_rows_that_are_being_recognised(
    database: Database, source: Source, owner: Caller
) -> None:
    import_id = await _upload(database, owner, source, "email\na@x.example\nb@x.example\n")
    handlers = job_handlers(database)
    await _work(database, handlers)
    async with database.transaction(owner.workspace_id) as tx:
        await importing.start(tx, owner, import_id, starts_flows=True)
    await _work(database, handlers)
    async with database.queue_loop() as recognising:
        assert len(await repository.claim_due(recognising, 1)) == 1
        async with database.transaction(owner.workspace_id) as tx:
            await importing.cancel(tx, owner, import_id)
    assert await recognise_all(database) == 1
    cancelled = await _find(database, owner, import_id)
    assert (cancelled.state, cancelled.rows_new) == ("cancelled", 1)


async def test_a_file_that_is_no_table_fails_with_the_reason(database: Database, source: Source, owner: Caller) -> None:
    import_id = await _upload(database, owner, source, "\n\n\n")
    await _work(database, job_handlers(database))
    import_ = await _find(database, owner, import_id)
    assert (import_.state, import_.detail) == ("failed", "The file has no rows; export it again with its header.")
    async with database.transaction(owner.workspace_id) as tx:
        with pytest.raises(UnreadableError):
            await importing.upload(tx, owner, source.id, "x.csv", _parts(b""))


async def test_a_failed_row_can_be_run_again_and_leaves_the_error_file(
    database: Database, source: Source, owner: Caller
) -> None:
    import_id = await _upload(database, owner, source, "name,mail,other\nAnn,not here,ann@x.example\n")
    handlers = job_handlers(database)
    await _work(database, handlers)
    wrong, right = {"name": "name", "email": "mail"}, {"name": "name", "email": "other"}
    async with database.transaction(owner.workspace_id) as tx:
        await importing.map_columns(tx, owner, import_id, wrong)
    failed = await _run(database, owner, import_id)
    assert (failed.state, failed.rows_failed, failed.rows_new) == ("done", 1, 0)
    async with database.transaction(owner.workspace_id) as tx:
        await tx.execute("UPDATE app.import SET columns = %s::jsonb", (str(right).replace("'", '"'),))
        assert await signals.run_failed_again(tx, owner, source.id) == 1
    await recognise_all(database)
    mended = await _find(database, owner, import_id)
    assert (mended.state, mended.rows_failed, mended.rows_new) == ("done", 0, 1)
    async with database.transaction(owner.workspace_id) as tx:
        assert await importing.list_problems(tx, owner, import_id, most=10) == []
        (logged,) = (await signals.list_signals(tx, owner, source.id, Bounds())).signals
    assert (logged.import_id, logged.import_row, logged.outcome) == (import_id, 2, "opened")


async def test_only_admins_import_and_strangers_see_nothing(
    database: Database, source: Source, owner: Caller, agent: Caller, stranger: Caller
) -> None:
    import_id = await _upload(database, owner, source, LEADS)
    async with database.transaction(agent.workspace_id) as tx:
        for change in (importing.start, importing.cancel):
            with pytest.raises(RoleForbidsError):
                await change(tx, agent, import_id)
        with pytest.raises(RoleForbidsError):
            await importing.upload(tx, agent, source.id, "x.csv", _parts(b"email\n"))
        assert [row.id for row in await importing.list_imports(tx, agent)] == [import_id]
    async with database.transaction(stranger.workspace_id) as tx:
        for change in (importing.start, importing.cancel):
            with pytest.raises(ImportMissingError):
                await change(tx, stranger, import_id)
        assert await importing.list_imports(tx, stranger) == []


async def test_a_workbook_is_imported_like_a_table(database: Database, source: Source, owner: Caller) -> None:
    book = Workbook()
    book.active.append(["Vorname", "Nachname", "E-Mail", "Budget"])
    book.active.append(["Ann", "Lee", "ann@x.example", 1250.5])
    book.active.append(["Bob", "Ray", "bob@x.example", None])
    content = io.BytesIO()
    book.save(content)
    async with database.transaction(source.workspace_id) as tx:
        import_id = (await importing.upload(tx, owner, source.id, "leads.xlsx", _parts(content.getvalue()))).id
    import_ = await _run(database, owner, import_id)
    assert (import_.state, import_.rows_new, import_.rows_failed, import_.encoding) == ("done", 2, 0, None)
    async with database.transaction(source.workspace_id) as tx:
        names = await tx.fetch_tuples("SELECT name FROM app.contact ORDER BY name")
        values = await tx.fetch_tuples("SELECT value_minor FROM app.lead ORDER BY value_minor NULLS LAST")
    assert (names, values) == ([("Ann Lee",), ("Bob Ray",)], [(125_050,), (None,)])
