"""Queueing one letter to many contacts at once: what `queue_messages` does, without an object for each of them."""

from collections.abc import Mapping
from datetime import timedelta

from switchboard.accounts.service import get_workspace
from switchboard.delivery import repository_alike
from switchboard.delivery.models import Draft
from switchboard.delivery.queueing import event_data, find_templates, first_state, wake_outbox
from switchboard.delivery.repository_alike import AddedMessages, Recipients
from switchboard.kernel.db import Tx
from switchboard.kernel.events_alike import AlikeEvents, append_alike
from switchboard.kernel.ids import new_moment


async def queue_alike(tx: Tx, draft: Draft, to: Recipients, not_after: timedelta | None) -> None:
    """Queue the message of each run to its contact, unless its step has written one already.

    `draft` is what they have in common: its `run_revision` counts from each run's own, and `not_after` from when its
    step was due. To whom there is no address, or where there is no such template, the message says so at once.
    """
    template = (await find_templates(tx, [draft])).get(draft.template_name or "")
    workspace = await tx.remember("workspace", get_workspace)
    tail = f".{workspace.id.hex}@{workspace.mail_from.rpartition('@')[2]}>"
    columns = _columns(draft, has_template=template is not None) | {"header_tail": tail, "not_after": not_after}
    for added in await repository_alike.insert_alike(tx, to, new_moment(), columns, template):
        await _tell(tx, draft, added)
        if added.state == "queued":
            await wake_outbox(tx, [draft.lane])


def _columns(draft: Draft, *, has_template: bool) -> dict[str, object]:
    state, reason, detail = first_state(draft, "somebody", has_template=has_template)
    return {
        "kind": "email" if draft.channel == "email" else "phone",
        "channel": draft.channel,
        "purpose": draft.purpose,
        "state": state,
        "reason": reason,
        "detail": detail,
        "no_address": first_state(draft, "", has_template=has_template)[2],
        "revision": draft.run_revision,
        "campaign": draft.campaign_id,
        "subject": draft.subject,
        "text": draft.text,
        "html": draft.html,
        "is_urgent": draft.is_urgent,
        "when_late": draft.when_late,
        "lane": draft.lane,
    }


async def _tell(tx: Tx, draft: Draft, added: AddedMessages) -> None:
    reason = {"dropped": "no_address", "failed": "no_template"}.get(added.state)
    data: Mapping[str, object] = event_data(draft, reason)
    about = AlikeEvents(
        kind=f"message.{added.state}",
        cause="run_id",
        cause_ids=added.run_ids,
        subject_ids=added.message_ids,
        contact_ids=added.contact_ids,
        lead_ids=added.lead_ids,
        actor_kind="flow",
        actor_id=None,
        data=data,
    )
    await append_alike(tx, about)
