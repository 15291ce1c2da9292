"""Three slices of a file under way at once: in the order of its rows, each once, whatever becomes of any."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import psycopg
import pytest

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import build_hub
from switchboard.intake import import_jobs, import_relay, importing, repository, repository_imports
from switchboard.intake.models import Import, Source
from switchboard.intake.wiring import job_handlers
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.ids import new_id
from switchboard.kernel.jobs import JobLoop
from switchboard.people import repository as people_repository
from switchboard.people.resolution import NewIdentity
from switchboard.routing import rotas
from switchboard.routing.models import Rota
from tests.conftest import Urls, move_clock
from tests.intake.conftest import recognise_all

SECONDS_TO_WAIT = 20.0
TABLE = "name,email,company,colour\n"
ADA = "Ada,ada@x.example,,red\n"


@pytest.fixture(autouse=True)
def _short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_jobs, "SLICE_ROWS", 2)


async def _parts(text: str) -> AsyncIterator[bytes]:
    yield text.encode()


async def _tick_until_idle(loop: JobLoop) -> None:
    while (await loop.tick()).handled:
        pass


async def _begin(database: Database, caller: Caller, source: Source, text: str) -> tuple[JobLoop, UUID]:
    """A started import, and the loop that will bring its rows in."""
    loop = JobLoop(database, job_handlers(database))
    async with database.transaction(caller.workspace_id) as tx:
        import_id = (await importing.upload(tx, caller, source.id, "people.csv", _parts(text))).id
    await _tick_until_idle(loop)
    async with database.transaction(caller.workspace_id) as tx:
        await importing.start(tx, caller, import_id)
    return loop, import_id


async def _find(database: Database, caller: Caller, import_id: UUID) -> Import:
    async with database.transaction(caller.workspace_id) as tx:
        return await importing.access_import(tx, caller, import_id)


async def _count(database: Database, caller: Caller, sql: str) -> int:
    async with database.transaction(caller.workspace_id) as tx:
        return int(await tx.fetch_value(sql))


def _people(count: int) -> str:
    return TABLE + "".join(f"P{number},p{number}@x.example,,\n" for number in range(count))


class _HeldRota:
    """Somebody else who hands out from the rota, and takes their time."""

    def __init__(self, urls: Urls) -> None:
        self._urls = urls

    async def __aenter__(self) -> "_HeldRota":
        self._connection = await psycopg.AsyncConnection.connect(self._urls.superuser)
        await self._connection.execute("SELECT FROM app.rota_member FOR UPDATE")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def wait_for_slices(self, count: int) -> None:
        """Until so many are under way, beside the job whose they are."""
        sql = """
            SELECT count(*) FROM pg_stat_activity
            WHERE backend_xid IS NOT NULL AND datname = current_database() AND pid <> pg_backend_pid()
        """
        async with asyncio.timeout(SECONDS_TO_WAIT):
            while True:
                cursor = await self._connection.execute("SELECT pg_stat_clear_snapshot()")
                cursor = await self._connection.execute(sql)
                row = await cursor.fetchone()
                if row == (count + 1,):
                    return
                await asyncio.sleep(0.01)


@pytest.fixture
async def held_up(database: Database, owner: Caller, urls: Urls) -> _HeldRota:
    """A rota of one, under whose lock leads are handed out; to be entered."""
    async with database.transaction(owner.workspace_id) as tx:
        rota_id = await rotas.create_rota(tx, owner, Rota(new_id(), "Desk", "UTC", "round_robin", None, None, 1))
        user_id = await accounts.create_member(
            tx, owner, email="desk@x.example", name="Desk", password="correct horse battery", role="agent"
        )
        await rotas.set_member(tx, owner, rota_id, user_id)
    return _HeldRota(urls)


async def test_the_people_of_the_next_slices_are_looked_up_while_leads_are_handed_out(
    database: Database, source: Source, owner: Caller, held_up: _HeldRota
) -> None:
    loop, import_id = await _begin(database, owner, source, _people(7))
    async with held_up as held:
        ticking = asyncio.create_task(loop.tick())
        await held.wait_for_slices(3)
        assert (await _find(database, owner, import_id)).rows_read == 0
    await ticking
    done = await _find(database, owner, import_id)
    assert (done.state, done.rows_read, done.rows_new) == ("done", 7, 7)
    assert await _count(database, owner, "SELECT count(*) FROM app.lead WHERE owner_id IS NOT NULL") == 7


async def test_later_rows_of_a_person_add_to_what_earlier_ones_said_in_whatever_slice_they_are(
    database: Database, source: Source, owner: Caller
) -> None:
    later = ["Augusta,ada@x.example,Engines,blue\n", "Ada K,ada@x.example,Looms,\n", "A,ada@x.example,,green\n"]
    between = "Grace,grace{}@x.example,,\n"
    text = TABLE + ADA + "".join(between.format(number) + row for number, row in enumerate(later))
    loop, import_id = await _begin(database, owner, source, text)
    await _tick_until_idle(loop)
    done = await _find(database, owner, import_id)
    assert (done.state, done.rows_new, done.rows_updated) == ("done", 4, 3)
    async with database.transaction(owner.workspace_id) as tx:
        rows = await tx.fetch_tuples(
            "SELECT c.name, c.company, c.fields, l.fields, l.signals FROM app.contact c"
            " JOIN app.lead l ON l.contact_id = c.id WHERE c.name LIKE 'A%%'"
        )
    assert rows == [("Ada", "Engines", {"colour": "green"}, {"colour": "green"}, 4)]


async def test_a_row_that_is_repeated_in_the_next_slice_is_left_out(
    database: Database, source: Source, owner: Caller
) -> None:
    loop, import_id = await _begin(database, owner, source, TABLE + ADA * 5)
    await _tick_until_idle(loop)
    done = await _find(database, owner, import_id)
    assert (done.state, done.rows_new, done.rows_duplicate) == ("done", 1, 4)


async def test_a_slice_whose_turn_does_not_come_gives_way_and_is_tried_again(
    database: Database, source: Source, owner: Caller, held_up: _HeldRota, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_relay, "TURN_SECONDS", 1.0)
    loop, import_id = await _begin(database, owner, source, _people(5))
    async with held_up as held:
        ticking = asyncio.create_task(loop.tick())
        await held.wait_for_slices(3)
        await held.wait_for_slices(1)
    await ticking
    assert (await _find(database, owner, import_id)).rows_read == 2
    await _tick_until_idle(loop)
    done = await _find(database, owner, import_id)
    assert (done.state, done.rows_read, done.rows_new) == ("done", 5, 5)


async def test_cancelling_stops_after_the_slice_that_is_under_way(
    database: Database, source: Source, owner: Caller, held_up: _HeldRota
) -> None:
    loop, import_id = await _begin(database, owner, source, _people(8))
    async with held_up as held:
        ticking = asyncio.create_task(loop.tick())
        await held.wait_for_slices(3)
        async with database.transaction(owner.workspace_id) as tx:
            await importing.cancel(tx, owner, import_id)
    await ticking
    await _tick_until_idle(loop)
    cancelled = await _find(database, owner, import_id)
    assert (cancelled.state, cancelled.rows_read, cancelled.rows_new) == ("cancelled", 0, 0)
    assert await _count(database, owner, "SELECT count(*) FROM app.contact") == 0
    assert await _count(database, owner, "SELECT count(*) FROM app.job WHERE kind = 'intake.import'") == 0


@pytest.mark.parametrize("connections", [2, 5])
async def test_a_process_with_few_connections_brings_fewer_slices_in_at_once(
    database: Database, source: Source, owner: Caller, urls: Urls, connections: int
) -> None:
    _, import_id = await _begin(database, owner, source, _people(5))
    narrow = Database(urls.application, build_hub(), max_connections=connections)
    await narrow.open()
    try:
        tick = await JobLoop(narrow, job_handlers(narrow)).tick()
    finally:
        await narrow.close()
    done = await _find(database, owner, import_id)
    assert (tick.handled, done.state, done.rows_read, done.rows_new) == (1, "done", 5, 5)


@pytest.mark.parametrize("spoiler", range(5))
async def test_a_slice_that_is_spoilt_takes_no_other_with_it(
    database: Database, source: Source, owner: Caller, urls: Urls, spoiler: int
) -> None:
    with psycopg.connect(urls.owner) as connection:
        connection.execute("ALTER TABLE app.contact ADD CONSTRAINT refused CHECK (name <> 'Spoiler') NOT VALID")
    text = _people(5).replace(f"P{spoiler},", "Spoiler,")
    loop, import_id = await _begin(database, owner, source, text)
    await _tick_until_idle(loop)
    await recognise_all(database)
    with psycopg.connect(urls.owner) as connection:
        connection.execute("ALTER TABLE app.contact DROP CONSTRAINT refused")
    spoilt = await _find(database, owner, import_id)
    assert (spoilt.state, spoilt.rows_read, spoilt.rows_new) == ("running", 5, 4)
    await move_clock(urls, "1 day")
    assert await recognise_all(database) == 1
    done = await _find(database, owner, import_id)
    assert (done.state, done.rows_new) == ("done", 5)


async def test_the_place_of_an_import_is_held_only_where_it_stands(
    database: Database, source: Source, owner: Caller
) -> None:
    _, import_id = await _begin(database, owner, source, _people(2))
    async with database.transaction(owner.workspace_id) as tx:
        assert await repository_imports.lock_place(tx, import_id, 0)
        assert not await repository_imports.lock_place(tx, import_id, 2)


async def test_an_address_without_its_contact_is_noticed_before_leads_are_waited_for(
    database: Database, owner: Caller
) -> None:
    async def miss_a_contact() -> None:
        async with database.transaction(owner.workspace_id) as tx, tx.ahead():
            await people_repository.claim_identities(
                tx, [NewIdentity(("email", "ada@x.example"), "Ada", new_id(), False)]
            )
            await repository.check_references(tx)
            await tx.catch_up()
            raise AssertionError("nobody noticed")

    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await miss_a_contact()


async def test_what_contacts_tell_is_written_before_a_slice_has_its_turn(
    database: Database, source: Source, owner: Caller, held_up: _HeldRota
) -> None:
    loop, _ = await _begin(database, owner, source, _people(3))
    with recorded_queries() as statements:
        await loop.tick()
    told = [number for number, sql in enumerate(statements) if "INSERT INTO app.event" in sql]
    turns = [number for number, sql in enumerate(statements) if sql == "SET CONSTRAINTS ALL IMMEDIATE"]
    leads = [number for number, sql in enumerate(statements) if "INSERT INTO app.lead" in sql]
    assert (len(turns), len(leads)) == (2, 2)
    # Of each slice twice: of its contacts before, and of its leads behind. At last the end of the import is told.
    assert len(told) == 5
    assert told[0] < turns[0] < leads[0] < told[-1]
    kinds = "SELECT count(*) FROM app.event WHERE kind IN ('contact.created', 'lead.created', 'lead.assigned')"
    assert await _count(database, owner, kinds) == 9
