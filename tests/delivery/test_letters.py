"""From the outbox to a real mail server, and what a letter says of lead and owner."""

from collections.abc import Mapping, Sequence
from email import message_from_bytes
from email.policy import default
from uuid import UUID

from switchboard.accounts.models import Caller, Workspace, system_caller
from switchboard.accounts.service import get_workspace
from switchboard.delivery.channels.registry import build_channels
from switchboard.delivery.channels.smtp.transport import SmtpChannel
from switchboard.delivery.letter_templates import create_template
from switchboard.delivery.letters import Letterhead, make_key, read_key
from switchboard.delivery.models import Draft, LeadFacts, LetterDraft
from switchboard.delivery.outbox import OutboxLoop
from switchboard.delivery.unsubscribing import make_token, read_token
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from switchboard.kernel.settings import load_settings
from switchboard.routing import service as routing
from switchboard.routing.models import RoutingSubject
from tests.delivery.conftest import StartServer
from tests.delivery.sending import LETTERHEAD, SECRET, Outbox, queue, states

ABOUT_A_LEAD = LetterDraft(
    name="about",
    title="About",
    purpose="transactional",
    subject="{{ lead.title }}",
    body="<mj-text>{{ owner.name | default: workspace.name }} from {{ source.name }}, {{ lead.fields.plan }}</mj-text>",
)
SMTP = {"EMAIL_PROVIDER": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_SECURITY": "none", "APP_SECRET": "s" * 32}


async def test_messages_reach_a_real_mail_server(
    database: Database, workspace_id: UUID, ann: UUID, start_server: StartServer
) -> None:
    server = await start_server()
    settings = load_settings({**SMTP, "SMTP_PORT": str(server.port), "SMTP_FROM": "mail@acme.example"})
    loop = OutboxLoop(database, build_channels(settings, database, connections=3), Letterhead.of(settings))
    drafts = [Draft(purpose="transactional", contact_id=ann, subject=f"No {n}", text="Hello") for n in range(30)]
    ids = await queue(database, workspace_id, *drafts)
    # A tick claims only as much as goes out in a moment, so a slow machine needs more of them.
    for _ in range(500):
        await loop.tick()
        if set(await states(database, workspace_id, ids)) == {("sent", None)}:
            break
    await loop.close()
    mails = [message_from_bytes(_bytes(mail.content), policy=default) for mail in server.mails]
    assert set(await states(database, workspace_id, ids)) == {("sent", None)}
    assert sorted(str(mail["Subject"]) for mail in mails) == sorted(f"No {n}" for n in range(30))
    assert {str(mail["From"]) for mail in mails} == {"Acme <mail@acme.example>"}
    assert {str(mail["Reply-To"]) for mail in mails} == {f"Acme <hello@{workspace_id.hex[-8:]}.switchboard.localhost>"}
    assert {mail.mail_from for mail in server.mails} == {"mail@acme.example"}
    assert server.connections <= 10


async def test_a_letter_speaks_of_the_lead_and_its_owner_as_they_are_when_it_goes(
    database: Database, workspace_id: UUID, ann: UUID, agent: Caller
) -> None:
    lead_id, asked = new_id(), []
    assert agent.user_id is not None

    async def load_lead_facts(_tx: Tx, ids: Sequence[UUID]) -> Mapping[UUID, LeadFacts]:
        asked.append(list(ids))
        facts: LeadFacts = {"lead": {"title": "An engine", "fields": {"plan": "gold"}}, "source": {"name": "Website"}}
        return {lead_id: facts}

    async with database.transaction(workspace_id) as tx:
        await create_template(tx, system_caller(workspace_id), ABOUT_A_LEAD)
    await queue(
        database,
        workspace_id,
        Draft(purpose="transactional", contact_id=ann, lead_id=lead_id, template_name="about"),
        Draft(purpose="transactional", contact_id=ann, template_name="about"),
    )
    async with database.transaction(workspace_id) as tx:
        subject = RoutingSubject(lead_id, "lead", ann, {})
        await routing.route(tx, [subject], trigger="test")
        await routing.assign(tx, [lead_id], user_id=agent.user_id, accept_within=None, trigger="test")
    outbox = Outbox(database)
    outbox.loop = OutboxLoop(database, {"email": outbox.channel}, LETTERHEAD, load_lead_facts)
    await outbox.run()
    texts = [message_from_bytes(one.raw, policy=default).get_body(("plain",)) for one in outbox.channel.envelopes]
    assert outbox.subjects == ["An engine", ""]
    assert [str(text.get_content()).splitlines()[0] for text in texts if text] == [
        "Amir Agent from Website, gold",
        "Acme from ,",
    ]
    assert asked == [[lead_id]]


async def test_a_workspace_with_an_address_of_its_own_writes_from_it(database: Database, workspace_id: UUID) -> None:
    letterhead = Letterhead("https://x.example", SECRET, "switchboard.localhost", "mail@acme.example")
    async with database.transaction(workspace_id) as tx:
        given: Workspace = await get_workspace(tx)
        await tx.execute("UPDATE app.workspace SET mail_from = 'sales@own.example'")
        own = await get_workspace(tx)
    assert letterhead.addresses_of(given) == ("mail@acme.example", given.mail_from)
    assert letterhead.addresses_of(own) == ("sales@own.example", None)
    assert LETTERHEAD.addresses_of(given) == (given.mail_from, None)


def test_links_and_keys_name_what_they_were_made_for() -> None:
    workspace_id, message_id = new_id(), new_id()
    link = read_token(SECRET, make_token(SECRET, workspace_id, message_id))
    assert (link.workspace_id, link.message_id) == (workspace_id, message_id)
    assert read_key(make_key(workspace_id, message_id)) == (workspace_id, message_id)


async def test_the_settings_choose_the_channel(database: Database) -> None:
    assert build_channels(load_settings({}), database, connections=3)["email"].name == "mailbox"
    assert isinstance(build_channels(load_settings(SMTP), database, connections=3)["email"], SmtpChannel)


def _bytes(content: bytes | str | None) -> bytes:
    assert isinstance(content, bytes)
    return content
