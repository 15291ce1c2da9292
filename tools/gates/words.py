"""Words that must not stand anywhere in the repository. Each pattern is written so that it does not match itself."""

import re
from collections.abc import Iterator, Sequence

from tools.gates.places import is_any_of
from tools.gates.source import Finding, Source

_RULES = (
    (re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X)\b"), "unfinished: finish it, or open an issue"),
    (
        re.compile(
            r"\b(pypi\.[o]rg|pythonhosted\.[o]rg|npmjs\.(org|com)|un[p]kg\.com|js[d]elivr\.net|crates\.[i]o)\b", re.I
        ),
        "host of a package registry: the reader's own settings decide that",
    ),
    (re.compile(r"(?<![\w.~})-])/(work|root|home/\w+|Users/\w+)/[\w.]", re.I), "path of one machine: make it relative"),
    (
        re.compile(r"\b(chat[g]pt|co[p]ilot|claude[ -]code|openai[ -]co[d]ex|ai[- ]generated|as an a[i])\b", re.I),
        "names a tool of the author: the text stands for itself",
    ),
)
# Other people's files are kept as they came.
_VENDORED = ("*.min.js", "*LICENSE*", "*LICENCE*")


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    for source in tree:
        if not is_any_of(source, *_VENDORED):
            for pattern, message in _RULES:
                for match in pattern.finditer(source.text):
                    line = source.text.count("\n", 0, match.start()) + 1
                    yield source.find(line, f"{match[0]!r}: {message}")
