"""A workspace with one of everything, each name as hostile as a sender could make it, and every route of the pages."""

import base64
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from uuid import UUID

import psycopg
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from switchboard.accounts.models import Caller
from switchboard.delivery import service as delivery
from switchboard.delivery.models import Draft
from switchboard.delivery.unsubscribing import make_token
from switchboard.entrypoints.assembly import subject_kinds
from switchboard.flows import campaigns
from switchboard.flows import service as flows
from switchboard.flows.campaign_models import CampaignForm
from switchboard.intake import importing
from switchboard.intake import service as intake
from switchboard.intake.wiring import job_handlers
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from switchboard.kernel.jobs import JobLoop
from switchboard.kernel.secrets import load_app_secret
from switchboard.leads import stages
from switchboard.people import merging, segments, suggesting, tags
from switchboard.people.segment_models import SegmentForm
from tests.conftest import Urls
from tests.inbox.conftest import Team, make_mail
from tests.intake.conftest import recognise_all, store
from tests.leads.conftest import meet
from tests.pages import signed_in
from tests.routing.conftest import user_of

# Ends an attribute in either quotation mark, a script, a text area and a comment, then begins an element of its own.
HOSTILE = "\"'></script></textarea>--><img src=x onerror=alert(1)>"
MARK = "<img src=x onerror"
SHORT = '">' + MARK + "=a>"

# What stands for an id in the path of a route, by the longest beginning that fits.
OBJECTS: Mapping[tuple[str, str], str] = {
    ("/campaigns", "id"): "campaign",
    ("/contacts", "id"): "contact",
    ("/contacts", "identity_id"): "identity",
    ("/contacts", "other_id"): "other_contact",
    ("/contacts", "act"): "=first",
    ("/flows", "id"): "flow",
    ("/imports", "id"): "import",
    ("/inbox", "id"): "conversation",
    ("/inbox", "owner_id"): "=nobody",
    ("/inbox/attachments", "id"): "attachment",
    ("/inbox/mailbox-reply", "mail_id"): "mail",
    ("/inbox/messages", "id"): "message",
    ("/inbox/of-contact", "contact_id"): "contact",
    ("/leads", "id"): "lead",
    ("/mailbox", "id"): "mail",
    ("/merges", "id"): "merge",
    ("/messages", "id"): "outgoing",
    ("/rotas", "id"): "rota",
    ("/rules", "id"): "rule",
    ("/segments", "id"): "segment",
    ("/settings/stages", "key"): "stage",
    ("/sources", "id"): "source",
    ("/sources", "signal_id"): "signal",
    ("/suggestions", "id"): "suggestion",
    ("/templates", "id"): "template",
    ("/u", "token"): "unsubscribe",
}


@dataclass(frozen=True, slots=True)
class Door:
    """One method of one route."""

    method: str
    path: str

    def of(self, ids: Mapping[str, str]) -> str:
        """Its path with the ids filled in; a parameter that nobody listed fails the test."""
        path = self.path
        for part in self.path.split("/"):
            if part.startswith("{"):
                chosen = OBJECTS[_longest_beginning(self.path, part[1:-1]), part[1:-1]]
                path = path.replace(part, chosen[1:] if chosen.startswith("=") else ids[chosen])
        return path

    @property
    def names_something(self) -> bool:
        """Whether an id stands in its path."""
        return "{" in self.path


def _longest_beginning(path: str, name: str) -> str:
    fitting = [start for start, known in OBJECTS if known == name and path.startswith(f"{start}/")]
    if not fitting:
        raise AssertionError(f"say in OBJECTS what {{{name}}} of {path} stands for")
    return max(fitting, key=len)


def doors(app: Starlette) -> Iterator[Door]:
    """Every method of every route there is, static files apart."""
    for route in app.routes:
        if isinstance(route, Mount):
            assert route.path == "/static", f"a mount that no test knows: {route.path}"
            continue
        assert isinstance(route, Route)
        for method in sorted(route.methods or ()):
            if method != "HEAD":
                yield Door(method, route.path)


async def furnish(app: Starlette, database: Database, owner: Caller) -> dict[str, str]:
    """Make one of everything and return the ids by the words of `OBJECTS`."""
    ids = {"owner": str(owner.user_id)}
    ids |= await _through_pages(app, database, owner)
    ids |= await _through_intake(database, owner, UUID(ids["source"]))
    ids |= await _through_mail(app, database, owner)
    ids |= await _by_hand(database, owner, ids)
    return ids


async def _through_pages(app: Starlette, database: Database, owner: Caller) -> dict[str, str]:
    forms = {
        "source": ("/sources", {"name": HOSTILE, "format": "generic"}),
        "flow": ("/flows/new", {"source": FLOW}),
        "rota": ("/rotas", {"name": HOSTILE, "time_zone": "Europe/Berlin", "strategy": "round_robin"}),
        "template": ("/templates", {**LETTER, "name": "hostile"}),
    }
    made = {}
    async with signed_in(app, database, owner) as browser:
        for name, (path, form) in forms.items():
            answer = await browser.post(path, form)
            assert answer.status_code == 303, path
            made[name] = answer.headers["location"].rpartition("/")[2]
        rule = {"name": HOSTILE, "condition": "lead.title != 'x'", "target": f"rota:{made['rota']}"}
        assert (await browser.post("/rules", rule)).status_code == 303
        member = {"user_id": str(owner.user_id), "weight": "2"}
        assert (await browser.post(f"/rotas/{made['rota']}/members", member)).status_code == 303
        holiday = {"day": "2027-01-01", "holiday_name": HOSTILE}
        assert (await browser.post(f"/rotas/{made['rota']}/holidays", holiday)).status_code == 303
        assert (await browser.post("/settings/stages", {"title": SHORT, "kind": "open"})).status_code == 303
    async with database.transaction(owner.workspace_id) as tx:
        made["rule"] = str(await tx.fetch_value("SELECT id FROM app.routing_rule WHERE NOT is_default"))
        made["stage"] = next(stage.key for stage in await stages.list_stages(tx) if stage.title == SHORT)
    return made


FLOW = f"""flow: hostile
title: {json.dumps(HOSTILE)}
subject: lead
starts:
  - on: lead.created
steps:
  - name: {json.dumps(HOSTILE)}
    wait: 1d
"""
LETTER = {
    "title": HOSTILE,
    "purpose": "marketing",
    "subject": "To {{ contact.name }}",
    "body": '<mjml><mj-body><mj-section><mj-column><mj-text>{{ contact.name }} <a href="{{ unsubscribe_url }}">x</a>'
    "</mj-text></mj-column></mj-section></mj-body></mjml>",
}
PAYLOAD = {
    "name": f"Ada {HOSTILE}",
    "email": "ada@client.example",
    "phone": "+49 30 901820",
    "company": HOSTILE,
    "message": HOSTILE,
    "utm_source": HOSTILE,
    HOSTILE: HOSTILE,
}


async def _through_intake(database: Database, owner: Caller, source_id: UUID) -> dict[str, str]:
    async with database.transaction(owner.workspace_id) as tx:
        source = await intake.access_source(tx, owner, source_id)
    signals = await store(database, source, PAYLOAD, {"email": HOSTILE, "name": ""})
    await recognise_all(database)
    async with database.transaction(owner.workspace_id) as tx:
        file = f"name,email,{HOSTILE.replace(',', '')}\nBo {HOSTILE},bo@client.example,=1+1\n,,{HOSTILE}\n"
        import_ = await importing.upload(tx, owner, source_id, f"{HOSTILE}.csv", _one(file.encode()))
    await _work(database)
    async with database.transaction(owner.workspace_id) as tx:
        rows = await tx.fetch_tuples("SELECT id, contact_id FROM app.lead")
        identity_id = await tx.fetch_value("SELECT id FROM app.identity WHERE kind = 'email'")
    ((lead_id, contact_id),) = rows
    return {
        "signal": str(signals[0]),
        "import": str(import_.id),
        "lead": str(lead_id),
        "contact": str(contact_id),
        "identity": str(identity_id),
    }


async def _one(part: bytes) -> AsyncIterator[bytes]:
    yield part


async def _work(database: Database) -> None:
    loop = JobLoop(database, job_handlers(database), together={suggesting.JOB: suggesting.suggest})
    while (await loop.tick()).handled:
        pass


def hostile_mail(to: str) -> EmailMessage:
    """A mail with everything in it that a mail program might run."""
    mail = make_mail(
        HOSTILE,
        sender=f'"Eve {HOSTILE[1:]}" <ada@client.example>'.replace("\\", ""),
        to=to,
        subject=HOSTILE,
        html=f"<p onclick=alert(1)>Hi {MARK}=alert(1)></p><script>alert(1)</script><svg onload=alert(1)>"
        "<a href='javascript:alert(1)'>x</a><form action='https://evil.example'><input></form>"
        "<iframe src='https://evil.example'></iframe><meta http-equiv=refresh content='0;url=https://evil.example'>"
        "<base href='https://evil.example/'><link rel=stylesheet href='https://evil.example/x.css'>"
        "<style>*{background:url(https://evil.example/x)}</style>",
    )
    mail.add_attachment(
        b"<script>alert(1)</script>",
        maintype="text",
        subtype="html",
        filename='a"\r\nX-Evil: 1;"ü<img src=x onerror>.html'.replace("\r\n", ""),
    )
    return mail


async def _through_mail(app: Starlette, database: Database, owner: Caller) -> dict[str, str]:
    async with database.transaction(owner.workspace_id) as tx:
        address = await tx.fetch_value("SELECT mail_from FROM app.workspace")
    team = Team(database, owner.workspace_id, address)
    raw = hostile_mail(address).as_bytes()
    await team.receive(raw, mail_from="ada@client.example")
    contact_id = await team.find_contact("ada@client.example")
    assert contact_id is not None
    async with database.transaction(owner.workspace_id) as tx:
        draft = Draft(contact_id=contact_id, purpose="transactional", subject=HOSTILE, text=HOSTILE)
        (outgoing,) = await delivery.queue_messages(tx, [draft])
        await tx.execute(
            "UPDATE app.message SET state = 'held', reason = 'bounced', detail = %s WHERE id = %s", (HOSTILE, outgoing)
        )
        mail_id = new_id()
        await tx.execute(
            "INSERT INTO app.mailbox_mail (id, workspace_id, message_id, mail_from, recipient, subject, raw)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (mail_id, tx.workspace_id, outgoing, address, "ada@client.example", HOSTILE, raw),
        )
        return {
            "outgoing": str(outgoing),
            "mail": str(mail_id),
            "conversation": str(await tx.fetch_value("SELECT id FROM app.conversation")),
            "message": str(await tx.fetch_value("SELECT id FROM app.message WHERE direction = 'in'")),
            "attachment": str(await tx.fetch_value("SELECT id FROM app.attachment")),
            "unsubscribe": make_token(load_app_secret(app.state.settings), tx.workspace_id, outgoing),
        }


async def _by_hand(database: Database, owner: Caller, ids: Mapping[str, str]) -> dict[str, str]:
    async with database.transaction(owner.workspace_id) as tx:
        other, kept, lost = [await meet(tx, name) for name in ("Other One", "Kept One", "Lost One")]
        suggestion_id = new_id()
        await tx.execute(
            "INSERT INTO app.merge_suggestion (id, workspace_id, first_id, second_id, score, reasons)"
            " VALUES (%s, %s, %s, %s, 70, '[]')",
            (suggestion_id, tx.workspace_id, *sorted([UUID(ids["contact"]), other])),
        )
        merge_id = await merging.merge(tx, owner, kept, lost, [])
        await _note(tx, owner, UUID(ids["contact"]))
        segment_id = await _segments(tx, owner, UUID(ids["contact"]))
        campaign_id = await _campaign(tx, owner, segment_id)
    made = {
        "other_contact": other,
        "suggestion": suggestion_id,
        "merge": merge_id,
        "segment": segment_id,
        "campaign": campaign_id,
    }
    return {name: str(each) for name, each in made.items()}


async def _segments(tx: Tx, owner: Caller, contact_id: UUID) -> UUID:
    """A list with somebody in it, and a segment that notes who is tagged."""
    made = await segments.create_segment(tx, owner, SegmentForm(HOSTILE[:100], name="hostile"))
    await segments.add_members(tx, owner, made.id, [contact_id])
    await segments.create_segment(tx, owner, SegmentForm("Everybody", condition="true"))
    await tags.add_tags(tx, owner, [contact_id], [SHORT])
    return made.id


async def _campaign(tx: Tx, owner: Caller, segment_id: UUID) -> UUID:
    """A draft to the list, with somebody in its ledger already."""
    source = f"flow: hostile_news\ntitle: {json.dumps(HOSTILE)}\nsubject: contact\nsteps:\n  - send: hostile\n"
    flow = await flows.save_flow(tx, owner, source, subject_kinds())
    await flows.activate(tx, owner, flow.id, subject_kinds())
    form = CampaignForm(name="hostile", title=HOSTILE, variants=[(flow.id, 100)], audience_id=segment_id)
    campaign = await campaigns.create_campaign(tx, owner, form)
    await tx.execute(
        "INSERT INTO app.campaign_recipient (campaign_id, contact_id, workspace_id, variant, state, reason)"
        " SELECT %s, contact_id, workspace_id, 1, 'failed', %s FROM app.segment_member WHERE segment_id = %s",
        (campaign.id, HOSTILE, segment_id),
    )
    return campaign.id


async def _note(tx: Tx, owner: Caller, contact_id: UUID) -> None:
    await tx.execute(
        "INSERT INTO app.note (id, workspace_id, contact_id, author_id, body) VALUES (%s, %s, %s, %s, %s)",
        (new_id(), tx.workspace_id, contact_id, user_of(owner), HOSTILE),
    )


def made_up(ids: Mapping[str, str]) -> dict[str, str]:
    """Ids of the same shape that stand for nothing."""
    strange = {name: str(new_id()) for name in ids}
    return strange | {"stage": "made-up", "unsubscribe": base64.urlsafe_b64encode(bytes(48)).decode()}


def fingerprint(urls: Urls) -> dict[str, str]:
    """Every row of every table, past row security, as one digest a table; limits and sign-ins apart."""
    with psycopg.connect(urls.superuser) as connection:
        names = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = 'app'::regnamespace"
            " AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
            " AND c.relname NOT IN ('throttle', 'session', 'schema_migration', 'clock_shift')"
        ).fetchall()
        return {
            name: connection.execute(
                f"SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {name} t".encode()
            ).fetchall()[0][0]
            for (name,) in names
        }
