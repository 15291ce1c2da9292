from datetime import timedelta
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.flows.compiled import compile_flow
from switchboard.flows.definition import Flow, If, Step, Stop, Trigger, Wait, WaitForEvent
from switchboard.flows.diagram import BOX_HEIGHT, BOX_WIDTH, MARGIN, ROW_GAP, Box, Diagram, lay_out

Shape = list[object]

shapes = st.recursive(
    st.just([]) | st.lists(st.sampled_from(["wait", "stop"]), max_size=3),
    lambda inner: st.lists(
        st.sampled_from(["wait", "stop"]) | st.tuples(st.sampled_from(["if", "wait_for"]), inner, inner), max_size=4
    ),
    max_leaves=12,
)


def steps_of(shape: Shape, prefix: str = "") -> tuple[Step, ...]:
    return tuple(step_of(part, f"{prefix}{number}") for number, part in enumerate(shape, 1))


def step_of(part: object, step_id: str) -> Step:
    if part == "wait":
        return Wait(id=step_id, line=1, duration=timedelta(days=1))
    if part == "stop":
        return Stop(id=step_id, line=1, reason="done")
    assert isinstance(part, tuple)
    kind, then, otherwise = part
    then, otherwise = steps_of(then, f"{step_id}.then."), steps_of(otherwise, f"{step_id}.else.")
    if kind == "if":
        return If(id=step_id, line=1, condition="true", then=then, otherwise=otherwise)
    timeout = timedelta(days=1)
    event = "message.replied"
    return WaitForEvent(id=step_id, line=1, event=event, timeout=timeout, then=then, otherwise=otherwise)


def picture(shape: Shape) -> Diagram:
    flow = Flow("f", "F", "lead", (Trigger("lead.created"),), (), None, steps_of(shape))
    return lay_out(compile_flow(flow))


def overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width and other.x < one.x + one.width and one.y < other.bottom and other.y < one.bottom
    )


def crosses(box: Box, start: tuple[int, int], end: tuple[int, int]) -> bool:
    (left, right), (top, bottom) = sorted((start[0], end[0])), sorted((start[1], end[1]))
    return left < box.x + box.width and right > box.x and top < box.bottom and bottom > box.y


@given(shapes)
def test_nothing_overlaps_and_no_line_runs_through_a_box(shape: Shape) -> None:
    diagram = picture(shape)
    assert not [pair for pair in combinations(diagram.boxes, 2) if overlap(*pair)]
    for edge in diagram.edges:
        for start, end in pairwise(edge.points):
            assert start[0] == end[0] or start[1] == end[1]
            assert not [box.id for box in diagram.boxes if crosses(box, start, end)]


@given(shapes)
def test_everything_is_inside_the_picture_and_lines_join_their_boxes(shape: Shape) -> None:
    diagram = picture(shape)
    boxes = {box.id: box for box in diagram.boxes}
    for box in boxes.values():
        assert box.x >= MARGIN
        assert box.x + box.width <= diagram.width - MARGIN
        assert box.bottom <= diagram.height - MARGIN
    for edge in diagram.edges:
        assert edge.points[0] == (boxes[edge.source].center, boxes[edge.source].bottom)
        assert edge.points[-1] == (boxes[edge.target].center, boxes[edge.target].y)
        assert all(0 <= x <= diagram.width and 0 <= y <= diagram.height for x, y in edge.points)
        assert all(start[1] <= end[1] for start, end in pairwise(edge.points))


@given(shapes)
def test_two_ways_on_have_different_labels_in_different_places(shape: Shape) -> None:
    edges = picture(shape).edges
    for one, other in combinations(edges, 2):
        if one.source == other.source:
            assert {one.label, other.label} in ({"yes", "no"}, {"yes", "timeout"})
            assert one.label_at != other.label_at


def test_a_straight_flow_is_a_straight_line() -> None:
    diagram = picture(["wait", "wait"])
    assert [(box.id, box.x, box.y) for box in diagram.boxes] == [
        ("1", MARGIN, MARGIN),
        ("2", MARGIN, MARGIN + BOX_HEIGHT + ROW_GAP),
        ("end", 116, MARGIN + 2 * (BOX_HEIGHT + ROW_GAP)),
    ]
    assert diagram.width == BOX_WIDTH + 2 * MARGIN
    assert [(edge.source, edge.target, len(edge.points)) for edge in diagram.edges] == [("1", "2", 2), ("2", "end", 2)]


def test_branches_stand_side_by_side_and_meet_again() -> None:
    diagram = picture([("if", ["wait"], ["wait", "wait"]), "wait"])
    boxes = {box.id: box for box in diagram.boxes}
    assert boxes["1.then.1"].y == boxes["1.else.1"].y
    assert boxes["1.then.1"].x < boxes["1.else.1"].x
    assert [(edge.source, edge.target, edge.label) for edge in diagram.edges] == [
        ("1", "1.then.1", "yes"),
        ("1", "1.else.1", "no"),
        ("1.then.1", "2", ""),
        ("1.else.1", "1.else.2", ""),
        ("1.else.2", "2", ""),
        ("2", "end", ""),
    ]


def test_an_event_that_does_not_come_is_a_timeout_and_a_stop_leads_nowhere() -> None:
    diagram = picture([("wait_for", ["stop"], ["stop"])])
    assert [(edge.target, edge.label) for edge in diagram.edges] == [("1.then.1", "yes"), ("1.else.1", "timeout")]
    assert "end" not in {box.id for box in diagram.boxes}


@pytest.mark.parametrize("shape", [[], [("if", [], [])]])
def test_a_flow_without_ways_apart_still_has_an_end(shape: Shape) -> None:
    assert picture(shape).boxes[-1].id == "end"
