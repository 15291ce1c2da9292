"""The pages of campaigns, as members' browsers see and change them."""

import csv
import io
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.delivery import letter_templates
from switchboard.delivery.models import LetterDraft
from switchboard.flows import campaigns, service
from switchboard.flows.campaign_models import Campaign, CampaignForm, Variant
from switchboard.kernel.db import Database, recorded_queries
from switchboard.people import segments
from switchboard.people import service as people
from switchboard.people.segment_models import SegmentForm
from tests.flows.campaign_world import OTHER_LETTER, add_campaign, add_people, outbox, run_campaign, send_all
from tests.flows.world import LETTERS
from tests.pages import signed_in

BODY = """<mjml><mj-body><mj-section><mj-column><mj-text>Hello {{ contact.first_name }}
<a href="{{ unsubscribe_url }}">no more</a></mj-text></mj-column></mj-section></mj-body></mjml>"""
AT_ONCE = {"HX-Request": "true"}


@pytest.fixture
async def draft(database: Database, workspace_id: UUID, owner: Caller) -> Campaign:
    """A draft that sends a letter to everybody: three people, one of whom has opted out."""
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.workspace SET quiet_start = '00:00', quiet_end = '00:00'")
        for name in LETTERS:
            letter = LetterDraft(name, name, "marketing", "News for {{ contact.first_name }}", BODY)
            await letter_templates.create_template(tx, owner, letter)
        await add_people(tx, 3)
        third = await tx.fetch_value("SELECT id FROM app.contact WHERE name = 'Person 3'")
        await people.opt_out(tx, third, owner.actor, "They said so")
        return await add_campaign(tx, owner)


async def read(database: Database, caller: Caller, campaign_id: UUID) -> Campaign:
    async with database.transaction(caller.workspace_id) as tx:
        return await campaigns.get_campaign(tx, caller, campaign_id)


async def find_person(database: Database, caller: Caller, name: str) -> UUID:
    async with database.transaction(caller.workspace_id) as tx:
        return UUID(str(await tx.fetch_value("SELECT id FROM app.contact WHERE name = %s", (name,))))


async def send(database: Database, owner: Caller, campaign_id: UUID) -> None:
    """Start a campaign and send all of it."""
    async with database.transaction(owner.workspace_id) as tx:
        await campaigns.start_campaign(tx, owner, campaign_id)
    await run_campaign(database)
    await send_all(outbox(database))


async def test_the_list_says_how_each_campaign_stands(
    app: Starlette, database: Database, viewer: Caller, owner: Caller, draft: Campaign
) -> None:
    await send(database, owner, draft.id)
    async with signed_in(app, database, viewer) as browser:
        with recorded_queries() as statements:
            answer = await browser.get("/campaigns")
    assert answer.status_code == 200
    assert f'href="/campaigns/{draft.id}"' in answer.text
    assert "Running" in answer.text
    assert '<progress value="3" max="3"' in answer.text
    assert '<td class="number">2</td>' in answer.text
    assert "New campaign" not in answer.text
    assert len(statements) <= 10


async def test_an_empty_list_says_what_a_campaign_is(
    app: Starlette, database: Database, owner: Caller, viewer: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        assert 'href="/campaigns/new"' in (await browser.get("/campaigns")).text
    async with signed_in(app, database, viewer) as browser:
        answer = await browser.get("/campaigns")
        assert "No campaigns yet" in answer.text
        assert "/campaigns/new" not in answer.text


async def test_the_form_shows_how_many_each_choice_is_before_it_is_made(
    app: Starlette, database: Database, owner: Caller, draft: Campaign
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        made = await segments.create_segment(tx, owner, SegmentForm("Guests"))
        await segments.add_members(tx, owner, made.id, [(await add_people(tx, 1, first=4))[0]])
    async with signed_in(app, database, owner) as browser:
        with recorded_queries() as statements:
            answer = await browser.get(f"/campaigns/new?audience=segment:{made.id}")
    assert f'<option value="segment:{made.id}" selected>Guests: 1 person</option>' in answer.text
    assert '<option value="everybody">Everybody: 4 people</option>' in answer.text
    assert len(statements) <= 16


async def test_a_form_without_mistakes_becomes_a_draft(
    app: Starlette, database: Database, owner: Caller, draft: Campaign
) -> None:
    form = {
        "title": "Frühling 2027!",
        "audience": "everybody",
        "flow_1": str(draft.flow_id),
        "share_1": "100",
        "start_kind": "local_hour",
        "local_date": "2027-05-03",
        "local_hour": "09:30",
        "when_passed": "tomorrow",
        "throttle_per_minute": "600",
        "priority": "low",
        "winner_rule": "none",
        "pause_at_percent": "3",
    }
    async with signed_in(app, database, owner) as browser:
        saved = await browser.post("/campaigns", form)
        again = await browser.post("/campaigns", form)
        shown = await browser.get(f"{saved.headers['location']}/edit")
    made = await read(database, owner, UUID(saved.headers["location"].rpartition("/")[2]))
    assert (made.name, made.title, made.state) == ("fruhling_2027", "Frühling 2027!", "draft")
    assert (made.start_kind, made.local_date, made.local_hour, made.when_passed) == (
        "local_hour", date(2027, 5, 3), time(9, 30), "tomorrow",
    )  # fmt: skip
    assert (made.throttle_per_minute, made.priority, made.pause_at_percent) == (600, "low", 3)
    assert again.status_code == 422
    assert "There is a campaign called fruhling_2027 already." in again.text
    assert [f'value="{value}"' in shown.text for value in ("2027-05-03", "09:30", "600", "3")] == [True] * 4
    assert "Ann in Sydney gets it on Mon 03 May, 09:30" in shown.text


async def test_every_mistake_is_named_beside_its_field_and_nothing_is_saved(
    app: Starlette, database: Database, owner: Caller, draft: Campaign
) -> None:
    wrong = {
        "title": "T" * 121,
        "name": "No Such Name",
        "audience": "segment:x",
        "flow_1": str(draft.flow_id),
        "share_1": "ten",
        "start_kind": "at",
        "start_at": "soon",
        "throttle_per_minute": "fast",
        "winner_rule": "answered",
        "winner_after": "later",
        "pause_at_percent": "101",
        "priority": "urgent",
    }
    async with signed_in(app, database, owner) as browser:
        answer = await browser.post("/campaigns", wrong)
    assert answer.status_code == 422
    named = {name for name in [*wrong, "variants"] if f'id="{name}-error"' in answer.text}
    assert named == {
        "title", "name", "audience", "variants", "start_at", "throttle_per_minute", "winner_after",
        "pause_at_percent", "priority",
    }  # fmt: skip
    assert 'value="soon"' in answer.text
    async with database.transaction(owner.workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.campaign") == 1


async def test_a_draft_is_changed_by_its_form_and_one_that_has_begun_is_not(
    app: Starlette, database: Database, owner: Caller, draft: Campaign
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        other = await add_campaign(tx, owner, [OTHER_LETTER], name="second", title="Second")
    form = {
        "title": "Both",
        "name": "both",
        "audience": "everybody",
        "flow_1": str(draft.flow_id),
        "share_1": "20",
        "flow_2": str(other.flow_id),
        "share_2": "30",
        "start_kind": "now",
        "when_passed": "now",
        "priority": "high",
        "winner_rule": "answered",
        "winner_after": "4h",
        "pause_at_percent": "5",
    }
    async with signed_in(app, database, owner) as browser:
        assert (await browser.post(f"/campaigns/{draft.id}/edit", form)).status_code == 303
        shown = await browser.get(f"/campaigns/{draft.id}")
        assert (await browser.post(f"/campaigns/{other.id}/start")).status_code == 303
        refused = await browser.post(f"/campaigns/{other.id}/edit", {**form, "name": "second", "title": "Third"})
    changed = await read(database, owner, draft.id)
    assert (changed.title, changed.priority, changed.winner_after) == ("Both", "high", timedelta(hours=4))
    assert "Test of 2 variants" in shown.text
    assert "the most answers, 4 h after the test went out" in shown.text
    # What may change of one under way is title and pace; its flow and audience stay.
    assert refused.status_code == 303
    assert [one.flow_id for one in await _variants(database, owner, other.id)] == [other.flow_id]


async def _variants(database: Database, caller: Caller, campaign_id: UUID) -> list[Variant]:
    async with database.transaction(caller.workspace_id) as tx:
        return await campaigns.list_variants(tx, caller, campaign_id)


async def test_a_campaign_is_started_paused_resumed_and_cancelled_from_its_page(
    app: Starlette, database: Database, owner: Caller, agent: Caller, draft: Campaign
) -> None:
    here = f"/campaigns/{draft.id}"
    async with signed_in(app, database, owner) as browser, signed_in(app, database, agent) as agents:
        before = await browser.get(here)
        assert f'action="{here}/start" hx-confirm="Start it now? It goes to 3 people."' in before.text
        assert "Nothing goes out before you start it." in before.text
        assert f'action="{here}/start"' not in (await agents.get(here)).text
        assert (await agents.post(f"{here}/start")).status_code == 403
        assert (await browser.post(f"{here}/start")).status_code == 303
        assert (await browser.post(f"{here}/start")).status_code == 409
        await run_campaign(database)
        assert (await agents.post(f"{here}/pause")).status_code == 303
        paused = await agents.get(here)
        assert "Nothing goes out until somebody resumes it." in paused.text
        assert f'action="{here}/resume"' not in paused.text
        assert (await browser.post(f"{here}/resume")).status_code == 303
        assert (await read(database, owner, draft.id)).state == "running"
        assert "2 people who wait get nothing." in (await browser.get(here)).text
        assert (await browser.post(f"{here}/cancel")).status_code == 303
        await run_campaign(database)
        assert "0 of 3 got it before" in (await browser.get(here)).text
        assert (await browser.post(f"{here}/archive")).status_code == 303
        assert draft.title not in (await browser.get("/campaigns")).text


async def test_what_stands_against_a_start_is_said_on_the_page(
    app: Starlette, database: Database, owner: Caller, draft: Campaign
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        await service.pause(tx, owner, draft.flow_id)
    async with signed_in(app, database, owner) as browser:
        answer = await browser.post(f"/campaigns/{draft.id}/start")
    assert answer.status_code == 422
    assert "The flow news is paused. Activate it, then start again." in answer.text
    assert (await read(database, owner, draft.id)).state == "draft"


async def test_a_scheduled_campaign_says_when_it_begins(
    app: Starlette, database: Database, workspace_id: UUID, owner: Caller, draft: Campaign
) -> None:
    async with database.transaction(workspace_id) as tx:
        starts_at = datetime(2027, 6, 1, 7, tzinfo=UTC)
        later = await add_campaign(tx, owner, name="later", title="Later", start_kind="at", start_at=starts_at)
    async with signed_in(app, database, owner) as browser:
        assert "Start now instead" in (await browser.get(f"/campaigns/{later.id}")).text
        assert (await browser.post(f"/campaigns/{later.id}/schedule")).status_code == 303
        shown = await browser.get(f"/campaigns/{later.id}")
        listed = await browser.get("/campaigns")
    assert "It starts by itself: Tue 01 Jun, 09:00." in shown.text
    assert 'datetime="2027-06-01T07:00:00+00:00"' in listed.text


async def test_the_page_of_a_campaign_counts_by_state_and_asks_little(
    app: Starlette, database: Database, owner: Caller, draft: Campaign
) -> None:
    await send(database, owner, draft.id)
    async with signed_in(app, database, owner) as browser:
        with recorded_queries() as statements:
            answer = await browser.get(f"/campaigns/{draft.id}")
    assert "3 of 3 people done" in answer.text
    assert f'href="/campaigns/{draft.id}/people?state=excluded"><span class="stat-label">Left out</span>' in answer.text
    assert f'href="/flows/{draft.flow_id}?version=1"' in answer.text
    assert len(statements) <= 16


async def test_the_pace_is_changed_while_it_goes_on(
    app: Starlette, database: Database, owner: Caller, draft: Campaign
) -> None:
    here = f"/campaigns/{draft.id}"
    async with signed_in(app, database, owner) as browser:
        await browser.post(f"{here}/start")
        wrong = await browser.post(f"{here}/pace", {"throttle_per_minute": "0", "priority": "normal"})
        saved = await browser.post(f"{here}/pace", {"throttle_per_minute": "30", "priority": "high"})
    assert (wrong.status_code, saved.status_code) == (422, 303)
    assert "a whole number from 1 to 1000000" in wrong.text
    changed = await read(database, owner, draft.id)
    assert (changed.throttle_per_minute, changed.priority, changed.title) == (30, "high", "Spring")


async def test_the_ledger_says_who_got_it_who_not_and_why(
    app: Starlette, database: Database, viewer: Caller, owner: Caller, draft: Campaign
) -> None:
    await send(database, owner, draft.id)
    async with signed_in(app, database, viewer) as browser:
        with recorded_queries() as statements:
            everybody = await browser.get(f"/campaigns/{draft.id}/people")
        left_out = await browser.get(f"/campaigns/{draft.id}/people?state=excluded")
        one = await browser.get(f"/campaigns/{draft.id}/people?q=person1@x.example")
        nobody = await browser.get(f"/campaigns/{draft.id}/people?q=nobody@x.example")
        refused = await browser.get(f"/campaigns/{draft.id}/people.csv")
    assert everybody.text.count('<tr id="recipient-') == 3
    assert 'aria-current="true">Everybody <span class="chip-count">3</span>' in everybody.text
    assert left_out.text.count('<tr id="recipient-') == 1
    assert "Person 3" in left_out.text
    assert '<td class="hide-sm muted">opted out</td>' in left_out.text
    assert (one.text.count('<tr id="recipient-'), "Not in this campaign" in nobody.text) == (1, True)
    assert refused.status_code == 403
    assert "Send to the missed" not in everybody.text
    assert len(statements) <= 14


async def test_pages_of_the_ledger_go_on_where_the_last_ended(
    app: Starlette, database: Database, owner: Caller, draft: Campaign
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        await add_people(tx, 58, first=10)
    await send(database, owner, draft.id)
    async with signed_in(app, database, owner) as browser:
        first = await browser.get(f"/campaigns/{draft.id}/people")
        href = first.text.partition('rel="next" href="')[2].partition('"')[0]
        second = await browser.get(href.replace("&amp;", "&"))
    assert (first.text.count('<tr id="recipient-'), second.text.count('<tr id="recipient-')) == (50, 11)
    assert "First</a>" in second.text
    assert 'rel="next"' not in second.text


async def test_the_ledger_goes_out_as_a_file_slice_by_slice(
    app: Starlette, database: Database, owner: Caller, draft: Campaign
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        await tx.execute("UPDATE app.contact SET name = '=1+1' WHERE name = 'Person 1'")
    await send(database, owner, draft.id)
    async with database.transaction(owner.workspace_id) as tx:
        await add_people(tx, campaigns.MOST_ROWS, first=10)
        await tx.execute(
            "INSERT INTO app.campaign_recipient (campaign_id, contact_id, workspace_id, variant, state)"
            " SELECT %s, id, %s, 1, 'waiting' FROM app.contact ON CONFLICT DO NOTHING",
            (draft.id, owner.workspace_id),
        )
    async with signed_in(app, database, owner) as browser:
        answer = await browser.get(f"/campaigns/{draft.id}/people.csv")
        only = await browser.get(f"/campaigns/{draft.id}/people.csv?state=excluded")
    assert answer.headers["content-disposition"] == 'attachment; filename="spring.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len({row["contact_id"] for row in rows}) == len(rows) == campaigns.MOST_ROWS + 3
    assert sorted(
        (row["name"], row["state"], row["reason"], row["email"]) for row in rows if row["state"] != "waiting"
    ) == [
        ("'=1+1", "sent", "", "person1@x.example"),
        ("Person 2", "sent", "", "person2@x.example"),
        ("Person 3", "excluded", "opted out", "person3@x.example"),
    ]
    assert only.text.count("\r\n") == 2


async def test_the_dry_run_shows_who_gets_what_and_one_letter(
    app: Starlette, database: Database, viewer: Caller, draft: Campaign
) -> None:
    here = f"/campaigns/{draft.id}/dry-run"
    async with signed_in(app, database, viewer) as browser:
        with recorded_queries() as statements:
            answer = await browser.get(here)
        person = await find_person(database, viewer, "Person 1")
        href = f"{here}?show={person}"
        assert f'href="{href}"' in answer.text
        shown = await browser.get(href)
        source = shown.text.partition('class="mail-frame"')[2].partition('src="')[2].partition('"')[0]
        letter = await browser.get(source.replace("&amp;", "&"))
    assert "<strong>2 people</strong> would go through the gate; left out are 1 (opted out)." in answer.text
    assert answer.text.count('<tr id="dry-') == 3
    assert ("News for P1" in answer.text, "News for P2" in answer.text, "News for P3" in answer.text) == (
        True, True, False,
    )  # fmt: skip
    assert "They opted out." in answer.text
    assert "Hello P1" in letter.text
    assert len(statements) <= 40
    async with database.transaction(viewer.workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.message") == 0


async def test_a_test_goes_to_the_member_who_is_chosen(
    app: Starlette, database: Database, owner: Caller, agent: Caller, draft: Campaign
) -> None:
    here = f"/campaigns/{draft.id}"
    async with signed_in(app, database, agent) as browser:
        unknown = await browser.post(f"{here}/test", {"contact": "nobody@x.example"})
        sent = await browser.post(f"{here}/test", {"user_id": str(owner.user_id), "contact": "person2@x.example"})
        shown = await browser.get(here)
    assert unknown.status_code == 422
    assert 'id="contact-error"' in unknown.text
    assert 'value="nobody@x.example"' in unknown.text
    assert sent.status_code == 303
    assert "The test is on its way to olga@acme.example." in shown.text
    async with database.transaction(owner.workspace_id) as tx:
        rows = await tx.fetch_tuples("SELECT address, subject, campaign_id FROM app.message")
    assert rows == [("olga@acme.example", "Test: News for P2", None)]


async def test_the_missed_get_a_draft_of_their_own(
    app: Starlette, database: Database, owner: Caller, draft: Campaign
) -> None:
    await send(database, owner, draft.id)
    here = f"/campaigns/{draft.id}"
    async with signed_in(app, database, owner) as browser:
        assert "Left out, 1 person" in (await browser.get(here)).text
        nobody = await browser.post(f"{here}/missed", {"states": "sent"})
        made = await browser.post(f"{here}/missed", {"states": "excluded"})
        shown = await browser.get(made.headers["location"])
        form = await browser.get(f"{made.headers['location']}/edit")
    assert nobody.status_code == 422
    assert "Choose whom to send it to." in nobody.text
    assert "Those missed by Spring" in shown.text
    assert "1 person" in shown.text
    assert '<option value="missed" selected>Those missed by Spring: 1 person</option>' in form.text


async def test_a_winner_is_chosen_by_hand(
    app: Starlette, database: Database, workspace_id: UUID, owner: Caller, draft: Campaign
) -> None:
    async with database.transaction(workspace_id) as tx:
        flows = [flow.id for flow in await service.list_flows(tx, owner)]
        test = await add_campaign(tx, owner, [OTHER_LETTER], name="other", title="Other", shares=[100])
        form = CampaignForm(
            name="test", variants=[(flows[0], 10), (test.flow_id, 10)], audience_kind="everybody", winner_rule="manual"
        )
        test = await campaigns.create_campaign(tx, owner, form)
        await campaigns.start_campaign(tx, owner, test.id)
    here = f"/campaigns/{test.id}"
    async with signed_in(app, database, owner) as browser:
        assert f'action="{here}/winner"' not in (await browser.get(here)).text
        await run_campaign(database)
        waiting = await browser.get(here)
        assert waiting.text.count(f'action="{here}/winner"') == 2
        assert "waits until somebody chooses the winner" in waiting.text
        assert (await browser.post(f"{here}/winner", {"variant": "3"})).status_code == 422
        assert (await browser.post(f"{here}/winner", {"variant": "2"})).status_code == 303
    assert (await read(database, owner, test.id)).winner == 2


async def test_while_a_start_is_chosen_the_form_says_when_people_get_it(
    app: Starlette, database: Database, owner: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        by_hour = await browser.get(
            "/campaigns/times?start_kind=local_hour&local_date=2027-05-03&local_hour=09:00", **AT_ONCE
        )
        at = await browser.get("/campaigns/times?start_kind=at&start_at=2027-05-03T09:00", **AT_ONCE)
        now = await browser.get("/campaigns/times?start_kind=now&local_date=x", **AT_ONCE)
    assert "Ann in Sydney gets it on Mon 03 May, 09:00: your Mon 03 May, 01:00." in by_hour.text
    assert "Cleo in Los Angeles gets it on Mon 03 May, 00:00: your Mon 03 May, 09:00." in at.text
    assert "gets it" not in now.text


async def test_the_dry_run_of_a_test_says_that_the_rest_waits(
    app: Starlette, database: Database, workspace_id: UUID, owner: Caller, draft: Campaign
) -> None:
    async with database.transaction(workspace_id) as tx:
        await add_people(tx, 58, first=10)
        form = CampaignForm(name="test", variants=[(draft.flow_id, 1)], audience_kind="everybody", winner_rule="manual")
        test = await campaigns.create_campaign(tx, owner, form)
    async with signed_in(app, database, owner) as browser:
        answer = await browser.get(f"/campaigns/{test.id}/dry-run")
    assert "Everybody else waits for the winner of the test." in answer.text
    assert 'rel="next"' in answer.text
    assert "Nobody is in the audience" not in answer.text
