"""A composed mail read back: every header and part as given, and nothing a caller's text could add."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP, default
from email.utils import getaddresses

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from switchboard.delivery.composing import (
    Mailbox,
    OutgoingEmail,
    clean_header,
    compose_email,
    envelope_address,
)
from switchboard.delivery.composing_content import Attachment
from switchboard.delivery.rendering_liquid import parse_markup
from switchboard.delivery.rendering_skeleton import Skeleton, Values
from switchboard.kernel.characters import make_storable
from switchboard.kernel.errors import InvalidError

PLAIN = OutgoingEmail(
    message_id="<01@mail.example.org>",
    date=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
    sender=Mailbox("team@example.org", "The Team"),
    to=(Mailbox("ada@example.com", "Ada Lovelace"),),
    subject="Hello",
    text="Hello Ada\n",
)


def read(email: OutgoingEmail) -> EmailMessage:
    return message_from_bytes(compose_email(email), policy=default)


def content_of(part: MIMEPart | None) -> str:
    assert part is not None
    content = part.get_content()
    assert isinstance(content, str)
    return content


def test_a_plain_mail_byte_for_byte() -> None:
    assert compose_email(PLAIN) == (
        b"From: The Team <team@example.org>\r\nTo: Ada Lovelace <ada@example.com>\r\nSubject: Hello\r\n"
        b"Date: Fri, 20 Nov 2026 09:30:00 +0000\r\nMessage-ID: <01@mail.example.org>\r\n"
        b'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit\r\nMIME-Version: 1.0\r\n'
        b"\r\nHello Ada\r\n"
    )


def test_equal_mails_are_equal_bytes() -> None:
    picture = Attachment("a.png", "image/png", b"x", content_id="a")
    mail = replace(PLAIN, html="<p>x</p>", attachments=(picture, Attachment("a.png", "image/png", b"x")))
    assert compose_email(mail) == compose_email(replace(mail))
    assert compose_email(mail) != compose_email(replace(mail, message_id="<02@mail.example.org>"))


def test_names_and_subjects_beyond_ascii_come_back() -> None:
    mail = read(
        replace(
            PLAIN,
            sender=Mailbox("team@example.org", 'Jörg "the" Größe, 株式会社'),
            subject="Grüße an السيدة " + "日本語" * 60,
        )
    )
    assert mail["From"].addresses[0].display_name == 'Jörg "the" Größe, 株式会社'
    assert mail["Subject"] == "Grüße an السيدة " + "日本語" * 60
    assert all(len(line) <= 998 for line in compose_email(PLAIN).splitlines())


def test_html_and_text_are_alternatives() -> None:
    mail = read(replace(PLAIN, html="<p>Hällo</p>"))
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert content_of(mail.get_body(("html",))) == "<p>Hällo</p>\r\n"


def test_attachments_and_inline_pictures() -> None:
    mail = read(
        replace(
            PLAIN,
            html='<img src="cid:logo">',
            attachments=(
                Attachment("logo.png", "image/png", b"\x89PNG", content_id="logo"),
                Attachment("préis.pdf", "application/pdf", b"%PDF"),
                Attachment("x\r\nX-Evil: 1", "not a type", b"?"),
                Attachment("mail.eml", "message/rfc822", b"From: x\n\ny"),
            ),
        )
    )
    assert mail.get_content_type() == "multipart/mixed"
    picture = next(part for part in mail.walk() if part.get_content_type() == "image/png")
    assert (picture["Content-ID"], picture.get_content_disposition()) == ("<logo>", "inline")
    names = [(part.get_filename(), part.get_content_type()) for part in mail.iter_attachments()]
    assert names == [
        ("préis.pdf", "application/pdf"),
        ("x X-Evil: 1", "application/octet-stream"),
        ("mail.eml", "application/octet-stream"),
    ]


def test_threading_keeps_the_first_and_the_last_references_unfolded() -> None:
    ids = [f"<{'x' * 80}{number}@example.org>" for number in range(50)]
    raw = compose_email(replace(PLAIN, in_reply_to=ids[-1], references=ids))
    mail = message_from_bytes(raw, policy=default)
    assert mail["In-Reply-To"] == ids[-1]
    assert mail["References"].split() == [ids[0], *ids[-19:]]
    assert b"=?" not in raw


def test_one_click_unsubscribe_as_rfc_8058_wants_it() -> None:
    url = "https://example.org/u/" + "t" * 200
    raw = compose_email(replace(PLAIN, unsubscribe_url=url, unsubscribe_email="stop@example.org"))
    mail = message_from_bytes(raw, policy=default)
    assert mail["List-Unsubscribe"] == f"<{url}>, <mailto:stop@example.org?subject=unsubscribe>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"<{url}>".encode() in raw


def test_an_address_alone_offers_no_one_click() -> None:
    mail = read(replace(PLAIN, unsubscribe_email="stop@example.org"))
    assert mail["List-Unsubscribe"] == "<mailto:stop@example.org?subject=unsubscribe>"
    assert mail["List-Unsubscribe-Post"] is None


def test_automatic_mail_says_so() -> None:
    assert read(replace(PLAIN, automatic=True))["Auto-Submitted"] == "auto-generated"
    assert read(PLAIN)["Auto-Submitted"] is None


def test_international_domains_are_ascii_and_local_parts_stay_as_they_are() -> None:
    german = replace(PLAIN, to=(Mailbox("info@münchen.example"),))
    assert read(german)["To"] == "info@xn--mnchen-3ya.example"
    chinese = replace(PLAIN, to=(Mailbox("用户@例子.example"),))
    assert "To: 用户@xn--fsqu00a.example\r\n".encode() in compose_email(chinese)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "a b@example.org",
        "ada@exa mple.org",
        "ada@example.org\r\nBcc: eve@example.org",
        "ada\n@example.org",
        "<ada@example.org>",
        "a,b@example.org",
        ".ada@example.org",
        "ada@-example.org",
        "ada@example..org",
        '"a b"@example.org',
    ],
)
def test_what_is_no_address_is_refused_by_name(address: str) -> None:
    with pytest.raises(InvalidError) as caught:
        envelope_address(address)
    assert caught.value.problems[0].message == f"{address!r} is not an address mail can be sent to."


@pytest.mark.parametrize(
    "change",
    [
        {"message_id": "<x>\r\nBcc: <y@z>"},
        {"message_id": "01@mail.example.org"},
        {"in_reply_to": "<a b@c>"},
        {"references": ("<ok@x>", "<ok@x>\n")},
        {"unsubscribe_url": "ftp://example.org/u"},
        {"unsubscribe_url": "https://example.org/>, <mailto:x@y"},
    ],
)
def test_identifiers_that_could_break_out_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(InvalidError):
        compose_email(replace(PLAIN, **change))


def compose_by_library(email: OutgoingEmail) -> bytes:
    """The content of a mail as the library itself writes it, behind our headers."""
    content = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    content.set_content(make_storable(email.text))
    if email.html is not None:
        content.add_alternative(make_storable(email.html), subtype="html")
        boundary = message_from_bytes(compose_email(email)).get_boundary()
        assert boundary is not None
        content.set_boundary(boundary)
    ours, _, _ = compose_email(email).partition(b"Content-Type:" if email.html is None else b"MIME-Version:")
    return ours + content.as_bytes()


SHORT_LINES = st.lists(st.text(st.sampled_from("ab .<>=\t"), max_size=70), max_size=6).map("\n".join)
ANY_LINES = st.lists(st.text(st.sampled_from("ab .<>=\tä日\x0b"), max_size=200), max_size=4).map("\r\n".join)


@given(SHORT_LINES, st.none() | SHORT_LINES)
def test_content_of_short_lines_is_the_librarys_byte_for_byte(text: str, html: str | None) -> None:
    mail = replace(PLAIN, text=text, html=html)
    assert compose_email(mail) == compose_by_library(mail)


@given(ANY_LINES, st.none() | ANY_LINES)
def test_any_content_reads_like_the_librarys(text: str, html: str | None) -> None:
    mail = replace(PLAIN, text=text, html=html)
    raw = compose_email(mail)
    ours, theirs = (message_from_bytes(one, policy=default) for one in (raw, compose_by_library(mail)))
    for kind in ("plain", "html"):
        mine, other = ours.get_body((kind,)), theirs.get_body((kind,))
        assert (mine is None) == (other is None)
        if mine is not None:
            assert mine.get_payload(decode=True) == other.get_payload(decode=True)  # type: ignore[union-attr]
    assert raw.isascii()
    assert max(map(len, raw.splitlines())) <= 78


CUT_TEXTS = st.lists(
    st.text(st.sampled_from("ab .<>=\t\nä日"), max_size=120) | st.just("x" * 200), min_size=1, max_size=4
)


@given(CUT_TEXTS, st.text(st.sampled_from("ab .<>=&\t\nä日\x0b"), max_size=40))
def test_a_letter_that_is_known_by_its_frame_reads_like_any_other(texts: list[str], name: str) -> None:
    skeleton = Skeleton.find(parse_markup("{{ contact.name }}".join(texts)))
    cut = skeleton.cut(Values({"contact": {"name": name}})) if skeleton else None
    assume(cut is not None)
    assert cut is not None
    whole = replace(PLAIN, html=cut.join())
    raw = compose_email(replace(whole, cut=cut))
    mine, other = (message_from_bytes(one, policy=default).get_body(("html",)) for one in (raw, compose_email(whole)))
    assert mine is not None
    assert other is not None
    assert mine.get_payload(decode=True) == other.get_payload(decode=True)
    assert raw.isascii()
    assert raw.count(b"\n") == raw.count(b"\r\n")
    assert max(map(len, raw.splitlines())) <= 78


NASTY = st.text(st.sampled_from(list('aé日 \r\n\t\x00\x0b\x0c\x85\u2028\u202e\ud800:<>@,;"=?_()[]\\.')), max_size=60)


@given(st.tuples(NASTY, NASTY, NASTY, NASTY, NASTY, NASTY))
def test_no_text_can_add_a_header(texts: tuple[str, str, str, str, str, str]) -> None:
    subject, name, text, html, filename, content_id = texts
    attachment = Attachment(filename, "text/plain", b"x", content_id=content_id or None)
    raw = compose_email(
        replace(
            PLAIN,
            sender=Mailbox("team@example.org", name),
            to=(Mailbox("ada@example.com", name), Mailbox("bob@example.com", name)),
            subject=subject,
            text=text,
            html=html,
            attachments=(attachment,),
        )
    )
    mail = message_from_bytes(raw, policy=default)
    assert sorted(mail.keys()) == [
        "Content-Type",
        "Date",
        "From",
        "MIME-Version",
        "Message-ID",
        "Subject",
        "To",
    ]
    compat = message_from_bytes(raw)
    to = getaddresses([str(compat["To"]).replace("\r\n", "")])
    assert [address for _, address in to] == ["ada@example.com", "bob@example.com"]
    assert str(make_header(decode_header(str(compat["Subject"])))) == clean_header(subject)
    assert {str(make_header(decode_header(shown))) for shown, _ in to} == {clean_header(name)}
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")


@given(st.text(max_size=40))
def test_an_envelope_address_is_one_word_or_refused(text: str) -> None:
    try:
        address = envelope_address(text)
    except InvalidError:
        return
    assert not set(address) & set(" <>\r\n\t\x00")
    assert address.rpartition("@")[2].isascii()


def test_one_click_is_offered_only_where_nobody_can_listen() -> None:
    local = read(replace(PLAIN, unsubscribe_url="http://127.0.0.1:8000/u/token"))
    assert local["List-Unsubscribe"] == "<http://127.0.0.1:8000/u/token>"
    assert local["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    plain = read(replace(PLAIN, unsubscribe_url="http://example.org/u/token"))
    assert plain["List-Unsubscribe"] == "<http://example.org/u/token>"
    assert plain["List-Unsubscribe-Post"] is None
