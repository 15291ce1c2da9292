"""States, reasons and outcomes in words for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from switchboard.delivery.models import State


@dataclass(frozen=True, slots=True)
class Words:
    """A word, and the kind of badge that it is shown as."""

    text: str = field(metadata={"help": "The word."})
    kind: str = field(metadata={"help": "`ok`, `wait`, `bad` or `outline`."})


STATE_WORDS: Mapping[State, Words] = {
    "queued": Words("Waiting", "wait"),
    "sending": Words("Going out", "wait"),
    "sent": Words("Sent", "ok"),
    "held": Words("Held", "wait"),
    "dropped": Words("Not sent", "outline"),
    "failed": Words("Failed", "bad"),
    "in_doubt": Words("In doubt", "bad"),
    "bounced": Words("Came back", "bad"),
    "received": Words("Received", "ok"),
}

# Reasons that a provider gave stand as they are; these are our own.
REASON_WORDS: Mapping[str, str] = {
    "allowed_late": "late, but wanted all the same",
    "suppressed": "on the suppression list",
    "unsubscribed": "unsubscribed",
    "opted_out": "opted out",
    "consent_refused": "refused advertising",
    "consent_missing": "never agreed to advertising",
    "too_late": "too late",
    "quiet_hours": "quiet hours",
    "quiet_hours_endless": "quiet hours without an end",
    "frequency_cap": "enough messages for now",
    "channel_cap": "enough messages over this channel for now",
    "automatic": "written by a machine",
    "no_address": "no address",
    "no_template": "template missing",
    "not_ready": "could not be made ready",
    "template_invalid": "template could not be rendered",
    "stopped": "called back",
    "in_order": "waiting for the letter before it",
    "retrying": "being tried again",
    "too_many_attempts": "given up after many tries",
    "answer_lost": "connection lost at the end",
    "address_unsendable": "address cannot be used",
    "bounced": "address does not work",
    "complained": "reported as spam",
    "delayed": "delayed on its way",
}

OUTCOME_WORDS: Mapping[str, Words] = {
    "sent": Words("Taken", "ok"),
    "retryable": Words("Later", "wait"),
    "permanent": Words("Refused", "bad"),
    "in_doubt": Words("In doubt", "bad"),
    "lease_expired": Words("No answer", "bad"),
}
