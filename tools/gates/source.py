"""One file of the tree as the gates see it, and what they find in it."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

_ESCAPE = re.compile(r"(?:#|--|//|/\*|<!--)\s*gate:\s*(?P<gate>[a-z-]+)\s*(?P<reason>[^#*]*?)\s*(?:#\}|\*/|-->)?\s*$")
# Prose about the gates quotes escapes without meaning them.
_PROSE = {".md"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at a line (from 1) of a file."""

    path: PurePosixPath
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Escape:
    """A comment `gate: NAME reason` that lets the line it stands on, or the line below it, through one gate."""

    line: int
    covers: frozenset[int]
    gate: str
    reason: str


@dataclass(frozen=True)
class Source:
    """A text file: `path` is relative to `root`, with forward slashes."""

    root: Path
    path: PurePosixPath
    text: str

    @property
    def is_python(self) -> bool:
        return self.path.suffix == ".py"

    @property
    def is_template(self) -> bool:
        return "templates" in self.path.parts and self.path.suffix in {".html", ".xml", ".svg", ".jinja", ".j2"}

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of a Python file, walked once for all gates; SyntaxError when it is none."""
        return list(ast.walk(ast.parse(self.text, filename=str(self.path))))

    def find_syntax_error(self) -> Finding | None:
        if self.is_python:
            try:
                _ = self.nodes
            except SyntaxError as error:
                return self.find(error.lineno or 1, f"{error.msg}: this is no Python 3.11")
        return None

    @cached_property
    def comments(self) -> dict[int, str]:
        """Comments by line; in Python only real ones, not text in strings."""
        if not self.is_python:
            return dict(enumerate(self.lines, start=1))
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}

    @cached_property
    def escapes(self) -> list[Escape]:
        if self.path.suffix in _PROSE or "gate:" not in self.text:
            return []
        return list(self._read_escapes())

    def find(self, line: int, message: str) -> Finding:
        return Finding(self.path, line, message)

    def _read_escapes(self) -> Iterator[Escape]:
        for line, comment in self.comments.items():
            match = _ESCAPE.search(comment)
            if match:
                stands_alone = re.match(r"\s*(#|--|//|/\*|<!--|\{#)", self.lines[line - 1])
                covers = frozenset({line, line + 1} if stands_alone else {line})
                yield Escape(line, covers, match["gate"], match["reason"])
