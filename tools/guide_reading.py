"""The guide as it is written, taken apart for the tests that hold it against the code."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.guide import GUIDE

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced piece of a page; `kind` is what stands behind the fence, such as `yaml steps`."""

    page: str
    kind: str
    text: str


def pages() -> dict[str, str]:
    """Every page's text by its file's name."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(GUIDE.glob("*.md"))}


def read(name: str) -> str:
    """One page's text."""
    return (GUIDE / name).read_text(encoding="utf-8")


def blocks(kind: str) -> list[Block]:
    """The fenced pieces of one kind, on all pages."""
    found = ((name, *match) for name, text in pages().items() for match in _FENCE.findall(text))
    return [Block(name, each, text) for name, each, text in found if each == kind]


def code_words(text: str) -> set[str]:
    """What a page sets as code within its sentences and tables."""
    return set(_INLINE.findall(_FENCE.sub("", text)))


def calls() -> Iterator[tuple[str, list[str]]]:
    """Each call of `switchboard` in a piece of shell: the page, and the words behind the program's name."""
    for block in blocks("sh"):
        for line in block.text.splitlines():
            if line.startswith("switchboard "):
                yield block.page, shlex.split(line)[1:]


def links() -> Iterator[tuple[str, str]]:
    """Each link to another page or heading: the page it stands on, and where it leads."""
    for name, text in pages().items():
        for target in _LINK.findall(_FENCE.sub("", text)):
            if "://" not in target:
                yield name, target


def leads_somewhere(page: str, target: str) -> bool:
    """Whether a link's page is there, and has the heading it names."""
    name, _, anchor = target.partition("#")
    path: Path = GUIDE / (name or page)
    return path.is_file() and (not anchor or anchor in _anchors(path.read_text(encoding="utf-8")))


def _anchors(text: str) -> set[str]:
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in _HEADING.findall(text)}
