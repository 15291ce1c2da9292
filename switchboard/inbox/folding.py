"""What somebody wrote, apart from what they quoted."""

import re
from functools import lru_cache

# How far the header of a quotation is looked for. The patterns backtrack, so each sees only a short window;
# over a whole text they would take minutes on a page of blank lines.
SEARCHED_LINES = 200
WINDOW_LENGTH = 250

_LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pl", "sv", "da", "cs", "ja", "ko", "zh"]
_SEPARATOR = re.compile(r"[_-]{5,}.{0,60}")


def fold_quoted(text: str) -> tuple[str, str]:
    """The reply and the quotation under it; the quotation is empty where none can be told apart.

    Answers written between quoted lines are not folded, and an answer under the quotation is found.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    start = _find_header(lines)
    if start is None:
        start = _find_trailing_quote(lines)
    if start is None or _is_interleaved(lines[start:]):
        return text.strip(), ""
    reply = "\n".join(lines[:start]).strip()
    if reply:
        return reply, "\n".join(lines[start:]).strip()
    return _split_answer_below(lines)


def _find_header(lines: list[str]) -> int | None:
    """The line that opens a quotation: "On ... wrote:", the block of From and Sent, or a ruled line."""
    pattern = _header_pattern()
    for number in range(min(len(lines), SEARCHED_LINES)):
        line = lines[number].strip()
        if not line or (line.startswith(">") and number > 0 and lines[number - 1].strip().startswith(">")):
            continue
        window = "\n".join(one.strip()[:WINDOW_LENGTH] for one in lines[number : number + 4])
        if pattern.match(window, 0, WINDOW_LENGTH):
            return _include_separator(lines, number)
    return None


def _include_separator(lines: list[str], number: int) -> int:
    above = number - 1
    while above >= 0 and not lines[above].strip():
        above -= 1
    return above if above >= 0 and _SEPARATOR.fullmatch(lines[above].strip()) else number


def _find_trailing_quote(lines: list[str]) -> int | None:
    """Where the quoted lines begin that the text ends with, the line that introduces them included."""
    start = None
    for number in range(len(lines) - 1, -1, -1):
        line = lines[number].strip()
        if line.startswith(">"):
            start = number
        elif line:
            is_introduction = start is not None and line.endswith((":", "：")) and any(map(str.isdigit, line))
            return number if is_introduction else start
    return start


def _is_interleaved(lines: list[str]) -> bool:
    """Whether somebody wrote between quoted lines."""
    quoted = [number for number, line in enumerate(lines) if line.strip().startswith(">")]
    if not quoted:
        return False
    between = lines[quoted[0] : quoted[-1]]
    return any(line.strip() and not line.strip().startswith(">") for line in between)


def _split_answer_below(lines: list[str]) -> tuple[str, str]:
    last = max((number for number, line in enumerate(lines) if line.strip().startswith(">")), default=None)
    below = "" if last is None else "\n".join(lines[last + 1 :]).strip()
    if last is None or not below:
        return "\n".join(lines).strip(), ""
    return below, "\n".join(lines[: last + 1]).strip()


@lru_cache(maxsize=1)
def _header_pattern() -> re.Pattern[str]:
    # The library brings the words of many mail programs and languages; it is loaded when mail first comes in.
    from mailparser_reply import EmailMessage  # noqa: PLC0415

    pattern: re.Pattern[str] = EmailMessage(text="", languages=list(_LANGUAGES)).HEADER_REGEX
    return pattern
