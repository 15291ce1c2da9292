"""Who may be one person, and why."""

from collections.abc import Sequence
from itertools import combinations, product
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.kernel.ids import new_id
from switchboard.kernel.jobs import JobLoop
from switchboard.people import identities, repository, service, suggesting
from switchboard.people.comparing import LEAST_SCORE, Profile, can_be_one, compare
from switchboard.people.drafts import blank_row, blocking_keys
from switchboard.people.errors import SuggestionNotFoundError
from switchboard.people.likeness import ALIKE, Names, name_likeness
from switchboard.people.models import ContactRow, Key, Sighting
from switchboard.people.resolution import NewIdentity
from tests.people.conftest import see


def profile(
    number: int, name: str, company: str = "", emails: tuple[str, ...] = (), phones: tuple[str, ...] = ()
) -> Profile:
    addresses = [*(("email", email) for email in emails), *(("phone", phone) for phone in phones)]
    return Profile.of(UUID(int=number), name, company, addresses)


@pytest.mark.parametrize(
    ("one", "other", "score"),
    [
        (profile(1, "Ann Lee", "Lee & Co"), profile(2, "ANN LEE", "Lee & Co"), 70),
        (profile(1, "Bob Ray", "Ray Ltd"), profile(2, "Robert Ray", "RAY LTD"), 65),
        (
            profile(1, "Ann Lee", emails=("ann.lee@a.example",)),
            profile(2, "Ann Lee", emails=("ann.lee@b.example",)),
            75,
        ),
        (profile(1, "Ann Lee", phones=("+49301234567",)), profile(2, "Anne Lee", phones=("+43301234567",)), 70),
        (profile(1, "Ann Lee", emails=("info@a.example",)), profile(2, "Ann Lee", emails=("info@b.example",)), 40),
        (profile(1, "Ann Lee", "Co", ("a@co.example",)), profile(2, "Ann Lee", "Co", ("ann2@co.example",)), 45),
        (profile(1, "Ann Lee", "Co"), profile(2, "Bea Moss", "Co"), 0),
        (profile(1, "", "Co"), profile(2, "", "Co"), 0),
    ],
)
def test_the_score_is_the_sum_of_its_reasons(one: Profile, other: Profile, score: int) -> None:
    pair = compare(other, one)
    assert (pair.first_id, pair.second_id) == (one.id, other.id)
    assert pair.score == score == max(0, sum(reason.points for reason in pair.reasons))


EMAILS = [f"{box}@{domain}.example" for box in ("ann", "bea", "info") for domain in ("a", "b")]
PEOPLE_OF_ONE_NAME = st.builds(
    profile,
    st.integers(1, 1_000),
    st.just("Ann Lee"),
    st.sampled_from(["", "Lee & Co", "Moss & Co"]),
    st.lists(st.sampled_from(EMAILS), max_size=2).map(tuple),
    st.lists(st.sampled_from(["+493012345678", "+433012345678", "+491111111111"]), max_size=2).map(tuple),
)


@given(PEOPLE_OF_ONE_NAME, PEOPLE_OF_ONE_NAME)
def test_whoever_could_not_be_one_by_addresses_and_company_never_scores_enough(one: Profile, other: Profile) -> None:
    assert can_be_one(one, other) == (compare(one, other).score >= LEAST_SCORE)


async def run_jobs(database: Database) -> None:
    """Run the jobs that are due now, with the handlers of the assembly."""
    loop = JobLoop(database, {}, together={suggesting.JOB: suggesting.suggest})
    while (await loop.tick()).handled:
        pass


async def test_recognition_leaves_a_job_that_suggests_with_reasons(database: Database, owner: Caller) -> None:
    await see(database, owner, Sighting(name="Bob Ray", email="bob.ray@mail.example", company="Ray Ltd"))
    await see(database, owner, Sighting(name="Robert Ray", email="bob.ray@ray.example", company="Ray Ltd"))
    await see(database, owner, Sighting(name="Zoe Moss", email="zoe@moss.example", company="Ray Ltd"))
    await run_jobs(database)
    async with database.transaction(owner.workspace_id) as tx:
        (suggestion,) = await suggesting.list_suggestions(tx, owner)
        assert await tx.fetch_value("SELECT count(*) FROM app.job WHERE kind = %s", (suggesting.JOB,)) == 0
    assert suggestion.score == 95
    assert [(reason.text, reason.points) for reason in suggestion.reasons] == [
        ("One name is short for the other", 35),
        ("Both are at Ray Ltd", 25),
        ("Both e-mail addresses begin with bob.ray", 35),
    ]


folded_names = st.lists(
    st.sampled_from(["bob", "robert", "rob", "ann", "anne", "anna", "lee", "leigh", "smith", "smyth", "kate", "x"]),
    max_size=3,
).map(" ".join)


@given(folded_names, st.lists(folded_names, max_size=8))
def test_names_that_are_alike_are_found_among_many_as_one_by_one(name: str, others: list[str]) -> None:
    alike = {place for place, other in enumerate(others) if name_likeness(name, other) >= ALIKE}
    assert Names(others).find_alike(name) == alike


FIRST_NAMES = ["Bob", "Robert", "Anna", "Anne", "Hanna", "Katherine", "Kate", "Jon", "John", ""]
LAST_NAMES = ["Ray", "Rai", "Lee", "Lovelace", "Lovelacs", "Smith"]
COMPANIES = ["", "Ray Ltd", "RAY LTD", "Lee & Co"]
BOXES = ["bob.ray", "info", "ann"]
DOMAINS = ["a.example", "b.example", "c.example"]
TAILS = ["1234567", "7654321"]


def _people(random: Random, number: int) -> list[ContactRow]:
    rows = []
    for _ in range(number):
        name = f"{random.choice(FIRST_NAMES)} {random.choice(LAST_NAMES)}".strip()
        rows.append(replace(blank_row(new_id()), name=name, company=random.choice(COMPANIES)))
    return rows


def _addresses(random: Random, contact_ids: Sequence[UUID]) -> dict[UUID, list[Key]]:
    """Of some a box at one of few domains, of some a number with one of few ends: no two the same."""
    addresses: dict[UUID, list[Key]] = {contact_id: [] for contact_id in contact_ids}
    for box, domain in product(BOXES, DOMAINS):
        addresses[random.choice(contact_ids)].append(("email", f"{box}@{domain}"))
    for place, contact_id in enumerate(random.sample(contact_ids, 40)):
        addresses[contact_id].append(("phone", f"+49{place}{random.choice(TAILS)}"))
    return addresses


@pytest.mark.parametrize("seed", range(4))
async def test_whoever_shares_a_key_and_scores_enough_is_suggested_and_nobody_else(
    database: Database, owner: Caller, seed: int
) -> None:
    random = Random(seed)  # noqa: S311 seeded on purpose
    rows = _people(random, 60)
    addresses = _addresses(random, [row.id for row in rows])
    identities = [NewIdentity(key, "", row.id, is_shared=False) for row in rows for key in addresses[row.id]]
    async with database.transaction(owner.workspace_id) as tx:
        await repository.claim_identities(tx, identities)
        await repository.insert_contacts(tx, rows, {row.id: "" for row in rows})
        for some in (rows[:7], rows[7:]):
            await suggesting.enqueue(tx, [row.id for row in some])
    await run_jobs(database)
    profiles = [Profile.of(row.id, row.name, row.company, addresses[row.id]) for row in rows]
    expected = {
        (pair.first_id, pair.second_id): (pair.score, [reason.text for reason in pair.reasons])
        for (one, a), (other, b) in combinations(zip(rows, profiles, strict=True), 2)
        if any(mine and mine == theirs for mine, theirs in zip(blocking_keys(one), blocking_keys(other), strict=True))
        and (pair := compare(a, b)).score >= LEAST_SCORE
    }
    async with database.transaction(owner.workspace_id) as tx:
        rows_kept = await tx.fetch_tuples("SELECT first_id, second_id, score, reasons FROM app.merge_suggestion")
    kept = {(first, second): (score, [each["text"] for each in reasons]) for first, second, score, reasons in rows_kept}
    assert len(expected) > 10
    assert kept == expected


async def test_what_was_dismissed_is_not_suggested_again(database: Database, owner: Caller, stranger: Caller) -> None:
    for phone in ("", "030 7654321"):
        await see(database, owner, Sighting(name="Ann Lee", company="Lee & Co", phone=phone))
    await run_jobs(database)
    async with database.transaction(owner.workspace_id) as tx:
        (suggestion,) = await suggesting.list_suggestions(tx, owner)
    async with database.transaction(stranger.workspace_id) as tx:
        assert await suggesting.list_suggestions(tx, stranger) == []
        with pytest.raises(SuggestionNotFoundError):
            await suggesting.dismiss(tx, stranger, suggestion.id)
    async with database.transaction(owner.workspace_id) as tx:
        await suggesting.dismiss(tx, owner, suggestion.id)
        with pytest.raises(SuggestionNotFoundError):
            await suggesting.dismiss(tx, owner, suggestion.id)
        await suggesting.enqueue(tx, [suggestion.first_id, suggestion.second_id])
    await run_jobs(database)
    async with database.transaction(owner.workspace_id) as tx:
        assert await suggesting.list_suggestions(tx, owner) == []


async def test_keeping_apart_marks_what_two_people_share(database: Database, owner: Caller, viewer: Caller) -> None:
    ann, bob = await see(
        database,
        owner,
        Sighting(name="Ann Lee", email="ann@lee.example"),
        Sighting(name="Bob Lee", phone="030 1234567"),
    )
    await see(database, owner, Sighting(name="Ann Lee", email="ann@lee.example", phone="030 1234567"))
    async with database.transaction(owner.workspace_id) as tx:
        (suggestion,) = await suggesting.list_suggestions(tx, owner)
        with pytest.raises(RoleForbidsError):
            await identities.keep_apart(tx, viewer, suggestion.id)
        await identities.keep_apart(tx, owner, suggestion.id)
    (ann_again, bob_again, cy) = await see(
        database, owner, *(Sighting(name=name, phone="030 1234567") for name in ("Ann Lee", "bob lee", "Cy Lee"))
    )
    assert (ann_again.contact_id, bob_again.contact_id) == (ann.contact_id, bob.contact_id)
    assert cy.is_new
    async with database.transaction(owner.workspace_id) as tx:
        assert await suggesting.list_suggestions(tx, owner) == []
        assert [row.id for row in await service.search_contacts(tx, "1234567 ann")] == [ann.contact_id]
