"""Templates whose Liquid only fills in values: cut into texts and holes once, and joined for each recipient.

Most letters use no more than `{{ contact.first_name }}` and `{{ ... | default: 'you' }}`. Whatever else a template or
a value may need, such as a loop, another filter, a number or a name that is missing, goes the long way through Liquid;
what comes out is the same, which a test proves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from liquid import BoundTemplate, RenderContext, escape
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Path, StringLiteral
from liquid.builtin.expressions.arguments import PositionalArgument
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.output import OutputNode
from liquid.stringify import to_liquid_string

from switchboard.delivery.rendering_liquid import OUTPUT_BYTES, render_bounded

# Texts longer than this go the long way, where every limit on size and work is counted.
LONGEST_VALUE = 2_000
LONGEST_OUTPUT = OUTPUT_BYTES // 4


@dataclass(frozen=True, slots=True)
class _Hole:
    """Where a value goes: its path in the variables, and what stands there when the value is empty."""

    path: tuple[str, ...]
    when_empty: str


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A template cut into pieces: `texts` has one more than `holes`, and `write` makes a value fit the output."""

    texts: Sequence[str]
    holes: Sequence[_Hole]
    write: Callable[[str], str]

    @classmethod
    def find(cls, template: BoundTemplate) -> Self | None:
        """The skeleton of a template that only fills in values; None of any other."""
        texts, holes = [""], []
        for node in template.nodes:
            if type(node) is ContentNode:
                # The library writes to a stream that makes one kind of all line ends.
                texts[-1] += node.text.replace("\r\n", "\n").replace("\r", "\n")
            elif type(node) is OutputNode and (hole := _find_hole(template, node)) is not None:
                holes.append(hole)
                texts.append("")
            else:
                return None
        return cls(texts, holes, escape if template.env.autoescape else str)

    def fill(self, variables: Mapping[str, object]) -> str | None:
        """The text for these variables; None when one of the values is not a plain short text."""
        pieces = [self.texts[0]]
        for hole, text in zip(self.holes, self.texts[1:], strict=True):
            value = _look_up(variables, hole.path)
            if value is None:
                return None
            pieces += (self.write(value) if value else hole.when_empty, text)
        filled = "".join(pieces)
        return filled if len(filled) <= LONGEST_OUTPUT else None


@dataclass(frozen=True, slots=True)
class Fillable:
    """A template with its skeleton, where it has one."""

    template: BoundTemplate
    skeleton: Skeleton | None

    @classmethod
    def of(cls, template: BoundTemplate) -> Self:
        """Look for the skeleton once."""
        return cls(template, Skeleton.find(template))

    def render(self, variables: Mapping[str, object], *, field: str) -> str:
        """Render within the limits of Liquid; raises `TemplateError`."""
        filled = self.skeleton.fill(variables) if self.skeleton else None
        return render_bounded(self.template, variables, field=field) if filled is None else filled


def _find_hole(template: BoundTemplate, node: OutputNode) -> _Hole | None:
    expression = node.expression
    if type(expression) is not FilteredExpression or type(expression.left) is not Path:
        return None
    path = tuple(segment for segment in expression.left.path if isinstance(segment, str))
    if len(path) != len(expression.left.path):
        return None
    match expression.filters:
        case None | []:
            return _Hole(path, "")
        case [Filter(name="default", args=[PositionalArgument(value=StringLiteral() as literal)])]:
            value = literal.evaluate(RenderContext(template))
            return _Hole(path, to_liquid_string(value, template.env.autoescape)) if "\r" not in str(value) else None
    return None


def _look_up(variables: Mapping[str, object], path: Sequence[str]) -> str | None:
    """The plain text at a path, or None. Blank ones are left to Liquid, which may take them for empty."""
    found: object = variables
    for segment in path:
        if not isinstance(found, Mapping) or segment not in found:
            return None
        found = found[segment]
    if type(found) is not str or len(found) > LONGEST_VALUE or "\r" in found or found.isspace():
        return None
    return found
