"""A flow's picture as the page shows it: the layout's boxes with short texts, icons and how many runs are where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from switchboard.flows.compiled import CompiledStep
from switchboard.flows.diagram import Box, Edge, lay_out
from switchboard.flows.models import LEFT, Tally

# About as many letters of 12 px as fit between the icon and the edge of a box, and beside its number.
LONGEST_TITLE = 25
LONGEST_WITH_COUNT = 20

_ICONS: Mapping[str, str] = {
    "send": "send",
    "wait": "hourglass",
    "wait_for": "bell",
    "if": "split",
    "assign": "user-check",
    "notify": "bell-ring",
    "set": "pencil",
    "stop": "circle-x",
    "end": "check",
}
_WORDS: Mapping[str, str] = {
    "send": "Send",
    "wait": "Wait",
    "wait_for": "Wait for an event",
    "if": "Branch",
    "assign": "Assign",
    "notify": "Tell a colleague",
    "set": "Change",
    "stop": "Stop",
}
_STYLES: Mapping[str, str] = {"wait_for": "wait", "notify": "send", "set": "send", "end": "stop"}


@dataclass(frozen=True, slots=True)
class StepNumbers:
    """How runs stand with one step: `here` now, `passed` on, `left` the flow there by reason, `failed` among them."""

    here: int = 0
    passed: int = 0
    left: Mapping[str, int] = field(default_factory=dict)

    @property
    def left_count(self) -> int:
        """All that left the flow at this step."""
        return sum(self.left.values())

    @property
    def line(self) -> str:
        """The numbers in one short line; empty when nobody has been here."""
        parts = [f"{self.passed:,} passed"] if self.passed else []
        return ", ".join([*parts, f"{self.left_count:,} left"] if self.left_count else parts)


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """One step in the picture; `index` is -1 for the end. `title` is whole, `text` what fits."""

    id: str
    index: int
    style: str
    icon: str
    title: str
    text: str
    sub: str
    here: int
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class DrawnEdge:
    """One line as an SVG path, with the tip of its arrow and its label's place."""

    path: str
    tip: str
    label: str
    label_x: int
    label_y: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """The whole picture in pixels."""

    boxes: tuple[DrawnBox, ...]
    edges: tuple[DrawnEdge, ...]
    width: int
    height: int


def draw(steps: Sequence[CompiledStep], numbers: Mapping[int, StepNumbers]) -> Drawing:
    """The picture of a version; without numbers it shows what each step is."""
    diagram = lay_out(steps)
    by_id = {step.id: step for step in steps}
    boxes = tuple(_box(box, by_id.get(box.id), numbers) for box in diagram.boxes)
    return Drawing(boxes, tuple(map(_edge, diagram.edges)), diagram.width, diagram.height)


def count_steps(here: Mapping[int, int], tallies: Sequence[Tally]) -> dict[int, StepNumbers]:
    """The numbers of each step from who stands there now and how runs left it."""
    steps = {*here, *(tally.step for tally in tallies)}
    return {step: _numbers(here.get(step, 0), [one for one in tallies if one.step == step]) for step in steps}


def _numbers(here: int, tallies: Sequence[Tally]) -> StepNumbers:
    left = {one.outcome.removeprefix(LEFT): one.runs for one in tallies if one.outcome.startswith(LEFT)}
    failed = {one.outcome: one.runs for one in tallies if one.outcome == "failed"}
    passed = sum(one.runs for one in tallies if one.outcome != "failed" and not one.outcome.startswith(LEFT))
    return StepNumbers(here, passed, left | failed)


def _box(box: Box, step: CompiledStep | None, numbers: Mapping[int, StepNumbers]) -> DrawnBox:
    index = step.index if step is not None else -1
    found = numbers.get(index, StepNumbers())
    style = "bad" if "failed" in found.left else _STYLES.get(box.kind, box.kind)
    longest = LONGEST_WITH_COUNT if found.here else LONGEST_TITLE
    return DrawnBox(
        id=box.id,
        index=index,
        style=style,
        icon=_ICONS[box.kind],
        title=box.label,
        text=_cut(_short_title(step), longest) if step is not None else "",
        sub=found.line or _WORDS.get(box.kind, ""),
        here=found.here,
        x=box.x,
        y=box.y,
        width=box.width,
        height=box.height,
    )


def _short_title(step: CompiledStep) -> str:
    """What the icon and the words below do not say already: the letter's name, or the condition."""
    told = str(step.config.get("template") or step.config.get("condition") or "")
    is_named = not step.title.startswith(("Send ", "If "))
    return step.title if is_named or not told else " ".join(told.split())


def _edge(edge: Edge) -> DrawnEdge:
    x, y = edge.points[-1]
    path = " L ".join(f"{px} {py}" for px, py in edge.points)
    return DrawnEdge(f"M {path}", f"M {x - 4} {y - 7} L {x + 4} {y - 7} L {x} {y} Z", edge.label, *edge.label_at)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
