"""One chart a benchmark, as SVG for light and dark pages: bars in groups, each group with a scale of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

WIDTH = 820
LABELS = 300
VALUES = 110
BAR = 16
STEP = 22
HEADING = 30
GAP = 14

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #424a53 }
.title { font-weight: 600 }
.ours { fill: #0b6bcb } .peer { fill: #8c959f } .limit { fill: #c9d1d9 }
.target { stroke: #bc4c00; stroke-width: 2 } .aim { fill: #bc4c00 }
@media (prefers-color-scheme: dark) {
  text { fill: #c9d1d9 }
  .ours { fill: #4aa3ff } .peer { fill: #768390 } .limit { fill: #444c56 }
  .target { stroke: #f0883e } .aim { fill: #f0883e }
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One length: ours, another system's, or what the machine allows."""

    label: str
    value: float
    kind: Literal["ours", "peer", "limit"]


@dataclass(frozen=True, slots=True)
class Group:
    """Bars with one unit and one scale; `target` is a line across them."""

    title: str
    unit: str
    bars: Sequence[Bar]
    target: float | None = None


def draw(title: str, groups: Sequence[Group]) -> str:
    """The SVG's text; `title` is what it says to those who do not see it."""
    height = GAP + sum(HEADING + STEP * len(group.bars) + GAP for group in groups)
    root = ET.Element(
        "svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {height}", width=str(WIDTH), role="img"
    )
    ET.SubElement(root, "title").text = title
    ET.SubElement(root, "style").text = _STYLE
    top = GAP
    for group in groups:
        top = _draw_group(root, group, top)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _draw_group(root: ET.Element, group: Group, top: int) -> int:
    longest = max([*(bar.value for bar in group.bars), group.target or 0.0]) or 1.0
    _write(root, 0, top + 15, f"{group.title}, {group.unit.replace('1/s', 'a second')}", "title")
    bottom = top + HEADING + STEP * len(group.bars)
    for place, bar in enumerate(group.bars):
        _draw_bar(root, bar, top + HEADING + STEP * place, bar.value / longest)
    if group.target is not None:
        across = str(round(LABELS + _room() * group.target / longest, 1))
        line = {"x1": across, "x2": across, "y1": str(top + HEADING - 6), "y2": str(bottom)}
        ET.SubElement(root, "line", {**line, "class": "target"})
        _write(root, WIDTH, top + 15, f"target {number(group.target)}", "aim", anchor="end")
    return bottom + GAP


def _draw_bar(root: ET.Element, bar: Bar, top: int, share: float) -> None:
    length = round(max(_room() * share, 1.0), 1)
    _write(root, LABELS - 8, top + 13, bar.label, "label", anchor="end")
    place = {"x": str(LABELS), "y": str(top), "width": str(length), "height": str(BAR), "rx": "2"}
    ET.SubElement(root, "rect", {**place, "class": bar.kind})
    _write(root, LABELS + length + 6, top + 13, number(bar.value), "value")


def _room() -> int:
    return WIDTH - LABELS - VALUES


def _write(root: ET.Element, left: float, baseline: int, text: str, kind: str, *, anchor: str = "start") -> None:
    place = {"x": str(left), "y": str(baseline), "text-anchor": anchor, "class": kind}
    ET.SubElement(root, "text", place).text = text


def number(value: float) -> str:
    """With as many digits as say something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0") if value >= 10 else f"{value:.3g}"
