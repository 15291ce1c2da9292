"""Mail as it really comes in, and mail made to break whoever reads it."""

import base64
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.delivery.composing import Mailbox, OutgoingEmail, compose_email
from switchboard.delivery.composing_content import Attachment
from switchboard.inbox.parsing import MAX_MAIL_BYTES, IncomingAttachment, ParsedEmail, parse_email
from switchboard.kernel.errors import TooLargeError

REPLY = (
    'From: =?utf-8?q?Ad=C3=A4_L?= <Ada@Example.COM>\r\nTo: "Team, The" <team@example.org>, x@example.org\r\n'
    "Cc: Bob <bob@example.net>, not an address\r\nReply-To: ada+reply@example.com\r\n"
    "Subject: =?iso-8859-1?q?Re=3A_Gr=FC=DFe?=\r\n =?utf-8?b?4pyT?=\r\nDate: Fri, 20 Nov 2026 10:30:00 +0100\r\n"
    "Message-ID: <r1@example.com>\r\nIn-Reply-To: <01@mail.example.org> (was)\r\n"
    "References: <00@mail.example.org>\r\n <01@mail.example.org>\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/mixed; boundary="m"\r\n\r\n'
    '--m\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
    "--a\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    "Gr=FC=DFe\r\n"
    "--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Grüße <img src=cid:logo></p>\r\n--a--\r\n"
    "--m\r\nContent-Type: image/png; name=logo.png\r\nContent-ID: <logo>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "iVBORw==\r\n"
    "--m\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename*=utf-8''pr%C3%A9is.pdf\r\n\r\n"
    "%PDF\r\n"
    "--m\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nInner text\r\n--m--\r\n"
).encode()


def mail(head: str, body: bytes | str = b"Hello\n") -> ParsedEmail:
    return parse_email(head.encode() + b"\n\n" + (body if isinstance(body, bytes) else body.encode()))


def test_a_reply_with_everything() -> None:
    parsed = parse_email(REPLY)
    assert parsed.message_id == "<r1@example.com>"
    assert parsed.in_reply_to == "<01@mail.example.org>"
    assert parsed.references == ("<00@mail.example.org>", "<01@mail.example.org>")
    assert parsed.sender == Mailbox("Ada@example.com", "Adä L")
    assert parsed.reply_to == Mailbox("ada+reply@example.com")
    assert parsed.to == (Mailbox("team@example.org", "Team, The"), Mailbox("x@example.org"))
    assert parsed.cc == (Mailbox("bob@example.net", "Bob"),)
    assert parsed.subject == "Re: Grüße✓"
    assert parsed.date == datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    assert parsed.text == "Grüße"
    assert parsed.html == "<p>Grüße <img src=cid:logo></p>"
    assert parsed.attachments == (
        IncomingAttachment("logo.png", "image/png", 4, b"\x89PNG", "logo"),
        IncomingAttachment("préis.pdf", "application/pdf", 4, b"%PDF", None),
        IncomingAttachment("attachment-3.eml", "message/rfc822", 26, b"Subject: inner\n\nInner text", None),
    )
    assert (parsed.is_automatic, parsed.bounces, parsed.left_out) == (False, (), 0)


def test_what_we_compose_we_can_read() -> None:
    sent = OutgoingEmail(
        message_id="<01@mail.example.org>",
        date=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
        sender=Mailbox("team@example.org", "Größe & Söhne"),
        to=(Mailbox("ada@example.com", "Ада"),),
        subject="Grüße " * 20 + "日本語",
        text="Zeile eins\n.Zeile zwei\n",
        html="<p>日本語</p>",
        references=("<00@mail.example.org>",),
        attachments=(Attachment("naïve.txt", "text/plain", "é".encode()),),
        automatic=True,
    )
    parsed = parse_email(compose_email(sent))
    assert (parsed.message_id, parsed.references, parsed.date) == (sent.message_id, sent.references, sent.date)
    assert (parsed.sender, parsed.to, parsed.subject) == (sent.sender, sent.to, sent.subject)
    assert (parsed.text, parsed.html) == (sent.text, "<p>日本語</p>\n")
    assert [(one.name, one.content) for one in parsed.attachments] == [("naïve.txt", "é".encode())]
    assert parsed.is_automatic


def test_text_is_made_from_html_alone() -> None:
    parsed = mail("Content-Type: text/html", "<style>x</style><p>Hello</p><ul><li>a</li></ul>")
    assert parsed.text == "Hello\n\n- a"


def test_a_bare_mail_has_empty_values() -> None:
    assert parse_email(b"") == ParsedEmail()
    assert parse_email(b"\nHello") == ParsedEmail(text="Hello")


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("utf-8", "é".encode(), "é"),
        ("latin1", b"\xe9", "é"),
        ("no-such-charset", "é".encode(), "é"),
        ("no-such-charset", b"\xe9", "é"),
        ("us-ascii", "é".encode(), "é"),
        ("us-ascii", b"\xe9", "é"),
        ("zlib", b"abc", "abc"),
        ("idna", b"abc", "abc"),
        ("utf-8", b"a\x00b", "ab"),
        ("utf-8", b"a\xffb", "a\ufffdb"),
        ("shift_jis", "日本".encode("shift_jis"), "日本"),
        ("utf-16", "日本".encode("utf-16"), "日本"),
    ],
)
def test_any_charset(charset: str, body: bytes, text: str) -> None:
    assert mail(f"Content-Type: text/plain; charset={charset}", body).text == text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\u202egnp.exe", "a_gnp.exe"),
        ("..", "attachment-1"),
        ("x" * 500, "x" * 200),
        ("=?utf-8?q?pr=C3=A9is?=.pdf", "préis.pdf"),
    ],
)
def test_file_names_are_safe(name: str, expected: str) -> None:
    encoded = base64.b64encode(name.encode()).decode()
    word = name if name.isascii() and len(name) < 100 else f"=?utf-8?b?{encoded}?="
    head = f'Content-Type: application/pdf\nContent-Disposition: attachment; filename="{word}"'
    assert [one.name for one in mail(head).attachments] == [expected]


@pytest.mark.parametrize(
    ("head", "is_automatic"),
    [
        ("Auto-Submitted: auto-replied", True),
        ("Auto-Submitted: Auto-Generated; x=y", True),
        ("Auto-Submitted: no", False),
        ("Precedence: bulk", True),
        ("List-Id: <news.example.org>", True),
        ("X-Autoreply: yes", True),
        ("Subject: Out of Office: Re: Hi", True),
        ("Subject: Automatische Antwort: Hallo", True),
        ("Subject: Re: our out of office rules", False),
        ("Subject: Re: Hi", False),
    ],
)
def test_answers_by_machines_are_told_apart(head: str, is_automatic: bool) -> None:
    assert mail(head).is_automatic is is_automatic


def test_a_bounce_says_so() -> None:
    parsed = mail("From: mailer-daemon@example.com", "ada@example.com: 550 5.1.1 User unknown")
    assert [(one.recipient, one.kind) for one in parsed.bounces] == [("ada@example.com", "hard")]


@pytest.mark.parametrize(
    "date", ["rubbish", "", "Fri, 99 Nov 2026 10:00:00 +0000", "Fri, 31 Dec 9999 23:59:00 -2359", "1 2 3 4 5 6 7"]
)
def test_a_date_that_is_none(date: str) -> None:
    assert mail(f"Date: {date}").date is None


def test_headers_cannot_carry_lines_or_controls() -> None:
    parsed = mail("Subject: =?utf-8?q?a=0D=0ABcc=3A_x=00?=\nFrom: =?utf-8?q?A=0A?= <a@example.org>")
    assert parsed.subject == "a Bcc: x"
    assert parsed.sender == Mailbox("a@example.org", "A")


def test_words_that_cannot_be_decoded_stand_as_they_are() -> None:
    assert mail("Subject: =?utf-8?b?AAAAAAAAA?=").subject == "=?utf-8?b?AAAAAAAAA?="


def test_too_large_a_mail_is_refused() -> None:
    with pytest.raises(TooLargeError) as caught:
        parse_email(b"x" * (MAX_MAIL_BYTES + 1))
    assert caught.value.data == {"limit_bytes": MAX_MAIL_BYTES}


def test_parts_over_the_limit_are_counted() -> None:
    parts = "".join(f"--b\nContent-Type: text/x-note\n\n{number}\n" for number in range(70))
    parsed = mail('Content-Type: multipart/mixed; boundary="b"', parts + "--b--\n")
    assert (len(parsed.attachments), parsed.left_out) == (50, 20)


BOUNDARY = 'Content-Type: multipart/mixed; boundary="b"'


@pytest.mark.parametrize(
    "raw",
    [
        (BOUNDARY + "\n\n").encode() + b"--b\n\n" * 1_000_000,
        (BOUNDARY + "\n\n--b\n").encode() * 20_000,
        b"".join(f'Content-Type: multipart/mixed; boundary="{n}"\n\n--{n}\n'.encode() for n in range(1_500)),
        b"Content-Type: message/rfc822\n\n" * 50_000,
        b"X: y\n" * 500_000,
        b"Subject: " + b"x" * 5_000_000,
        b"Subject: " + b"=?utf-8?q?a?= " * 200_000,
        b"To: " + b"a@example.org, " * 200_000,
        b"To: " + b'"' * 19_000,
        b"To: " + b"(" * 19_000,
        b"To: " + b"<" * 19_000,
        b"From: " + b"(" * 19_000,
        b"References: " + b"<a@b> " * 200_000,
        b"Content-Type: text/plain; " + b"a=b; " * 50_000,
        b"Content-Type: text/html\n\n" + b"<div>" * 500_000,
        b"Content-Type: text/html\n\n" + b"<!--" * 500_000,
        b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + b"!" * 1_000_000,
        b"Content-Type: text/plain\nContent-Transfer-Encoding: uuencode\n\nbegin 666 x\n" + b"!" * 1_000_000,
        b"From: mailer-daemon@x\n\n" + b"a@" * 500_000,
        b"From: mailer-daemon@x\n\n" + b"550 " * 250_000 + b"a" * 100_000,
    ],
)
def test_hostile_mail_costs_little(raw: bytes) -> None:
    started = time.process_time()
    parse_email(raw)
    assert time.process_time() - started < 5


@given(st.integers(0, len(REPLY)), st.binary(max_size=60), st.integers(0, 120))
def test_damaged_mail_is_always_read(place: int, junk: bytes, gone: int) -> None:
    parsed = parse_email(REPLY[:place] + junk + REPLY[place + gone :])
    for text in (parsed.subject, parsed.text, parsed.html or ""):
        assert "\x00" not in text
        text.encode()
    assert all(one.name and "/" not in one.name for one in parsed.attachments)


HEADS = st.sampled_from(
    (
        *("From", "To", "Subject", "Date", "Message-ID", "References", "Content-Type", "Content-Disposition"),
        *("Content-Transfer-Encoding", "Content-ID", "Auto-Submitted", "X-Failed-Recipients"),
    )
)
VALUES = st.text(st.sampled_from(list("a@.<>\"'=?;,:()[]*%/ \t0é\x00\ud800")), max_size=30) | st.sampled_from(
    (
        *("multipart/mixed; boundary=b", "text/html; charset*0=x; charset*1*=y", "=?utf-8?b?####?=", "base64"),
        *("attachment; filename*0*=utf-8''%E9; filename*1=x; filename*x*=y", "text/plain; charset=utf-7"),
        *("x-uuencode", "=?x?q?=FF?=", "=?utf-8?b?AAAAAAAAA?="),
    )
)


@given(st.lists(st.tuples(HEADS, VALUES), max_size=8), st.binary(max_size=80))
def test_any_header_is_read(headers: list[tuple[str, str]], body: bytes) -> None:
    head = "".join(f"{name}: {value}\n" for name, value in headers).encode("utf-8", "surrogatepass")
    parsed = parse_email(head + b"\n" + body)
    assert parsed.subject.isprintable()
    assert parsed.message_id is None or parsed.message_id.isascii()


def test_an_id_written_as_encoded_words_is_the_id_it_was() -> None:
    raw = b"In-Reply-To: =?utf-8?q?=3C01a1f7a2=2E?=\r\n =?utf-8?q?34c07c93=40switchboard=3E?=\r\n\r\nhi"
    assert parse_email(raw).in_reply_to == "<01a1f7a2.34c07c93@switchboard>"
