"""The decision at the last moment: may this message go out now, and if not, why and what then.

Pure: everything it looks at is in `GateFacts`, read in the transaction that is about to send. The rules stand in
the order in which they are asked; the first that objects decides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from switchboard.kernel.errors import InvalidError
from switchboard.kernel.localtime import QuietHours, get_zone, guess_zone, next_allowed, to_local

Purpose = Literal["marketing", "transactional", "reply", "page"]
Action = Literal["send", "hold", "drop", "defer"]
Reason = Literal[
    "allowed",
    "allowed_late",
    "suppressed",
    "unsubscribed",
    "opted_out",
    "consent_refused",
    "consent_missing",
    "too_late",
    "quiet_hours",
    "quiet_hours_endless",
    "frequency_cap",
    "channel_cap",
]

# Consent, quiet hours and the cap are about advertising. Whoever asked for something waits for its confirmation,
# also at night; an answer and a page to a colleague are nobody's advertising either.
_ADVERTISING: Purpose = "marketing"

# The one reason for suppressing that is the contact's wish and not a fault of the address or a complaint.
_UNSUBSCRIBED = "unsubscribed"
_WHY_SUPPRESSED = {
    _UNSUBSCRIBED: "they unsubscribed",
    "bounced": "mail to it came back for good",
    "complained": "they reported a message as spam",
    "manual": "a colleague put it there",
}


@dataclass(frozen=True, slots=True)
class Suppression:
    """One address of the recipient, on any channel, that nothing is sent to; `reason` and `since` as in the list."""

    value: str
    reason: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class FrequencyCap:
    """At most `messages` to one contact within `window`, over all flows; what to do with one more.

    It counts what went over `channel`, or over all of them where that is None.
    """

    messages: int
    window: timedelta
    when_full: Literal["defer", "drop"] = "defer"
    channel: str | None = None

    def counts(self, channel: str) -> bool:
        """Whether what goes over this channel counts."""
        return self.channel is None or self.channel == channel


class Sent(NamedTuple):
    """When a capped message went, and over which channel."""

    at: datetime
    channel: str


@dataclass(frozen=True, slots=True)
class GateFacts:
    """Everything the gate looks at; instants are aware, zones IANA names.

    `suppressions` holds those of all the contact's addresses, not only of the one written to. `written_at` is when
    the contact last wrote to us, and `is_let_through` says that a colleague sends this reply anyway. `consent` is
    the newest answer for this channel and purpose, None where they were never asked. `contact_zone` is one
    they or a colleague named; without it, phone and country are asked, then the workspace. `caps` are those that
    the message counts for, and `sent` the capped messages that went to this contact, at least those within the windows.
    """

    now: datetime
    purpose: Purpose
    workspace_zone: str
    is_urgent: bool = False
    suppressions: Sequence[Suppression] = ()
    opted_out_at: datetime | None = None
    written_at: datetime | None = None
    is_let_through: bool = False
    consent: bool | None = None
    is_consent_required: bool = False
    not_after: datetime | None = None
    when_late: Literal["skip", "send"] = "skip"
    quiet: Sequence[QuietHours] = ()
    contact_zone: str | None = None
    phone_e164: str | None = None
    country: str | None = None
    caps: Sequence[FrequencyCap] = ()
    sent: Sequence[Sent] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with the message. `until` is set where it is deferred; `detail` is a sentence for people."""

    action: Action
    reason: Reason
    detail: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ZoneChoice:
    """The zone whose clock counts for a contact; `how` says where it is from, for people to see."""

    zone: str
    how: str


ALLOWED = Verdict("send", "allowed", "Nothing stands against sending it.")


def decide(facts: GateFacts) -> Verdict:
    """The verdict of the first rule that objects, else to send."""
    for rule in _RULES:
        verdict = rule(facts)
        if verdict is not None:
            return verdict
    return _allow(facts)


def choose_zone(facts: GateFacts) -> ZoneChoice:
    """The contact's own zone, else one guessed from phone or country, else the workspace's."""
    if facts.contact_zone is not None and _is_zone(facts.contact_zone):
        return ZoneChoice(facts.contact_zone, "the contact's own")
    guess = guess_zone(facts.phone_e164, facts.country)
    if guess is not None:
        return ZoneChoice(guess.zone, guess.how)
    return ZoneChoice(facts.workspace_zone, "the workspace's, since the contact's is not known")


def _refuse_suppressed(facts: GateFacts) -> Verdict | None:
    found = next((one for one in facts.suppressions if one.reason != _UNSUBSCRIBED), None)
    return None if found is None else _withhold(facts, "suppressed", _why_suppressed(found))


def _refuse_opted_out(facts: GateFacts) -> Verdict | None:
    for found in facts.suppressions:
        if found.reason == _UNSUBSCRIBED and not _is_wanted_answer(facts, found.since):
            return _withhold(facts, "unsubscribed", _why_suppressed(found))
    if facts.opted_out_at is not None and not _is_wanted_answer(facts, facts.opted_out_at):
        return _withhold(facts, "opted_out", f"The contact opted out on {facts.opted_out_at:%d %B %Y}")
    return None


def _is_wanted_answer(facts: GateFacts, since: datetime | None) -> bool:
    """Whoever writes to us after they opted out wants an answer, and a colleague may decide that they do."""
    if facts.purpose != "reply":
        return False
    return facts.is_let_through or (since is not None and facts.written_at is not None and facts.written_at > since)


def _why_suppressed(found: Suppression) -> str:
    why = _WHY_SUPPRESSED.get(found.reason, found.reason)
    return f"{found.value} is on the suppression list because {why}"


def _withhold(facts: GateFacts, reason: Reason, why: str) -> Verdict:
    # A colleague wrote this one: they shall see that it did not go out and may settle it with the contact.
    if facts.purpose == "reply":
        return Verdict("hold", reason, f"{why}; the answer is kept here and was not sent.")
    return Verdict("drop", reason, f"{why}.")


def _refuse_without_consent(facts: GateFacts) -> Verdict | None:
    if facts.purpose != _ADVERTISING or facts.consent is True:
        return None
    if facts.consent is False:
        return Verdict("drop", "consent_refused", "The contact refused marketing messages.")
    if facts.is_consent_required:
        message = "The contact has not agreed to marketing messages, and this workspace asks for it."
        return Verdict("drop", "consent_missing", message)
    return None


def _refuse_late(facts: GateFacts) -> Verdict | None:
    if facts.not_after is None or facts.when_late == "send" or facts.now <= facts.not_after:
        return None
    return Verdict("drop", "too_late", f"It was to go out by {_show(facts.not_after, 'UTC')} (UTC).")


def _wait_for_quiet_hours(facts: GateFacts) -> Verdict | None:
    if not _keeps_quiet_hours(facts):
        return None
    zone = choose_zone(facts)
    try:
        if next_allowed(facts.now, zone.zone, *facts.quiet) == facts.now:
            return None
        until = next_allowed(_when_caps_are_free(facts), zone.zone, *facts.quiet)
    except InvalidError as error:
        return Verdict("hold", "quiet_hours_endless", error.message)
    return _defer(facts, "quiet_hours", until, zone, "It is quiet hours for the contact")


def _wait_for_cap(facts: GateFacts) -> Verdict | None:
    full = _find_full_cap(facts)
    if full is None:
        return None
    by = f" by {full.channel}" if full.channel else ""
    why = f"The contact had {full.messages} messages{by} within {_show_window(full.window)}"
    reason: Reason = "channel_cap" if full.channel else "frequency_cap"
    if full.when_full == "drop":
        return Verdict("drop", reason, f"{why}, which is the most this workspace sends.")
    zone = choose_zone(facts)
    free = _when_caps_are_free(facts)
    try:
        until = next_allowed(free, zone.zone, *facts.quiet) if _keeps_quiet_hours(facts) else free
    except InvalidError as error:
        return Verdict("hold", "quiet_hours_endless", error.message)
    return _defer(facts, reason, until, zone, why)


def _find_full_cap(facts: GateFacts) -> FrequencyCap | None:
    """Of the caps that are full the one that counts: one that drops, else the one that is full for the longest time."""
    free = [(cap, _when_cap_is_free(cap, facts)) for cap in facts.caps]
    full = [(cap, at) for cap, at in free if at > facts.now]
    return max(full, key=lambda one: (one[0].when_full == "drop", one[1]))[0] if full else None


_RULES: tuple[Callable[[GateFacts], Verdict | None], ...] = (
    _refuse_suppressed,
    _refuse_opted_out,
    _refuse_without_consent,
    _refuse_late,
    _wait_for_quiet_hours,
    _wait_for_cap,
)


def _allow(facts: GateFacts) -> Verdict:
    if facts.not_after is not None and facts.now > facts.not_after:
        limit = _show(facts.not_after, "UTC")
        return Verdict("send", "allowed_late", f"Sent although it was to go out by {limit} (UTC), as it asks for.")
    return ALLOWED


def _defer(facts: GateFacts, reason: Reason, until: datetime, zone: ZoneChoice, why: str) -> Verdict:
    when = f"{_show(until, zone.zone)} ({zone.zone}, {zone.how})"
    # Waiting only to drop it then would hide the outcome for hours.
    if facts.not_after is not None and until > facts.not_after and facts.when_late == "skip":
        return Verdict("drop", "too_late", f"{why}, and {when} would be too late.")
    return Verdict("defer", reason, f"{why}; it goes out at {when}.", until=until)


def _keeps_quiet_hours(facts: GateFacts) -> bool:
    return bool(facts.quiet) and not facts.is_urgent and facts.purpose == _ADVERTISING


def _when_caps_are_free(facts: GateFacts) -> datetime:
    return max((_when_cap_is_free(cap, facts) for cap in facts.caps), default=facts.now)


def _when_cap_is_free(cap: FrequencyCap, facts: GateFacts) -> datetime:
    """When one more message fits under the cap: now, or as soon as enough old ones leave the window."""
    if facts.is_urgent or facts.purpose != _ADVERTISING:
        return facts.now
    recent = sorted(sent.at for sent in facts.sent if cap.counts(sent.channel) and sent.at + cap.window > facts.now)
    if len(recent) < cap.messages:
        return facts.now
    if cap.when_full == "drop" or cap.messages <= 0:
        return facts.now + cap.window
    return recent[-cap.messages] + cap.window


def _is_zone(name: str) -> bool:
    try:
        get_zone(name)
    except InvalidError:
        return False
    return True


def _show(instant: datetime, zone: str) -> str:
    return f"{to_local(instant, zone):%H:%M on %A, %d %B %Y}"


def _show_window(window: timedelta) -> str:
    days, rest = divmod(window, timedelta(days=1))
    if not days or rest:
        return str(window)
    return "a day" if days == 1 else f"{days} days"
