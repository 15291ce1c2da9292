"""HTML from outside made safe to show: nothing runs, nothing is fetched unasked, nothing leaves its box."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import nh3

from switchboard.kernel.characters import make_storable

MAX_HTML_LENGTH = 500_000
MAX_NESTING = 300
SEARCHED_NESTING = 20

ResolveContentId = Callable[[str], str | None]

_TAGS = {
    *("a", "abbr", "address", "b", "blockquote", "br", "caption", "center", "cite", "code", "col", "colgroup"),
    *("dd", "del", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "font", "h1", "h2", "h3", "h4", "h5"),
    *("h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "small", "span", "strike"),
    *("strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul"),
}
_WITH_CONTENT_DROPPED = {
    *("script", "style", "title", "noscript", "template", "iframe", "object", "embed", "svg", "math"),
    *("select", "textarea", "button"),
}
_SIZES = {"width", "height", "align", "valign"}
_ATTRIBUTES = {
    "*": {"style", "dir", "lang", "title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "font": {"color", "face", "size"},
    "table": {*_SIZES, "border", "cellpadding", "cellspacing"},
    "td": {*_SIZES, "colspan", "rowspan"},
    "th": {*_SIZES, "colspan", "rowspan"},
    "tr": {"align", "valign"},
    "div": {"align"},
    "p": {"align"},
    "ol": {"start", "type"},
}
# No property that takes a picture, moves a box out of its place, or lays one over another.
_STYLES = {
    *("color", "background-color", "font-family", "font-size", "font-style", "font-weight", "line-height"),
    *("text-align", "text-decoration", "vertical-align", "padding", "padding-top", "padding-right"),
    *("padding-bottom", "padding-left", "border", "border-top", "border-right", "border-bottom", "border-left"),
    *("border-color", "border-style", "border-width", "border-radius", "border-collapse", "width", "max-width"),
    *("white-space",),
}
_LINK_SCHEMES = ("http:", "https:", "mailto:", "tel:")
_REMOTE_SCHEMES = ("http:", "https:")
_SAFE_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[a-z0-9+/=\s]*", re.IGNORECASE)
_STYLE_THAT_FETCHES = re.compile(r"url\s*\(|image\s*\(|expression|@|\\|javascript", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)", re.IGNORECASE)
# Elements without an end, and those that the next of their kind ends.
_NEVER_NESTED = frozenset(
    {
        *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"),
        *("p", "li", "dt", "dd", "td", "th", "tr", "thead", "tbody", "tfoot", "option", "colgroup"),
    }
)
_LETTER_STYLES = frozenset(
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"]
)
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "center", "dd", "details", "dir", "div", "dl", "fieldset"),
        *("figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "main", "menu", "nav", "ol"),
        *("pre", "section", "summary", "table", "ul"),
    }
)
# Marks of a picture that waits for permission and of one that came along. A quotation mark cannot stand inside
# a written attribute, so no sender can write these; in running text they would do nothing.
_WAITING = ' src="waiting:'
_ATTACHED = ' src="attached:'


@dataclass(frozen=True, slots=True)
class SafeHtml:
    """HTML for a page. `blocked_images` counts the pictures whose address was moved to `data-src`."""

    html: str
    blocked_images: int


@dataclass(slots=True)
class _AttributeFilter:
    """Decides on every attribute that the lists let through."""

    is_remote_allowed: bool
    resolve_content_id: ResolveContentId | None
    blocked: int = field(default=0)

    def __call__(self, tag: str, attribute: str, value: str) -> str | None:
        if attribute == "style":
            return None if _STYLE_THAT_FETCHES.search(value) else value
        if (tag, attribute) == ("a", "href"):
            return value if value.strip().lower().startswith(_LINK_SCHEMES) else None
        if (tag, attribute) == ("img", "src"):
            return self._decide_picture(value.strip())
        return value

    def _decide_picture(self, address: str) -> str | None:
        lowered = address.lower()
        if lowered.startswith("cid:"):
            found = self.resolve_content_id(address[4:]) if self.resolve_content_id else None
            return f"attached:{found}" if found else None
        if lowered.startswith("data:"):
            return address if _SAFE_PICTURE.fullmatch(address) else None
        if not lowered.startswith(_REMOTE_SCHEMES):
            return None
        if self.is_remote_allowed:
            return address
        self.blocked += 1
        return f"waiting:{address}"


def sanitise_html(
    html: str,
    *,
    is_remote_allowed: bool = False,
    resolve_content_id: ResolveContentId | None = None,
) -> SafeHtml:
    """Safe HTML of a mail's body.

    Pictures on other servers stay unloaded, their address in `data-src`, unless `is_remote_allowed`.
    `resolve_content_id` gives the address of a file of this mail for its content id, or None. Mail that is
    nested beyond reason is shown as the text between its tags.
    """
    source = make_storable(html[:MAX_HTML_LENGTH])
    if _is_nested_too_deep(source):
        return SafeHtml(nh3.clean_text(re.sub(r"<[^<>]*>", " ", source)), 0)
    decide = _AttributeFilter(is_remote_allowed, resolve_content_id)
    safe = nh3.clean(
        source,
        tags=_TAGS,
        clean_content_tags=_WITH_CONTENT_DROPPED,
        attributes=_ATTRIBUTES,
        attribute_filter=decide,
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        filter_style_properties=_STYLES,
    )
    shown = safe.replace(_WAITING, ' data-src="').replace(_ATTACHED, ' src="')
    return SafeHtml(shown, decide.blocked)


def _is_nested_too_deep(html: str) -> bool:
    """Whether elements go deeper than a mail would. The parser's time grows with the square of the depth."""
    still_open: list[str] = []
    for end, name in _TAG.findall(html):
        tag = name.lower()
        if tag in _NEVER_NESTED:
            continue
        if end:
            _close(still_open, tag)
        else:
            still_open.append(tag)
        if len(still_open) > MAX_NESTING:
            return True
    return False


def _close(still_open: list[str], tag: str) -> None:
    """Close as the parser would: a block through all inside it, a letter style alone, nothing out of a table."""
    for back in range(1, min(len(still_open), SEARCHED_NESTING) + 1):
        found = still_open[-back]
        if found == tag:
            del still_open[-back : (1 - back) or None if tag in _LETTER_STYLES else None]
            return
        if found == "table" or (found in _BLOCKS and tag not in _BLOCKS and tag not in _LETTER_STYLES):
            return
