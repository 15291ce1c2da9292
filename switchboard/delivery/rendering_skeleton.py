"""Templates whose Liquid only fills in values: cut into texts and holes once, and joined for each recipient.

Most letters use no more than `{{ contact.first_name }}`, `{{ ... | default: 'you' }}` and
`{{ owner.name | default: workspace.name }}`. Whatever else a template or a value may need, such as a loop, another
filter or a number, goes the long way through Liquid; what comes out is the same, which a test proves.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import msgspec
from liquid import BoundTemplate, RenderContext, escape
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Path, StringLiteral
from liquid.builtin.expressions.arguments import PositionalArgument
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.output import OutputNode
from liquid.stringify import to_liquid_string

from switchboard.delivery.rendering_liquid import OUTPUT_BYTES, render_bounded
from switchboard.kernel.ids import id_of

# Texts longer than this go the long way, where every limit on size and work is counted.
LONGEST_VALUE = 2_000
# Liquid finds these in whatever has no such name of its own.
_GIVEN_BY_LIQUID = frozenset({"size", "first", "last"})
_MARKUP = re.compile("[&<>'\"]")
LONGEST_OUTPUT = OUTPUT_BYTES // 4


@dataclass(frozen=True, slots=True)
class _Hole:
    """Where a value goes: its path in the variables, and what stands there when the value is empty.

    That is `when_empty` as it is, or the value at the path `otherwise` where there is one.
    """

    path: tuple[str, ...]
    when_empty: str
    otherwise: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A template cut into pieces: `texts` has one more than `holes`, and `write` makes a value fit the output.

    `id` is made from the texts, `length` is theirs together.
    """

    texts: Sequence[str]
    holes: Sequence[_Hole]
    write: Callable[[str], str]
    id: UUID
    length: int

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
        write = _escape if template.env.autoescape else str
        return cls(texts, holes, write, _id_of(texts), sum(map(len, texts)))

    def cut(self, values: "Values") -> "Cut | None":
        """The text for these values, not yet joined; None when one of them is not plain and short."""
        write, pieces = self.write, []
        for hole in self.holes:
            value = values[hole.path]
            if value == "" and hole.otherwise is not None:
                value = values[hole.otherwise]
            if value is None:
                return None
            pieces.append(write(value) if value else hole.when_empty)
        cut = Cut(self, pieces)
        return cut if self.length + sum(map(len, pieces)) <= LONGEST_OUTPUT else None


class Values(dict[tuple[str, ...], str | None]):
    """The plain texts at the paths of one letter's variables, each looked up once for all its parts."""

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, object]) -> None:
        super().__init__()
        self._variables = variables

    def __missing__(self, path: tuple[str, ...]) -> str | None:
        found = self[path] = _look_up(self._variables, path)
        return found


class Cut(msgspec.Struct, frozen=True):
    """A text as its skeleton and the pieces in its holes."""

    skeleton: Skeleton
    pieces: Sequence[str]

    def join(self) -> str:
        """The whole text."""
        joined = [self.skeleton.texts[0]]
        for piece, text in zip(self.pieces, self.skeleton.texts[1:], strict=True):
            joined += (piece, text)
        return "".join(joined)


@dataclass(frozen=True, slots=True)
class Fillable:
    """A template with its skeleton, where it has one."""

    template: BoundTemplate
    skeleton: Skeleton | None

    @classmethod
    def of(cls, template: BoundTemplate) -> Self:
        """Look for the skeleton once."""
        return cls(template, Skeleton.find(template))

    def cut(self, values: Values) -> Cut | None:
        """What is quickly filled in; None where it takes Liquid itself."""
        return self.skeleton.cut(values) if self.skeleton else None

    def render(self, variables: Mapping[str, object], values: Values, *, field: str) -> str:
        """Render within the limits of Liquid; raises `TemplateError`. `values` are those of the variables."""
        cut = self.cut(values)
        return render_bounded(self.template, variables, field=field) if cut is None else cut.join()


def _escape(value: str) -> str:
    # Most values have nothing to escape, and looking is quicker than having it done.
    return _plain(escape(value)) if _MARKUP.search(value) else value


def _plain(text: str) -> str:
    """Of the library's own kind of text the text, which is all that can be written down."""
    return str.__str__(text)


def _id_of(texts: Sequence[str]) -> UUID:
    # With their lengths, so that no two ways to cut a text are taken for one.
    content = "".join(f"{len(text)}:{text}" for text in texts).encode("utf-8", "surrogatepass")
    return id_of(hashlib.blake2b(content, digest_size=16).digest())


def _find_hole(template: BoundTemplate, node: OutputNode) -> _Hole | None:
    expression = node.expression
    if type(expression) is not FilteredExpression or (path := _find_path(expression.left)) is None:
        return None
    match expression.filters:
        case None | []:
            return _Hole(path, "")
        case [Filter(name="default", args=[PositionalArgument(value=StringLiteral() as literal)])]:
            value = literal.evaluate(RenderContext(template))
            written = _plain(to_liquid_string(value, template.env.autoescape))
            return _Hole(path, written) if "\r" not in written else None
        case [Filter(name="default", args=[PositionalArgument(value=Path() as other)])]:
            otherwise = _find_path(other)
            return None if otherwise is None else _Hole(path, "", otherwise)
    return None


def _find_path(expression: object) -> tuple[str, ...] | None:
    """The names of a path that is made of names only."""
    if type(expression) is not Path:
        return None
    path = tuple(segment for segment in expression.path if isinstance(segment, str))
    return path if len(path) == len(expression.path) else None


def _look_up(variables: Mapping[str, object], path: Sequence[str]) -> str | None:
    """The plain text at a path, or None. Blank ones are left to Liquid, which may take them for empty.

    What nothing is known of is empty, such as the name of an owner where there is none; not so the first name of a
    path, which Liquid itself may know.
    """
    found: object = variables
    for segment in path:
        # Nearly always it is a plain one, of which that is known at once.
        if not (type(found) is dict or isinstance(found, Mapping)):
            return None
        if segment not in found:
            return None if found is variables or segment in _GIVEN_BY_LIQUID else ""
        found = found[segment]
    if type(found) is not str or len(found) > LONGEST_VALUE or "\r" in found or found.isspace():
        return None
    return found
