"""What processes keep of a workspace's settings: never longer than these stay as they are."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID, uuid4

import psycopg
import pytest

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller, system_caller
from switchboard.delivery.letter_templates import create_template
from switchboard.delivery.models import LetterDraft
from switchboard.entrypoints.assembly import segment_vocabulary, subject_kinds
from switchboard.flows import service as flows
from switchboard.intake import service as intake
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.furniture import MOST_PIECES, MOST_WORKSPACES, Furniture
from switchboard.leads import stages
from switchboard.people import segments
from switchboard.people.segment_models import SegmentForm
from switchboard.routing import rotas, rules
from switchboard.routing.models import Rota, RuleTarget
from tests.conftest import Urls, make_member

FLOW = "flow: f\ntitle: F\nsubject: lead\nstarts:\n  - on: lead.created\nsteps:\n  - stop: done\n"


async def read_revision(database: Database, workspace_id: UUID) -> UUID:
    async with database.queue_loop() as tx:
        found = await tx.fetch_value("SELECT revision FROM app.furniture WHERE workspace_id = %s", (workspace_id,))
    assert isinstance(found, UUID)
    return found


async def kept_name(database: Database, workspace_id: UUID, seen: list[str]) -> str:
    """The workspace's name as a queue loop knows it; `seen` grows with each reading of the database."""

    async def read(tx: Tx) -> str:
        seen.append((await accounts.get_workspace(tx)).name)
        return seen[-1]

    async with database.queue_loop() as tx:
        await tx.enter_workspace(workspace_id)
        with tx.remembering():
            return await tx.remember("name", read)


async def rename(database: Database, workspace_id: UUID, name: str) -> None:
    async with database.transaction(workspace_id) as tx:
        workspace = await accounts.get_workspace(tx)
        await accounts.update_workspace(tx, system_caller(workspace_id), replace(workspace, name=name))


async def rename_and_fail(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        workspace = await accounts.get_workspace(tx)
        await accounts.update_workspace(tx, system_caller(workspace_id), replace(workspace, name="Never"))
        await tx.execute("SELECT 1 / 0")


async def test_what_was_read_is_kept_until_the_workspace_changes(
    database: Database, workspace_id: UUID, strangers_workspace_id: UUID
) -> None:
    seen: list[str] = []
    assert [await kept_name(database, workspace_id, seen) for _ in range(3)] == ["Acme"] * 3
    await rename(database, strangers_workspace_id, "Other")
    assert await kept_name(database, workspace_id, seen) == "Acme"
    assert seen == ["Acme"]
    await rename(database, workspace_id, "Apex")
    assert await kept_name(database, workspace_id, seen) == "Apex"
    assert await kept_name(database, strangers_workspace_id, seen) == "Other"
    assert seen == ["Acme", "Apex", "Other"]


async def test_a_change_that_is_rolled_back_is_never_kept(database: Database, workspace_id: UUID) -> None:
    seen: list[str] = []
    before = await read_revision(database, workspace_id)
    with pytest.raises(psycopg.errors.DivisionByZero):
        await rename_and_fail(database, workspace_id)
    assert await read_revision(database, workspace_id) == before
    assert await kept_name(database, workspace_id, seen) == "Acme"


async def test_other_transactions_read_anew_each_time(database: Database, workspace_id: UUID) -> None:
    seen: list[str] = []

    async def read(tx: Tx) -> str:
        seen.append((await accounts.get_workspace(tx)).name)
        return seen[-1]

    for _ in range(2):
        async with database.transaction(workspace_id) as tx:
            with tx.remembering():
                assert [await tx.remember("name", read) for _ in range(2)] == ["Acme"] * 2
    assert seen == ["Acme", "Acme"]


async def _rota(tx: Tx, caller: Caller, _user_id: UUID) -> None:
    await rotas.create_rota(tx, caller, Rota(uuid4(), "Sales", "UTC", "round_robin", None, None, 1))


async def _rule(tx: Tx, caller: Caller, user_id: UUID) -> None:
    await rules.create_rule(tx, caller, name="All", condition="true", target=RuleTarget(user_id=user_id))


async def _stage(tx: Tx, caller: Caller, _user_id: UUID) -> None:
    await stages.add_stage(tx, caller, title="Trial", kind="open")


async def _source(tx: Tx, caller: Caller, _user_id: UUID) -> None:
    await intake.create_source(tx, caller, name="Form", format_name="webform")


async def _flow(tx: Tx, caller: Caller, _user_id: UUID) -> None:
    saved = await flows.save_flow(tx, caller, FLOW, subject_kinds())
    await flows.activate(tx, caller, saved.id, subject_kinds())


async def _template(tx: Tx, caller: Caller, _user_id: UUID) -> None:
    body = "<mj-section><mj-column><mj-text>Hi</mj-text></mj-column></mj-section>"
    letter = LetterDraft(name="hi", title="Hi", purpose="transactional", subject="Hi", body=body)
    await create_template(tx, caller, letter)


async def _colleague(tx: Tx, caller: Caller, _user_id: UUID) -> None:
    await accounts.create_member(
        tx, caller, email="new@x.example", name="New", password="correct horse battery", role="agent"
    )


async def _segment(tx: Tx, caller: Caller, _user_id: UUID) -> None:
    await segments.create_segment(
        tx, caller, SegmentForm("Ann", condition='contact.name == "Ann"'), segment_vocabulary()
    )


@pytest.mark.parametrize("change", [_rota, _rule, _stage, _source, _flow, _template, _colleague, _segment])
async def test_each_setting_that_is_kept_brings_a_new_revision(
    database: Database, workspace_id: UUID, change: Callable[[Tx, Caller, UUID], Awaitable[None]]
) -> None:
    agent = await make_member(database, workspace_id, "ann@x.example", "Ann", "agent")
    assert agent.user_id is not None
    before = await read_revision(database, workspace_id)
    async with database.transaction(workspace_id) as tx:
        await change(tx, system_caller(workspace_id), agent.user_id)
    assert await read_revision(database, workspace_id) != before


@pytest.mark.parametrize("table", ["rota_shift", "rota_override", "rota_holiday", "member", "user_account"])
async def test_hours_and_people_count_too(database: Database, urls: Urls, table: str) -> None:
    with psycopg.connect(urls.superuser) as connection:
        found = connection.execute(
            "SELECT tgdeferrable, tginitdeferred FROM pg_trigger"
            " WHERE tgname = 'furniture' AND tgrelid = ('app.' || %s)::regclass",
            (table,),
        ).fetchall()
    assert found == [(True, True)]


async def test_who_changes_their_name_changes_all_their_workspaces(
    database: Database, workspace_id: UUID, strangers_workspace_id: UUID
) -> None:
    await make_member(database, workspace_id, "ann@x.example", "Ann", "agent")
    before = [await read_revision(database, each) for each in (workspace_id, strangers_workspace_id)]
    async with database.directory() as tx:
        await tx.execute("UPDATE app.user_account SET name = 'Anna' WHERE email = 'ann@x.example'")
    after = [await read_revision(database, each) for each in (workspace_id, strangers_workspace_id)]
    assert not set(before) & set(after)


def test_memory_stays_bounded() -> None:
    furniture, revision = Furniture(), uuid4()
    first = uuid4()
    kept = furniture.of(first, revision)
    kept |= {str(number): number for number in range(MOST_PIECES)}
    assert furniture.of(first, revision) == {}
    furniture.of(first, revision)["one"] = 1
    for _ in range(MOST_WORKSPACES):
        furniture.of(uuid4(), revision)
    assert furniture.of(first, revision) == {}
