"""The payload log: pages of it, running again, and trying a mapping before it is saved."""

import pytest

from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller
from switchboard.intake import service, signals, trial
from switchboard.intake.errors import SignalMissingError, SourceMissingError
from switchboard.intake.models import Source
from switchboard.intake.repository_signals import Bounds
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError
from tests.intake.conftest import recognise_all, store


async def test_the_log_is_paged_both_ways(database: Database, source: Source, owner: Caller) -> None:
    ids = await store(database, source, *({"email": f"p{number}@x.example"} for number in range(120)))
    newest_first = sorted(ids, reverse=True)
    async with database.transaction(source.workspace_id) as tx:
        first = await signals.list_signals(tx, owner, source.id, Bounds())
        second = await signals.list_signals(tx, owner, source.id, Bounds(older_than=first.older_than))
        third = await signals.list_signals(tx, owner, source.id, Bounds(older_than=second.older_than))
        back = await signals.list_signals(tx, owner, source.id, Bounds(newer_than=third.newer_than))
    pages = [[row.id for row in page.signals] for page in (first, second, third)]
    assert pages == [newest_first[:50], newest_first[50:100], newest_first[100:]]
    assert (first.newer_than, third.older_than) == (None, None)
    assert back.signals == second.signals
    assert all(row.is_due and row.outcome is None for row in first.signals)


async def test_a_failed_signal_is_mended_by_a_mapping_and_run_again(
    database: Database, source: Source, owner: Caller
) -> None:
    (signal_id,) = await store(database, source, {"kontakt": {"adresse": "ann@x.example"}, "email": "see kontakt"})
    await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        (failed,) = (await signals.list_failed_signals(tx, owner, source.id)).signals
        assert (failed.id, failed.outcome) == (signal_id, "failed")
        await service.save_mapping(tx, owner, source.id, {"email": "kontakt.adresse"})
        assert await signals.run_failed_again(tx, owner, source.id) == 1
        assert await signals.run_failed_again(tx, owner, source.id) == 0
    await recognise_all(database)
    async with database.transaction(source.workspace_id) as tx:
        passage = await signals.find_passage(tx, owner, signal_id)
        lead_id = passage.history[0].lead_id
        assert [each.outcome for each in passage.history] == ["opened", "failed"]
        assert "lead.created" in [step.kind for step in passage.steps]
        assert lead_id is not None
        assert [row.id for row in await signals.list_signals_of_lead(tx, lead_id)] == [signal_id]
        assert (await signals.list_failed_signals(tx, owner, source.id)).signals == ()


async def test_running_again_while_it_waits_changes_nothing(database: Database, source: Source, agent: Caller) -> None:
    (signal_id,) = await store(database, source, {"email": "ann@x.example"})
    async with database.transaction(source.workspace_id) as tx:
        await signals.run_again(tx, agent, signal_id)
    assert await recognise_all(database) == 1


async def test_a_viewer_looks_and_a_stranger_sees_nothing(
    database: Database, source: Source, viewer: Caller, stranger: Caller
) -> None:
    (signal_id,) = await store(database, source, {"email": "ann@x.example"})
    async with database.transaction(viewer.workspace_id) as tx:
        assert (await signals.access_signal(tx, viewer, signal_id)).payload == {"email": "ann@x.example"}
        with pytest.raises(RoleForbidsError):
            await signals.run_again(tx, viewer, signal_id)
        with pytest.raises(RoleForbidsError):
            await signals.run_failed_again(tx, viewer, source.id)
    async with database.transaction(stranger.workspace_id) as tx:
        with pytest.raises(SignalMissingError):
            await signals.run_again(tx, stranger, signal_id)
        with pytest.raises(SourceMissingError):
            await signals.list_signals(tx, stranger, source.id, Bounds())
        with pytest.raises(SourceMissingError):
            await trial.try_mapping(tx, stranger, source.id, {})


async def test_a_trial_says_what_would_change(database: Database, source: Source, owner: Caller) -> None:
    await store(
        database,
        source,
        {"mail": "ann@x.example", "stage": "New"},
        {"email": "bob@x.example", "topic": "Prices"},
        {"message": "nobody"},
    )
    async with database.transaction(source.workspace_id) as tx:
        tried = await trial.try_mapping(tx, owner, source.id, {"message": "topic"})
        with pytest.raises(InvalidError):
            await trial.try_mapping(tx, owner, source.id, {"nonsense": "topic"})
        kept = await service.access_source(tx, owner, source.id)
    by_email = {row.fields.get("email"): row for row in tried.rows}
    assert (len(tried.rows), tried.failing, tried.changed) == (3, 1, 1)
    assert by_email["bob@x.example"].changes == {"message": ("", "Prices"), "fields.topic": ("Prices", "")}
    assert by_email["ann@x.example"].changes == {}
    assert by_email[None].problems[0].field == "email"
    assert kept.mapping == {}


async def test_a_mapping_is_suggested_from_the_newest_payload(
    database: Database, source: Source, owner: Caller
) -> None:
    await store(database, source, {"E-Mail": "ann@x.example", "Vorname": "Ann"})
    async with database.transaction(source.workspace_id) as tx:
        suggested = await trial.suggest_mapping(tx, owner, source.id)
    assert suggested["email"] == "E-Mail"
