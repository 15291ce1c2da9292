"""What people wrote, apart from what they quoted."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.inbox.folding import fold_quoted

HEADER = "On Mon, 3 Nov 2026 at 10:00, Jo <jo@example.org> wrote:"


@pytest.mark.parametrize(
    ("text", "reply", "quoted"),
    [
        (f"Yes please.\n\n{HEADER}\n> Hi\n> there\n", "Yes please.", f"{HEADER}\n> Hi\n> there"),
        (
            "Yes.\r\n\r\nOn Mon, 3 Nov 2026 at 10:00, Jo Long Name\r\n<jo@example.org> wrote:\r\n\r\n> Hi\r\n",
            "Yes.",
            "On Mon, 3 Nov 2026 at 10:00, Jo Long Name\n<jo@example.org> wrote:\n\n> Hi",
        ),
        (
            "Ja\n\nAm 03.11.2026 um 10:00 schrieb Jo <jo@example.org>:\n> Hi",
            "Ja",
            "Am 03.11.2026 um 10:00 schrieb Jo <jo@example.org>:\n> Hi",
        ),
        (
            "OK\n\nEl lun, 3 nov 2026 a las 10:00, Jo escribió:\n> Hola",
            "OK",
            "El lun, 3 nov 2026 a las 10:00, Jo escribió:\n> Hola",
        ),
        (
            "Ok\n\n________________________________\nFrom: Jo <jo@example.org>\nSent: Monday\nTo: me\n\nOld",
            "Ok",
            "________________________________\nFrom: Jo <jo@example.org>\nSent: Monday\nTo: me\n\nOld",
        ),
        ("Fine\n  indented\n\n> old\n> older\n", "Fine\n  indented", "> old\n> older"),
        (f"{HEADER}\n> a\n\nAnswer below", "Answer below", f"{HEADER}\n> a"),
        (f"{HEADER}\n> a\nyes\n> b\nno", f"{HEADER}\n> a\nyes\n> b\nno", ""),
        ("From: my heart\nI thank you", "From: my heart\nI thank you", ""),
        ("> only a quotation", "> only a quotation", ""),
        ("just text", "just text", ""),
        ("", "", ""),
    ],
)
def test_folding(text: str, reply: str, quoted: str) -> None:
    assert fold_quoted(text) == (reply, quoted)


@pytest.mark.parametrize(
    "text",
    [
        "On " * 100_000,
        "\n" * 300_000,
        ("On " * 80 + "\n") * 5_000,
        ("Am x schrieb " * 18 + "\n") * 5_000,
        ">" * 500_000,
    ],
)
def test_hostile_text_costs_little(text: str) -> None:
    started = time.process_time()
    fold_quoted(text)
    assert time.process_time() - started < 3


@given(st.lists(st.sampled_from(["yes", "> q", "", HEADER, "From: a@b.c", "Sent: x", "-----", "no:"]), max_size=12))
def test_nothing_written_is_lost(lines: list[str]) -> None:
    text = "\n".join(lines)
    reply, quoted = fold_quoted(text)
    assert sorted(f"{reply}\n{quoted}".split()) == sorted(text.split())
    assert bool(reply) == bool(text.strip())
