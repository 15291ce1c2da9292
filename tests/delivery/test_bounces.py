"""Reports of mail that came back, as mail systems really write them, and what only looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.delivery.bounces import Bounce, parse_bounces

ORIGINAL = "<01@mail.example.org>"


def report(fields: str, *, returned: str = "", head: str = "") -> bytes:
    returned = returned or f"Content-Type: message/rfc822\n\nMessage-ID: {ORIGINAL}\nTo: ada@example.com\n\nHello\n"
    return (
        f"From: MAILER-DAEMON@mx.example.com\nSubject: Undelivered Mail\nAuto-Submitted: auto-replied\n{head}"
        'MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nSorry.\n"
        f"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\n{fields}\n"
        f"--b\n{returned}\n--b--\n"
    ).encode()


def failed(status: str, diagnostic: str, recipient: str = "Ada@Example.com", action: str = "failed") -> str:
    return (
        f"Final-Recipient: rfc822; {recipient}\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: smtp; {diagnostic}\n"
    )


@pytest.mark.parametrize(
    ("fields", "kind", "status"),
    [
        (failed("5.1.1", "550 5.1.1 User unknown"), "hard", "5.1.1"),
        (failed("5.1.10", "550 5.1.10 Recipient not found"), "hard", "5.1.10"),
        (failed("5.2.1", "550 mailbox disabled"), "hard", "5.2.1"),
        (failed("5.0.0", "550 No such user here"), "hard", "5.0.0"),
        (failed("5.4.4", "Host or domain name not found"), "hard", "5.4.4"),
        (failed("5.2.2", "552 5.2.2 Over quota"), "soft", "5.2.2"),
        (failed("5.7.1", "554 5.7.1 Message looks like spam"), "soft", "5.7.1"),
        (failed("5.7.1", "550 5.1.1 blocked by policy"), "soft", "5.7.1"),
        (failed("5.3.4", "552 message too big"), "soft", "5.3.4"),
        (failed("4.4.1", "connection timed out"), "soft", "4.4.1"),
        (failed("4.4.7", "expired", action="delayed"), "soft", "4.4.7"),
    ],
)
def test_a_delivery_report(fields: str, kind: str, status: str) -> None:
    (bounce,) = parse_bounces(report(fields))
    assert (bounce.recipient, bounce.kind, bounce.status) == ("ada@example.com", kind, status)
    assert bounce.original_message_id == ORIGINAL


def test_all_of_one_report() -> None:
    (bounce,) = parse_bounces(report(failed("5.1.1", "550 5.1.1\n User  unknown\x07")))
    assert bounce == Bounce("ada@example.com", "hard", "5.1.1", "550 5.1.1 User unknown", ORIGINAL)


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded", ""])
def test_good_news_is_no_bounce(action: str) -> None:
    assert parse_bounces(report(failed("2.0.0", "250 ok", action=action))) == ()


def test_several_recipients_of_one_report() -> None:
    fields = failed("5.1.1", "550 no", "a@x.example") + "\n" + failed("4.2.2", "452 full", "b@x.example")
    assert [(one.recipient, one.kind) for one in parse_bounces(report(fields))] == [
        ("a@x.example", "hard"),
        ("b@x.example", "soft"),
    ]


def test_only_the_header_came_back() -> None:
    returned = f"Content-Type: text/rfc822-headers\n\nSubject: x\nMessage-ID: {ORIGINAL}\n"
    (bounce,) = parse_bounces(report(failed("5.1.1", "550 no"), returned=returned))
    assert bounce.original_message_id == ORIGINAL


def test_nothing_came_back_but_the_thread_is_named() -> None:
    returned = "Content-Type: text/plain\n\nnothing\n"
    head = f"References: <0@x> {ORIGINAL}\n"
    (bounce,) = parse_bounces(report(failed("5.1.1", "550 no"), returned=returned, head=head))
    assert bounce.original_message_id == ORIGINAL


def test_exims_header() -> None:
    raw = (
        "From: Mail Delivery System <Mailer-Daemon@mx.example.com>\nX-Failed-Recipients: Ada@example.com\n"
        "Subject: Mail delivery failed: returning message to sender\n\n"
        "A message that you sent could not be delivered.\n\n  ada@example.com\n"
        "    host mx.example.com [192.0.2.1]\n    SMTP error from remote mail server after RCPT TO:\n"
        f"    550 5.1.1 No such user\n\n------ This is a copy ------\n\nMessage-ID: {ORIGINAL}\nTo: ada@example.com\n"
    )
    (bounce,) = parse_bounces(raw.encode())
    assert bounce == Bounce("ada@example.com", "hard", "5.1.1", "550 5.1.1 No such user", ORIGINAL)


def test_qmails_text() -> None:
    raw = (
        "From: MAILER-DAEMON@mx.example.com\nSubject: failure notice\n\n"
        "Hi. This is the qmail-send program at mx.example.com.\nI'm afraid I wasn't able to deliver.\n\n"
        "<Ada@example.com>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 Unknown user\n"
        f"Giving up.\n\n--- Below this line is a copy of the message.\n\nMessage-ID:\n {ORIGINAL}\n"
    )
    (bounce,) = parse_bounces(raw.encode())
    assert (bounce.recipient, bounce.kind, bounce.original_message_id) == ("ada@example.com", "hard", ORIGINAL)


def test_plain_words_of_a_mail_system() -> None:
    raw = "From: postmaster@example.com\nSubject: Undeliverable\n\nada@example.com: mailbox unavailable (550 no)\n"
    (bounce,) = parse_bounces(raw.encode())
    assert (bounce.recipient, bounce.kind) == ("ada@example.com", "hard")


@pytest.mark.parametrize(
    "raw",
    [
        b"From: Ada <ada@example.com>\nAuto-Submitted: auto-replied\nSubject: Out of office\n\nBack on Monday.\n",
        b"From: Ada <ada@example.com>\nSubject: Re: Hi\n\nMy colleague bob@example.com got 550 5.1.1 User unknown\n",
        b"From: postmaster@example.com\nSubject: Welcome\n\nHello, here is how mail works. ada@example.com\n",
        b"",
        b"\x00\xff",
    ],
)
def test_what_is_no_bounce(raw: bytes) -> None:
    assert parse_bounces(raw) == ()


def complaint(feedback: str, extra: str = "") -> bytes:
    return (
        "From: fbl@example.com\nSubject: complaint\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nThis is an email abuse report.\n"
        f"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: {feedback}\nVersion: 1\n{extra}\n"
        f"--b\nContent-Type: message/rfc822\n\nMessage-ID: {ORIGINAL}\nTo: Ada <Ada@Example.com>\n\nHello\n--b--\n"
    ).encode()


def test_a_complaint() -> None:
    expected = Bounce("ada@example.com", "complaint", None, "abuse", ORIGINAL)
    assert parse_bounces(complaint("abuse", "Original-Rcpt-To: <ada@example.com>\n")) == (expected,)
    assert parse_bounces(complaint("abuse")) == (expected,)


def test_not_spam_is_no_complaint() -> None:
    assert parse_bounces(complaint("not-spam")) == ()


SAMPLES = [report(failed("5.1.1", "550 no")), complaint("abuse")]


@given(st.sampled_from(SAMPLES), st.integers(0, 900), st.binary(max_size=40), st.integers(0, 200))
def test_damaged_reports_are_read_or_left(sample: bytes, place: int, junk: bytes, gone: int) -> None:
    for bounce in parse_bounces(sample[:place] + junk + sample[place + gone :]):
        assert "@" in bounce.recipient
        assert bounce.diagnostic.isprintable()


def test_mails_in_mails_without_end() -> None:
    assert parse_bounces(b"Content-Type: message/rfc822\n\n" * 20_000) == ()
