"""What is left of hostile HTML, and that nothing in it can run, load or escape."""

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.inbox.sanitising import sanitise_html


def safe(html: str) -> str:
    return sanitise_html(html).html


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<script>alert(1)</script>x", "x"),
        ("<p onclick=alert(1)>x</p>", "<p>x</p>"),
        ("<style>body{display:none}</style>x", "x"),
        ("<svg><script>alert(1)</script></svg>x", "x"),
        ("<svg/onload=alert(1)>x", ""),
        ("<math><mi xlink:href='javascript:alert(1)'>x</math>y", "y"),
        ("<iframe src=//evil></iframe>x", "x"),
        ("<object data=x></object><embed src=x>x", "x"),
        ("<form action=//evil><input name=a>x</form>", "x"),
        ("<base href=//evil><meta http-equiv=refresh content=0><link rel=stylesheet href=//evil>x", "x"),
        ("<p class='hidden primary' id=main>x</p>", "<p>x</p>"),
        ("<p style='position:fixed;top:0;color:red'>x</p>", '<p style="color:red">x</p>'),
        ("<p style='background:url(//evil);color:red'>x</p>", "<p>x</p>"),
        ("<p style='margin-top:-999px;font-weight:bold'>x</p>", '<p style="font-weight:bold">x</p>'),
        ("<td background=//evil>x</td>", "x"),
        ("<img src=x onerror=alert(1)>", "<img>"),
        ("<img src='javascript:alert(1)'>", "<img>"),
        ("<img src='data:image/svg+xml;base64,AAAA'>", "<img>"),
        ("<img srcset='http://evil/x.png 1x'>", "<img>"),
        ("<img src='data:image/png;base64,iVBO'>", '<img src="data:image/png;base64,iVBO">'),
        ("<!--[if mso]><script>x</script><![endif]-->x", "x"),
    ],
)
def test_nothing_dangerous_is_left(html: str, expected: str) -> None:
    assert safe(html) == expected


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", " java\nscript:alert(1)", "data:text/html,x", "vbscript:x", "cid:x", "//evil", "/x", "x"],
)
def test_only_real_links_keep_their_address(address: str) -> None:
    assert "href" not in safe(f'<a href="{address}">x</a>')


def test_links_open_apart_and_tell_nothing() -> None:
    assert safe('<a href="https://example.org/?a=1&b=2" target="_top" rel="opener">x</a>') == (
        '<a href="https://example.org/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer nofollow">x</a>'
    )


def test_remote_pictures_wait_for_permission() -> None:
    html = '<img src="https://example.org/p.png?a=1&b=2" width="1"><img src="HTTP://example.org/q.png" alt="q">'
    blocked = sanitise_html(html)
    assert blocked.blocked_images == 2
    assert blocked.html == (
        '<img data-src="https://example.org/p.png?a=1&amp;b=2" width="1">'
        '<img data-src="HTTP://example.org/q.png" alt="q">'
    )
    allowed = sanitise_html(html, is_remote_allowed=True)
    assert allowed.blocked_images == 0
    assert allowed.html.startswith('<img src="https://example.org/p.png?a=1&amp;b=2" width="1">')


def test_pictures_that_came_along_are_shown() -> None:
    files = {"logo@x": '/inbox/files/1?"quoted"'}
    html = sanitise_html('<img src="cid:logo@x"><img src="cid:unknown">', resolve_content_id=files.get).html
    assert html == '<img src="/inbox/files/1?&quot;quoted&quot;"><img>'
    assert safe('<img src="cid:logo@x">') == "<img>"


def test_a_sender_cannot_write_our_marks() -> None:
    assert safe('<img alt=\' src="waiting:x\' src="waiting:javascript:x">') == ('<img alt=" src=&quot;waiting:x">')
    assert safe("<img src='attached:javascript:alert(1)'>") == "<img>"


def test_ordinary_mail_looks_as_it_did() -> None:
    html = (
        '<div dir="ltr"><p align="center">Hello <b>Ada</b></p><table width="600" cellpadding="0"><tbody><tr>'
        '<td colspan="2" style="padding:4px;color:#333">x</td></tr></tbody></table>'
        '<blockquote>old</blockquote><ol start="3"><li>y</li></ol></div>'
    )
    assert safe(html) == html


@pytest.mark.parametrize(
    "piece",
    ["<div>", "<b a={}>", "<table>", "<div><table></div></table>", "<b><div></b>", "<select>", "<!--", "<a ", "<"],
)
def test_hostile_nesting_costs_little(piece: str) -> None:
    html = "".join(piece.format(number) for number in range(500_000 // len(piece)))
    started = time.process_time()
    sanitise_html(html + "end")
    assert time.process_time() - started < 5


def test_deep_mail_is_shown_as_text() -> None:
    shown = safe("<div>" * 5_000 + "<b>Hello</b> <script>x</script>" + "</div>" * 5_000)
    assert "<" not in shown
    assert "Hello" in shown


class Inspector(HTMLParser):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "style", "iframe", "form", "input", "svg", "base", "link", "meta", "object"}
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in {"class", "id", "srcset", "action"}
            if name in ("src", "href"):
                assert (value or "").lower().startswith(("http:", "https:", "mailto:", "tel:", "data:image/"))


PIECES = [
    *("<a href=", "<img src=", "<p style=", "<svg>", "<math>", "</svg>", "<style>", "</style>", "<script>", "'", '"'),
    *(">", "/>", "<", "=", " ", "javascript:", "http://x", "onerror=", "url(", "<!--", "-->", "<![CDATA[", "]]>"),
    *("<noscript>", "</noscript>", "<title>", "</title>", "<table>", "<td>", "&lt;", "&#106;", "\x00", "\n", "x", "/"),
    *("<template>", "<mtext>", "<mglyph>", "<textarea>", "</textarea>", "data:text/html,", ' src="waiting:'),
]


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_no_mixture_gets_through(html: str) -> None:
    inspector = Inspector()
    inspector.feed(safe(html))
    inspector.close()


@given(st.text())
def test_cleaning_twice_changes_nothing_more(html: str) -> None:
    once = safe(html)
    assert safe(once) == once
