"""Reading a condition's words into a tree, from the loosest sign to the tightest: or, and, not, comparison, sum."""

from collections.abc import Callable
from typing import cast

from switchboard.kernel.expression_source import Source, Token
from switchboard.kernel.expressions import suggest_name
from switchboard.people.condition_literals import (
    LiteralError,
    check_pattern,
    read_duration,
    read_moment,
    read_number,
    read_text,
)
from switchboard.people.condition_scope import ITEM, Scope, ScopeError, outside_loops
from switchboard.people.condition_tree import (
    KIND_WORDS,
    All,
    Any,
    Changed,
    Compared,
    Comparison,
    Constant,
    Count,
    Exists,
    Field,
    Has,
    Kind,
    Length,
    Node,
    Not,
    NumberOf,
    OneOf,
    Sum,
    TextChange,
    TextTest,
    TextTestName,
)
from switchboard.people.segment_vocabulary import Relation, Vocabulary

MOST_CHOICES = 100
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_ORDERED = frozenset({"text", "number", "moment", "duration"})
_TESTS = frozenset({"startsWith", "endsWith", "contains", "matches"})
_CHANGES = frozenset({"lower", "upper", "trim"})
METHODS = _TESTS | _CHANGES | {"exists", "all", "size"}
FUNCTIONS = _CHANGES | {"has", "size", "int", "double", "timestamp", "duration"}
_SUMS: dict[tuple[Kind, bool, Kind], Kind] = {
    ("number", False, "number"): "number",
    ("number", True, "number"): "number",
    ("moment", False, "duration"): "moment",
    ("moment", True, "duration"): "moment",
    ("duration", False, "moment"): "moment",
    ("moment", True, "moment"): "duration",
    ("duration", False, "duration"): "duration",
    ("duration", True, "duration"): "duration",
}


class ReadingError(Exception):
    """A condition cannot be written as SQL because of what stands at `offset`."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message


class Reader:
    """Reads one condition, which the CEL library has read already: brackets fit, and nothing is left open."""

    def __init__(self, source: Source, vocabulary: Vocabulary) -> None:
        self._text = source.text
        self._tokens = source.tokens
        self._scope = Scope(vocabulary)
        self._place = 0

    def read(self) -> Node:
        """The whole condition; raises ReadingError."""
        node = self._truth(self._either)
        if self._place < len(self._tokens):
            raise self._useless(self._place)
        return node

    def _either(self) -> Node:
        start, first = self._place, self._both()
        if not self._is_next("||"):
            return first
        parts = [self._as_truth(first, start)]
        while self._take("||"):
            parts.append(self._truth(self._both))
        return Any(tuple(parts))

    def _both(self) -> Node:
        start, first = self._place, self._other_way()
        if not self._is_next("&&"):
            return first
        parts, starts = [self._as_truth(first, start)], [start]
        while self._take("&&"):
            starts.append(self._place)
            parts.append(self._truth(self._other_way))
        self._refuse_two_of_any(parts, starts)
        return All(tuple(parts))

    def _refuse_two_of_any(self, parts: list[Node], starts: list[int]) -> None:
        """`lead.a && lead.b` may be meant of one lead or of two: whoever writes it must say."""
        seen: set[str] = set()
        for part, start in zip(parts, starts, strict=True):
            loops = [node.relation for node in outside_loops(part) if isinstance(node, Exists) and node.is_of_any]
            for relation in loops:
                if relation.one in seen:
                    raise self._refusal(start, _two_of_any(relation))
            seen |= {relation.one for relation in loops}

    def _other_way(self) -> Node:
        if not self._is_next("!"):
            return self._comparison()
        is_negated = False
        while self._take("!"):
            is_negated = not is_negated
        node = self._truth(self._comparison)
        return Not(node) if is_negated else node

    def _comparison(self) -> Node:
        start, left = self._place, self._sum()
        if self._take("in"):
            return self._of_any(self._among(left, start), start)
        if self._next_text() not in _COMPARISONS:
            return left
        sign = cast(Comparison, self._next().text)
        place, right = self._place, self._sum()
        self._check_comparison(sign, left, right, place)
        return self._of_any(Compared(sign, left, right), start)

    def _check_comparison(self, sign: Comparison, left: Node, right: Node, place: int) -> None:
        if "map" in {left.kind, right.kind}:
            raise self._refusal(place, "Name one entry of the map, such as contact.fields.plan.")
        if left.kind != right.kind:
            message = f"{_capital(left.kind)} is never compared with {KIND_WORDS[right.kind]}, which stands here."
            raise self._refusal(place, message)
        if sign not in {"==", "!="} and left.kind not in _ORDERED:
            message = f"{_capital(left.kind)} is neither more nor less than another; use == or !=."
            raise self._refusal(place, message)

    def _among(self, value: Node, start: int) -> Node:
        place = self._place
        if self._take("["):
            return OneOf(value, self._choices(value))
        found = self._followed()
        if not isinstance(found, Relation) or "" not in found.columns:
            raise self._refusal(place, "After `in` stands a list such as ['DE', 'AT'], or contact.tags.")
        if not isinstance(value, Constant) or value.kind != "text":
            raise self._refusal(start, f'Write the text out, as in "vip" in {found.name}.')
        return Exists(found, ITEM, Compared("==", Field(ITEM, "", found.columns[""]), value))

    def _choices(self, value: Node) -> tuple[Constant, ...]:
        choices: list[Constant] = []
        while not self._take("]"):
            place, choice = self._place, self._sum()
            if not isinstance(choice, Constant) or choice.kind != value.kind or choice.kind not in {"text", "number"}:
                message = f"Each entry of this list must be {KIND_WORDS[value.kind]} that is written out."
                raise self._refusal(place, message)
            choices.append(choice)
            self._take(",")
        if not 1 <= len(choices) <= MOST_CHOICES:
            raise self._refusal(self._place - 1, f"A list holds from one to {MOST_CHOICES} entries.")
        return tuple(choices)

    def _sum(self) -> Node:
        left = self._value()
        while self._next_text() in {"+", "-"}:
            place, is_minus = self._place, self._next().text == "-"
            right = self._value()
            kind = _SUMS.get((left.kind, is_minus, right.kind))
            if kind is None:
                verb = "taken from" if is_minus else "added to"
                message = f"{_capital(right.kind)} cannot be {verb} {KIND_WORDS[left.kind]}."
                raise self._refusal(place, message)
            left = Sum(is_minus, left, right, kind)
        return left

    def _value(self) -> Node:
        start, found = self._place, self._followed()
        if isinstance(found, Relation):
            message = f"{found.name} are many: ask {found.name}.exists(…) or size({found.name})."
            raise self._refusal(start, message)
        if self._next_text() in {".", "[", "?", "*", "/", "%"}:
            raise self._useless(self._place)
        return found

    def _followed(self) -> Node | Relation:
        """A value with the methods that are called on it."""
        start, found = self._place, self._primary()
        while self._is_next(".") and self._token(1) in METHODS and self._token(2) == "(":
            found = self._method(found, start)
        return found

    def _primary(self) -> Node | Relation:
        start, token = self._place, self._next()
        if token.kind == "string":
            return self._literal("text", token, read_text)
        if token.kind == "number":
            return self._literal("number", token, read_number)
        if token.text == "-" and self._kind() == "number":
            number = self._literal("number", self._next(), read_number)
            return Constant("number", -cast(float, number.value))
        if token.text == "(":
            node = self._either()
            self._expect(")")
            return node
        if token.text in {"true", "false"}:
            return Constant("truth", token.text == "true")
        if token.kind != "name" or token.text == "null":
            raise self._useless(start)
        return self._call(start) if self._is_next("(") else self._path(start)

    def _literal(self, kind: Kind, token: Token, read: Callable[[str], str | int | float]) -> Constant:
        try:
            return Constant(kind, read(token.text))
        except LiteralError as error:
            raise ReadingError(token.start, str(error)) from None

    def _call(self, start: int) -> Node:
        name = self._tokens[start].text
        if name not in FUNCTIONS:
            raise self._refusal(start, f"Conditions of segments have no {name}()" + suggest_name(name, FUNCTIONS))
        self._expect("(")
        node = self._called(name, self._place)
        self._expect(")", f"{name}() takes one value.")
        return node

    def _called(self, name: str, place: int) -> Node:
        if name == "has":
            return self._of_any(self._has(place), place)
        if name in {"timestamp", "duration"}:
            return self._written_time(name)
        if name == "size":
            return self._size(self._followed(), place)
        text = self._as_text(self._sum(), place)
        if name in _CHANGES:
            return Changed(cast(TextChange, name), text)
        return NumberOf(text, is_whole=name == "int")

    def _has(self, place: int) -> Node:
        found = self._primary()
        if isinstance(found, Relation):
            return Exists(found, ITEM)
        if not isinstance(found, Field) or found.kind == "map":
            raise self._refusal(
                place, "has() asks for one field, as in has(contact.phone) or has(contact.fields.plan)."
            )
        return Has(found)

    def _written_time(self, name: str) -> Node:
        token = self._next()
        if token.kind != "string":
            raise ReadingError(token.start, f"{name}() takes a text that is written out.")
        try:
            if name == "timestamp":
                return Constant("moment", read_moment(read_text(token.text)))
            return Constant("duration", read_duration(read_text(token.text)))
        except LiteralError as error:
            raise ReadingError(token.start, str(error)) from None

    def _size(self, found: Node | Relation, place: int) -> Node:
        if not isinstance(found, Relation):
            return Length(self._as_text(found, place))
        if found.kinds:
            raise self._refusal(place, f"{found.name} are too many to be counted; ask {found.name}.exists(…).")
        return Count(found)

    def _method(self, found: Node | Relation, start: int) -> Node:
        self._expect(".")
        name = self._next().text
        self._expect("(")
        if name in {"exists", "all"}:
            node = self._loop(found, name, start)
        elif name == "size":
            node = self._size(found, start)
        elif isinstance(found, Relation):
            raise self._refusal(start, f"{found.name} are many: ask {found.name}.exists(…) what one of them is.")
        elif name in _CHANGES:
            node = Changed(cast(TextChange, name), self._as_text(found, start))
        else:
            node = self._of_any(self._text_test(cast(TextTestName, name), self._as_text(found, start)), start)
        self._expect(")", f"{name}() takes another number of values.")
        return node

    def _text_test(self, name: TextTestName, text: Node) -> TextTest:
        place, part = self._place, self._as_text(self._sum(), self._place)
        if name == "matches":
            try:
                check_pattern(str(cast(Constant, part).value))
            except LiteralError as error:
                raise self._refusal(place, str(error)) from None
        return TextTest(name, text, part)

    def _loop(self, found: Node | Relation, name: str, start: int) -> Node:
        if not isinstance(found, Relation):
            names = ", ".join(sorted(self._scope.vocabulary.relations))
            raise self._refusal(start, f"{name}() runs over what a contact has many of: {names}.")
        if name == "all" and found.kinds:
            raise self._refusal(start, f"Of {found.name} only exists() can be asked.")
        variable = self._next().text
        try:
            self._scope.enter(variable, found)
        except ScopeError as error:
            raise self._refusal(self._place - 1, str(error)) from None
        self._expect(",")
        body = self._truth(self._either)
        self._scope.leave(variable)
        return Exists(found, variable, body) if name == "exists" else Not(Exists(found, variable, Not(body)))

    def _path(self, start: int) -> Node | Relation:
        while self._is_next(".") and self._kind(1) == "name" and self._token(2) != "(":
            self._place += 2
        names = [token.text for token in self._tokens[start : self._place : 2]]
        try:
            found = self._scope.find(names, self._key())
        except ScopeError as error:
            raise self._refusal(start, str(error)) from None
        return found

    def _key(self) -> str | None:
        if not self._take("["):
            return None
        place, token = self._place, self._next()
        if token.kind != "string" or not self._take("]"):
            raise self._refusal(place, "The name of an entry is written out in quotes.")
        return str(self._literal("text", token, read_text).value)

    def _truth(self, read: Callable[[], Node]) -> Node:
        start = self._place
        return self._as_truth(read(), start)

    def _as_truth(self, node: Node, start: int) -> Node:
        if node.kind != "truth":
            part = self._text[self._tokens[start].start : self._tokens[self._place - 1].end]
            raise self._refusal(start, f"{part} is not a question with yes or no; compare it with something.")
        return self._of_any(node, start)

    def _as_text(self, node: Node | Relation, start: int) -> Node:
        if isinstance(node, Relation) or node.kind != "text":
            raise self._refusal(start, "A text must stand here.")
        return node

    def _of_any(self, node: Node, start: int) -> Node:
        """A term about `lead.…` asks whether there is any lead for which it holds."""
        fields = [each for each in outside_loops(node) if isinstance(each, Field) and each.any_of is not None]
        relations = {field.row: field.any_of for field in fields if field.any_of is not None}
        if len(relations) > 1:
            raise self._refusal(start, f"This compares one of several with another: {', '.join(sorted(relations))}.")
        for row, relation in relations.items():
            return Exists(relation, row, node, is_of_any=True)
        return node

    def _token(self, ahead: int = 0) -> str:
        place = self._place + ahead
        return self._tokens[place].text if place < len(self._tokens) else ""

    def _next_text(self) -> str:
        return self._token() if self._kind() in {"sign", "name"} else ""

    def _kind(self, ahead: int = 0) -> str:
        place = self._place + ahead
        return self._tokens[place].kind if place < len(self._tokens) else ""

    def _is_next(self, text: str) -> bool:
        return self._next_text() == text

    def _take(self, text: str) -> bool:
        if not self._is_next(text):
            return False
        self._place += 1
        return True

    def _next(self) -> Token:
        if self._place >= len(self._tokens):
            raise ReadingError(len(self._text), "The condition ends too early.")
        self._place += 1
        return self._tokens[self._place - 1]

    def _expect(self, text: str, message: str = "") -> None:
        if not self._take(text):
            raise self._refusal(self._place, message) if message else self._useless(self._place)

    def _useless(self, place: int) -> ReadingError:
        word = self._tokens[place].text if place < len(self._tokens) else "the end"
        advice = " Ask has(…) whether there is a value." if word == "null" else ""
        return self._refusal(place, f"Conditions of segments have no use for {word} here.{advice}")

    def _refusal(self, place: int, message: str) -> ReadingError:
        offset = self._tokens[place].start if place < len(self._tokens) else len(self._text)
        return ReadingError(offset, message)


def _capital(kind: Kind) -> str:
    return KIND_WORDS[kind].capitalize()


def _two_of_any(relation: Relation) -> str:
    letter = relation.one[0]
    return (
        f"Each term about {relation.one} is about any {relation.one}, so these may be about two. Say "
        f"{relation.name}.exists({letter}, … && …) where one must meet both, or {relation.name}.exists(…) twice."
    )
