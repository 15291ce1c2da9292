"""Which words ask to be left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.inbox.opt_outs import find_opt_out


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("STOP", "STOP"),
        ("\n\n  Stop!!  \nRegards, Ann", "Stop!!"),
        ("Please unsubscribe me.", "Please unsubscribe me."),
        ("Abmelden", "Abmelden"),
        ("Désinscription", "Désinscription"),
        ("DARME DE BAJA", "DARME DE BAJA"),
        ("配信停止", "配信停止"),
        ("إلغاء الاشتراك", "إلغاء الاشتراك"),
        ("ＳＴＯＰ", "ＳＴＯＰ"),
    ],
)
def test_a_line_that_says_nothing_else_counts(reply: str, found: str) -> None:
    assert find_opt_out(reply, "Re: Welcome") == found


@pytest.mark.parametrize(
    "reply",
    [
        "Stop by on Monday if you like.",
        "Please do not stop sending these!",
        "I will not unsubscribe.",
        "Hello\nSTOP",
        "",
        "!!!",
        "stop " * 40,
    ],
)
def test_a_sentence_is_for_a_person_to_read(reply: str) -> None:
    assert find_opt_out(reply, "Re: Welcome") is None


def test_the_empty_mail_of_an_unsubscribe_link_counts_by_its_subject() -> None:
    assert find_opt_out("\n", "Unsubscribe") == "Unsubscribe"
    assert find_opt_out("How do I do that?", "Unsubscribe") is None


@given(st.text(max_size=200), st.text(max_size=80))
def test_whatever_is_written_has_an_answer(reply: str, subject: str) -> None:
    found = find_opt_out(reply, subject)
    assert found is None or found in reply or found in subject
