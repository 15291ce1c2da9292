"""The statements of campaigns look things up by their indexes, also in tables of which Postgres knows nothing."""

import asyncio
from uuid import UUID

import pytest

from switchboard.flows import (
    repository_audience,
    repository_campaigns,
    repository_choices,
    repository_recipients,
)
from switchboard.flows.campaign_models import AudienceKind, Campaign, Change
from switchboard.flows.campaign_terms import load_terms
from switchboard.flows.versions import VersionShelf
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from tests.conftest import Urls
from tests.flows.campaign_world import add_campaign, add_people
from tests.plans import ExplainingTx, analyse

pytestmark = pytest.mark.usefixtures("never_analysed")


async def fill(tx: Tx, kind: AudienceKind = "everybody") -> Campaign:
    """A campaign that has begun, with 20,000 people in its ledger and runs, and 5,000 more still to come."""
    await add_people(tx, 25_000)
    segment_id = new_id()
    await tx.execute(
        "INSERT INTO app.segment_member (segment_id, contact_id, workspace_id) SELECT %s, id, %s FROM app.contact",
        (segment_id, tx.workspace_id),
    )
    await tx.execute(
        "INSERT INTO app.suppression (workspace_id, kind, value, reason)"
        " SELECT %s, 'email', number || '@gone.example', 'bounced' FROM generate_series(1, 5000) AS number",
        (tx.workspace_id,),
    )
    draft = await add_campaign(tx, audience_kind=kind, audience_id=segment_id)
    await repository_campaigns.fix_versions(tx, draft.id)
    await tx.execute("UPDATE app.campaign SET spread_from = app.now(), sends_to_missed_of = gen_random_uuid()")
    await tx.execute(
        """
        WITH gone AS (SELECT id FROM app.contact ORDER BY id LIMIT 20000), begun AS (
            INSERT INTO app.run (id, workspace_id, flow_id, version, subject_kind, subject_id, contact_id, campaign_id)
            SELECT app.uuid7(), %(workspace)s, %(flow)s, 1, 'contact', id, id, %(campaign)s FROM gone
            RETURNING id, contact_id
        )
        INSERT INTO app.campaign_recipient (campaign_id, contact_id, workspace_id, variant, state, run_id)
        SELECT %(campaign)s, contact_id, %(workspace)s, 1, 'waiting', id FROM begun
        """,
        {"workspace": tx.workspace_id, "flow": draft.flow_id, "campaign": draft.id},
    )
    found = await repository_campaigns.find_campaign(tx, draft.id)
    assert found is not None
    return found


def reads_no_table_whole(plan: str) -> bool:
    """Whether it scans no table from end to end; reading a statement's own rows is no such scan."""
    return "Seq Scan on" not in plan


@pytest.mark.parametrize("kind", ["everybody", "segment", "missed"])
@pytest.mark.parametrize("is_analysed", [False, True])
async def test_a_slice_looks_everybody_up(
    database: Database, workspace_id: UUID, urls: Urls, kind: AudienceKind, *, is_analysed: bool
) -> None:
    async with database.transaction(workspace_id) as tx:
        campaign = await fill(tx, kind)
    if is_analysed:
        await asyncio.to_thread(analyse, urls.superuser)
    async with database.transaction(workspace_id) as tx:
        variants = await repository_campaigns.list_variants(tx, campaign.id)
        terms = await load_terms(tx, campaign, VersionShelf(), [], variants)
        explaining = ExplainingTx(tx, workspace_id)
        await repository_audience.take_in(explaining, campaign, terms, 2_000)
        (plan,) = explaining.plans
    assert reads_no_table_whole(plan)
    assert "run_by_subject" in plan
    assert "flow_entry_pkey" in plan


async def test_the_ledger_is_written_by_its_primary_key(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        campaign = await fill(tx)
        page = await repository_recipients.page_of_runs(tx, campaign.id, None, 500)
        changes = [Change(campaign.id, contact_id, "queued") for contact_id, _, _ in page]
        explaining = ExplainingTx(tx, workspace_id)
        await repository_recipients.move_recipients(explaining, changes)
        await repository_recipients.end_waiting(explaining, changes)
        await repository_recipients.mark_cancelled(explaining, campaign.id, [one.contact_id for one in changes])
    assert all(reads_no_table_whole(plan) for plan in explaining.plans)
    assert all("campaign_recipient_pkey" in plan for plan in explaining.plans)


async def test_the_ledgers_pages_walk_an_index_in_its_order(database: Database, workspace_id: UUID, urls: Urls) -> None:
    async with database.transaction(workspace_id) as tx:
        campaign = await fill(tx)
    await asyncio.to_thread(analyse, urls.superuser)
    async with database.transaction(workspace_id) as tx:
        explaining = ExplainingTx(tx, workspace_id)
        after = (await repository_recipients.page_of_runs(tx, campaign.id, None, 500))[-1][0]
        for state in (None, "waiting"):
            assert len(await repository_recipients.list_recipients(explaining, campaign.id, state, after, 50)) == 50
        await repository_recipients.page_of_runs(explaining, campaign.id, after, 50)
    for plan in explaining.plans:
        assert "Sort" not in plan
        assert reads_no_table_whole(plan)


async def test_how_a_campaign_stands_is_read_from_few_rows(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        campaign = await fill(tx)
        for number in range(300):
            change = Change(campaign.id, new_id(), "queued", str(number))
            await repository_recipients.move_recipients(tx, [change])
        await tx.execute(
            "INSERT INTO app.campaign_tally SELECT %s, %s, 1, 'queued', 1 FROM generate_series(1, 500)",
            (workspace_id, campaign.id),
        )
        await repository_recipients.fold_tallies(tx, campaign.id)
        assert await repository_recipients.count_states(tx, [campaign.id]) == [(campaign.id, 1, "queued", 500)]
        assert await tx.fetch_value("SELECT count(*) FROM app.campaign_tally") == 1


async def test_what_a_campaign_can_be_made_of_is_looked_up_by_indexes(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        draft = await add_campaign(tx)
        # The tables are small here, and would be read whole.
        await tx.execute("SET LOCAL enable_seqscan = off")
        explaining = ExplainingTx(tx, workspace_id)
        assert [flow.name for flow in await repository_choices.list_flows(explaining, 200)] == ["news"]
        assert list(await repository_choices.load_flows(explaining, [draft.flow_id])) == [draft.flow_id]
        assert await repository_choices.list_imports(explaining, 200) == []
        assert await repository_choices.find_import(explaining, draft.id) is None
    indexes = ("flow_workspace_id_name_key", "flow_pkey", "import_list", "Index Scan using import_")
    for plan, index in zip(explaining.plans, indexes, strict=True):
        assert index in plan
