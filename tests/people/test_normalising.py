"""What becomes of names, addresses and other texts."""

import re
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from switchboard.people.drafts import blank_row, fold_in, search_words
from switchboard.people.likeness import company_key, is_short_for, name_key, name_likeness
from switchboard.people.models import Sighting
from switchboard.people.normalising import fold, normalise, tidy


@pytest.mark.parametrize(
    ("sighting", "name", "first", "last"),
    [
        (Sighting(name="  Ann\u00a0 Lee "), "Ann Lee", "Ann", "Lee"),
        (Sighting(name="Lee, Ann"), "Ann Lee", "Ann", "Lee"),
        (Sighting(first_name="Ann", last_name="Lee"), "Ann Lee", "Ann", "Lee"),
        (Sighting(name="Dr. Ann Lee", first_name="Ann", last_name="Lee"), "Dr. Ann Lee", "Ann", "Lee"),
        (Sighting(name="山田太郎"), "山田太郎", "山田太郎", ""),
        (Sighting(name="Maria del Carmen Ruiz"), "Maria del Carmen Ruiz", "Maria", "del Carmen Ruiz"),
    ],
)
def test_a_name_has_its_parts(sighting: Sighting, name: str, first: str, last: str) -> None:
    seen = normalise(sighting, "DE")
    assert (seen.name, seen.first_name, seen.last_name) == (name, first, last)


def test_the_country_of_a_sighting_reads_its_phone_number() -> None:
    french = normalise(Sighting(phone="06 12 34 56 78", country="fr"), "DE")
    german = normalise(Sighting(phone="0151 12345678"), "DE")
    assert [address.key for address in french.addresses] == [("phone", "+33612345678")]
    assert [address.key for address in german.addresses] == [("phone", "+4915112345678")]


def test_a_plus_lost_in_a_form_is_found_again() -> None:
    seen = normalise(Sighting(phone=" 44 20 7946 0018"), "US")
    assert [(address.key, address.raw) for address in seen.addresses] == [
        (("phone", "+442079460018"), "44 20 7946 0018")
    ]


def test_what_cannot_be_used_is_named_and_the_rest_is_kept() -> None:
    seen = normalise(
        Sighting(name="Ann", email="a@", country="Mars", time_zone="Mars/Base", locale="?", fields={"a": "", "b": 1}),
        "DE",
    )
    assert [problem.field for problem in seen.problems] == ["country", "time_zone", "locale", "email"]
    assert (seen.name, dict(seen.fields), seen.addresses) == ("Ann", {"b": 1}, ())


def test_texts_lose_what_cannot_be_seen_or_stored() -> None:
    assert tidy("A\x00n\u200bn\u202e\tLee\n") == "Ann Lee"
    assert tidy("x" * 500) == "x" * 200
    assert fold("Jürgen  O’Néill-Straße") == "jurgen o neill strasse"


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_texts_are_folded_to_their_letters_and_digits(text: str) -> None:
    assert fold(text) == " ".join(re.findall("[a-z0-9]+", text.lower()))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Ada ada ADA", "ada"),
        ("x" * 70 + " y", "x" * 60 + " y"),
        (" ".join(map(str, range(70))), " ".join(map(str, range(60)))),
    ],
)
def test_words_of_the_search_are_few_short_and_told_once(name: str, words: str) -> None:
    assert search_words(replace(blank_row(uuid4()), name=name), []) == words


@pytest.mark.parametrize(
    ("one", "other"), [("Bob Smith", "Robert Smith"), ("Smith John", "Jon Smith"), ("Catherine Fox", "Kate Fox")]
)
def test_names_that_may_be_one_meet_under_one_key(one: str, other: str) -> None:
    assert name_key(one) == name_key(other) != ""
    assert name_likeness(fold(one), fold(other)) >= 86


def test_names_of_one_word_and_empty_ones_meet_nobody() -> None:
    assert name_key("Ann") == name_key("") == ""
    assert company_key("", "Ann Lee") == company_key("Lee & Co", "") == ""
    assert company_key("Lee & Co.", "Ann Lee") == company_key("LEE CO", "Amy Loo")
    assert not is_short_for("ann lee", "ann lee")
    assert is_short_for("bob ray", "robert ray")


def test_a_contact_is_found_by_every_part_of_what_is_known() -> None:
    row = fold_in(blank_row(uuid4()), [normalise(Sighting(name="Zoë Lee", company="Lee & Co"), "DE")])
    keys = [("email", "zoe.lee@mail.example"), ("phone", "+4915112345678")]
    assert search_words(row, keys).split() == [
        "zoe", "lee", "co", "mail", "example", "4915112345678", "15112345678", "2345678"
    ]  # fmt: skip
