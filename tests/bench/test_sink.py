"""The benchmark's own mail server: it takes what a real client sends, and notes when it began."""

import smtplib
import time
from email.message import EmailMessage

from bench.sink import Sink


def test_it_notes_each_mail_with_the_time_of_its_beginning() -> None:
    with Sink() as sink:
        before = time.monotonic()
        with smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as client:
            for recipient in ("ann@x.example", "ben@x.example"):
                mail = EmailMessage()
                mail["Subject"] = "Hello"
                mail.set_content("First line\n.\nA line after a dot of its own\n")
                client.sendmail("desk@x.example", [recipient], mail.as_bytes())
        taken = sink.take()
        assert [mail.recipient for mail in taken] == ["ann@x.example", "ben@x.example"]
        assert before <= taken[0].at <= taken[1].at <= time.monotonic()
        assert sink.take() == []
