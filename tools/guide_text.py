"""What the generated pages share: the line that says so, tables, and sentences out of docstrings."""

import inspect
from collections.abc import Sequence

ORIGIN = "<!-- Made from the code by `python -m tools.guide`. Change the code, then run it again. -->"


def page(title: str, introduction: str, *parts: str) -> str:
    """One page, with the note on where it comes from."""
    return "\n\n".join([ORIGIN, f"# {title}", introduction, *parts]) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of one line a row; what would end a cell early is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def first_sentence(documented: object) -> str:
    """The first sentence of a docstring on one line, with its full stop; empty when there is none."""
    text = " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())
    end = text.find(". ")
    return text if end < 0 else text[: end + 1]


def code(text: str) -> str:
    """The text set as code; empty stays empty."""
    return f"`{text}`" if text else ""
