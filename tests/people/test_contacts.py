"""Contacts as members read, find and change them."""

from uuid import uuid4

import pytest

from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError
from switchboard.people import identities, service
from switchboard.people.errors import AddressTakenError, ContactNotFoundError, IdentityNotFoundError
from switchboard.people.models import CONTACT_FIELDS, Contact, Sighting
from tests.conftest import Urls
from tests.people.conftest import count, find_consent, see


@pytest.fixture
async def ann(database: Database, owner: Caller) -> Contact:
    (found,) = await see(
        database,
        owner,
        Sighting(name="Ann Lee", email="ann.lee@mail.example", phone="0151 12345678", company="Lee & Co"),
    )
    assert found.contact_id is not None
    async with database.transaction(owner.workspace_id) as tx:
        return await service.access_contact(tx, owner, found.contact_id)


@pytest.mark.parametrize(
    "text", ["ann", "LEE ann", "lée", "ann.lee@ma", "co lee", "+49 151 123", "0151 1234", "15112345678", "mail.example"]
)
async def test_a_contact_is_found_by_the_beginning_of_any_word(
    database: Database, owner: Caller, ann: Contact, text: str
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        assert [row.id for row in await service.search_contacts(tx, text)] == [ann.id]


@pytest.mark.parametrize("text", ["", " ", "a", "!!", "bob", "ann bob", "'ann' | bob:*", "ann\\"])
async def test_a_search_finds_only_what_begins_so_and_never_fails(
    database: Database, owner: Caller, ann: Contact, text: str
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        found = await service.search_contacts(tx, text)
    assert [row.id for row in found] == ([ann.id] if text == "ann\\" else [])


async def test_a_search_forgives_a_slip_of_the_finger(database: Database, owner: Caller) -> None:
    await see(database, owner, Sighting(name="Alexander Schmidt", email="as@x.example"))
    async with database.transaction(owner.workspace_id) as tx:
        assert [row.name for row in await service.search_contacts(tx, "schmit")] == ["Alexander Schmidt"]
        assert await service.search_contacts(tx, "quartz") == []


async def test_a_search_walks_the_index_although_row_security_is_on(
    database: Database, owner: Caller, ann: Contact
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        plan = await tx.fetch_tuples("EXPLAIN SELECT contact_id FROM app.contact_search")
    text = "\n".join(str(row[0]) for row in plan)
    assert "Bitmap Index Scan on contact_search_words" in text
    assert "Seq Scan" not in text


async def test_the_list_of_contacts_walks_its_index(database: Database, owner: Caller, ann: Contact) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        plan = await tx.fetch_tuples(
            """
            EXPLAIN SELECT id FROM app.contact WHERE workspace_id = %s AND merged_into IS NULL
            ORDER BY id DESC LIMIT 50
            """,
            (owner.workspace_id,),
        )
    assert any("contact_list" in str(row[0]) for row in plan)


async def test_nothing_is_seen_of_a_strangers_contact(database: Database, stranger: Caller, ann: Contact) -> None:
    async with database.transaction(stranger.workspace_id) as tx:
        assert await service.search_contacts(tx, "ann") == []
        assert await service.list_contacts(tx, stranger) == []
        assert await service.load_contacts(tx, [ann.id]) == {}
        assert await service.find_contact_by_email(tx, ann.email) is None
        for contact_id in (ann.id, uuid4()):
            with pytest.raises(ContactNotFoundError):
                await service.access_contact(tx, stranger, contact_id)
            with pytest.raises(ContactNotFoundError):
                await service.add_note(tx, stranger, contact_id, "Hello")
            with pytest.raises(ContactNotFoundError):
                await service.opt_out(tx, contact_id, stranger.actor, "x")


async def test_facts_have_the_names_that_conditions_may_use(database: Database, ann: Contact) -> None:
    facts = service.contact_facts(ann)
    assert facts.keys() == CONTACT_FIELDS.keys()
    assert (facts["email"], facts["phone"], facts["opted_out"]) == ("ann.lee@mail.example", "+4915112345678", False)


async def test_a_contact_is_known_by_its_own_e_mail_address_in_any_spelling(
    database: Database, owner: Caller, ann: Contact
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        assert await service.find_contact_by_email(tx, " ANN.Lee@Mail.example") == ann.id
        assert await service.find_contact_by_email(tx, "nobody@mail.example") is None
        assert await service.find_contact_by_email(tx, "nonsense") is None


async def test_a_form_writes_what_it_says_also_nothing(database: Database, owner: Caller, ann: Contact) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        await service.update_contact(tx, owner, ann.id, service.ContactForm(name="Anna Lee", country="de"))
        changed = await service.access_contact(tx, owner, ann.id)
        kinds = await tx.fetch_tuples("SELECT data->'fields' FROM app.event WHERE kind = 'contact.updated'")
        await service.update_contact(tx, owner, ann.id, service.ContactForm(name="Anna Lee", country="DE"))
        assert await tx.fetch_value("SELECT count(*) FROM app.event WHERE kind = 'contact.updated'") == 1
        assert await service.search_contacts(tx, "co lee") == []
        assert len(await service.search_contacts(tx, "anna")) == 1
    assert (changed.name, changed.first_name, changed.company, changed.country) == ("Anna Lee", "Anna", "", "DE")
    assert kinds == [(["name", "first_name", "company", "country"],)]


async def test_a_viewer_changes_nothing(database: Database, owner: Caller, viewer: Caller, ann: Contact) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        (identity, _) = await service.list_identities(tx, ann.id)
        for change in (
            service.create_contact(tx, viewer, Sighting(name="X")),
            service.update_contact(tx, viewer, ann.id, service.ContactForm(name="X")),
            service.add_note(tx, viewer, ann.id, "X"),
            service.opt_in(tx, viewer, ann.id, "X"),
            identities.add_identity(tx, viewer, ann.id, "email", "x@x.example"),
            identities.remove_identity(tx, viewer, identity.id),
            identities.mark_shared(tx, viewer, identity.id),
            identities.mark_own(tx, viewer, identity.id),
            identities.put_first(tx, viewer, identity.id),
            identities.split_identity(tx, viewer, identity.id, "X"),
        ):
            with pytest.raises(RoleForbidsError):
                await change
        assert await service.access_contact(tx, viewer, ann.id) == ann
        assert await count(tx, "contact") == 1


async def test_opting_out_and_in_again_keeps_every_proof(database: Database, owner: Caller, ann: Contact) -> None:
    for proof in ("Unsubscribed", "Unsubscribed again"):
        async with database.transaction(owner.workspace_id) as tx:
            await service.opt_out(tx, ann.id, owner.actor, proof)
    async with database.transaction(owner.workspace_id) as tx:
        assert await find_consent(tx, ann.id) is False
        assert (await service.access_contact(tx, owner, ann.id)).opted_out_at is not None
        assert await tx.fetch_value("SELECT count(*) FROM app.event WHERE kind = 'contact.opted_out'") == 1
        with pytest.raises(InvalidError):
            await service.opt_in(tx, owner, ann.id, " ")
    async with database.transaction(owner.workspace_id) as tx:
        await service.opt_in(tx, owner, ann.id, "Asked by phone")
        assert await find_consent(tx, ann.id) is True
        assert (await service.access_contact(tx, owner, ann.id)).opted_out_at is None
        proofs = {consent.proof for consent in await service.list_consents(tx, ann.id)}
    assert proofs == {"Unsubscribed", "Unsubscribed again", "Asked by phone"}


async def test_addresses_are_added_preferred_and_removed(database: Database, owner: Caller, ann: Contact) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        await identities.add_identity(tx, owner, ann.id, "email", "Work@lee.example")
        await identities.add_identity(tx, owner, ann.id, "email", "work@lee.example")
        by_value = {identity.value: identity.id for identity in await service.list_identities(tx, ann.id)}
        await identities.put_first(tx, owner, by_value["work@lee.example"])
        assert (await service.access_contact(tx, owner, ann.id)).email == "work@lee.example"
        await identities.remove_identity(tx, owner, by_value["ann.lee@mail.example"])
        assert await service.find_contact_by_email(tx, "ann.lee@mail.example") is None
        assert await service.search_contacts(tx, "mail.example") == []
        assert len(await service.search_contacts(tx, "work")) == 1
        with pytest.raises(IdentityNotFoundError):
            await identities.remove_identity(tx, owner, by_value["ann.lee@mail.example"])
        with pytest.raises(InvalidError):
            await identities.add_identity(tx, owner, ann.id, "email", "nonsense")


async def test_an_address_of_another_contact_is_refused_until_it_is_shared(
    database: Database, owner: Caller, ann: Contact
) -> None:
    (bob,) = await see(database, owner, Sighting(name="Bob Lee", email="bob@lee.example"))
    assert bob.contact_id is not None
    async with database.transaction(owner.workspace_id) as tx:
        with pytest.raises(AddressTakenError) as caught:
            await identities.add_identity(tx, owner, bob.contact_id, "phone", "0151 12345678")
        assert caught.value.data == {"contact_id": str(ann.id)}
        phone = next(one for one in await service.list_identities(tx, ann.id) if one.kind == "phone")
        await identities.mark_shared(tx, owner, phone.id)
        await identities.add_identity(tx, owner, bob.contact_id, "phone", "0151 12345678")
        with pytest.raises(AddressTakenError):
            await identities.mark_own(tx, owner, phone.id)
        other = next(one for one in await service.list_identities(tx, bob.contact_id) if one.kind == "phone")
        await identities.remove_identity(tx, owner, other.id)
        await identities.mark_own(tx, owner, phone.id)
        assert not any(one.is_shared for one in await service.list_identities(tx, ann.id))


async def test_an_address_is_split_off_to_a_new_contact(database: Database, owner: Caller, ann: Contact) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        phone = next(one for one in await service.list_identities(tx, ann.id) if one.kind == "phone")
        new_id = await identities.split_identity(tx, owner, phone.id, "Bea Lee")
    (seen,) = await see(database, owner, Sighting(phone="0151 12345678"))
    assert seen.contact_id == new_id
    async with database.transaction(owner.workspace_id) as tx:
        assert (await service.access_contact(tx, owner, ann.id)).phone == ""
        assert (await service.access_contact(tx, owner, new_id)).name == "Bea Lee"
        assert [row.id for row in await service.search_contacts(tx, "15112345678")] == [new_id]


async def test_a_form_that_names_nobody_is_refused(database: Database, owner: Caller, urls: Urls) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        with pytest.raises(InvalidError) as caught:
            await service.create_contact(tx, owner, Sighting(email="x", country="Mars"))
        assert [problem.field for problem in caught.value.problems] == ["country", "email", "name"]
        assert await count(tx, "contact") == 0
