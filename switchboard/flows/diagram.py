"""Where each step of a flow stands in its picture: layout only, in pixels, for a template to draw.

Steps run from top to bottom, branches side by side below the step that parts them. Nothing overlaps, and no line
runs through a box. The origin is the upper left corner.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from switchboard.flows.compiled import CompiledStep

BOX_WIDTH = 220
BOX_HEIGHT = 56
END_SIZE = 20
LANE_WIDTH = 72
SIDE_GAP = 28
ROW_GAP = 48
MARGIN = 16

_LABELS = {"if": ("yes", "no"), "wait_for": ("yes", "timeout"), "assign": ("yes", "timeout")}


@dataclass(frozen=True, slots=True)
class Box:
    """One step; `x` and `y` are its upper left corner. The `end` box has kind `end` and the id `end`."""

    id: str
    kind: str
    label: str
    x: int
    y: int
    width: int
    height: int

    @property
    def center(self) -> int:
        """The middle from left to right, where lines begin and end."""
        return self.x + self.width // 2

    @property
    def bottom(self) -> int:
        """The lower edge."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Edge:
    """A line of straight parts from one box down to another; `label` is yes, no, timeout or empty.

    The label belongs at `label_at`, where the line has entered its own lane.
    """

    source: str
    target: str
    label: str
    label_at: tuple[int, int]
    points: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Diagram:
    """Boxes and lines within `width` by `height` pixels."""

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Branch:
    """Steps in a row with the room they take; an empty branch is a lane for a line to pass."""

    steps: tuple["_Node", ...]

    @property
    def width(self) -> int:
        return max((node.width for node in self.steps), default=LANE_WIDTH)

    @property
    def height(self) -> int:
        return sum(node.height for node in self.steps) + ROW_GAP * max(len(self.steps) - 1, 0)


@dataclass(frozen=True, slots=True)
class _Node:
    """A step with its branches, which are both there or both missing."""

    step: CompiledStep
    branches: tuple[_Branch, ...]

    @property
    def inner_width(self) -> int:
        return sum(branch.width for branch in self.branches) + SIDE_GAP * max(len(self.branches) - 1, 0)

    @property
    def width(self) -> int:
        return max(BOX_WIDTH, self.inner_width)

    @property
    def height(self) -> int:
        inner = max((branch.height for branch in self.branches), default=0)
        return BOX_HEIGHT + (ROW_GAP + inner if self.branches else 0)


def lay_out(steps: Sequence[CompiledStep]) -> Diagram:
    """Place the rows of `compile_flow`."""
    trunk = _trunk(steps)
    boxes: dict[str, Box] = {}
    lanes: dict[str, tuple[int, int]] = {}
    center = MARGIN + max(trunk.width, END_SIZE) // 2
    _place(trunk, center, MARGIN, boxes, lanes)
    end_y = MARGIN + trunk.height + (ROW_GAP if steps else 0)
    end = Box("end", "end", "End", center - END_SIZE // 2, end_y, END_SIZE, END_SIZE)
    edges = tuple(edge for step in steps for edge in _edges(step, steps, boxes, lanes, end))
    shown = (*boxes.values(), end) if not steps or any(edge.target == "end" for edge in edges) else (*boxes.values(),)
    width = max(trunk.width, END_SIZE) + 2 * MARGIN
    return Diagram(shown, edges, width, max(box.bottom for box in shown) + MARGIN)


def _trunk(steps: Sequence[CompiledStep]) -> _Branch:
    children: dict[str, list[CompiledStep]] = {}
    for step in steps:
        children.setdefault(step.id.rpartition(".")[0], []).append(step)
    return _branch("", children)


def _branch(path: str, children: Mapping[str, list[CompiledStep]]) -> _Branch:
    return _Branch(tuple(_node(step, children) for step in children.get(path, ())))


def _node(step: CompiledStep, children: Mapping[str, list[CompiledStep]]) -> _Node:
    branches = (_branch(f"{step.id}.then", children), _branch(f"{step.id}.else", children))
    return _Node(step, branches if any(branch.steps for branch in branches) else ())


def _place(branch: _Branch, center: int, top: int, boxes: dict[str, Box], lanes: dict[str, tuple[int, int]]) -> None:
    for node in branch.steps:
        step = node.step
        boxes[step.id] = Box(step.id, step.kind, step.title, center - BOX_WIDTH // 2, top, BOX_WIDTH, BOX_HEIGHT)
        left = center - node.inner_width // 2
        centers = []
        for inner in node.branches:
            centers.append(left + inner.width // 2)
            _place(inner, centers[-1], top + BOX_HEIGHT + ROW_GAP, boxes, lanes)
            left += inner.width + SIDE_GAP
        if centers:
            lanes[step.id] = (centers[0], centers[1])
        top += node.height + ROW_GAP


def _edges(
    step: CompiledStep,
    steps: Sequence[CompiledStep],
    boxes: Mapping[str, Box],
    lanes: Mapping[str, tuple[int, int]],
    end: Box,
) -> Iterator[Edge]:
    if step.kind == "stop":
        return
    source = boxes[step.id]
    for jump, label, lane in _ways(step, source, lanes):
        target = end if jump is None else boxes[steps[jump].id]
        yield Edge(step.id, target.id, label, (lane, source.bottom + ROW_GAP // 2), _route(source, lane, target))


def _ways(
    step: CompiledStep, source: Box, lanes: Mapping[str, tuple[int, int]]
) -> Iterator[tuple[int | None, str, int]]:
    if step.id not in lanes:
        yield (step.next_true if step.branches else step.next), "", source.center
        return
    yes, no = _LABELS[step.kind]
    yield step.next_true, yes, lanes[step.id][0]
    yield step.next_false, no, lanes[step.id][1]


def _route(source: Box, lane: int, target: Box) -> tuple[tuple[int, int], ...]:
    below, above = source.bottom + ROW_GAP // 2, target.y - ROW_GAP // 2
    points = [
        (source.center, source.bottom),
        (source.center, below),
        (lane, below),
        (lane, above),
        (target.center, above),
        (target.center, target.y),
    ]
    return tuple(_without_repeats(points))


def _without_repeats(points: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    kept = list(dict.fromkeys(points))
    for position, point in enumerate(kept):
        neighbours = kept[max(position - 1, 0) : position + 2]
        if len(neighbours) < 3 or len({x for x, _y in neighbours}) > 1:
            yield point
