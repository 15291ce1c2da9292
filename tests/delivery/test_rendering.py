"""Users' templates: what is refused at save, what a message looks like, and that every limit holds."""

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.delivery.rendering import (
    Rendered,
    Template,
    TemplateError,
    check_template,
    find_nouns,
    find_parts,
    render_template,
)
from switchboard.delivery.rendering_liquid import parse_plain, render_bounded
from switchboard.delivery.rendering_mjml import check_markup, compile_markup, mask_liquid
from switchboard.delivery.rendering_text import convert_to_text
from switchboard.kernel.errors import Problem

VARIABLES: dict[str, object] = {
    "contact": {"first_name": "Ada", "email": "ada@example.org", "fields": {}, "tags": ["vip"]},
    "owner": {"name": "Jo"},
    "unsubscribe_url": "https://example.org/u?a=1&b=2",
    "items": [{"name": "One", "url": "https://one.example"}, {"name": "Two", "url": "https://two.example"}],
}
DOCUMENT = """<mjml>
 <mj-head>
  <mj-title>{{ contact.first_name }}</mj-title>
  <mj-preview>Only seen in the list</mj-preview>
  <mj-style>.warm { color: #c00 }</mj-style>
 </mj-head>
 <mj-body>
  <mj-section><mj-column>
   {% if contact.first_name != "" %}
   <mj-text><h1>Hello {{ contact.first_name | default: "there" }}</h1><p class="warm">One<br>two.</p>
   <ul>{% for item in items %}<li><a href="{{ item.url }}">{{ item.name }}</a></li>{% endfor %}</ul></mj-text>
   {% endif %}
   <mj-button href="{{ unsubscribe_url }}">Stop &amp; go</mj-button>
   <mj-table>{% for item in items %}
    <tr><td>{{ item.name }}</td><td>{{ forloop.index }}</td></tr>
   {% endfor %}</mj-table>
  </mj-column></mj-section>
 </mj-body>
</mjml>"""


def render(body: str, subject: str = "Hi", **changes: object) -> Rendered:
    return render_template(Template(subject, body), VARIABLES | changes)


def problems_of(body: str, subject: str = "Hi") -> list[Problem]:
    return check_template(subject, body, VARIABLES)


def test_a_good_document_has_no_problems() -> None:
    assert problems_of(DOCUMENT, "For {{ contact.first_name }}") == []


def test_liquid_survives_mjml_and_inlining_in_every_position() -> None:
    html = render(DOCUMENT).html
    assert "<title>Ada</title>" in html
    assert "Hello Ada" in html
    assert '<a href="https://two.example">Two</a>' in html
    assert 'href="https://example.org/u?a=1&amp;b=2"' in html
    assert html.count("<td") - html.count("<td>") > 4
    assert "{{" not in html
    assert "{%" not in html


def test_styles_are_inlined() -> None:
    assert '<p class="warm" style="display: block;margin: 13px 0;color: #c00;">' in render(DOCUMENT).html


def test_text_part_is_made_from_the_html() -> None:
    assert render(DOCUMENT).text == (
        "Hello Ada\n\nOne\ntwo.\n\n- One (https://one.example)\n- Two (https://two.example)\n\n"
        "Stop & go (https://example.org/u?a=1&b=2)\n\nOne 1\nTwo 2\n"
    )


def test_values_are_escaped_in_html_and_plain_in_text_and_subject() -> None:
    rendered = render(
        "<mj-section><mj-column><mj-text>{{ contact.first_name }}</mj-text></mj-column></mj-section>",
        "For {{ contact.first_name }}",
        contact={"first_name": '<img src=x onerror="x">'},
    )
    assert "&lt;img src=x onerror=&#34;x&#34;&gt;" in rendered.html
    assert rendered.text == '<img src=x onerror="x">\n'
    assert rendered.subject == 'For <img src=x onerror="x">'


def test_a_value_cannot_be_marked_safe() -> None:
    assert "safe is not a filter" in problems_of("{{ contact.first_name | safe }}")[0].message


def test_subject_is_one_line() -> None:
    assert render("x", "Hi\r\nBcc: {{ x }}", x="a\u2028b\x00c").subject == "Hi Bcc: a b c"


def test_text_alone_is_a_whole_mail() -> None:
    rendered = render("Hello <b>{{ contact.first_name }}</b>")
    assert rendered.html.startswith("<!DOCTYPE html>")
    assert "Hello <b>Ada</b>" in rendered.html
    assert rendered.text == "Hello Ada\n"


def test_a_template_says_what_it_speaks_of() -> None:
    body = "<mj-text>{% assign own = owner.name %}{{ own | default: workspace.name }}{% if lead.value %}!{% endif %}"
    assert find_nouns(Template("{{ contact.name }}", body)) == {"contact", "owner", "workspace", "lead"}
    assert find_nouns(Template("Hello", "<mj-text>lead.value</mj-text>")) == frozenset()


def test_a_template_says_what_it_asks_of_a_noun() -> None:
    body = "<mj-text>{{ contact['first_name'] }} {{ contact.fields.size }}{% if contact.email %}!{% endif %}</mj-text>"
    asked = find_parts(Template("{{ contact.name }}", body), "contact")
    assert asked == frozenset({"name", "first_name", "fields", "email"})
    assert find_parts(Template("Hello", body), "owner") == frozenset()
    for anything in ("{{ contact[lead.title] }}", "{% assign who = contact %}", "{% for one in contact %}{% endfor %}"):
        assert find_parts(Template("Hello", f"<mj-text>{anything}</mj-text>"), "contact") is None


def test_a_missing_variable_is_empty_when_sending() -> None:
    assert render("Dear {{ contact.nickname | default: 'friend' }}{{ nothing.at.all }}").text == "Dear friend\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "hi\n {{ contact.frist_name }}",
            Problem(
                "body",
                "contact.frist_name is not a variable: did you mean contact.first_name?",
                line=2,
                column=5,
            ),
        ),
        ("{{ zzzzz }}", Problem("body", "zzzzz is not a variable.", line=1, column=4)),
        (
            "{{ owner.name | upcas }}",
            Problem("body", "upcas is not a filter: did you mean upcase?", line=1, column=17),
        ),
        ("one\n{% if %}", Problem("body", "missing expression", line=2, column=4)),
        ("{% include 'x' %}", Problem("body", "unexpected tag 'include'", line=1, column=4)),
        (
            "{% for item in items %}{{ item.nmae }}{% endfor %}",
            Problem("body", "item.nmae is undefined", line=1, column=27),
        ),
        (
            "<mjml>\n<mj-body>\n <mj-sectoin></mj-sectoin></mj-body></mjml>",
            Problem("body", "<mj-sectoin> is not an MJML component: did you mean <mj-section>?", line=3, column=2),
        ),
        (
            "{{ owner.name }}<mj-section>{{ owner.name }}</mj-column>",
            Problem("body", "</mj-column> is out of place: </mj-section> is missing before it.", line=1, column=45),
        ),
        ("a\nb < c", Problem("body", "A bare < is read as markup: write &lt;.", line=2, column=3)),
        (
            "<mj-section>\nlost</mj-section>",
            Problem(
                "body",
                "Text directly inside <mj-section> is not shown: put it into <mj-text>.",
                line=1,
                column=13,
            ),
        ),
        (
            '<mj-include path="/etc/passwd" />',
            Problem("body", "Files cannot be included: paste the part here.", line=1, column=1),
        ),
    ],
)
def test_problems_name_their_place(body: str, expected: Problem) -> None:
    assert expected in problems_of(body)


def test_an_open_mapping_takes_any_name() -> None:
    assert problems_of("{{ contact.fields.plan }} {{ contact.tags.size }} {{ contact.tags[0] | upcase }}") == []


def test_a_subject_is_wanted_and_checked() -> None:
    assert [problem.field for problem in problems_of("x", " ")] == ["subject"]
    assert problems_of("x", "{{ contact.emial }}") == [
        Problem("subject", "contact.emial is not a variable: did you mean contact.email?", line=1, column=4)
    ]


@pytest.mark.parametrize(
    "body",
    [
        "{% for i in (1..100000000000) %}x{% endfor %}",
        "{% for i in (1..100) %}{% for j in (1..100) %}x{% endfor %}{% endfor %}",
        "{% tablerow i in (1..100000000) %}x{% endtablerow %}",
        "{{ (1..100000000) | join: ',' }}",
        "{% assign x = 'aaaaaaaaaaaaaaaa' %}{% for i in (1..40) %}{% assign x = x | append: x %}{% endfor %}",
        "{% assign x = 'aaaaaaaaaaaaaaaa' %}{% for i in (1..11) %}{% assign x = x | append: x %}{% endfor %}"
        "{{ x | replace: '', x }}",
        "{% assign x = 'a,a,a,a,a,a,a,a,' %}{% for i in (1..11) %}{% assign x = x | append: x %}{% endfor %}"
        "{{ x | split: ',' | join: x }}",
        "{% assign x = 9 %}{% for i in (1..40) %}{% assign x = x | times: x %}{% endfor %}{{ x }}",
        "{{ 'a' | times: 1e308 | times: 1e308 | divided_by: 0 }}",
        "{% for i in (1..1000) %}" + "{{ 'b,a' | split: ',' | sort | join: '' }}" * 400 + "{% endfor %}",
        "{% for i in (1..1000) %}" + "x" * 1000 + "{% endfor %}",
    ],
)
def test_limits_hold(body: str) -> None:
    started = time.perf_counter()
    with pytest.raises(TemplateError) as caught:
        render_bounded(parse_plain(body), {})
    assert time.perf_counter() - started < 5
    assert caught.value.problems[0].message


def test_a_body_too_long_is_refused_before_it_is_read() -> None:
    assert problems_of("x" * 200_001)[0].message == ("The body is 200001 characters long: shorten it to 200000.")
    with pytest.raises(TemplateError):
        render("{{ x }}" * 5_000)


def test_mjml_is_compiled_once_and_a_message_costs_little() -> None:
    render(DOCUMENT)
    rounds = 100
    started = time.process_time()
    for number in range(rounds):
        render(DOCUMENT, contact={"first_name": f"Name {number}"})
    assert (time.process_time() - started) / rounds < 0.001


def test_compilers_are_not_loaded_until_something_is_rendered() -> None:
    code = (
        "import sys, switchboard.delivery.rendering;assert not {'mjml', 'css_inline', 'rapidfuzz'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_html_becomes_readable_text() -> None:
    html = (
        "<style>p{}</style><div style='display: none'>hidden <b>too</b></div><h1>Title</h1><p>A  b\n c</p>"
        "<ol><li>x<ul><li>deep</li></ul></li><li>y</li></ol><hr><img alt='Logo'>"
        "<a href='mailto:a@b.c'>a@b.c</a> <a href='#top'>up</a> <a href='https://e.org'></a>"
    )
    assert convert_to_text(html) == ("Title\n\nA b c\n\n1. x\n  - deep\n2. y\n\n----\nLogoa@b.c up https://e.org\n")


PIECES = [
    *"{}%<>/=\"' \n|.:;&!-a1é\x00\ud800",
    "mj-text",
    "{{",
    "}}",
    "{% if ",
    "%}",
    "<mj-",
    "owner",
    "</p>",
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_rubbish_is_reported_never_raised(body: str) -> None:
    problems = check_template(body, body, VARIABLES)
    assert all(problem.message for problem in problems)
    if not problems:
        render_template(Template(body, body), VARIABLES)


@pytest.mark.parametrize("text", ["日本語 > 英語", "Preis: 5 € > 4 €", " é:>/"])
def test_what_the_compiler_fails_over_is_a_problem_like_any_other(text: str) -> None:
    problems = check_template("Subject", f"<mj-text>{text}</mj-text>", VARIABLES)
    assert [problem.field for problem in problems] == ["body"]
    assert "write &gt; instead" in problems[0].message
    assert check_template("Subject", f"<mj-text>{text.replace('>', '&gt;')}</mj-text>", VARIABLES) == []


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("<mj-wrapper>", "</mj-wrapper>"),
        ("<div>", "</div>"),
        ("<x y='>' z=\"/\">", "</x>"),
        ("<div><!--</div>-->", "</div>"),
        ("<div title='</div>'>", "</div>"),
        ("<DIV></p>", "</DIV>"),
    ],
)
def test_elements_within_elements_beyond_reason_are_refused_before_they_end_the_process(begin: str, end: str) -> None:
    for depth in (3_000, 200_000 // len(begin + end)):
        body = f"<mjml><mj-body><mj-raw>{begin * depth}{end * depth}</mj-raw></mj-body></mjml>"[:200_000]
        (problem,) = check_markup(mask_liquid(body))
        assert problem.message == "More than 100 elements stand within each other here: take some of them out."
        with pytest.raises(TemplateError, match="nested too deep"):
            compile_markup(mask_liquid(body))


def test_elements_beside_each_other_are_not_deep() -> None:
    body = "<mjml><mj-body><mj-section><mj-column><mj-text>" + "<p>a <br> <b>b</b> <img alt='>'/></p>" * 500
    assert check_markup(mask_liquid(f"{body}</mj-text></mj-column></mj-section></mj-body></mjml>")) == []
