"""How each kind of event reads on a timeline, in one place for all rooms.

A new kind of event needs a line here, or its noun a reason in NOT_SHOWN; a test finds those that have neither. A
wording may name what the event's data holds: `{stage}` is `data["stage"]`, and `{owner}` the member whose id is
`data["owner_id"]`. What is missing reads as nothing. Some places are put together: `{message}` is a message by its
subject, `{way}` how and to whom it goes, and `{by}` the rule and the rota that decided; `{why}` is why a flow stopped.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Tone = Literal["", "ok", "wait", "bad", "accent"]


@dataclass(frozen=True, slots=True)
class Wording:
    """An icon, a line that follows the actor's name, and the meaning of its colour."""

    icon: str
    text: str
    tone: Tone = ""


WORDINGS: Mapping[str, Wording] = {
    "contact.created": Wording("user-plus", "added this contact", "accent"),
    "contact.updated": Wording("pencil", "changed {fields}"),
    "contact.address_added": Wording("at-sign", "added an address: {kind}"),
    "contact.address_removed": Wording("at-sign", "removed an address: {kind}"),
    "contact.address_preferred": Wording("star", "chose which address to write to: {kind}"),
    "contact.address_shared": Wording("users", "marked an address as shared with others: {kind}"),
    "contact.address_owned": Wording("user", "marked an address as theirs alone: {kind}"),
    "contact.merged": Wording("merge", "merged another contact into this one"),
    "contact.unmerged": Wording("split", "undid a merge"),
    "contact.split": Wording("split", "made an address a contact of its own: {kind}"),
    "contact.opted_out": Wording("ban", "ended all marketing to this contact", "bad"),
    "contact.opted_in": Wording("circle-check", "noted that they want marketing again", "ok"),
    "contact.tagged": Wording("tag", "tagged this contact: {tags}"),
    "contact.untagged": Wording("tag", "removed a tag: {tags}"),
    "consent.recorded": Wording("file-text", "recorded what they said to marketing"),
    "segment.created": Wording("users", "added the segment {segment}"),
    "segment.updated": Wording("pencil", "changed the segment {segment}"),
    "segment.archived": Wording("ban", "archived the segment {segment}"),
    "segment.built": Wording("check", "filled the segment {segment}", "ok"),
    "segment.entered": Wording("arrow-right", "put them into the segment {segment}"),
    "segment.left": Wording("log-out", "took them out of the segment {segment}"),
    "note.added": Wording("sticky-note", "wrote a note"),
    "lead.created": Wording("zap", "opened a lead", "accent"),
    "lead.joined": Wording("zap", "added a signal to the open lead"),
    "lead.assigned": Wording("user-check", "assigned the lead to {owner} {by}"),
    "lead.waiting": Wording("hourglass", "found nobody for the lead {by}: it waits", "wait"),
    "lead.accepted": Wording("circle-check", "accepted the lead", "ok"),
    "lead.handed_on": Wording("forward", "handed the lead on, for it was not accepted in time", "wait"),
    "lead.stage_changed": Wording("flag", "moved the lead to {stage}"),
    "lead.valued": Wording("tag", "changed the lead's value"),
    "lead.recorded": Wording("history", "recorded a lead of the past"),
    "lead.updated": Wording("pencil", "changed the lead"),
    "lead.junked": Wording("ban", "marked the lead as junk: {reason}", "bad"),
    "lead.unjunked": Wording("rotate-ccw", "took the lead out of junk"),
    "lead.closed": Wording("flag", "closed the lead"),
    "lead.reopened": Wording("rotate-ccw", "opened the lead again"),
    "lead.released": Wording("circle-x", "gave the lead back"),
    "run.started": Wording("workflow", "began"),
    "run.stepped": Wording("arrow-right", "{text}"),
    "run.finished": Wording("check", "came to its end", "ok"),
    "run.stopped": Wording("circle-pause", "stopped {why}"),
    "run.failed": Wording("circle-x", "could not go on: {reason}", "bad"),
    "message.queued": Wording("mail", "wrote {message} {way}"),
    "message.sent": Wording("send", "sent {message} {way}", "ok"),
    "message.held": Wording("pause", "held {message} back: {reason}", "wait"),
    "message.deferred": Wording("clock", "put {message} off: {reason}", "wait"),
    "message.dropped": Wording("x", "dropped {message}: {reason}"),
    "message.failed": Wording("circle-x", "could not send {message}: {reason}", "bad"),
    "message.in_doubt": Wording("triangle-alert", "does not know whether {message} arrived", "wait"),
    "message.seen": Wording("eye", "took note that {message} did not go out"),
    "message.bounced": Wording("circle-x", "got {message} back undelivered", "bad"),
    "message.received": Wording("inbox", "received {message}", "accent"),
    "message.replied": Wording("reply", "answered", "accent"),
    "conversation.answered": Wording("reply", "answered the conversation", "ok"),
    "conversation.waiting": Wording("hourglass", "began to wait for an answer", "wait"),
    "conversation.assigned": Wording("user-check", "assigned the conversation to {owner}"),
    "conversation.snoozed": Wording("clock", "snoozed the conversation"),
    "conversation.woken": Wording("bell", "woke the conversation"),
    "conversation.reopened": Wording("rotate-ccw", "opened the conversation again"),
    "conversation.closed": Wording("check", "closed the conversation"),
    "conversation.noted": Wording("sticky-note", "wrote a note in the conversation"),
}

# Why a flow stopped, by the kind of event that stopped it.
STOPPED_BY: Mapping[str, str] = {
    "contact.created": "because the contact was added",
    "contact.opted_out": "because they opted out",
    "conversation.closed": "because the conversation was closed",
    "lead.accepted": "because the lead was accepted",
    "lead.assigned": "because the lead was assigned",
    "lead.closed": "because the lead was closed",
    "lead.created": "because a lead was opened",
    "lead.junked": "because the lead was marked as junk",
    "lead.stage_changed": "because the lead changed its stage",
    "message.bounced": "because a message came back undelivered",
    "message.replied": "because they answered",
    "message.sent": "because a message was sent",
    "segment.entered": "because they entered a segment",
    "segment.left": "because they left a segment",
}

# What events are about that no timeline shows, by the noun before the dot; each with the reason.
NOT_SHOWN: Mapping[str, str] = {
    "campaign": "about a campaign itself; its messages have events of their own",
    "flow": "about a flow itself",
    "import": "about a file; the people in it have events of their own",
    "mail": "about the local mailbox",
    "member": "about a member",
    "rota": "about a rota",
    "rule": "about a routing rule",
    "signal": "about a source's signals; what they led to has events of its own",
    "source": "about a source",
    "stage": "about the stages of all leads",
    "suggestion": "about two contacts; their pages list open suggestions",
    "suppression": "about an address, whoever has it",
    "template": "about a template",
    "workspace": "about the workspace",
}

_PLACE = re.compile(r"\{(\w+)\}")
_LEFT_OVER = re.compile(r"(?:\s*:)?\s*$")
_GAP = re.compile(r"\s+(?=:|\s)")
# What people typed or named stands as it is; other values are words of ours such as `quiet_hours`.
_AS_TYPED = frozenset({"message", "way", "by", "text", "segment", "tags"})


def say(kind: str, data: Mapping[str, object], names: Mapping[str, str]) -> tuple[Wording, str]:
    """The wording of a kind, and its line with the data put in; `names` has members' names by id.

    A kind without a wording, from a newer version or a partner, reads as its own words.
    """
    wording = WORDINGS.get(kind) or Wording("activity", kind.replace(".", " ").replace("_", " "))
    text = _PLACE.sub(lambda place: _value(place.group(1), data, names), wording.text)
    return wording, _LEFT_OVER.sub("", _GAP.sub("", text))


def name_message(subject: str, template: str) -> str:
    """A message as a line names it: by its subject, and by its letter where it was written from one."""
    if not subject:
        return f"the letter {template}" if template else "a message"
    return f"“{subject}” ({template})" if template else f"“{subject}”"


def _value(name: str, data: Mapping[str, object], names: Mapping[str, str]) -> str:
    if name == "why":
        reason = str(data.get("reason", ""))
        return STOPPED_BY.get(reason, f": {reason}" if reason else "")
    if (member_id := data.get(f"{name}_id")) is not None and name not in data:
        return names.get(str(member_id), "a former member")
    value = data.get(name, "a message" if name == "message" else "")
    if name in _AS_TYPED:
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    if isinstance(value, list):
        return ", ".join(str(item).replace("_", " ") for item in value)
    return str(value).replace("_", " ") if value is not None else ""
