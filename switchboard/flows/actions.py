"""What each step does to the runs that stand at it together, but for those steps that change the subject."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, time, timedelta
from uuid import UUID

from switchboard.delivery.models import CampaignPriority, Draft
from switchboard.flows.compiled import CompiledStep
from switchboard.flows.recipients import find_owners, find_recipients
from switchboard.flows.walking import Batch, Walk
from switchboard.kernel.localtime import next_local, to_local

Action = Callable[[Batch, CompiledStep, Sequence[Walk]], Awaitable[None]]

NOBODY = "nobody to tell"
TOO_LATE = "too late"


async def send(batch: Batch, step: CompiledStep, walks: Sequence[Walk]) -> None:
    """Write one message for each run; it goes out when delivery lets it."""
    owners = await find_owners(batch, walks) if step.config["to"] == "owner" else {}
    for walk in walks:
        not_after = _not_after(step, walk.due_at)
        skipped = _why_skipped(batch, step, walk, owners)
        if skipped:
            batch.tell(walk, step, "skipped", f"skipped a step, {skipped}: {step.title}")
            walk.pass_on(step.next, "skipped", skipped)
            continue
        batch.drafts.append(_letter(step, walk, owners.get(walk.run.id), not_after, batch.priority_of(walk)))
        walk.pass_on(step.next)


async def wait(batch: Batch, step: CompiledStep, walks: Sequence[Walk]) -> None:
    """Let time pass, up to a local hour of the contact where one is named."""
    beginning = [walk for walk in walks if walk.phase == "ready"]
    for walk in walks:
        if walk.phase != "ready":
            walk.pass_on(step.next)
    contacts = await batch.contacts_of(beginning) if "until" in step.config else {}
    for walk in beginning:
        until = batch.now + timedelta(seconds=_whole(step, "for_seconds"))
        text = _waits(step)
        if "until" in step.config:
            contact = contacts.get(walk.run.contact_id) if walk.run.contact_id else None
            zone = await batch.zone_of(contact)
            until = _local_hour(step, until, zone)
            text = f"waits until {to_local(until, zone):%a %d %b, %H:%M} in their zone"
        batch.tell(walk, step, "waiting", text, until=until.isoformat())
        walk.rest(until, detail=until.isoformat())


async def wait_for(batch: Batch, step: CompiledStep, walks: Sequence[Walk]) -> None:
    """Wait for an event, or for its time to run out."""
    until = batch.now + timedelta(seconds=_whole(step, "timeout_seconds"))
    for walk in walks:
        if walk.phase == "ready":
            batch.tell(walk, step, "waiting", _waits(step), until=until.isoformat())
            walk.rest(until, awaits=str(step.config["event"]), detail=until.isoformat())
        else:
            has_come = walk.phase == "woken"
            text = "went on, for it has come" if has_come else "went on, for it has not come"
            batch.tell(walk, step, "yes" if has_come else "timeout", f"{text}: {step.config['event']}")
            walk.pass_on(step.next_true if has_come else step.next_false, "yes" if has_come else "no")


async def branch(batch: Batch, step: CompiledStep, walks: Sequence[Walk]) -> None:
    """Take one way or the other, as the condition holds now; raises ExpressionError where nobody can tell."""
    await batch.knowledge.learn(walk.key for walk in walks)
    condition = str(step.config["condition"])
    for walk in walks:
        holds = batch.knowledge.holds(condition, walk.key, walk.run.event_data)
        batch.tell(walk, step, "yes" if holds else "no", f"took the way {'yes' if holds else 'no'}: {step.title}")
        walk.pass_on(step.next_true if holds else step.next_false, "yes" if holds else "no")


async def notify(batch: Batch, step: CompiledStep, walks: Sequence[Walk]) -> None:
    """Tell a colleague by a message of their own."""
    recipients = await find_recipients(batch, walks, str(step.config["to"]))
    await batch.knowledge.learn(walk.key for walk in walks)
    for walk in walks:
        user_id = recipients.get(walk.run.id)
        if user_id is None:
            batch.tell(walk, step, "skipped", f"skipped a step, {NOBODY}: {step.title}")
            walk.pass_on(step.next, "skipped", NOBODY)
            continue
        batch.drafts.append(notice(batch, walk, user_id, str(step.config["text"])))
        batch.tell(walk, step, "told", f"told a colleague: {step.config['text']}", user_id=user_id)
        walk.pass_on(step.next)


async def stop(_batch: Batch, step: CompiledStep, walks: Sequence[Walk]) -> None:
    """End the run here."""
    for walk in walks:
        walk.end("stopped", str(step.config["reason"]))


# Steps that change the subject stand in `subject_actions`: they need its locks before those of the runs.
ACTIONS: Mapping[str, Action] = {
    "send": send,
    "wait": wait,
    "wait_for": wait_for,
    "if": branch,
    "notify": notify,
    "stop": stop,
}


def _waits(step: CompiledStep) -> str:
    """The step in words that follow the flow's name: `waits 2d` for `Wait 2d`, or the title its author gave it."""
    described = step.title.removeprefix("Wait ")
    return f"waits {described}" if described != step.title else f"waits: {step.title}"


def notice(batch: Batch, walk: Walk, user_id: UUID, text: str) -> Draft:
    """A message of the flow to a colleague, with the way to what it is about."""
    values = batch.knowledge.values_of(walk.key)
    name = str(values.get("contact", {}).get("name") or values.get("contact", {}).get("email") or "somebody")
    run = walk.run
    path = f"/leads/{run.lead_id}" if run.lead_id else f"/contacts/{run.contact_id}"
    return Draft(
        user_id=user_id,
        contact_id=None,
        lead_id=run.lead_id,
        run_id=run.id,
        run_revision=walk.revision,
        channel="email",
        purpose="transactional",
        subject=f"{name}: {batch.version.flow.title}",
        text=f"{text}\n\n{batch.public_url}{path}\n",
    )


def _letter(
    step: CompiledStep, walk: Walk, owner_id: UUID | None, not_after: datetime | None, priority: CampaignPriority
) -> Draft:
    run = walk.run
    to_owner = step.config["to"] == "owner"
    return Draft(
        contact_id=run.contact_id if not to_owner else None,
        user_id=owner_id if to_owner else None,
        lead_id=run.lead_id,
        run_id=run.id,
        run_revision=walk.revision,
        campaign_id=run.campaign_id,
        priority=priority,
        channel=str(step.config["channel"]),
        purpose="marketing" if step.config["purpose"] == "marketing" else "transactional",
        template_name=str(step.config["template"]),
        is_urgent=bool(step.config["urgent"]),
        not_after=not_after,
        when_late="send" if step.config.get("on_late") == "send" else "skip",
    )


def is_too_late(step: CompiledStep, due_at: datetime, now: datetime) -> bool:
    """Whether a letter whose step was due at `due_at` is skipped, because nobody wants it any more."""
    not_after = _not_after(step, due_at)
    return not_after is not None and now > not_after and step.config.get("on_late") != "send"


def _why_skipped(batch: Batch, step: CompiledStep, walk: Walk, owners: Mapping[UUID, UUID]) -> str:
    if step.config["to"] == "owner" and walk.run.id not in owners:
        return NOBODY
    if step.config["to"] == "contact" and walk.run.contact_id is None:
        return NOBODY
    return TOO_LATE if is_too_late(step, walk.due_at, batch.now) else ""


def _not_after(step: CompiledStep, due_at: datetime) -> datetime | None:
    if "not_after_seconds" not in step.config:
        return None
    return due_at + timedelta(seconds=_whole(step, "not_after_seconds"))


def _local_hour(step: CompiledStep, after: datetime, zone: str) -> datetime:
    weekdays = step.config["weekdays"]
    days = frozenset(int(day) for day in weekdays) if isinstance(weekdays, list) else frozenset()
    return next_local(after, zone, time.fromisoformat(str(step.config["until"])), days)


def _whole(step: CompiledStep, name: str) -> int:
    return int(str(step.config.get(name, 0)))
