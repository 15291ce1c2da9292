"""The pages of delivery: for owner, agent, viewer and stranger, and the way out for everybody."""

from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from uuid import UUID

import httpx2
import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.delivery import service
from switchboard.delivery.channels.base import Envelope
from switchboard.delivery.channels.registry import build_channels
from switchboard.delivery.letter_templates import create_template
from switchboard.delivery.letters import Letterhead, make_key
from switchboard.delivery.mailbox import store_mail
from switchboard.delivery.models import Draft
from switchboard.delivery.outbox import OutboxLoop
from switchboard.delivery.unsubscribing import make_token
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.events import SYSTEM
from switchboard.kernel.ids import new_id
from switchboard.kernel.secrets import load_app_secret
from switchboard.people import service as people
from tests.delivery.letters import WELCOME
from tests.delivery.sending import Outbox, event_kinds, load, queue, states
from tests.pages import Browser, anonymous, signed_in

FORM = {"name": "hello", "title": "Hello", "purpose": "marketing", "subject": "Hi {{ contact.first_name }}"}
DEAR = "<mj-text>Dear {{ contact.name }}</mj-text>"
BODY = "<mj-text>Hi {{ contact.first_name }} {{ unsubscribe_url }}</mj-text>"


@dataclass(frozen=True, slots=True)
class Team:
    """Everybody who may try a page."""

    owner: Caller
    agent: Caller
    viewer: Caller
    stranger: Caller


@pytest.fixture
async def team(owner: Caller, agent: Caller, viewer: Caller, stranger: Caller) -> Team:
    return Team(owner, agent, viewer, stranger)


@pytest.fixture
async def template_id(database: Database, owner: Caller) -> UUID:
    async with database.transaction(owner.workspace_id) as tx:
        return await create_template(tx, owner, WELCOME)


async def send_into_mailbox(app: Starlette, database: Database, workspace_id: UUID, draft: Draft) -> UUID:
    """Send a message as the worker does and return the id of the mail in the mailbox."""
    (message_id,) = await queue(database, workspace_id, draft)
    settings = app.state.settings
    loop = OutboxLoop(database, build_channels(settings, database, connections=3), Letterhead.of(settings))
    while (await loop.tick()).has_more:
        continue
    async with database.transaction(workspace_id) as tx:
        mail_id: UUID = await tx.fetch_value("SELECT id FROM app.mailbox_mail WHERE message_id = %s", (message_id,))
    return mail_id


def link_of(app: Starlette, workspace_id: UUID, message_id: UUID) -> str:
    return f"/u/{make_token(load_app_secret(app.state.settings), workspace_id, message_id)}"


async def test_one_click_ends_the_mail_without_a_session_from_anywhere(
    app: Starlette, database: Database, workspace_id: UUID, ann: UUID
) -> None:
    first, second = await queue(
        database, workspace_id, *[Draft(purpose="marketing", contact_id=ann, subject="Hi", text="Hi")] * 2
    )
    link = link_of(app, workspace_id, first)
    async with anonymous(app) as browser:
        shown = await browser.get(link)
        assert shown.status_code == 200
        assert "Acme will send nothing more to <strong>ann@x.example</strong>" in shown.text
        async with database.transaction(workspace_id) as tx:
            assert await tx.fetch_value("SELECT count(*) FROM app.suppression") == 0
        headers = {"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"}
        for _ in range(2):
            answer = await browser.client.post(link, data={"List-Unsubscribe": "One-Click"}, headers=headers)
            assert answer.status_code == 200
            assert "You are unsubscribed" in answer.text
            assert "set-cookie" not in answer.headers
        assert "You are unsubscribed" in (await browser.get(link)).text
    await Outbox(database).run()
    assert await states(database, workspace_id, [first, second]) == [("dropped", "unsubscribed")] * 2
    async with database.transaction(workspace_id) as tx:
        contact = (await people.load_contacts(tx, [ann]))[ann]
        assert await tx.fetch_tuples("SELECT value, reason, message_id FROM app.suppression") == [
            ("ann@x.example", "unsubscribed", first)
        ]
        assert await tx.fetch_value("SELECT count(*) FROM app.event WHERE kind = 'contact.opted_out'") == 1
    assert contact.opted_out_at is not None


async def test_a_link_that_was_not_made_here_is_told_like_a_missing_page(
    app: Starlette, database: Database, workspace_id: UUID, ann: UUID
) -> None:
    (message_id,) = await queue(
        database, workspace_id, Draft(purpose="marketing", contact_id=ann, subject="Hi", text="Hi")
    )
    good = link_of(app, workspace_id, message_id)
    forged = f"/u/{make_token(b'another secret', workspace_id, message_id)}"
    changed = good[:-1] + ("A" if good[-1] != "A" else "B")
    missing = link_of(app, workspace_id, new_id())
    async with anonymous(app) as browser:
        for link in (forged, changed, missing, "/u/short", "/u/ümlaut", good + "AAAA"):
            assert (await browser.get(link)).status_code == 404
            assert (await browser.client.post(link)).status_code == 404
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.suppression") == 0


async def test_the_mailbox_shows_a_mail_as_its_reader_sees_it(
    app: Starlette, database: Database, team: Team, ann: UUID, template_id: UUID
) -> None:
    draft = Draft(purpose="marketing", contact_id=ann, template_name="welcome")
    mail_id = await send_into_mailbox(app, database, team.owner.workspace_id, draft)
    async with signed_in(app, database, team.owner) as browser:
        listed = await browser.get("/mailbox")
        shown = await browser.get(f"/mailbox/{mail_id}")
        body = await browser.get(f"/mailbox/{mail_id}/body")
        source = await browser.get(f"/mailbox/{mail_id}?view=source")
        text = await browser.get(f"/mailbox/{mail_id}?view=text")
    assert "Welcome, Ann" in listed.text
    assert "Ann Lee &lt;ann@x.example&gt;" in shown.text
    assert f'action="/inbox/mailbox-reply/{mail_id}"' in shown.text
    assert 'action="/u/' in shown.text
    assert "Hello Ann, I am Acme." in body.text
    assert body.headers["content-security-policy"].startswith("default-src 'none'; img-src")
    assert "sandbox" in body.headers["content-security-policy"]
    assert "Message-ID: &lt;" in source.text
    assert "Hello Ann, I am Acme." in text.text
    async with signed_in(app, database, team.stranger) as browser:
        for path in (f"/mailbox/{mail_id}", f"/mailbox/{mail_id}/body"):
            assert (await browser.get(path)).status_code == 404
        assert "Nothing was sent yet" in (await browser.get("/mailbox")).text


async def test_the_mailbox_keeps_a_mail_once_however_often_it_is_handed_over(
    database: Database, workspace_id: UUID
) -> None:
    message_id, store = new_id(), store_mail(database)
    envelope = Envelope(make_key(workspace_id, message_id), "a@x.example", "b@x.example", b"Subject: Hi\r\n\r\nHi")
    await store(envelope)
    await store(envelope)
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_tuples("SELECT subject, recipient FROM app.mailbox_mail") == [("Hi", "b@x.example")]


async def test_the_mailbox_is_paged_with_a_bounded_number_of_statements(
    app: Starlette, database: Database, owner: Caller
) -> None:
    store = store_mail(database)
    for number in range(52):
        raw = f"Subject: Mail {number:02}\r\n\r\nHi".encode()
        await store(Envelope(make_key(owner.workspace_id, new_id()), "a@x.example", "b@x.example", raw))
    async with signed_in(app, database, owner) as browser:
        with recorded_queries() as statements:
            first = await browser.get("/mailbox")
        assert len(statements) <= 12
        assert first.text.count("data-row") == 50
        older = first.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        second = await browser.get(older)
    assert second.text.count("data-row") == 2
    assert "Mail 00" in second.text


async def test_an_admin_writes_a_template_and_changes_it(app: Starlette, database: Database, owner: Caller) -> None:
    async with signed_in(app, database, owner) as browser:
        assert (await browser.get("/templates/new")).status_code == 200
        created = await browser.post("/templates", {**FORM, "body": BODY})
        path = created.headers["location"]
        assert created.status_code == 303
        shown = await browser.get(path)
        assert "Hi {{ contact.first_name }}" in shown.text
        saved = await browser.post(path, {**FORM, "subject": "New", "body": BODY, "seen_version": "1"})
        assert saved.status_code == 303
        late = await browser.post(path, {**FORM, "subject": "Late", "body": BODY, "seen_version": "1"})
        assert late.status_code == 409
        assert "Somebody else has saved this template meanwhile" in late.text
        assert "Version 1 of 2" in (await browser.get(f"{path}?version=1")).text
        archived = await browser.post(f"{path}/archive")
        assert archived.headers["location"] == "/templates"
        assert (await browser.get(path)).status_code == 404


async def test_mistakes_in_a_template_are_shown_with_their_place(
    app: Starlette, database: Database, owner: Caller
) -> None:
    body = "<mj-text>\nHi {{ contact.frist_name }}</mj-text>"
    async with signed_in(app, database, owner) as browser:
        refused = await browser.post("/templates", {**FORM, "name": "Not A Name", "body": body})
        checked = await browser.post("/templates/check", {**FORM, "body": body}, **{"HX-Request": "true"})
        plain = await browser.post("/templates", {**FORM, "body": "<mj-text>No way out</mj-text>"})
        await browser.post("/templates", {**FORM, "body": BODY})
        taken = await browser.post("/templates", {**FORM, "body": BODY})
    assert refused.status_code == 422
    assert "did you mean contact.first_name?" in refused.text
    assert "up to 60 small letters" in refused.text
    assert "2:7" in checked.text
    assert "Marketing needs a way out" in plain.text
    assert taken.status_code == 409
    assert "There is a template called hello already" in taken.text


async def test_a_letter_is_previewed_for_a_real_contact_as_it_stands_in_the_form(
    app: Starlette, database: Database, team: Team, ann: UUID, template_id: UUID
) -> None:
    async with signed_in(app, database, team.viewer) as browser:
        saved = await browser.get(f"/templates/{template_id}/preview?contact={ann}")
        invented = await browser.get(f"/templates/{template_id}/preview")
        draft = await browser.post("/templates/preview", {**FORM, "body": DEAR, "contact": str(ann)})
        broken = await browser.post("/templates/preview", {**FORM, "body": "{% if %}"})
        found = await browser.get(f"/templates/{template_id}?q=ann")
    assert "Hello Ann, I am Vera Viewer." in saved.text
    assert "Hello Ada" in invented.text
    assert "Dear Ann Lee" in draft.text
    assert "The letter cannot be shown yet" in broken.text
    assert "sandbox" in draft.headers["content-security-policy"]
    assert f"?contact={ann}" in found.text
    async with signed_in(app, database, team.stranger) as browser:
        assert (await browser.get(f"/templates/{template_id}/preview?contact={ann}")).status_code == 404
        own = await browser.post("/templates/preview", {**FORM, "body": DEAR, "contact": str(ann)})
    assert "Dear Ada Lovelace" in own.text


async def test_a_test_letter_goes_to_whoever_asks_for_it(
    app: Starlette, database: Database, agent: Caller, ann: UUID
) -> None:
    async with signed_in(app, database, agent) as browser:
        answer = await browser.post("/templates/test", {**FORM, "body": BODY, "contact": str(ann)})
        broken = await browser.post("/templates/test", {**FORM, "body": "{% if %}"})
    assert "is on its way to amir@acme.example" in answer.text
    assert "The letter cannot be shown yet" in broken.text
    outbox = Outbox(database)
    await outbox.run()
    mail = message_from_bytes(outbox.channel.envelopes[0].raw, policy=default)
    assert (mail["To"], mail["Subject"]) == ("Amir Agent <amir@acme.example>", "Test: Hi Ann")


async def test_a_failed_message_is_explained_and_sent_again(
    app: Starlette, database: Database, team: Team, ann: UUID
) -> None:
    (message_id,) = await queue(
        database, team.agent.workspace_id, Draft(purpose="marketing", contact_id=ann, subject="Hi", text="Hi")
    )
    outbox = Outbox(database)
    outbox.fail_next("permanent", "554", "The mail server answered 554 no", at_fault="message")
    await outbox.run()
    async with signed_in(app, database, team.stranger) as browser:
        assert (await browser.get(f"/messages/{message_id}")).status_code == 404
        assert (await browser.post(f"/messages/{message_id}/again")).status_code == 404
        assert "Everything went out" in (await browser.get("/messages")).text
    async with signed_in(app, database, team.viewer) as browser:
        listed = await browser.get("/messages?state=failed")
        shown = await browser.get(f"/messages/{message_id}")
        assert "The mail server answered 554 no" in listed.text
        assert "Send again" not in shown.text
        assert (await browser.post(f"/messages/{message_id}/again")).status_code == 403
    assert await states(database, team.agent.workspace_id, [message_id]) == [("failed", "554")]
    async with signed_in(app, database, team.agent) as browser:
        assert "Send again" in (await browser.get(f"/messages/{message_id}")).text
        assert (await browser.post(f"/messages/{message_id}/again")).status_code == 303
        assert (await browser.post(f"/messages/{message_id}/again")).status_code == 409
    await outbox.run()
    assert (await load(database, team.agent.workspace_id, message_id)).state == "sent"
    assert await event_kinds(database, team.agent.workspace_id, message_id) == [
        "message.queued",
        "message.failed",
        "message.queued",
        "message.sent",
    ]


async def test_a_held_answer_is_sent_anyway_by_an_agent_from_its_page(
    app: Starlette, database: Database, team: Team, ann: UUID
) -> None:
    workspace_id = team.agent.workspace_id
    async with database.transaction(workspace_id) as tx:
        await people.opt_out(tx, ann, SYSTEM, "told us on the phone")
    draft = Draft(purpose="reply", contact_id=ann, subject="Hi", text="Hi", created_by=team.agent.user_id)
    (message_id,) = await queue(database, workspace_id, draft)
    outbox = Outbox(database)
    await outbox.run()
    async with signed_in(app, database, team.viewer) as browser:
        assert "Send anyway" not in (await browser.get(f"/messages/{message_id}")).text
        assert (await browser.post(f"/messages/{message_id}/anyway")).status_code == 403
    async with signed_in(app, database, team.stranger) as browser:
        assert (await browser.post(f"/messages/{message_id}/anyway")).status_code == 404
    async with signed_in(app, database, team.agent) as browser:
        shown = (await browser.get(f"/messages/{message_id}")).text
        assert ("Send anyway" in shown, "Send again" in shown) == (True, False)
        assert (await browser.post(f"/messages/{message_id}/anyway")).status_code == 303
        await outbox.run()
        shown = (await browser.get(f"/messages/{message_id}")).text
    assert ("Sent anyway by" in shown, "Send anyway" in shown) == (True, False)
    assert await states(database, workspace_id, [message_id]) == [("sent", None)]


async def test_the_suppression_list_is_kept_by_agents_and_opened_by_admins(
    app: Starlette, database: Database, team: Team
) -> None:
    async with signed_in(app, database, team.agent) as browser:
        wrong = await browser.post("/suppressions", {"address": "nobody"})
        assert wrong.status_code == 422
        assert (await browser.post("/suppressions", {"address": "Bob@X.example"})).status_code == 303
        removal = {"kind": "email", "value": "bob@x.example", "proof": "asked us"}
        assert (await browser.post("/suppressions/remove", removal)).status_code == 403
    async with signed_in(app, database, team.viewer) as browser:
        assert "bob@x.example" in (await browser.get("/suppressions?q=bo")).text
        assert (await browser.post("/suppressions", {"address": "c@x.example"})).status_code == 403
    async with signed_in(app, database, team.stranger) as browser:
        assert "bob@x.example" not in (await browser.get("/suppressions")).text
        assert (await browser.post("/suppressions/remove", removal)).status_code == 404
    async with signed_in(app, database, team.owner) as browser:
        assert (await browser.post("/suppressions/remove", {**removal, "proof": ""})).status_code == 422
        assert (await browser.post("/suppressions/remove", removal)).status_code == 303
        assert "Nobody is on the list" in (await browser.get("/suppressions")).text


CHANGES = ["/templates", "/templates/{id}", "/templates/{id}/archive", "/templates/test"]


@pytest.mark.parametrize("path", CHANGES)
async def test_who_may_only_look_changes_no_template(
    app: Starlette, database: Database, team: Team, template_id: UUID, path: str
) -> None:
    async with signed_in(app, database, team.viewer) as browser:
        answer = await _change(browser, path, template_id)
    assert answer.status_code == 403
    await _assert_untouched(database, team.owner.workspace_id)


@pytest.mark.parametrize("path", ["/templates/{id}", "/templates/{id}/archive"])
async def test_strangers_change_no_template(
    app: Starlette, database: Database, team: Team, template_id: UUID, path: str
) -> None:
    async with signed_in(app, database, team.stranger) as browser:
        answer = await _change(browser, path, template_id)
    assert answer.status_code == 404
    await _assert_untouched(database, team.owner.workspace_id)


async def _change(browser: Browser, path: str, template_id: UUID) -> httpx2.Response:
    return await browser.post(path.format(id=template_id), {**FORM, "body": BODY, "seen_version": "1"})


async def _assert_untouched(database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        rows = await tx.fetch_tuples("SELECT name, version, archived_at FROM app.template")
        assert rows == [("welcome", 1, None)]
        assert await tx.fetch_value("SELECT count(*) FROM app.outbox") == 0


async def test_the_home_page_is_told_of_troubles_by_reason(database: Database, workspace_id: UUID, ann: UUID) -> None:
    drafts = [Draft(purpose="marketing", contact_id=ann, template_name=name) for name in ("a", "b", "c")]
    ids = await queue(database, workspace_id, *drafts)
    async with database.transaction(workspace_id) as tx:
        counts = await service.count_troubles(tx)
        troubles = await service.list_troubles(tx, limit=2)
    assert [(one.state, one.reason, one.messages) for one in counts] == [("failed", "no_template", 3)]
    assert [one.id for one in troubles] == ids[:0:-1]
