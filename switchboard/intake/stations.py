"""A signal's way as stations on a line: accepted, recognised, lead, owner, flows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from switchboard.intake.models import SignalHistory, SignalStep
from switchboard.intake.signals import Passage

StationState = Literal["ok", "bad", "now", ""]

_OWNED = frozenset({"lead.assigned", "lead.accepted"})


@dataclass(frozen=True, slots=True)
class Station:
    """One station: `state` is passed, failed, here now, or empty for ahead."""

    title: str
    state: StationState
    detail: str


def find_stations(passage: Passage) -> list[Station]:
    """The stations of a signal, as far as it has come."""
    last = None if passage.is_due or not passage.history else passage.history[0]
    accepted = Station("Accepted", "ok", "Stored")
    if last is None:
        ahead = [Station(title, "", "") for title in ("Lead", "Owner", "Flows")]
        return [accepted, Station("Recognised", "now", "Waiting to be read"), *ahead]
    if last.outcome == "failed":
        return [accepted, Station("Recognised", "bad", _reason(last))]
    if last.outcome == "test":
        return [accepted, Station("Recognised", "ok", "The sender says it is a test: nobody is bothered")]
    return [accepted, Station("Recognised", "ok", "The person is known"), _lead(last), *_after(last, passage.steps)]


def _lead(last: SignalHistory) -> Station:
    said = {"opened": "Opened", "joined": "Joined the open one", "junk": "Kept apart as junk"}
    return Station("Lead", "ok", said[last.outcome])


def _after(last: SignalHistory, steps: Sequence[SignalStep]) -> list[Station]:
    if last.outcome == "junk":
        return []
    kinds = [step.kind for step in steps]
    started = kinds.count("run.started")
    flows = Station("Flows", "ok" if started else "", f"{started} started" if started else "None started")
    if last.outcome == "joined":
        return [Station("Owner", "ok", "As before"), flows]
    if _OWNED & set(kinds):
        return [Station("Owner", "ok", "Assigned"), flows]
    waits = "lead.waiting" in kinds
    return [Station("Owner", "now" if waits else "", "Waiting for somebody" if waits else "Nobody yet"), flows]


def _reason(last: SignalHistory) -> str:
    return "; ".join(str(problem["message"]) for problem in last.problems) or "It could not be read"
