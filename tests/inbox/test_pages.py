"""The inbox as a browser sees it."""

import re
from datetime import UTC, datetime
from email.message import EmailMessage
from uuid import UUID

import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.delivery.models import Mail
from switchboard.inbox import service
from switchboard.inbox.models import Conversation
from switchboard.inbox.pages_mail import compose_answer
from switchboard.inbox.parsing import parse_email
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.ids import new_id
from tests.inbox.conftest import Team, make_mail, run_jobs
from tests.pages import Browser, anonymous, signed_in

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)


@pytest.fixture
async def waiting(team: Team, agent: Caller) -> Conversation:
    """Ann has written a mail with everything in it."""
    await team.receive(rich_mail())
    return await team.conversation(agent)


def rich_mail() -> EmailMessage:
    html = (
        '<p onclick="x()">Hi <b>there</b><script>steal()</script>'
        '<img src="https://tracker.example/a.png"><img src="cid:logo"><a href="https://x.example/">link</a></p>'
    )
    mail = make_mail("Hi there\n\nOn Mon, 3 Nov 2026 at 10:00, Us <us@acme.example> wrote:\n> Welcome\n", html=html)
    mail.add_attachment(PIXEL, maintype="image", subtype="png", filename="logo.png", cid="<logo>")
    mail.add_attachment(b"<script>1</script>", maintype="text", subtype="html", filename='a"b\\é.html')
    return mail


async def test_the_list_names_who_waits_and_opens_them(
    app: Starlette, database: Database, agent: Caller, waiting: Conversation
) -> None:
    async with signed_in(app, database, agent) as browser:
        page = await browser.get("/inbox")
        assert page.status_code == 200
        assert "Ann Xu" in page.text
        assert f'href="/inbox/{waiting.id}?view=open"' in page.text
        assert "row unread" in page.text
        opened = await browser.get(f"/inbox/{waiting.id}")
    assert opened.status_code == 200
    assert '<details id="quoted-' in opened.text
    assert "Write to ann@x.example" in opened.text
    assert "tracker.example" not in opened.text
    assert re.search(r'<span class="count">1<span class="sr-only"> open', opened.text)


async def test_the_number_of_queries_does_not_grow_with_the_list(
    app: Starlette, database: Database, team: Team, agent: Caller, waiting: Conversation
) -> None:
    async with signed_in(app, database, agent) as browser:
        with recorded_queries() as one:
            await browser.get(f"/inbox/{waiting.id}")
        for number in range(4):
            await team.receive(make_mail(sender=f"p{number}@x.example"))
            await team.receive(make_mail(f"More {number}"))
        with recorded_queries() as many:
            await browser.get(f"/inbox/{waiting.id}")
    assert len(one) == len(many) <= 24


async def test_an_answer_from_the_browser_goes_out(
    app: Starlette, database: Database, team: Team, agent: Caller, waiting: Conversation
) -> None:
    async with signed_in(app, database, agent) as browser:
        page = await browser.get(f"/inbox/{waiting.id}")
        form = {"key": value_of(page.text, "key"), "view": "open", "body": "Gladly."}
        for _ in range(2):
            answer = await browser.post(f"/inbox/{waiting.id}/reply", form)
            assert answer.status_code == 303
            assert answer.headers["location"] == f"/inbox/{waiting.id}?view=open"
        assert "Gladly." in (await browser.get(f"/inbox/{waiting.id}")).text
    assert [one.body_text for one in await team.messages(waiting.contact_id) if one.direction == "out"] == ["Gladly."]
    assert not (await team.conversation(agent)).is_waiting


async def test_send_and_close_opens_the_next_one(
    app: Starlette, database: Database, team: Team, agent: Caller, waiting: Conversation
) -> None:
    await team.receive(make_mail(sender="bob@x.example"))
    async with signed_in(app, database, agent) as browser:
        page = await browser.get(f"/inbox/{waiting.id}")
        following = value_of(page.text, "next")
        form = {"body": "Bye.", "then": "close", "next": following, "view": "open"}
        answer = await browser.post(f"/inbox/{waiting.id}/reply", form)
        assert answer.headers["location"] == f"/inbox/{following}?view=open"
        assert following != str(waiting.id)
        undone = await browser.post(f"/inbox/{waiting.id}/reopen")
        assert undone.status_code == 303
    assert len(await team.conversations(agent)) == 2


async def test_an_empty_answer_is_shown_again_with_the_reason(
    app: Starlette, database: Database, team: Team, agent: Caller, waiting: Conversation
) -> None:
    async with signed_in(app, database, agent) as browser:
        answer = await browser.post(f"/inbox/{waiting.id}/reply", {"body": "  "})
    assert answer.status_code == 422
    assert "There is nothing to send yet. Write something first." in answer.text
    assert len(await team.messages(waiting.contact_id)) == 1


async def test_a_draft_is_kept_for_its_writer_alone(
    app: Starlette, database: Database, agent: Caller, owner: Caller, waiting: Conversation
) -> None:
    async with signed_in(app, database, agent) as browser:
        kept = await browser.post(f"/inbox/{waiting.id}/draft", {"body": "Dear Ann, <b>"}, **{"HX-Request": "true"})
        assert kept.status_code == 204
        assert "Dear Ann, &lt;b&gt;" in (await browser.get(f"/inbox/{waiting.id}")).text
    async with signed_in(app, database, owner) as browser:
        assert "Dear Ann" not in (await browser.get(f"/inbox/{waiting.id}")).text


async def test_assign_snooze_and_close_say_what_they_did(
    app: Starlette, database: Database, team: Team, agent: Caller, waiting: Conversation
) -> None:
    href = f"/inbox/{waiting.id}"
    async with signed_in(app, database, agent) as browser:
        await browser.post(f"{href}/assign", {"owner_id": str(agent.user_id)})
        assert "Given to Amir Agent." in (await browser.get(href)).text
        assert (await team.conversation(agent, "mine")).id == waiting.id
        await browser.post(f"{href}/assign-back/nobody")
        assert (await team.conversation(agent, "unassigned")).id == waiting.id
        snoozed = await browser.post(f"{href}/snooze", {"until": "tomorrow"})
        assert snoozed.headers["location"] == "/inbox?view=open"
        assert "It comes back" in (await browser.get("/inbox")).text
        assert "Open again" in (await browser.get(href)).text
        assert (await browser.post(f"{href}/snooze", {"until": "yesterday"})).status_code == 422
        await browser.post(f"{href}/close")
    assert (await team.conversation(agent, "closed")).id == waiting.id


async def test_a_note_is_for_us(
    app: Starlette, database: Database, team: Team, agent: Caller, waiting: Conversation
) -> None:
    async with signed_in(app, database, agent) as browser:
        await browser.post(f"/inbox/{waiting.id}/draft", {"body": "Careful."})
        await browser.post(f"/inbox/{waiting.id}/note", {"body": "Careful."})
        page = (await browser.get(f"/inbox/{waiting.id}")).text
        assert 'class="bubble note"' in page
        assert page.count("Careful.") == 1
    assert [one.direction for one in await team.messages(waiting.contact_id)] == ["in"]


async def test_a_mails_html_stands_in_a_frame_that_runs_and_fetches_nothing(
    app: Starlette, database: Database, team: Team, agent: Caller, waiting: Conversation
) -> None:
    (message,) = await team.messages(waiting.contact_id)
    async with signed_in(app, database, agent) as browser:
        frame = await browser.get(f"/inbox/messages/{message.id}/body")
        with_images = await browser.get(f"/inbox/messages/{message.id}/body?images=1")
    policy = frame.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script" not in policy
    assert "https:" not in policy
    assert "<b>there</b>" in frame.text
    assert "steal" not in frame.text
    assert "onclick" not in frame.text
    assert ' src="https://tracker.example' not in frame.text
    assert 'src="data:image/png;base64,' in frame.text
    assert ' src="https://tracker.example/a.png"' in with_images.text
    assert "img-src https: http: data:" in with_images.headers["content-security-policy"]
    assert with_images.headers["referrer-policy"] == "no-referrer"


async def test_files_are_saved_and_never_shown(
    app: Starlette, database: Database, team: Team, agent: Caller, waiting: Conversation
) -> None:
    rows = await team.rows("SELECT id, name, content FROM app.attachment ORDER BY id")
    async with signed_in(app, database, agent) as browser:
        page = await browser.get(f"/inbox/{waiting.id}")
        for row in rows:
            assert f'href="/inbox/attachments/{row["id"]}"' in page.text
            file = await browser.get(f"/inbox/attachments/{row['id']}")
            assert file.content == row["content"]
            assert file.headers["content-type"] == "application/octet-stream"
            assert file.headers["content-disposition"].startswith('attachment; filename="')
            assert file.headers["content-disposition"].count('"') == 2
            assert file.headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in file.headers["content-security-policy"]
        (message,) = await team.messages(waiting.contact_id)
        original = await browser.get(f"/inbox/messages/{message.id}/original")
        async with database.transaction(agent.workspace_id) as tx:
            assert await service.forget_originals(tx, await tx.now(), 10) == 1
        text = await browser.get(f"/inbox/messages/{message.id}/original")
    assert original.content.startswith(b"From: Ann Xu")
    assert (text.status_code, text.content.decode()) == (200, message.body_text)
    assert f"mail-{message.id}.txt" in text.headers["content-disposition"]


async def test_the_talk_of_a_contact_is_a_region_and_a_page(
    app: Starlette, database: Database, team: Team, agent: Caller, waiting: Conversation
) -> None:
    href, lead_id = f"/inbox/of-contact/{waiting.contact_id}", await team.ask(waiting.contact_id)
    async with signed_in(app, database, agent) as browser:
        region = await browser.get(f"{href}?lead={lead_id}", **{"HX-Request": "true"})
        assert "<html" not in region.text
        assert "Hi there" in region.text
        assert f'name="lead_id" value="{lead_id}"' in region.text
        whole = await browser.get(href)
        assert "<html" in whole.text
        answer = await browser.post(f"{href}/reply", {"body": "Hello Ann", "lead_id": str(lead_id)})
        assert answer.headers["location"] == f"/leads/{lead_id}?tab=talk"
        refused = await browser.post(f"{href}/reply", {"body": ""})
        assert refused.status_code == 422
        in_place = await browser.post(f"{href}/note", {"body": "Hm."}, **{"HX-Request": "true"})
        assert "<html" not in in_place.text
        assert "Hm." in in_place.text
        assert in_place.headers["hx-trigger"] == '{"toast": {"text": "Note saved. Only your team sees it."}}'
    out = next(one for one in await team.messages(waiting.contact_id) if one.direction == "out")
    assert (out.lead_id, out.in_reply_to is not None) == (lead_id, True)


async def test_the_first_mail_to_a_contact_asks_for_a_subject(
    app: Starlette, database: Database, team: Team, agent: Caller
) -> None:
    contact_id = await team.recognise("Bo", "bo@x.example")
    href = f"/inbox/of-contact/{contact_id}"
    async with signed_in(app, database, agent) as browser:
        assert 'name="subject"' in (await browser.get(href)).text
        refused = await browser.post(f"{href}/reply", {"body": "Hello"})
        assert refused.status_code == 422
        assert ">Hello</textarea>" in refused.text.replace("\n", "")
        assert await team.conversations(agent) == []
        await browser.post(f"{href}/reply", {"body": "Hello", "subject": "Your enquiry"})
        assert 'name="subject"' not in (await browser.get(href)).text
    assert (await team.conversation(agent)).subject == "Your enquiry"


async def test_the_local_mailbox_answers_as_the_recipient(
    app: Starlette, database: Database, team: Team, agent: Caller
) -> None:
    contact_id = await team.recognise("Ann Xu", "ann@x.example")
    ours = await team.write_to(contact_id)
    raw = make_mail(
        "Welcome!", sender=f"Acme <{team.address}>", to="Ann Xu <ann@x.example>", message_id=ours.header_id
    ).as_bytes()
    mail_id = new_id()
    async with database.transaction(team.workspace_id) as tx:
        await tx.execute(
            "INSERT INTO app.mailbox_mail (id, workspace_id, message_id, mail_from, recipient, subject, raw)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (mail_id, team.workspace_id, ours.id, team.address, "ann@x.example", "Question", raw),
        )
    async with signed_in(app, database, agent) as browser:
        answer = await browser.post(f"/inbox/mailbox-reply/{mail_id}", {"body": "Thanks!"})
    assert answer.headers["location"] == f"/mailbox/{mail_id}"
    await run_jobs(database)
    conversation = await team.conversation(agent)
    assert (conversation.contact_id, conversation.preview, conversation.subject) == (
        contact_id,
        "Thanks!",
        "Re: Question",
    )


def test_an_answer_from_the_mailbox_stands_in_its_thread() -> None:
    raw = make_mail("One\nTwo", message_id="<m@x.example>", references=["<a@x.example>"]).as_bytes()
    mail = Mail(new_id(), new_id(), "hello@acme.example", "bo@x.example", "Question", raw, datetime.now(UTC))
    to, answer = compose_answer(mail, "Fine.", at=UUID(int=7))
    parsed = parse_email(answer)
    assert to == "ann@x.example"
    assert (parsed.in_reply_to, parsed.references) == ("<m@x.example>", ("<a@x.example>", "<m@x.example>"))
    assert (parsed.subject, parsed.text.strip()) == ("Re: Question", "Fine.\n\n> One\n> Two")


PATHS = ["/inbox/{id}", "/inbox/of-contact/{contact}", "/inbox/messages/{message}/body", "/inbox/attachments/{file}"]
FORMS = ["reply", "note", "draft", "assign", "snooze", "close", "reopen"]


async def test_members_see_it_viewers_change_nothing_and_strangers_find_nothing(
    app: Starlette, team: Team, viewer: Caller, stranger: Caller, waiting: Conversation
) -> None:
    database = team.database
    (message,) = await team.messages(waiting.contact_id)
    (file, *_) = await team.rows("SELECT id FROM app.attachment ORDER BY id")
    ids = {"id": waiting.id, "contact": waiting.contact_id, "message": message.id, "file": file["id"]}
    paths = [path.format(**ids) for path in [*PATHS, "/inbox/messages/{message}/original"]]
    async with signed_in(app, database, viewer) as browser:
        assert [(await browser.get(path)).status_code for path in paths] == [200] * 5
        assert "<textarea" not in (await browser.get(paths[0])).text
        assert await statuses(browser, waiting) == [403] * 9
    async with signed_in(app, database, stranger) as browser:
        assert [(await browser.get(path)).status_code for path in paths] == [404] * 5
        assert await statuses(browser, waiting) == [404] * 9
        assert "Ann Xu" not in (await browser.get("/inbox")).text
    async with anonymous(app) as browser:
        assert (await browser.get(paths[0])).headers["location"].startswith("/sign-in")
        assert await statuses(browser, waiting) == [401] * 9
    async with database.transaction(team.workspace_id) as tx:
        assert await service.access_conversation(tx, viewer, waiting.id) == waiting


async def statuses(browser: Browser, conversation: Conversation) -> list[int]:
    form = {"body": "x", "until": "tomorrow", "owner_id": ""}
    paths = [f"/inbox/{conversation.id}/{name}" for name in FORMS]
    paths += [f"/inbox/of-contact/{conversation.contact_id}/{name}" for name in ("reply", "note")]
    return [(await browser.post(path, form, Accept="application/json")).status_code for path in paths]


async def test_rubbish_in_the_address_is_no_error(app: Starlette, database: Database, agent: Caller) -> None:
    async with signed_in(app, database, agent) as browser:
        for after in ("x", "1-2", "9" * 40 + "-" + "0" * 32, "-" + "0" * 32, "--"):
            assert (await browser.get(f"/inbox?view=nothing&after={after}")).status_code == 200
        assert (await browser.get("/inbox/nothing")).status_code == 404


async def test_names_of_every_script_and_length_are_shown(
    app: Starlette, database: Database, team: Team, agent: Caller
) -> None:
    for name in ("محمد العبدالله", "山田太郎", "A" * 80, "<b>Eve</b>"):
        await team.receive(make_mail(sender=f'"{name}" <p{len(name)}@x.example>'))
    async with signed_in(app, database, agent) as browser:
        page = (await browser.get("/inbox")).text
    for shown in ("محمد العبدالله", "山田太郎", "A" * 80, "&lt;b&gt;Eve&lt;/b&gt;"):
        assert shown in page


def value_of(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found is not None
    return found.group(1)
