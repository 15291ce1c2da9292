"""The strategies, exactly: who is chosen, in which order, and what is said of the others."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.kernel.ids import new_id
from switchboard.routing.models import Rota, Strategy
from switchboard.routing.picking import Refusal, Roster, Standing

NAMES = "ABCDEFGH"


def make_roster(strategy: Strategy, members: Sequence[Standing], loads: Sequence[int] = ()) -> Roster:
    open_by_user = {member.user_id: load for member, load in zip(members, loads, strict=False)}
    return Roster(Rota(new_id(), "Sales", "UTC", strategy, None, None, 1), members, Counter(open_by_user))


def make_members(weights: Sequence[int]) -> list[Standing]:
    return [Standing(new_id(), NAMES[i], i, weight=weight) for i, weight in enumerate(weights)]


def pick(roster: Roster, times: int, contact_id: UUID | None = None) -> str:
    names = {standing.user_id: standing.name for standing in roster.standings}
    choices = [roster.choose(contact_id).chosen_id for _ in range(times)]
    return "".join("-" if chosen is None else names[chosen] for chosen in choices)


def test_round_robin_takes_each_in_turn() -> None:
    assert pick(make_roster("round_robin", make_members([1, 1, 1])), 7) == "ABCABCA"


def test_somebody_who_comes_back_gets_one_and_not_a_flood() -> None:
    members = make_members([1, 1, 1])
    roster = make_roster("round_robin", members)
    members[1].absence = Refusal("off_shift", "off shift until Mon 09:00")
    assert pick(roster, 6) == "ACACAC"
    members[1].absence = None
    assert pick(roster, 6) == "BACBAC"


def test_weighted_spreads_the_heavy_between_the_light() -> None:
    assert pick(make_roster("weighted", make_members([5, 1, 1])), 14) == "AABACAAAABACAA"


def test_least_loaded_fills_the_emptiest_first() -> None:
    assert pick(make_roster("least_loaded", make_members([1, 1, 1]), [3, 1, 2]), 6) == "BCBACB"


def test_sticky_goes_to_whoever_had_the_contact_and_else_in_turn() -> None:
    members = make_members([1, 1, 1])
    roster = make_roster("sticky", members)
    known, unknown = new_id(), new_id()
    roster.former_owners[known] = members[2].user_id
    assert pick(roster, 2, known) == "CC"
    assert pick(roster, 1, unknown) == "A"
    assert pick(roster, 1, unknown) == "A", "the second enquiry in the same batch stays with the first's owner"
    members[2].absence = Refusal("away", "away until Tue 10:00")
    assert pick(roster, 1, known) == "B"


def test_capacity_ends_the_turns_and_then_nobody_is_left() -> None:
    members = make_members([1, 1])
    members[0].capacity, members[1].capacity = 1, 2
    assert pick(make_roster("round_robin", members), 5) == "ABB--"


def test_each_candidate_has_a_reason() -> None:
    members = make_members([1, 1, 1, 1, 1])
    members[1].absence = Refusal("holiday", "holiday: Christmas Day")
    members[2].capacity = 5
    roster = make_roster("round_robin", members, [0, 0, 5])
    choice = roster.choose(None, passed_over=[members[3].user_id])
    assert [(candidate.name, candidate.code, candidate.text) for candidate in choice.candidates] == [
        ("A", "chosen", "chosen: next in turn"),
        ("B", "holiday", "holiday: Christmas Day"),
        ("C", "at_capacity", "at capacity: 5 of 5"),
        ("D", "passed_over", "passed over: did not accept"),
        ("E", "not_next", "not their turn"),
    ]


@pytest.mark.parametrize(
    ("strategy", "texts"),
    [
        ("round_robin", ["chosen: next in turn", "not their turn"]),
        ("weighted", ["chosen: next by weight, 2 of 3", "not their turn, weight 1 of 3"]),
        ("least_loaded", ["chosen: fewest open, 1", "has 4 open"]),
        ("sticky", ["chosen: next in turn", "not their turn"]),
    ],
)
def test_the_reason_names_what_the_strategy_compared(strategy: Strategy, texts: list[str]) -> None:
    choice = make_roster(strategy, make_members([2, 1]), [1, 4]).choose(None)
    assert [candidate.text for candidate in choice.candidates] == texts


@given(weights=st.lists(st.integers(1, 100), min_size=1, max_size=8), cycles=st.integers(1, 3))
def test_weighted_is_exact_over_each_cycle_and_never_ahead_by_one(weights: list[int], cycles: int) -> None:
    members = make_members(weights)
    roster = make_roster("weighted", members)
    total = sum(weights)
    for turn in range(1, total * cycles + 1):
        roster.choose(None)
        for member in members:
            assert member.assigned * total < turn * member.weight + total
        if turn % total == 0:
            assert [member.assigned for member in members] == [weight * turn // total for weight in weights]
            assert [member.credit for member in members] == [0] * len(members)


@given(
    strategy=st.sampled_from(["round_robin", "weighted", "least_loaded", "sticky"]),
    absent=st.lists(st.sets(st.integers(0, 3)), min_size=1, max_size=40),
)
def test_whoever_is_absent_is_never_chosen_and_somebody_present_always_is(
    strategy: Strategy, absent: list[set[int]]
) -> None:
    members = make_members([1, 2, 3, 4])
    roster = make_roster(strategy, members)
    for away in absent:
        for index, member in enumerate(members):
            member.absence = Refusal("away", "away") if index in away else None
        chosen = roster.choose(None).chosen_id
        able = {member.user_id for member in members if member.absence is None}
        assert chosen in able if able else chosen is None
