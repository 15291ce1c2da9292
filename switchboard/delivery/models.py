"""What the delivery room speaks of."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec

from switchboard.delivery.gate import Purpose
from switchboard.kernel.db import Tx

Direction = Literal["in", "out"]
State = Literal["queued", "sending", "sent", "held", "dropped", "failed", "in_doubt", "bounced", "received"]
SuppressionReason = Literal["unsubscribed", "bounced", "complained", "manual"]
TemplatePurpose = Literal["marketing", "transactional"]
CampaignPriority = Literal["high", "normal", "low"]

# The states that somebody should look at, the gravest first.
TROUBLED: tuple[State, ...] = ("failed", "in_doubt", "bounced", "held", "dropped")

# Which queue within the outbox a message stands in: the smaller goes first.
LANE_URGENT, LANE_REPLY, LANE_FLOW = 0, 1, 5
LANE_OF_PRIORITY: Mapping[CampaignPriority, int] = {"high": 7, "normal": 8, "low": 9}
URGENT_LANES = (LANE_URGENT, LANE_REPLY)
PATIENT_LANES = (LANE_FLOW, *LANE_OF_PRIORITY.values())
LANES = URGENT_LANES + PATIENT_LANES


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One message that a room above wants sent, to a contact (`contact_id`) or to a member (`user_id`).

    It says what to write by the name of a template, which is rendered as it goes out, or as `subject` and `text`, and
    `html` where there is one. `address` overrides the contact's first address. `run_id` and `run_revision` name the
    step of a flow that wrote it, which writes one message however often it is tried. `reference_ids` and `in_reply_to`
    are Message-IDs with their angle brackets. `not_after` is when it is too late, and `when_late` what to do then.
    One of a campaign names it, and queues by the campaign's `priority`.
    """

    purpose: Purpose
    contact_id: UUID | None = None
    user_id: UUID | None = None
    lead_id: UUID | None = None
    conversation_id: UUID | None = None
    run_id: UUID | None = None
    run_revision: int | None = None
    channel: str = "email"
    template_name: str | None = None
    subject: str = ""
    text: str = ""
    html: str | None = None
    address: str | None = None
    is_urgent: bool = False
    campaign_id: UUID | None = None
    priority: CampaignPriority = "normal"
    not_after: datetime | None = None
    when_late: Literal["skip", "send"] = "skip"
    in_reply_to: str | None = None
    reference_ids: Sequence[str] = ()
    created_by: UUID | None = None

    @property
    def lane(self) -> int:
        """Where it queues: pages and urgent messages first, then people's answers, then flows, then campaigns."""
        if self.is_urgent or self.purpose == "page":
            return LANE_URGENT
        if self.purpose == "reply":
            return LANE_REPLY
        return LANE_FLOW if self.campaign_id is None else LANE_OF_PRIORITY[self.priority]


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """A message that came in. `address` is the sender's, `header_id` its Message-ID with angle brackets.

    `is_automatic` says that a machine wrote it, such as an out-of-office note.
    """

    address: str
    header_id: str
    subject: str
    text: str
    html: str | None = None
    is_automatic: bool = False
    channel: str = "email"
    contact_id: UUID | None = None
    lead_id: UUID | None = None
    conversation_id: UUID | None = None
    in_reply_to: str | None = None
    reference_ids: Sequence[str] = ()


class Message(msgspec.Struct, frozen=True):
    """One thing to or from one person over one channel.

    `address` is the other side's. `reason` is a word of ours for why it stands where it does and `detail` the sentence
    for people. The texts of one made from a template are empty until it is sent. `sent_anyway_by` is who sent an
    answer although its recipient wants no mail.
    """

    id: UUID
    direction: Direction
    channel: str
    purpose: Purpose
    state: State
    reason: str | None
    detail: str | None
    contact_id: UUID | None
    lead_id: UUID | None
    user_id: UUID | None
    conversation_id: UUID | None
    run_id: UUID | None
    run_revision: int | None
    campaign_id: UUID | None
    template_id: UUID | None
    template_version: int | None
    address: str
    subject: str
    body_text: str
    body_html: str | None
    header_id: str
    in_reply_to: str | None
    reference_ids: Sequence[str]
    is_urgent: bool
    not_after: datetime | None
    when_late: Literal["skip", "send"]
    stop_reason: str | None
    sent_anyway_by: UUID | None
    created_by: UUID | None
    created_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try with a provider; `outcome` is `sent`, `retryable`, `permanent`, `in_doubt` or `lease_expired`."""

    token: int
    started_at: datetime
    ended_at: datetime
    outcome: str
    response: str


class NewAttempt(NamedTuple):
    """One try that has just ended, after so many `seconds`; `outcome` as above."""

    message_id: UUID
    token: int
    seconds: float
    outcome: str
    response: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A message that did not simply go out, as a row of a list; `title` is its subject or its template's name."""

    id: UUID
    state: State
    reason: str | None
    detail: str | None
    purpose: Purpose
    contact_id: UUID | None
    address: str
    title: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TroubleCount:
    """How many messages of the last days stand in one state for one reason."""

    state: State
    reason: str | None
    messages: int


@dataclass(frozen=True, slots=True)
class ChannelBreak:
    """A channel that does not send at the moment, because its server refuses us: since when, until when, why."""

    channel: str
    began_at: datetime
    ends_at: datetime
    failures: int
    detail: str


@dataclass(frozen=True, slots=True)
class SuppressedAddress:
    """An address nothing is sent to; `kind` is `email` or `phone`."""

    kind: str
    value: str
    reason: SuppressionReason
    message_id: UUID | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """A template as it stands now. `name` is what flows call it by, `body` is Liquid within MJML."""

    id: UUID
    name: str
    title: str
    purpose: TemplatePurpose
    version: int
    subject: str
    body: str
    saved_at: datetime
    saved_by: UUID | None


@dataclass(frozen=True, slots=True)
class LetterSummary:
    """A template as a row of a list."""

    id: UUID
    name: str
    title: str
    purpose: TemplatePurpose
    version: int
    subject: str
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class LetterVersion:
    """One earlier or present text of a template."""

    version: int
    subject: str
    body: str
    saved_at: datetime
    saved_by: UUID | None


@dataclass(frozen=True, slots=True)
class LetterDraft:
    """A template as somebody wants it saved."""

    name: str
    title: str
    purpose: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class MailSummary:
    """A mail in the local mailbox, as a row of its list."""

    id: UUID
    message_id: UUID
    mail_from: str
    recipient: str
    subject: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail in the local mailbox, as it would have gone over the wire."""

    id: UUID
    message_id: UUID
    mail_from: str
    recipient: str
    subject: str
    raw: bytes
    created_at: datetime


LeadFacts = Mapping[str, Mapping[str, object]]
"""What a letter may say of a lead: nested as templates name it, such as `{"lead": {…}, "source": {…}}`."""

LoadLeadFacts = Callable[[Tx, Sequence[UUID]], Awaitable[Mapping[UUID, LeadFacts]]]
"""Loads those facts of many leads at once; the room of leads stands above this one, so it is handed in."""


async def no_lead_facts(_tx: Tx, _lead_ids: Sequence[UUID]) -> Mapping[UUID, LeadFacts]:
    """Nothing is known of leads: letters then speak of the contact and the owner only."""
    return {}
