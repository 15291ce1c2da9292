"""What would become of messages if they were written: their subject, and what the gate would say at their moment."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from switchboard.delivery import letters
from switchboard.delivery.gate import Verdict, decide
from switchboard.delivery.gate_facts import GateReader
from switchboard.delivery.letters import Content, Letterhead
from switchboard.delivery.models import Draft, Message, no_lead_facts
from switchboard.delivery.queueing import make_messages
from switchboard.delivery.rendering import TemplateError, render_template
from switchboard.kernel.db import Tx

# Only subjects are shown of these letters, so the links in them lead nowhere.
_LETTERHEAD = Letterhead(public_url="", secret=bytes(32), mail_domain="invalid", sender="")


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A message that was not written. `action` is send, defer (`until` a moment), hold, drop or fail."""

    message: Message
    subject: str
    action: str
    reason: str
    detail: str
    until: datetime | None = None


async def foresee(tx: Tx, drafts: Sequence[tuple[Draft, datetime]]) -> list[Foreseen]:
    """What would become of these drafts, each at its own moment, as people and settings are now; nothing is written.

    The gate and the letters are those of real sending. What else will be sent until then is not known here, so the
    frequency cap counts what was sent so far.
    """
    messages = await make_messages(tx, [draft for draft, _ in drafts])
    templates = await letters.TemplateShelf().load(tx, messages)
    reader = await GateReader.read(tx, messages, letters.asked_of_contacts(templates))
    await reader.read_cap_times(tx, {message.contact_id for message in messages if message.contact_id is not None})
    desk = await letters.prepare(tx, _LETTERHEAD, reader, messages, templates, load_lead_facts=no_lead_facts)
    return [
        _foresee(desk.content_of(message), decide(replace(reader.facts_of(message), now=at)))
        for message, (_, at) in zip(messages, drafts, strict=True)
    ]


def _foresee(content: Content, verdict: Verdict) -> Foreseen:
    message = content.message
    if message.state != "queued":
        action = "drop" if message.state == "dropped" else "fail"
        return Foreseen(message, message.subject, action, message.reason or "", message.detail or "")
    try:
        subject = _subject(content)
    except TemplateError as error:
        return Foreseen(message, "", "fail", error.code, error.message)
    return Foreseen(message, subject, verdict.action, verdict.reason, verdict.detail, verdict.until)


def _subject(content: Content) -> str:
    if content.template is None:
        return content.message.subject
    return render_template(content.template, content.variables).subject
