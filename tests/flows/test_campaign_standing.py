"""What a campaign's page says of it: figures from counts, and what happens next in words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from switchboard.flows.campaign_models import Campaign, Variant
from switchboard.flows.campaign_reading import make_name, read_form, show_examples, type_form
from switchboard.flows.campaign_standing import find_last_turn, say_next, stand
from switchboard.kernel.ids import new_id

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


DRAFT = Campaign(
    id=new_id(), name="spring", title="Spring", state="draft", flow_id=new_id(), audience_kind="everybody",
    audience_id=None, root_id=new_id(), sends_to_missed_of=None, missed_states=(), start_kind="now", start_at=None,
    local_date=None, local_hour=None, when_passed="now", throttle_per_minute=1, priority="normal", winner_rule="none",
    winner_after=None, winner_due_at=None, winner=None, pause_at_percent=5, seen_sent=0, seen_bad=0, cursor=None,
    is_taken_in=False, spread_from=None, spread={}, sweep=None, sweep_cursor=None, held_since=None, pause_reason=None,
    started_at=None, paused_at=None, ended_at=None, archived_at=None, created_by=None, created_at=NOON, updated_at=NOON,
)  # fmt: skip


def running(**changes: Any) -> Campaign:
    """A campaign under way since noon, with one turn a minute for ten people."""
    spread = {str(int(NOON.timestamp())): 10}
    under_way: dict[str, Any] = {"state": "running", "is_taken_in": True, "spread_from": NOON, "spread": spread}
    return replace(DRAFT, **(under_way | changes))


def one_variant(share: int) -> list[Variant]:
    return [Variant(1, DRAFT.flow_id, share, 1)]


def test_late_are_those_whose_turn_has_come() -> None:
    under_way = running()
    after = [stand(under_way, {"waiting": 10}, NOON + minutes * MINUTE).late for minutes in (-1, 0, 1, 9, 60)]
    assert after == [0, 1, 2, 10, 10]
    assert stand(under_way, {"waiting": 7, "sent": 3}, NOON + 2.5 * MINUTE).late == 0
    assert stand(under_way, {"waiting": 2, "sent": 3}, NOON).late == 0
    assert stand(running(state="paused"), {"waiting": 10}, NOON + 60 * MINUTE).late == 0
    assert stand(running(throttle_per_minute=None), {"waiting": 4, "sent": 6}, NOON).late == 4
    assert find_last_turn(under_way) == NOON + 9 * MINUTE


def test_figures_count_whoever_was_reached_whatever_they_did_then() -> None:
    states = {"sent": 5, "answered": 2, "bounced": 1, "opted_out": 2, "held": 1, "failed": 1, "queued": 3, "waiting": 4}
    standing = stand(DRAFT, states, NOON, 4)
    assert (standing.total, standing.settled, standing.reached, standing.kept_back) == (19, 12, 10, 2)
    assert [standing.people_query(*group) for group in (("held", "dropped"), ("held", "failed"), ("dropped",))] == [
        "?state=held", "", "?state=dropped",
    ]  # fmt: skip
    assert (standing.share("answered"), stand(DRAFT, {"held": 1}, NOON).share("answered")) == ("20.0 %", "")


def test_what_happens_next_is_said_for_every_state() -> None:
    def said(states: dict[str, int], share: int = 100, under_way: int = 0, **changes: object) -> str:
        now = running(**changes)
        return say_next(now, one_variant(share), stand(now, states, NOON, under_way), "Europe/Berlin")

    assert said({"waiting": 10}) == "10 people wait for their turn; the last one comes Tue 01 Jun, 14:09."
    assert said({"waiting": 1, "sent": 9}) == "1 person waits for their turn; the last one comes Tue 01 Jun, 14:09."
    assert said({"queued": 1_200}) == "1,200 letters wait in the outbox."
    assert said({"sent": 3}, under_way=2).startswith("2 are in the middle of its flow")
    assert said({"sent": 3}) == "Everybody has had their turn; it ends within a minute."
    assert said({"sent": 3}, 20, winner_rule="manual") == (
        "The rest of the audience waits until somebody chooses the winner."
    )
    assert said({"sent": 3}, 20, winner_due_at=NOON) == (
        "The winner of the test is chosen Tue 01 Jun, 14:00, and the rest gets it."
    )
    assert said({}, state="paused").startswith("Nothing goes out until somebody resumes it.")
    assert said({}, sweep="spread").startswith("Everybody who waits is being given a new turn")
    assert said({"sent": 2, "failed": 1}, state="finished") == "It is over: 2 of 3 got it."


def test_what_is_typed_is_read_and_typed_again_the_same() -> None:
    now = running(start_kind="at", start_at=NOON, winner_rule="answered", winner_after=timedelta(hours=4, minutes=30))
    variants = [Variant(1, DRAFT.flow_id, 10), Variant(2, new_id(), 20)]
    typed = type_form(now, variants, "Europe/Berlin")
    assert (typed["start_at"], typed["winner_after"], typed["audience"]) == ("2027-06-01T14:00", "4h30m", "everybody")
    form, problems = read_form(typed, "Europe/Berlin")
    assert problems == []
    assert (form.start_at, form.winner_after) == (NOON, now.winner_after)
    assert form.variants == [(one.flow_id, one.share_percent) for one in variants]


@pytest.mark.parametrize(
    ("title", "name"),
    [("Spring news", "spring_news"), ("  Frühling & Café! ", "fruhling_cafe"), ("x" * 80, "x" * 60)],
)
def test_a_title_makes_a_name(title: str, name: str) -> None:
    assert make_name(title) == name


def test_a_title_without_our_letters_gets_a_name_all_the_same() -> None:
    assert make_name("春のニュース").startswith("campaign_")
    assert make_name("春") != make_name("春")


def test_examples_leave_out_where_the_hour_has_passed() -> None:
    typed = {
        "start_kind": "local_hour", "local_date": "2027-06-01", "local_hour": "13:00", "when_passed": "skip",
        "flow_1": str(new_id()), "audience": "everybody", "title": "x",
    }  # fmt: skip
    form, _ = read_form(typed, "Europe/Berlin")
    found = [(one.name, one.yours and f"{one.yours:%H:%M}") for one in show_examples(form, "Europe/Berlin", NOON)]
    assert found == [("Ann", None), ("Ben", "14:00"), ("Cleo", "22:00")]
