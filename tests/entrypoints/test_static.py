"""The look: contrast of every pair of tokens, the strict content policy, sizes, and the exact words of macros."""

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from math import cos, radians, sin
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import switchboard.entrypoints

ROOT = Path(switchboard.entrypoints.__file__).parent
STATIC = ROOT / "static"
TEMPLATES = ROOT / "templates"
OWN_SCRIPTS = ["app.js", "board.js", "live.js", "palette.js", "theme.js"]
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MEANINGS = ["accent", "ok", "wait", "bad", "quiet"]
GROUNDS = ["n1", "n2", "n3", "n4", "n5"]

Mode = Literal["light", "dark"]
Colour = tuple[float, float, float]

ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def read(name: str) -> str:
    return (STATIC / name).read_text()


def render(source: str, **context: object) -> str:
    macros = "{% import 'macros.html' as ui %}"
    return ENVIRONMENT.from_string(macros + source).render(now=NOW, **context).strip()


def shell(**changes: object) -> SimpleNamespace:
    fields: dict[str, object] = {
        "workspace_name": "Acme",
        "user_name": "Olga Owner",
        "user_id": "0193-0a",
        "inbox_count": 4,
        "waiting_count": 2,
        "csrf_token": "token-1",
        "active": "leads",
        "path": "/leads",
        "theme": "",
        "static_version": "v1",
        "role": "owner",
        "toasts": (),
    }
    return SimpleNamespace(**(fields | changes))


def render_base(**changes: object) -> str:
    return ENVIRONMENT.get_template("base.html").render(shell=shell(**changes))


def render_bare(name: str) -> str:
    context = {"csrf_token": "", "email": "a@b.example", "error": "No.", "next": "/leads", "static_version": "v1"}
    context |= {"title": "Not found", "message": "Gone.", "remedy": "Go back.", "back_href": ""}
    return ENVIRONMENT.get_template(name).render(status=404, **context)


@cache
def tokens() -> dict[str, dict[Mode, Colour]]:
    number = r"([\d.]+)"
    oklch = rf"oklch\({number} {number} {number}\)"
    found = re.findall(rf"--([a-z0-9-]+): light-dark\({oklch}, {oklch}\);", read("switchboard.css"))
    return {
        name: {"light": (float(a), float(b), float(c)), "dark": (float(d), float(e), float(f))}
        for name, a, b, c, d, e, f in found
    }


def luminance(colour: Colour) -> float:
    """Relative luminance of an OKLCH colour, clipped to sRGB as screens without a wide gamut show it."""
    lightness, chroma, hue = colour
    a, b = chroma * cos(radians(hue)), chroma * sin(radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short
    clipped = [min(1.0, max(0.0, part)) for part in (red, green, blue)]
    return 0.2126 * clipped[0] + 0.7152 * clipped[1] + 0.0722 * clipped[2]


def contrast(first: Colour, second: Colour) -> float:
    bright, dim = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def text_pairs() -> list[tuple[str, str]]:
    pairs = [(text, ground) for text in ("n11", "n12") for ground in (*GROUNDS, "accent-soft", "wait-soft")]
    for meaning in MEANINGS:
        pairs += [(f"{meaning}-text", ground) for ground in ("n1", "n2", "n3", f"{meaning}-soft", "accent-soft")]
        pairs.append((f"{meaning}-on", f"{meaning}-solid"))
    return [*pairs, ("accent-on", "accent-solid-hover")]


def test_black_on_white_is_the_known_contrast() -> None:
    assert contrast((0.0, 0.0, 0.0), (1.0, 0.0, 0.0)) == pytest.approx(21.0, abs=0.01)


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), text_pairs())
def test_text_can_be_read_on_every_ground_it_stands_on(text: str, ground: str, mode: Mode) -> None:
    assert contrast(tokens()[text][mode], tokens()[ground][mode]) >= 4.5


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize(("mark", "ground"), [("focus", "n1"), ("focus", "n2"), ("focus", "accent-soft"), ("n8", "n1")])
def test_focus_and_the_edges_of_controls_can_be_seen(mark: str, ground: str, mode: Mode) -> None:
    assert contrast(tokens()[mark][mode], tokens()[ground][mode]) >= 3.0


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("number", range(12))
def test_initials_can_be_read_on_every_hue(number: int, mode: Mode) -> None:
    css = read("switchboard.css")
    found = re.search(rf"\.hue-{number} \{{ --hue: (\d+); \}}", css)
    assert found
    pair = r"light-dark\(oklch\(([\d.]+) ([\d.]+) var\(--hue\)\), oklch\(([\d.]+) ([\d.]+) var\(--hue\)\)\)"
    grounds, texts = re.findall(pair, css)[:2]
    side = 0 if mode == "light" else 2
    ground, text = ((float(each[side]), float(each[side + 1]), float(found[1])) for each in (grounds, texts))
    assert contrast(ground, text) >= 4.5


def test_colours_stand_in_tokens_only() -> None:
    rules = read("switchboard.css").split('[data-theme="light"]')[1]
    for line in rules.splitlines():
        if ".avatar {" in line or ".mail-frame {" in line:
            continue
        assert not re.search(r"#[0-9a-f]{3,8}\b|\brgba?\(|\bhsl|oklch\(\d", line), line


def test_scripts_stay_small() -> None:
    assert (STATIC / "app.js").stat().st_size < 20_000
    on_a_list = ["app.js", "live.js", "theme.js", "vendor/htmx.min.js"]
    assert sum((STATIC / name).stat().st_size for name in on_a_list) <= 61_440


@pytest.mark.parametrize("name", OWN_SCRIPTS)
def test_own_scripts_run_under_the_strict_policy(name: str) -> None:
    forbidden = r"\beval\(|new Function|innerHTML|outerHTML =|insertAdjacentHTML|setAttribute\(.style"
    assert not re.search(forbidden, read(name))


def rendered_pages() -> dict[str, str]:
    return {
        "base": render_base(toasts=(SimpleNamespace(text="Done", kind="ok", undo="/undo/1"),)),
        "sign in": render_bare("sign_in.html"),
        "error": render_bare("error.html"),
    }


@pytest.mark.parametrize("name", ["base", "sign in", "error"])
def test_pages_hold_to_the_strict_policy(name: str) -> None:
    html = rendered_pages()[name]
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:", html)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))


@pytest.mark.parametrize("name", ["base", "sign in", "error"])
def test_pages_name_only_files_that_exist(name: str) -> None:
    for path in re.findall(r'"/static/([^"?#]+)', rendered_pages()[name]):
        assert (STATIC / path).is_file(), path


def test_every_icon_named_is_in_the_sprite() -> None:
    sprite = set(re.findall(r'<symbol id="([a-z0-9-]+)"', read("icons.svg")))
    sources = "".join(path.read_text() for path in TEMPLATES.glob("*.html")) + read("app.js") + read("palette.js")
    named = set(re.findall(r"icons\.svg#([a-z0-9-]+)", sources))
    named |= set(re.findall(r"icon\(['\"]([a-z0-9-]+)['\"]", sources))
    named |= set(re.findall(r'use href="/static/icons\.svg#([a-z0-9-]+)"', "".join(rendered_pages().values())))
    assert named <= sprite, named - sprite
    assert {"mark", "house", "undo-2", "circle-check"} <= sprite


def test_every_class_a_macro_writes_has_a_rule() -> None:
    css = read("switchboard.css")
    written = set(re.findall(r'class="([a-z][a-z -]*)"', (TEMPLATES / "macros.html").read_text()))
    classes = {name for group in written for name in group.split()}
    assert not [name for name in sorted(classes) if f".{name}" not in css]


def test_the_reference_names_every_macro_and_data_attribute() -> None:
    reference = (TEMPLATES / "README.md").read_text()
    macros = re.findall(r"{% macro (\w+)", (TEMPLATES / "macros.html").read_text())
    hooks = {hook for name in OWN_SCRIPTS for hook in re.findall(r"\[(data-[a-z-]+)", read(name))} - {"data-error"}
    assert not [name for name in macros if f"`{name}" not in reference]
    assert not [hook for hook in sorted(hooks) if f"`{hook}" not in reference]


def test_the_rail_marks_the_place_and_tells_what_waits() -> None:
    html = render_base()
    assert re.search(r'class="rail-link" href="/leads"[^>]*aria-current="page"', html)
    assert html.count('aria-current="page"') == 2
    assert '<span class="count alert">2<span class="sr-only"> waiting too long</span></span>' in html
    assert 'data-csrf="token-1"' in html
    assert html.count('action="/sign-out"') == 2


@pytest.mark.parametrize(("theme", "tag"), [("dark", '<html lang="en" data-theme="dark">'), ("", '<html lang="en">')])
def test_a_chosen_theme_is_in_the_first_byte(theme: str, tag: str) -> None:
    assert tag in render_base(theme=theme)


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=44), "now"),
        (timedelta(seconds=50), "1 min"),
        (timedelta(minutes=59), "59 min"),
        (timedelta(hours=3), "3 h"),
        (timedelta(days=2), "2 d"),
        (timedelta(days=30), "21 Oct"),
        (timedelta(days=400), "16 Oct 2025"),
        (timedelta(minutes=-5), "in 5 min"),
    ],
)
def test_times_are_told_relative_to_now(ago: timedelta, text: str) -> None:
    html = render("{{ ui.time(at, now) }}", at=NOW - ago)
    assert re.sub(r"<[^>]+>", "", html) == text
    assert f'datetime="{(NOW - ago).isoformat()}"' in html


def test_a_time_in_prose_says_ago() -> None:
    at = NOW - timedelta(hours=3)
    assert ">3 h ago</time>" in render("{{ ui.time(at, now, ago=True) }}", at=at)
    assert ">now</time>" in render("{{ ui.time(now, now, ago=True) }}")


@pytest.mark.parametrize(
    ("left", "text", "state"),
    [
        (timedelta(seconds=65), "1:05 left", "wait"),
        (timedelta(minutes=12), "12:00 left", ""),
        (timedelta(seconds=-9), "0:09 over", "bad"),
        (timedelta(hours=2, minutes=5), "2 h 05 min left", ""),
        (timedelta(days=3), "3 d left", ""),
    ],
)
def test_a_deadline_says_in_words_whether_it_has_passed(left: timedelta, text: str, state: str) -> None:
    html = render("{{ ui.deadline(at, now) }}", at=NOW + left)
    assert f">{text}</time>" in html
    assert f'data-state="{state}"' in html


@pytest.mark.parametrize(
    ("name", "initials"), [("Priya Raman", "PR"), ("Jo", "Jo"), ("田中 美咲", "田美"), ("Ana de Cruz", "AC"), ("", "?")]
)
def test_initials_come_from_the_first_and_the_last_word(name: str, initials: str) -> None:
    assert render("{{ ui.initials(name) }}", name=name) == initials


@given(st.text(max_size=90), st.uuids())
def test_any_name_makes_an_escaped_avatar_with_one_of_twelve_hues(name: str, uuid: object) -> None:
    html = render("{{ ui.avatar(name, id) }}", name=name, id=uuid)
    assert re.match(r'<span class="avatar hue-(\d|1[01])" aria-hidden="true">', html)
    assert html.count("<") == 2


def test_a_field_ties_its_mistake_and_its_hint_to_the_input() -> None:
    html = render("{{ ui.field('mail', 'E-mail', '<a>', error='Two @ signs.', hint='Work address') }}")
    assert 'value="&lt;a&gt;"' in html
    assert 'aria-describedby="mail-error mail-hint" aria-invalid="true"' in html
    assert 'id="mail-error"' in html
    assert 'id="mail-hint"' in html


def test_an_undoable_toast_is_a_form_that_works_without_script() -> None:
    html = render("{{ ui.toast('Lead accepted', undo='/undo/7', token='t') }}")
    assert '<form class="inline" method="post" action="/undo/7"' in html
    assert '<input type="hidden" name="csrf_token" value="t">' in html
    assert "<form" not in render("{{ ui.toast('Saved') }}")


def test_an_error_page_carries_its_message_for_the_script() -> None:
    assert 'data-error="Gone. Go back."' in render_bare("error.html")
