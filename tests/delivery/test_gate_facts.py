"""What needs no deciding is let through as the gate itself would do."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import TypeVar
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from switchboard.accounts.models import ChannelCap, Workspace
from switchboard.delivery.gate import ALLOWED, Sent, Suppression, decide
from switchboard.delivery.gate_facts import GateReader
from switchboard.delivery.models import Message
from switchboard.kernel.localtime import QuietHours
from switchboard.people.models import Recipient

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANN, COLLEAGUE = UUID(int=1), UUID(int=2)


Value = TypeVar("Value")


def seldom(value: Value) -> st.SearchStrategy[Value | None]:
    """Mostly nothing, so that often nothing or one thing alone stands against a message."""
    return st.sampled_from([None, None, None, None, None, value])


WORKSPACE = Workspace(
    id=UUID(int=9),
    name="Lee",
    time_zone="UTC",
    default_region="DE",
    mail_from="lee@x.example",
    first_response_minutes=5,
    quiet_start=time(20),
    quiet_end=time(8),
    cap_messages=3,
    cap_days=7,
    is_consent_required=False,
    supervisor_id=None,
    channel_caps={},
)
CONTACT = Recipient(ANN, "Ann", "Ann", "", "", None, None, None, None)
LISTED = Suppression("ann@x.example", "bounced", NOW)
READER = GateReader(
    now=NOW,
    workspace=WORKSPACE,
    contacts={ANN: CONTACT},
    consents={},
    suppressions={},
    by_address={},
    quiet=(),
    written_at={},
    sent={},
)
NOON = (QuietHours(time(11), time(13)),)
OBJECTIONS: dict[str, dict[str, object]] = {
    "opted out": {"contacts": {ANN: structs.replace(CONTACT, opted_out_at=NOW)}},
    "suppressed": {"suppressions": {ANN: [LISTED]}},
    "an address that is suppressed": {"by_address": {LISTED.value: LISTED}},
    "refused": {"consents": {(ANN, "email"): False}},
    "never agreed": {"workspace": replace(WORKSPACE, is_consent_required=True)},
    "quiet": {"quiet": NOON},
    "had enough": {"sent": {ANN: [Sent(NOW, "email")] * 3}},
    "nobody may have any": {"workspace": replace(WORKSPACE, cap_messages=0)},
    "nobody may have any by e-mail": {"workspace": replace(WORKSPACE, channel_caps={"email": ChannelCap(0, 1)})},
}


def make_reader(changes: dict[str, object]) -> GateReader:
    return replace(READER, **changes, _caps={})  # type: ignore[arg-type]


def make_message(purpose: str = "marketing", **facts: object) -> Message:
    known = {"channel": "email", "purpose": purpose, "contact_id": ANN, "address": "ann@x.example"}
    empty = dict.fromkeys(Message.__struct_fields__)
    return Message(**{**empty, "is_urgent": False, "when_late": "skip", **known, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize("objection", OBJECTIONS)
def test_each_objection_alone_is_left_to_the_gate(objection: str) -> None:
    reader = make_reader(OBJECTIONS[objection])
    assert READER.decide_on(make_message()) == ALLOWED
    assert reader.decide_on(make_message()) == decide(reader.facts_of(make_message())) != ALLOWED


@st.composite
def readers(draw: st.DrawFn) -> GateReader:
    """Readers with any of the objections, and things that are none."""
    found: dict[str, object] = {"written_at": {ANN: NOW} if draw(st.booleans()) else {}}
    for objection in draw(st.sets(st.sampled_from(sorted(OBJECTIONS)), max_size=2)):
        found |= OBJECTIONS[objection]
    if draw(seldom(1)):
        found["contacts"] = {}
    if draw(seldom(1)):
        found["consents"] = {(ANN, "email"): True}
    return make_reader(found)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    purpose = draw(st.sampled_from(["marketing", "marketing", "transactional", "reply", "page"]))
    return make_message(
        purpose,
        channel=draw(st.sampled_from(["email", "phone"])),
        contact_id=None if purpose == "page" else draw(st.sampled_from([ANN, ANN, None])),
        user_id=COLLEAGUE if purpose == "page" else None,
        is_urgent=draw(st.booleans()),
        not_after=draw(seldom(NOW - timedelta(minutes=1))),
        when_late=draw(st.sampled_from(["skip", "send"])),
        sent_anyway_by=draw(seldom(COLLEAGUE)),
    )


@given(readers(), messages())
def test_what_is_let_through_at_once_is_what_the_gate_lets_through(reader: GateReader, message: Message) -> None:
    assert reader.decide_on(message) == decide(reader.facts_of(message))
