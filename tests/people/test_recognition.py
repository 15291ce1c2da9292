"""One person is one contact, however they write and however many processes see them."""

import asyncio
import random

import pytest

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database, recorded_queries
from switchboard.people import identities, repository, service
from switchboard.people.models import Sighting
from switchboard.people.resolution import NewIdentity
from switchboard.people.suggesting import list_suggestions
from tests.people.conftest import count, find_consent, see

ANN_PHONES = ("0151 123 45678", "+49 151 12345678", "0049-151-12345678", "(0151) 12345678", "+4915112345678")
ANN_EMAILS = ("ann@lee.example", "Ann@Lee.example", " ANN@LEE.EXAMPLE ", "aNN@lee.EXAMPLE")


def ann(number: int) -> Sighting:
    """One of a thousand ways in which Ann writes: by e-mail address, by phone, or with both."""
    email = "" if number % 3 == 1 else ANN_EMAILS[number % len(ANN_EMAILS)]
    phone = "" if number % 3 == 2 else ANN_PHONES[number % len(ANN_PHONES)]
    return Sighting(name="Ann Lee", email=email, phone=phone)


async def test_a_thousand_sightings_of_one_person_by_two_processes_are_one_contact(
    database: Database, other_process: Database, owner: Caller
) -> None:
    sightings = [ann(3 * number) for number in range(50)] + [ann(number) for number in range(950)]
    batches = [sightings[start : start + 25] for start in range(0, 1000, 25)]

    async def work(process: Database, share: list[list[Sighting]]) -> set[object]:
        found = [await see(process, owner, *batch) for batch in share]
        return {one.contact_id for batch in found for one in batch}

    found = await asyncio.gather(work(database, batches[::2]), work(other_process, batches[1::2]))
    assert len(found[0] | found[1]) == 1
    async with database.transaction(owner.workspace_id) as tx:
        assert await count(tx, "contact") == 1
        assert sorted(await tx.fetch_tuples("SELECT kind, value FROM app.identity")) == [
            ("email", "ann@lee.example"),
            ("phone", "+4915112345678"),
        ]
        assert await tx.fetch_value("SELECT count(*) FROM app.event WHERE kind = 'contact.created'") == 1
        assert await count(tx, "contact_search") == 0, "nothing is found unless it is searched for"
        assert len(await service.search_contacts(tx, "ann")) == 1


async def test_two_hundred_people_in_any_order_by_four_connections_never_wait_in_a_ring(
    database: Database, other_process: Database, owner: Caller
) -> None:
    people = [Sighting(name=f"P {n}", email=f"p{n}@x.example", phone=f"+4915112{n:05}") for n in range(200)]
    shuffled = random.Random(7)  # noqa: S311 an order to repeat, not a secret

    async def work(process: Database) -> set[object]:
        order = shuffled.sample(people, len(people))
        found = [await see(process, owner, *order[start : start + 50]) for start in range(0, 200, 50)]
        return {one.contact_id for batch in found for one in batch}

    found = await asyncio.gather(*(work(process) for process in (database, other_process, database, other_process)))
    assert all(ids == found[0] for ids in found)
    async with database.transaction(owner.workspace_id) as tx:
        assert await count(tx, "contact") == 200
        assert await count(tx, "identity") == 400


async def test_a_sighting_says_whether_it_is_new_and_by_what_it_was_known(database: Database, owner: Caller) -> None:
    first, second = await see(
        database, owner, Sighting(email="ann@lee.example"), Sighting(email="ANN@lee.example", phone="0151 12345678")
    )
    (third,) = await see(database, owner, Sighting(phone="+4915112345678", email="ann.lee@other.example"))
    assert (first.is_new, first.matched_by) == (True, ())
    assert (second.is_new, second.matched_by) == (False, ("email",))
    assert (third.is_new, third.matched_by) == (False, ("phone",))
    assert first.contact_id == second.contact_id == third.contact_id


async def test_who_cannot_be_known_gets_no_contact_and_the_others_are_not_held_up(
    database: Database, owner: Caller
) -> None:
    nobody, ann = await see(
        database, owner, Sighting(email="not an address", phone="call me"), Sighting(name="Ann Lee")
    )
    assert nobody.contact_id is None
    assert [problem.field for problem in nobody.problems] == ["email", "phone"]
    assert ann.contact_id is not None
    async with database.transaction(owner.workspace_id) as tx:
        assert await count(tx, "contact") == 1


async def test_what_is_missing_is_filled_and_what_is_known_stays(database: Database, owner: Caller) -> None:
    (first,) = await see(
        database, owner, Sighting(name="Ann Lee", email="ann@lee.example", fields={"plan": "basic", "size": 4})
    )
    await see(
        database,
        owner,
        Sighting(
            name="", email="ann@lee.example", company="Lee & Co", country="de", fields={"plan": "pro", "size": ""}
        ),
        Sighting(name="A. Lee", email="ann@lee.example", company="Other", time_zone="Europe/Berlin"),
    )
    assert first.contact_id is not None
    async with database.transaction(owner.workspace_id) as tx:
        contact = await service.access_contact(tx, owner, first.contact_id)
        found = await service.search_contacts(tx, "lee co")
    assert (contact.name, contact.first_name, contact.last_name) == ("Ann Lee", "Ann", "Lee")
    assert (contact.company, contact.country, contact.time_zone) == ("Lee & Co", "DE", "Europe/Berlin")
    assert contact.fields == {"plan": "pro", "size": 4}
    assert [one.id for one in found] == [contact.id]


async def test_an_address_of_each_of_two_contacts_suggests_and_does_not_merge(
    database: Database, owner: Caller
) -> None:
    ann, bob = await see(
        database, owner, Sighting(name="Ann Lee", email="ann@x.example"), Sighting(name="Bob Ray", phone="0151 7654321")
    )
    (both,) = await see(database, owner, Sighting(name="Ann Lee", email="ann@x.example", phone="0151 7654321"))
    assert both.contact_id == ann.contact_id
    async with database.transaction(owner.workspace_id) as tx:
        (suggestion,) = await list_suggestions(tx, owner)
        assert await count(tx, "contact") == 2
    assert {suggestion.first_id, suggestion.second_id} == {ann.contact_id, bob.contact_id}
    assert suggestion.score == 45
    assert [(reason.points, reason.value) for reason in suggestion.reasons] == [(60, "+491517654321"), (-15, "")]


async def test_a_shared_phone_identifies_only_together_with_the_name(
    database: Database, other_process: Database, owner: Caller
) -> None:
    (ann,) = await see(database, owner, Sighting(name="Ann Lee", phone="030 1234567"))
    async with database.transaction(owner.workspace_id) as tx:
        (identity,) = await service.list_identities(tx, ann.contact_id) if ann.contact_id else []
        await identities.mark_shared(tx, owner, identity.id)
    bobs = await asyncio.gather(
        *(
            see(process, owner, Sighting(name=name, phone="+49 30 1234567"))
            for process in (database, other_process)
            for name in ("Bob Lee", "BOB  LEE")
        )
    )
    (again,) = await see(database, owner, Sighting(name="Ánn Lee", phone="030 1234567"))
    assert again.contact_id == ann.contact_id
    assert len({bob[0].contact_id for bob in bobs}) == 1
    async with database.transaction(owner.workspace_id) as tx:
        assert await count(tx, "contact") == 2
        assert await tx.fetch_tuples("SELECT DISTINCT value, is_shared FROM app.identity") == [("+49301234567", True)]


@pytest.mark.parametrize(("said", "channels"), [(True, {"email": True, "phone": None}), (False, {"email": False})])
async def test_consent_is_kept_with_its_proof_and_a_refusal_holds_everywhere(
    database: Database, owner: Caller, said: bool, channels: dict[str, bool | None]
) -> None:
    sighting = Sighting(email="ann@lee.example", consent=said, consent_text="Send me news")
    (ann, _) = await see(database, owner, sighting, sighting)
    assert ann.contact_id is not None
    async with database.transaction(owner.workspace_id) as tx:
        for channel, expected in channels.items():
            assert await find_consent(tx, ann.contact_id, channel) is expected
        consents = await service.list_consents(tx, ann.contact_id)
    assert {consent.proof for consent in consents} == {"Send me news"}
    assert len(consents) == (1 if said else 2)


async def test_the_same_addresses_in_another_workspace_are_another_person(
    database: Database, owner: Caller, stranger: Caller
) -> None:
    (ours,) = await see(database, owner, Sighting(email="ann@lee.example"))
    (theirs,) = await see(database, stranger, Sighting(email="ann@lee.example"))
    assert ours.contact_id != theirs.contact_id
    async with database.transaction(stranger.workspace_id) as tx:
        assert [one.id for one in await service.search_contacts(tx, "ann")] == [theirs.contact_id]


async def test_a_batch_takes_a_bounded_number_of_statements(database: Database, owner: Caller) -> None:
    people = [Sighting(name=f"Pat {n}", email=f"p{n}@x.example", phone=f"+4915112{n:05}") for n in range(100)]
    with recorded_queries() as first:
        await see(database, owner, *people)
    with recorded_queries() as second:
        await see(database, owner, *people)
    assert len(first) <= 13
    assert len(second) <= 4


@pytest.mark.parametrize(("taken", "free"), [([], 3), ([0], 2), ([0, 1, 2], 0)])
async def test_who_claims_addresses_learns_which_of_them_were_free(
    database: Database, owner: Caller, taken: list[int], free: int
) -> None:
    keys = [("email", f"p{number}@x.example") for number in range(3)]
    async with database.transaction(owner.workspace_id) as tx:
        await service.recognise(tx, [Sighting(email=keys[number][1]) for number in taken], "DE")
        contact_id = (await service.recognise(tx, [Sighting(name="Ada")], "DE"))[0].contact_id
        assert contact_id is not None
        claims = [NewIdentity(key, key[1], contact_id, is_shared=False) for key in keys]
        won = await repository.claim_identities(tx, claims)
    assert won == {key for number, key in enumerate(keys) if number not in taken}
    assert len(won) == free
