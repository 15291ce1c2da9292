"""The text part of a mail, made from its HTML: paragraphs, lists and links, nothing else."""

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from types import MappingProxyType

_BLOCKS = frozenset(
    {
        "p",
        "div",
        "tr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "table",
        "blockquote",
        "section",
        "article",
        "header",
        "footer",
    }
)
_APART = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote"})
_SILENT = frozenset({"head", "style", "script", "title", "noscript", "template"})
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)


def convert_to_text(html: str, *, tags: Mapping[str, str] = MappingProxyType({})) -> str:
    """Plain text of an HTML document, links written behind their words.

    Hidden parts, such as a preview line, are left out. So are comments, except the marks that stand for the
    Liquid in `tags`, which stay as the bare mark.
    """
    reader = _TextReader(tags)
    reader.feed(html)
    reader.close()
    return tidy_text(reader.text())


_LOOSE_ENDS = (" \n", "\t\n", "\xa0\n")


def tidy_text(text: str) -> str:
    """Strip the ends of lines and keep at most one empty line in a row."""
    lines = text.replace("\r\n", "\n") + "\n"
    # Looking is much quicker than replacing, and nearly every letter is tidy already.
    if any(end in lines for end in _LOOSE_ENDS):
        lines = re.sub(r"[ \t\xa0]+\n", "\n", lines)
    if "\n\n\n" in lines:
        lines = re.sub(r"\n{3,}", "\n\n", lines)
    return lines.strip() + "\n"


class _TextReader(HTMLParser):
    def __init__(self, tags: Mapping[str, str]) -> None:
        super().__init__(convert_charrefs=True)
        self._tags = tags
        self._pieces: list[str] = []
        self._silent: list[str] = []
        self._lists: list[int | None] = []
        self._links: list[tuple[str, int]] = []

    def text(self) -> str:
        """Everything read, not yet tidied."""
        return "".join(self._pieces)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if self._silent or tag in _SILENT or "display:none" in values.get("style", "").replace(" ", ""):
            if tag not in _VOID:
                self._silent.append(tag)
            return
        self._break_before(tag)
        self._open(tag, values)

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            if tag in self._silent:
                while self._silent.pop() != tag:
                    pass
            return
        if tag == "a" and self._links:
            self._close_link()
        if tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        if tag in ("td", "th"):
            self._pieces.append(" ")
        if tag == "li":
            self._break(1)
        self._break_before(tag)

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        words = re.sub(r"[ \t\r\n\f]+", " ", data)
        if words.startswith(" ") and (not self._pieces or self._pieces[-1][-1:] in ("\n", " ")):
            words = words[1:]
        if words:
            self._pieces.append(words)

    def handle_comment(self, data: str) -> None:
        if data in self._tags and not self._silent:
            self._pieces.append(data)

    def _open(self, tag: str, values: dict[str, str]) -> None:
        match tag:
            case "br":
                self._pieces.append("\n")
            case "hr":
                self._pieces.append("\n----\n")
            case "a":
                self._links.append((values.get("href", ""), len(self._pieces)))
            case "img" if values.get("alt"):
                self._pieces.append(values["alt"])
            case "ul" | "ol":
                self._lists.append(1 if tag == "ol" else None)
            case "li":
                self._open_item()

    def _open_item(self) -> None:
        depth = max(len(self._lists), 1)
        number = self._lists[-1] if self._lists else None
        self._break(1)
        self._pieces.append("  " * (depth - 1) + ("- " if number is None else f"{number}. "))
        if number is not None:
            self._lists[-1] = number + 1

    def _close_link(self) -> None:
        address, start = self._links.pop()
        words = "".join(self._pieces[start:]).strip()
        address = address.removeprefix("mailto:")
        if address and not address.startswith("#") and address != words:
            self._pieces.append(f" ({address})" if words else address)

    def _break_before(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._break(2 if tag in _APART and not (tag in ("ul", "ol") and self._lists) else 1)

    def _break(self, wanted: int) -> None:
        tail = self._find_tail()
        missing = wanted - (len(tail) - len(tail.rstrip("\n")))
        if tail and missing > 0:
            self._pieces.append("\n" * missing)

    def _find_tail(self) -> str:
        """The end of what is written, looking through loops and conditions: they write nothing themselves."""
        tail = ""
        for piece in reversed(self._pieces):
            if not self._tags.get(piece, "").startswith("{%"):
                tail = piece + tail
            if tail.strip("\n") or len(tail) >= 2:
                break
        return tail
