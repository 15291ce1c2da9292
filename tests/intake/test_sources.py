"""Sources: adding, changing, and who may do so."""

from collections.abc import Awaitable, Callable

import pytest

from switchboard.accounts import service as accounts
from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller, system_caller
from switchboard.intake import service
from switchboard.intake.errors import SourceMissingError, SourceNameTakenError
from switchboard.intake.models import Source
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import InvalidError, NotFoundError
from tests.conftest import Urls, move_clock
from tests.intake.conftest import make_source, recognise_all, store


async def test_a_new_source_has_an_address_that_leads_to_it(database: Database, source: Source) -> None:
    assert len(source.token) >= 32
    async with database.directory() as tx:
        found = await accounts.find_address(tx, "intake", accounts.token_digest(source.token))
    assert found == (source.workspace_id, source.id)
    async with database.transaction(source.workspace_id) as tx:
        assert await service.get_source_by_name(tx, "sITE") == source


async def test_two_sources_cannot_have_one_name(database: Database, source: Source, owner: Caller) -> None:
    async with database.transaction(source.workspace_id) as tx:
        with pytest.raises(SourceNameTakenError):
            await service.create_source(tx, owner, name="site", format_name="generic")
        other = await service.create_source(tx, owner, name="Other", format_name="webform")
        with pytest.raises(SourceNameTakenError):
            await service.rename_source(tx, owner, other.id, "SITE")
        assert (await service.rename_source(tx, owner, other.id, "other")).name == "other"
        assert len(await service.list_sources(tx, owner)) == 2


@pytest.mark.parametrize(
    ("name", "format_name", "field"), [("", "generic", "name"), ("x" * 81, "generic", "name"), ("a", "fax", "format")]
)
async def test_a_source_that_cannot_be_is_refused(
    database: Database, owner: Caller, name: str, format_name: str, field: str
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        with pytest.raises(InvalidError) as refused:
            await service.create_source(tx, owner, name=name, format_name=format_name)
        assert [problem.field for problem in refused.value.problems] == [field]
        assert await service.list_sources(tx, owner) == []


async def test_each_saved_mapping_is_a_version(database: Database, source: Source, owner: Caller) -> None:
    async with database.transaction(source.workspace_id) as tx:
        saved = await service.save_mapping(tx, owner, source.id, {"email": "mail"})
        same = await service.save_mapping(tx, owner, source.id, {"email": "mail"})
        with pytest.raises(InvalidError):
            await service.save_mapping(tx, owner, source.id, {"e_mail": "mail"})
        kept = await service.access_source(tx, owner, source.id)
    assert (saved.mapping_version, same.mapping_version) == (2, 2)
    assert (kept.mapping, kept.mapping_version) == ({"email": "mail"}, 2)


@pytest.mark.parametrize("host", ["https://x.example", "x.example/path", "a b", "-", "x..y"])
async def test_only_names_of_hosts_are_kept(database: Database, source: Source, owner: Caller, host: str) -> None:
    async with database.transaction(source.workspace_id) as tx:
        with pytest.raises(InvalidError):
            await service.set_redirect_hosts(tx, owner, source.id, [host])


CHANGES: list[Callable[[Tx, Caller, Source], Awaitable[object]]] = [
    lambda tx, caller, _: service.create_source(tx, caller, name="New", format_name="generic"),
    lambda tx, caller, source: service.rename_source(tx, caller, source.id, "New"),
    lambda tx, caller, source: service.pause_source(tx, caller, source.id),
    lambda tx, caller, source: service.resume_source(tx, caller, source.id),
    lambda tx, caller, source: service.rotate_token(tx, caller, source.id),
    lambda tx, caller, source: service.set_signing_secret(tx, caller, source.id, "secret"),
    lambda tx, caller, source: service.set_redirect_hosts(tx, caller, source.id, ["x.example"]),
    lambda tx, caller, source: service.save_mapping(tx, caller, source.id, {"email": "x"}),
]


@pytest.mark.parametrize("change", CHANGES)
async def test_an_agent_reads_sources_and_changes_none(
    database: Database, source: Source, agent: Caller, change: Callable[[Tx, Caller, Source], Awaitable[object]]
) -> None:
    async with database.transaction(source.workspace_id) as tx:
        with pytest.raises(RoleForbidsError):
            await change(tx, agent, source)
        assert await service.list_sources(tx, agent) == [source]


@pytest.mark.parametrize("change", CHANGES[1:])
async def test_a_strangers_source_and_a_missing_one_are_told_the_same(
    database: Database, source: Source, stranger: Caller, change: Callable[[Tx, Caller, Source], Awaitable[object]]
) -> None:
    async with database.transaction(stranger.workspace_id) as tx:
        with pytest.raises(SourceMissingError):
            await change(tx, stranger, source)
    async with database.transaction(source.workspace_id) as tx:
        assert await service.list_sources(tx, system_caller(source.workspace_id)) == [source]


async def test_an_unknown_name_lists_those_there_are(database: Database, source: Source) -> None:
    async with database.transaction(source.workspace_id) as tx:
        with pytest.raises(NotFoundError, match="There are: Site"):
            await service.get_source_by_name(tx, "Sight")


async def test_figures_count_a_day_and_what_still_stands_failed(database: Database, source: Source, urls: Urls) -> None:
    quiet = await make_source(database, source.workspace_id, "Quiet")
    await store(database, source, {"email": "a@x.example"}, {"message": "nobody"})
    await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        figures = await service.find_figures(tx, [source, quiet])
    busy = figures[source.id]
    assert (busy.day_count, busy.failed_count, busy.last_at is not None) == (2, 1, True)
    assert (figures[quiet.id].day_count, figures[quiet.id].last_at) == (0, None)
    await move_clock(urls, "25 hours")
    async with database.transaction(source.workspace_id) as tx:
        assert (await service.find_figures(tx, [source]))[source.id].day_count == 0
