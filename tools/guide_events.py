"""The page of events: every kind that is written to the log, and what it says."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import switchboard
from switchboard.flows.definition import EVENTS
from switchboard.people.wording import WORDINGS
from tools.guide_text import code, page, table

MEANINGS: Mapping[str, str] = {
    "campaign.archived": "A campaign was taken out of the list.",
    "campaign.cancelled": "A campaign was ended before everybody got it; what waited was called back.",
    "campaign.created": "Somebody began to write a campaign.",
    "campaign.finished": "Nothing of a campaign is on its way any more.",
    "campaign.not_started": "Something stood against starting a campaign at its moment: `reason` says what.",
    "campaign.paused": "Nothing of a campaign goes out until it is resumed; `reason` says why it paused itself.",
    "campaign.resumed": "A paused campaign goes on where it stood.",
    "campaign.scheduled": "A campaign waits for its moment.",
    "campaign.started": "A campaign began to take in its audience.",
    "campaign.updated": "A campaign was changed.",
    "campaign.winner_chosen": "The rest of the audience gets the variant that the data names.",
    "consent.recorded": "What a contact said to marketing was written down.",
    "contact.address_added": "A contact has one more address.",
    "contact.address_owned": "An address belongs to one contact alone again.",
    "contact.address_preferred": "An address was chosen as the one to write to.",
    "contact.address_removed": "An address was taken from a contact.",
    "contact.address_shared": "An address was marked as used by several contacts.",
    "contact.created": "Somebody new was seen.",
    "contact.merged": "Another contact became part of this one.",
    "contact.opted_in": "A contact wants marketing again.",
    "contact.opted_out": "A contact wants no marketing any more.",
    "contact.split": "An address became a contact of its own.",
    "contact.tagged": "Tags were put on a contact.",
    "contact.unmerged": "A merge was undone; each of the two contacts has one such event.",
    "contact.untagged": "Tags were taken from a contact.",
    "contact.updated": "A contact's columns or fields changed.",
    "conversation.answered": "A member answered.",
    "conversation.assigned": "A conversation was given to a member.",
    "conversation.closed": "A conversation was closed.",
    "conversation.noted": "A member wrote a note.",
    "conversation.reopened": "A conversation was opened again.",
    "conversation.snoozed": "A conversation was put off until a moment.",
    "conversation.waiting": "A conversation waits for an answer, or its answer was held back.",
    "conversation.woken": "The moment of a snoozed conversation has come.",
    "flow.activated": "Contacts and leads may enter a flow.",
    "flow.created": "A flow was saved for the first time.",
    "flow.paused": "Nobody enters a flow, and its runs rest.",
    "flow.saved": "A flow has a new version.",
    "import.cancelled": "An import was stopped by a member.",
    "import.examined": "A file was read far enough to map its columns.",
    "import.failed": "A file could not be read.",
    "import.finished": "Every row of an import has come to its end.",
    "import.started": "The rows of a file are on their way.",
    "import.uploaded": "A file was handed in.",
    "lead.accepted": "Its owner took a lead on.",
    "lead.assigned": "A lead has a new owner.",
    "lead.closed": "A lead came to a stage that is won or lost.",
    "lead.created": "A contact asked for something and had no open lead.",
    "lead.handed_on": "A lead went to the next person because nobody accepted it in time.",
    "lead.joined": "A contact with an open lead asked again.",
    "lead.junked": "A lead was marked as junk.",
    "lead.recorded": "A source told of a lead that was won or lost already.",
    "lead.released": "A lead is nobody's any more and counts against nobody's capacity.",
    "lead.reopened": "A closed lead was opened again.",
    "lead.stage_changed": "A lead stands in another stage.",
    "lead.unjunked": "A lead is not junk after all.",
    "lead.valued": "A lead's value or currency changed.",
    "lead.updated": "A field of a lead changed.",
    "lead.waiting": "Nobody is available for a lead: it waits.",
    "mail.delivered": "A message came to the local mailbox.",
    "member.joined": "A user became a member of the workspace.",
    "message.bounced": "A mail came back undelivered.",
    "message.deferred": "A message is put off to a later moment.",
    "message.dropped": "A message will not be sent, for the reason named.",
    "message.failed": "A message could not be sent, for good.",
    "message.held": "A message is kept back until a member decides.",
    "message.in_doubt": "Nobody knows whether a message arrived.",
    "message.queued": "A message waits to be sent.",
    "message.received": "A message came in.",
    "message.replied": "A contact wrote, and a person did the writing.",
    "message.seen": "A person took note of a message that did not go out.",
    "message.sent": "The provider took a message.",
    "note.added": "A member wrote a note on a contact.",
    "rota.archived": "A rota is out of use.",
    "rota.changed": "Members, shifts, holidays or settings of a rota changed.",
    "rota.created": "A rota was added.",
    "rule.changed": "A rule was saved anew.",
    "rule.created": "A rule was added.",
    "rule.deleted": "A rule was removed.",
    "rule.disabled": "A rule was switched off.",
    "rule.enabled": "A rule was switched on.",
    "rule.moved": "A rule is asked at another place.",
    "run.failed": "A run could not go on.",
    "run.finished": "A run came to the end of its flow.",
    "run.started": "A contact or lead entered a flow.",
    "run.stepped": "A step did something worth telling.",
    "run.stopped": "A run ended before its flow did.",
    "segment.archived": "A segment is out of use.",
    "segment.built": "All contacts have been held against a segment's condition, or a list is filled.",
    "segment.created": "A segment was added.",
    "segment.entered": "A contact has come to meet a segment's condition, or was put into a list.",
    "segment.left": "A contact does not meet a segment's condition any more, or was taken from a list.",
    "segment.updated": "A segment's title or condition changed.",
    "signal.run_again": "Signals are recognised once more.",
    "source.created": "A source was added.",
    "source.mapping_saved": "A source's payloads are read in another way.",
    "source.paused": "A source takes nothing.",
    "source.renamed": "A source has another name.",
    "source.resumed": "A source takes signals again.",
    "source.secret_changed": "A source's signatures are checked with another secret, or not at all.",
    "source.settings_changed": "The hosts that a source's form may lead to changed.",
    "source.token_rotated": "A source has a new address.",
    "stage.changed": "The stages of leads changed.",
    "suggestion.dismissed": "Two contacts are not one person, a member said.",
    "suggestion.made": "Two contacts may be one person.",
    "suppression.added": "Nothing is sent to an address any more.",
    "suppression.removed": "An address may be written to again.",
    "template.archived": "A template is out of use.",
    "template.created": "A template was added.",
    "template.saved": "A template was saved.",
    "workspace.created": "A workspace was made.",
    "workspace.updated": "The settings of a workspace changed.",
}

INTRODUCTION = """\
Whatever changes is written as an event, in the same transaction as the change. Timelines, live pages and flows read
this one log. *Timeline* says whether contacts and leads show it, *flows* whether a flow may start, stop or wait for
it."""

_KIND = re.compile(r"[a-z]+\.[a-z_]+")
_NAMES = {"Event", "event_about", "message_event", "_event", "_save", "_append"}
_PACKAGE = Path(next(iter(switchboard.__path__)))


def render() -> str:
    """Every kind with its meaning, by noun."""
    rows = [[code(kind), text, _mark(kind in WORDINGS), _mark(kind in EVENTS)] for kind, text in MEANINGS.items()]
    return page("Events", INTRODUCTION, table(["Kind", "When", "Timeline", "Flows"], sorted(rows)))


def written_kinds() -> set[str]:
    """Kinds that the code writes out in full where it makes an event."""
    return {kind for call in _calls() for kind in _texts(call) if _KIND.fullmatch(kind)}


def built_nouns() -> set[str]:
    """Nouns of kinds that the code puts together, as in `f"rule.{verb}"`."""
    pieces = (first for call in _calls() if (first := _first_piece(call)))
    return {noun for noun, dot, _ in (piece.partition(".") for piece in pieces) if dot}


def words_of_code() -> set[str]:
    """Every text that stands in the package, for the verbs of kinds that are put together."""
    constants = (node.value for tree in _trees() for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str) and len(value) < 60}


def _mark(holds: bool) -> str:
    return "yes" if holds else ""


@lru_cache(maxsize=1)
def _trees() -> tuple[ast.Module, ...]:
    return tuple(ast.parse(path.read_text(encoding="utf-8")) for path in sorted(_PACKAGE.rglob("*.py")))


def _calls() -> Iterator[ast.Call]:
    for tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called(node.func) in _NAMES:
                yield node


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _texts(call: ast.Call) -> Iterator[str]:
    for argument in call.args:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value


def _first_piece(call: ast.Call) -> str:
    """What an interpolated kind begins with; empty for anything else."""
    kind = call.args[0] if call.args else None
    pieces = kind.values if isinstance(kind, ast.JoinedStr) else []
    first = pieces[0] if pieces else None
    return str(first.value) if isinstance(first, ast.Constant) else ""
