"""Every kind of event reads well on a timeline, whichever room it comes from."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import switchboard
from switchboard.accounts.models import Caller
from switchboard.flows.definition import EVENTS
from switchboard.kernel import events
from switchboard.kernel.db import Database
from switchboard.kernel.events import Actor, Event
from switchboard.people import service
from switchboard.people.models import Sighting
from switchboard.people.timeline import list_timeline
from switchboard.people.wording import NOT_SHOWN, STOPPED_BY, WORDINGS, say
from tests.people.conftest import see

ROOT = Path(switchboard.__file__).parent
MAKERS = re.compile(r"\b(Event|message_event|_tell|_append)$")
KIND = re.compile(r"[a-z]+\.[a-z_]+")


def appended_kinds() -> Iterator[tuple[str, str]]:
    """Each kind written out where an event is made or told, with the file that does so."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and MAKERS.search(ast.unparse(node.func)):
                for value in [*node.args[:3], *(word.value for word in node.keywords if word.arg == "kind")]:
                    if isinstance(value, ast.Constant) and KIND.fullmatch(str(value.value)):
                        yield str(value.value), str(path.relative_to(ROOT))


def test_every_kind_of_event_has_a_wording_or_its_noun_a_reason_to_have_none() -> None:
    kinds = dict(appended_kinds())
    unknown = {kind for kind in kinds if kind not in WORDINGS and kind.partition(".")[0] not in NOT_SHOWN}
    assert {(kind, kinds[kind]) for kind in unknown} == set(), "add a line to people/wording.py"
    assert {kind.partition(".")[0] for kind in WORDINGS}.isdisjoint(NOT_SHOWN)
    assert len(kinds) > 20


def test_every_event_that_can_stop_a_flow_is_a_reason_in_words() -> None:
    assert set(STOPPED_BY) == set(EVENTS)


def test_every_icon_is_there() -> None:
    icons = (ROOT / "entrypoints/static/icons.svg").read_text()
    assert {w.icon for w in WORDINGS.values() if f'id="{w.icon}"' not in icons} == set()


def test_a_wording_is_filled_from_the_event() -> None:
    member = uuid4()
    assert say("lead.assigned", {"owner_id": str(member)}, {str(member): "Amir"})[1] == "assigned the lead to Amir"
    assert say("lead.assigned", {"owner_id": str(uuid4())}, {})[1] == "assigned the lead to a former member"
    assert say("message.held", {"reason": "quiet_hours"}, {})[1] == "held a message back: quiet hours"
    assert say("message.held", {}, {})[1] == "held a message back"
    assert say("contact.updated", {"fields": ["name", "time_zone"]}, {})[1] == "changed name, time zone"
    decided = {"owner_id": str(member), "by": "by the rule Big ones and the rota Sales"}
    assert say("lead.assigned", decided, {str(member): "Amir"})[1] == (
        "assigned the lead to Amir by the rule Big ones and the rota Sales"
    )
    assert say("lead.waiting", {}, {})[1] == "found nobody for the lead: it waits"
    assert say("message.sent", {"message": "“Your_offer” (offer)", "way": "by e-mail"}, {})[1] == (
        "sent “Your_offer” (offer) by e-mail"
    )
    assert say("run.stopped", {"reason": "not_wanted"}, {})[1] == "stopped: not_wanted"
    assert say("run.stopped", {"reason": "lead.accepted"}, {})[1] == "stopped because the lead was accepted"
    assert say("run.stopped", {}, {})[1] == "stopped"
    assert say("comet.seen_again", {}, {})[1] == "comet seen again"


async def test_a_timeline_is_paged_names_its_actors_and_can_be_of_one_lead(database: Database, owner: Caller) -> None:
    (ann,) = await see(database, owner, Sighting(name="Ann Lee", email="ann@lee.example"))
    assert ann.contact_id is not None
    lead_id = uuid4()
    async with database.transaction(owner.workspace_id) as tx:
        await service.add_note(tx, owner, ann.contact_id, "Spoke to her", is_call=True)
        opened = Event("lead.created", lead_id, ann.contact_id, lead_id, Actor("source"))
        await events.append(tx, [opened])
    async with database.transaction(owner.workspace_id) as tx:
        newest = await list_timeline(tx, ann.contact_id, limit=2)
        rest = await list_timeline(tx, ann.contact_id, newest[-1].id)
        of_lead = await list_timeline(tx, ann.contact_id, lead_id=lead_id)
    assert [(item.actor, item.text, item.icon, item.body) for item in newest] == [
        ("A source", "opened a lead", "zap", ""),
        ("Olga Owner", "called them", "phone", "Spoke to her"),
    ]
    assert [(item.actor, item.text) for item in rest] == [("Switchboard", "added this contact")]
    assert [item.kind for item in of_lead] == ["lead.created"]
