"""What a flow says: frozen shapes for the YAML that people write. `definition_parsing.parse_flow` makes them.

    flow: speed_to_lead
    title: Speed to lead
    subject: lead
    starts:
      - on: lead.created
        where: "!lead.junk"
    stops:
      - on: lead.accepted
    steps:
      - assign: {rota: sales, accept_within: 5m}
      - wait: {for: 1d, until: "09:00", weekdays: [mon, tue, wed, thu, fri]}
      - send: welcome
      - if: lead.value > 100000
        then:
          - notify: owner
            text: This one is worth a call.

A step's `id` is its path in the file, counted from 1, such as `4.then.1`; counters hang on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta

from switchboard.kernel.expressions import Fields, FieldType
from switchboard.kernel.localtime import EVERY_DAY

EVENTS = (
    "contact.created",
    "contact.opted_out",
    "conversation.closed",
    "lead.accepted",
    "lead.assigned",
    "lead.closed",
    "lead.created",
    "lead.junked",
    "lead.stage_changed",
    "message.bounced",
    "message.replied",
    "message.sent",
    "segment.entered",
    "segment.left",
)
SUBJECTS = ("lead", "contact")
RECIPIENTS = ("contact", "owner")
PURPOSES = ("marketing", "transactional")
LATE_RULES = ("skip", "send")

# What a condition may read. `lead.value` is in minor units, `lead.outcome` is won, lost or empty, `lead.owner` is an
# e-mail address, `lead.source` a source's name, and `event` holds what the event that woke the run says.
FLOW_FIELDS: Fields = {
    "contact.name": FieldType.STRING,
    "contact.first_name": FieldType.STRING,
    "contact.last_name": FieldType.STRING,
    "contact.email": FieldType.STRING,
    "contact.phone": FieldType.STRING,
    "contact.company": FieldType.STRING,
    "contact.country": FieldType.STRING,
    "contact.time_zone": FieldType.STRING,
    "contact.locale": FieldType.STRING,
    "contact.fields": FieldType.STRING_MAP,
    "contact.created_at": FieldType.TIMESTAMP,
    "lead.title": FieldType.STRING,
    "lead.stage": FieldType.STRING,
    "lead.outcome": FieldType.STRING,
    "lead.owner": FieldType.STRING,
    "lead.source": FieldType.STRING,
    "lead.value": FieldType.INT,
    "lead.currency": FieldType.STRING,
    "lead.signals": FieldType.INT,
    "lead.junk": FieldType.BOOL,
    "lead.fields": FieldType.STRING_MAP,
    "lead.utm": FieldType.STRING_MAP,
    "lead.created_at": FieldType.TIMESTAMP,
    "lead.accepted_at": FieldType.TIMESTAMP,
    "lead.first_responded_at": FieldType.TIMESTAMP,
    "lead.closed_at": FieldType.TIMESTAMP,
    "event": FieldType.STRING_MAP,
}


@dataclass(frozen=True, slots=True)
class Known:
    """The names a workspace has; a flow may use no other. None leaves that kind of name unchecked.

    `fields` are what conditions may read, by dotted name; money is in minor units.
    """

    templates: frozenset[str] | None = None
    rotas: frozenset[str] | None = None
    members: frozenset[str] | None = None
    stages: frozenset[str] | None = None
    fields: Fields = field(default_factory=lambda: FLOW_FIELDS)


@dataclass(frozen=True, slots=True)
class Trigger:
    """An event that starts or stops a run, where the condition holds, if there is one."""

    event: str
    where: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What every step has; `name` is the title its author gave it, `line` where it stands in the YAML."""

    id: str
    line: int
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Send(Step):
    """Write one message. Later than `not_after` past its due moment, `on_late` decides."""

    template: str
    channel: str = "email"
    to: str = "contact"
    purpose: str = "marketing"
    not_after: timedelta | None = None
    on_late: str = "skip"
    urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(Step):
    """Let time pass, then wait for a local hour of the contact on one of `weekdays`; at least one of the two."""

    duration: timedelta | None = None
    until: time | None = None
    weekdays: frozenset[int] = EVERY_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Branching(Step):
    """A step with two ways on; an empty one goes straight to what follows."""

    then: tuple[Step, ...] = ()
    otherwise: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForEvent(Branching):
    """Wait for an event about the subject: `then` when it comes, `otherwise` after `timeout`."""

    event: str
    timeout: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class If(Branching):
    """Take `then` where the condition holds now, else `otherwise`."""

    condition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign(Branching):
    """Give the lead to a rota or a member.

    With `accept_within` each person in turn has that long, `rounds` times over everybody; then it goes to the
    supervisor and on by `otherwise`. Accepted, it goes on by `then`.
    """

    rota: str | None = None
    member: str | None = None
    accept_within: timedelta | None = None
    rounds: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify(Step):
    """Tell a colleague: `owner`, `supervisor` or a member's e-mail address."""

    to: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Step):
    """Write to the subject: the named things and nothing else. `value_minor` is in minor units."""

    stage: str | None = None
    value_minor: int | None = None
    junk: bool | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Step):
    """End the run here; `reason` is shown in the timeline and counted."""

    reason: str


@dataclass(frozen=True, slots=True)
class Flow:
    """One version of a flow as written. `reentry_after` None means that nobody goes through twice.

    Without `starts`, only campaigns begin it.
    """

    name: str
    title: str
    subject: str
    starts: tuple[Trigger, ...]
    stops: tuple[Trigger, ...]
    reentry_after: timedelta | None
    steps: tuple[Step, ...]
