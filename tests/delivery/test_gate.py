"""The gate: every rule alone, every pair in order, and what can never happen."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.delivery.gate import (
    Action,
    FrequencyCap,
    GateFacts,
    Purpose,
    Reason,
    Sent,
    Suppression,
    Verdict,
    choose_zone,
    decide,
)
from switchboard.kernel.localtime import QuietHours, is_quiet

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
NIGHT = QuietHours(time(21), time(8))
ALWAYS = QuietHours(time(0), time(0))
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)

GOOD = GateFacts(
    now=NOON,
    purpose="marketing",
    workspace_zone="UTC",
    contact_zone="Europe/Berlin",
    consent=True,
    is_consent_required=True,
    quiet=(NIGHT,),
    caps=(FrequencyCap(2, timedelta(days=7)), FrequencyCap(1, timedelta(days=1), channel="email")),
)


def sent(*days_ago: float, channel: str = "email") -> tuple[Sent, ...]:
    return tuple(Sent(NOON - timedelta(days=days), channel) for days in days_ago)


BLOCKERS: dict[str, dict[str, object]] = {
    "suppressed": {"suppressions": (Suppression("+4930123456", "complained"),)},
    "unsubscribed": {"suppressions": (Suppression("+4930123456", "unsubscribed"),)},
    "opted_out": {"opted_out_at": NOON - timedelta(days=3)},
    "consent_refused": {"consent": False},
    "consent_missing": {"consent": None},
    "too_late": {"not_after": NOON - timedelta(seconds=1)},
    "quiet_hours": {"quiet": (QuietHours(time(12), time(14)),)},
    "frequency_cap": {"sent": sent(1, 2, channel="sms")},
    "channel_cap": {"sent": sent(0.5)},
}
# Which rules speak for which messages; an urgent one skips the last three.
HEEDED: dict[Purpose, tuple[str, ...]] = {
    "marketing": tuple(BLOCKERS),
    "transactional": ("suppressed", "unsubscribed", "opted_out", "too_late"),
    "reply": ("suppressed", "unsubscribed", "opted_out", "too_late"),
    "page": ("suppressed", "unsubscribed", "opted_out", "too_late"),
}
ACTIONS: dict[str, Action] = dict.fromkeys(BLOCKERS, "drop")
PASSED_BY_URGENT = ("quiet_hours", "frequency_cap", "channel_cap")
ACTIONS |= dict.fromkeys(PASSED_BY_URGENT, "defer")


def make_facts(purpose: Purpose, is_urgent: bool, blockers: tuple[str, ...]) -> GateFacts:
    changes: dict[str, object] = {"purpose": purpose, "is_urgent": is_urgent}
    # The first of two that set the same fact wins, as it would in the order of the rules.
    for name in reversed(blockers):
        # What was sent under the one cap and under the other adds up.
        before = changes.get("sent", ())
        changes |= BLOCKERS[name]
        if "sent" in BLOCKERS[name]:
            changes["sent"] = (*before, *BLOCKERS[name]["sent"])  # type: ignore[misc]
    return replace(GOOD, **changes)  # type: ignore[arg-type]


def expected(purpose: Purpose, is_urgent: bool, blockers: tuple[str, ...]) -> tuple[Action, str]:
    for name in HEEDED[purpose]:
        if name in blockers and not (is_urgent and name in PASSED_BY_URGENT):
            held = purpose == "reply" and name in ("suppressed", "unsubscribed", "opted_out")
            return ("hold" if held else ACTIONS[name]), name
    return "send", "allowed"


CASES = [
    (purpose, is_urgent, blockers)
    for purpose in PURPOSES
    for is_urgent in (False, True)
    for size in range(len(BLOCKERS) + 1)
    for blockers in itertools.combinations(BLOCKERS, size)
    if not {"consent_refused", "consent_missing"} <= set(blockers)
]


def test_every_combination_of_rules() -> None:
    assert len(CASES) == 4 * 2 * 384
    for purpose, is_urgent, blockers in CASES:
        verdict = decide(make_facts(purpose, is_urgent, blockers))
        assert (verdict.action, verdict.reason) == expected(purpose, is_urgent, blockers), (purpose, blockers)
        assert verdict.detail.endswith(".")
        assert (verdict.until is not None) == (verdict.action == "defer")


def decide_with(**changes: object) -> Verdict:
    return decide(replace(GOOD, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({}, "Nothing stands against sending it."),
        (
            {"suppressions": (Suppression("ada@example.com", "bounced"),)},
            "ada@example.com is on the suppression list because mail to it came back for good.",
        ),
        (
            {"suppressions": (Suppression("ada@example.com", "manual"),), "purpose": "reply"},
            "ada@example.com is on the suppression list because a colleague put it there; the answer is kept "
            "here and was not sent.",
        ),
        ({"opted_out_at": datetime(2026, 11, 2, tzinfo=UTC)}, "The contact opted out on 02 November 2026."),
        ({"consent": False}, "The contact refused marketing messages."),
        (
            {"consent": None},
            "The contact has not agreed to marketing messages, and this workspace asks for it.",
        ),
        (
            {"not_after": NOON - timedelta(hours=1)},
            "It was to go out by 11:00 on Friday, 20 November 2026 (UTC).",
        ),
        (
            {"not_after": NOON - timedelta(hours=1), "when_late": "send"},
            "Sent although it was to go out by 11:00 on Friday, 20 November 2026 (UTC), as it asks for.",
        ),
        (
            {"now": MIDNIGHT},
            "It is quiet hours for the contact; it goes out at 08:00 on Saturday, 21 November 2026 "
            "(Europe/Berlin, the contact's own).",
        ),
        (
            {"now": MIDNIGHT, "not_after": MIDNIGHT + timedelta(hours=2)},
            "It is quiet hours for the contact, and 08:00 on Saturday, 21 November 2026 (Europe/Berlin, the "
            "contact's own) would be too late.",
        ),
        (
            {"sent": sent(0, 1), "caps": (FrequencyCap(2, timedelta(days=7), "drop"),)},
            "The contact had 2 messages within 7 days, which is the most this workspace sends.",
        ),
        (
            {"sent": sent(0.5)},
            "The contact had 1 messages by email within a day; it goes out at 08:00 on Saturday, 21 November 2026 "
            "(Europe/Berlin, the contact's own).",
        ),
    ],
)
def test_the_verdict_says_why(changes: dict[str, object], detail: str) -> None:
    assert decide_with(**changes).detail == detail


OPTED_OUT: dict[str, object] = {
    "opted_out_at": NOON - timedelta(days=3),
    "suppressions": (Suppression("ada@example.com", "unsubscribed", NOON - timedelta(days=3)),),
}


@pytest.mark.parametrize(
    ("purpose", "changes", "reason"),
    [
        ("reply", {}, "unsubscribed"),
        ("reply", {"suppressions": ()}, "opted_out"),
        ("reply", {"written_at": NOON - timedelta(days=3)}, "unsubscribed"),
        ("reply", {"written_at": NOON - timedelta(days=2)}, "allowed"),
        ("reply", {"is_let_through": True}, "allowed"),
        # They unsubscribed once more after they wrote.
        ("reply", {"written_at": NOON - timedelta(days=2), "opted_out_at": NOON - timedelta(days=1)}, "opted_out"),
        ("transactional", {"written_at": NOON - timedelta(days=2), "is_let_through": True}, "unsubscribed"),
        ("marketing", {"written_at": NOON - timedelta(days=2), "is_let_through": True}, "unsubscribed"),
    ],
)
def test_an_answer_goes_to_who_wrote_after_they_opted_out(
    purpose: str, changes: dict[str, object], reason: str
) -> None:
    assert decide_with(**{**OPTED_OUT, "purpose": purpose, **changes}).reason == reason


@pytest.mark.parametrize("reason", ["bounced", "complained", "manual"])
def test_a_fault_or_a_complaint_keeps_back_answers_whatever_was_written(reason: str) -> None:
    suppressions = (Suppression("ada@example.com", reason, NOON - timedelta(days=3)),)
    verdict = decide_with(purpose="reply", suppressions=suppressions, written_at=NOON, is_let_through=True)
    assert (verdict.action, verdict.reason) == ("hold", "suppressed")


def test_quiet_hours_end_by_the_contacts_clock() -> None:
    assert decide_with(now=MIDNIGHT).until == datetime(2026, 11, 21, 7, 0, tzinfo=UTC)


def test_a_zone_is_the_contacts_else_guessed_else_the_workspaces() -> None:
    unknown = replace(GOOD, contact_zone=None)
    assert choose_zone(GOOD).zone == "Europe/Berlin"
    assert choose_zone(replace(unknown, contact_zone="Mars/Olympus", country="JP")).zone == "Asia/Tokyo"
    guess = choose_zone(replace(unknown, phone_e164="+81312345678"))
    assert guess.zone == "Asia/Tokyo"
    assert "phone" in guess.how or "number" in guess.how
    assert choose_zone(replace(unknown, workspace_zone="America/Lima")).zone == "America/Lima"


def test_a_guessed_zone_is_said_to_be_one() -> None:
    tokyo_night = datetime(2026, 11, 20, 13, 0, tzinfo=UTC)
    verdict = decide_with(now=tokyo_night, contact_zone=None, country="JP")
    assert verdict.until == datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
    assert f"Asia/Tokyo, {choose_zone(replace(GOOD, contact_zone=None, country='JP')).how}" in verdict.detail


def test_quiet_hours_without_end_hold_the_message() -> None:
    verdict = decide_with(quiet=(ALWAYS,))
    assert (verdict.action, verdict.reason, verdict.until) == ("hold", "quiet_hours_endless", None)


def test_the_cap_frees_when_the_oldest_of_the_counted_leaves() -> None:
    before = sent(1, 3, 5, 8)
    verdict = decide_with(sent=before, caps=(FrequencyCap(3, timedelta(days=7)),))
    assert (verdict.reason, verdict.until) == ("frequency_cap", NOON + timedelta(days=2))
    assert decide_with(sent=before, caps=(FrequencyCap(4, timedelta(days=7)),)).action == "send"


def test_a_cap_that_frees_at_night_waits_for_the_morning() -> None:
    before = (Sent(datetime(2026, 11, 19, 23, 0, tzinfo=UTC), "email"),)
    verdict = decide_with(sent=before, caps=(FrequencyCap(1, timedelta(days=1)),))
    assert (verdict.reason, verdict.until) == ("frequency_cap", datetime(2026, 11, 21, 7, 0, tzinfo=UTC))


EMAIL_A_DAY = FrequencyCap(1, timedelta(days=1), channel="email")
TWO_A_WEEK = FrequencyCap(2, timedelta(days=7))


@pytest.mark.parametrize(
    ("before", "reason", "days"),
    [
        (sent(0.5, channel="sms"), "allowed", None),
        (sent(0.5), "channel_cap", 0.5),
        (sent(0.5, channel="sms") + sent(6.75), "frequency_cap", 0.25),
        # Both are full: the one that is full for longer is named, and the message waits for both.
        (sent(0.5, 6.75), "channel_cap", 0.5),
        (sent(0.25, 2), "frequency_cap", 5),
    ],
)
def test_a_channel_has_a_cap_of_its_own_besides_the_one_over_all(
    before: tuple[Sent, ...], reason: str, days: float | None
) -> None:
    verdict = decide_with(quiet=(), sent=before, caps=(TWO_A_WEEK, EMAIL_A_DAY))
    assert verdict.reason == reason
    assert verdict.until == (None if days is None else NOON + timedelta(days=days))


def test_a_cap_that_drops_speaks_before_one_that_puts_off() -> None:
    dropping = replace(EMAIL_A_DAY, when_full="drop")
    verdict = decide_with(sent=sent(0.5, 0.75), caps=(TWO_A_WEEK, dropping))
    assert (verdict.action, verdict.reason) == ("drop", "channel_cap")


def test_a_message_is_in_time_at_its_very_limit() -> None:
    assert decide_with(not_after=NOON).action == "send"


INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
QUIET = st.builds(QuietHours, st.times(), st.times(), st.frozensets(st.integers(0, 6)))
FACTS = st.builds(
    GateFacts,
    now=INSTANTS,
    purpose=st.sampled_from(PURPOSES),
    workspace_zone=st.sampled_from(["UTC", "Australia/Lord_Howe", "Pacific/Kiritimati"]),
    is_urgent=st.booleans(),
    suppressions=st.lists(
        st.builds(Suppression, st.text(), st.sampled_from(["unsubscribed", "bounced"]), st.none() | INSTANTS),
        max_size=2,
    ),
    opted_out_at=st.none() | INSTANTS,
    written_at=st.none() | INSTANTS,
    is_let_through=st.booleans(),
    consent=st.none() | st.booleans(),
    is_consent_required=st.booleans(),
    not_after=st.none() | INSTANTS,
    when_late=st.sampled_from(["skip", "send"]),
    quiet=st.lists(QUIET, max_size=2),
    contact_zone=st.sampled_from([None, "Europe/Berlin", "America/New_York", "nowhere"]),
    phone_e164=st.sampled_from([None, "+4930123456", "rubbish"]),
    country=st.sampled_from([None, "BR", "??"]),
    caps=st.lists(
        st.builds(
            FrequencyCap,
            st.integers(0, 3),
            st.timedeltas(timedelta(minutes=1), timedelta(days=30)),
            st.sampled_from(["defer", "drop"]),
            st.sampled_from([None, "email", "sms"]),
        ),
        max_size=3,
    ),
    sent=st.lists(st.builds(Sent, INSTANTS, st.sampled_from(["email", "sms"])), max_size=5),
)


@given(FACTS)
def test_what_can_never_happen(facts: GateFacts) -> None:
    verdict = decide(facts)
    assert verdict.reason in get_args(Reason)
    assert verdict.detail.strip()
    is_blocked = any(one.reason == "bounced" for one in facts.suppressions)
    wants_no_mail = bool(facts.suppressions) or facts.opted_out_at is not None
    if is_blocked or (wants_no_mail and facts.purpose != "reply"):
        assert verdict.action in ("drop", "hold")
    if wants_no_mail and facts.written_at is None and not facts.is_let_through:
        assert verdict.action == ("hold" if facts.purpose == "reply" else "drop")
    if facts.consent is False and facts.purpose == "marketing":
        assert verdict.action == "drop"
    if facts.is_urgent or facts.purpose != "marketing":
        assert verdict.action != "defer"
    if verdict.action == "send" and facts.not_after is not None and facts.when_late == "skip":
        assert facts.now <= facts.not_after


@given(FACTS)
def test_a_deferred_message_may_go_at_its_instant(facts: GateFacts) -> None:
    verdict = decide(facts)
    if verdict.action != "defer":
        return
    assert verdict.until is not None
    assert verdict.until > facts.now
    assert not is_quiet(verdict.until, choose_zone(facts).zone, *facts.quiet)
    later = decide(replace(facts, now=verdict.until))
    is_hopeless = any(cap.when_full == "drop" or cap.messages == 0 for cap in facts.caps)
    assert later.action == "send" or is_hopeless
