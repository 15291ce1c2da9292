"""Merging two contacts, and making two of one again exactly as they were."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import InvalidError
from switchboard.people import identities, merging, service, suggesting
from switchboard.people.errors import ContactNotFoundError, MergeNotFoundError, MergeRefusedError
from switchboard.people.models import Sighting
from switchboard.people.previewing import MovePreview, preview
from switchboard.people.timeline import list_timeline
from tests.people.conftest import find_consent, see, whole_tables


class Bookings:
    """The rows of a made-up room above people."""

    name = "bookings"

    def __init__(self, **owners: UUID) -> None:
        self.ids = {owner: uuid4() for owner in owners}
        self.owners = {self.ids[name]: contact_id for name, contact_id in owners.items()}

    async def move(self, _tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
        moved = [row_id for row_id, owner in self.owners.items() if owner == from_id]
        self.owners |= dict.fromkeys(moved, to_id)
        return moved

    async def move_back(self, _tx: Tx, row_ids: Sequence[UUID], to_id: UUID) -> None:
        self.owners |= dict.fromkeys(row_ids, to_id)


async def two(database: Database, caller: Caller, first: Sighting, second: Sighting) -> tuple[UUID, UUID]:
    """The contacts of two sightings."""
    one, other = await see(database, caller, first, second)
    assert one.contact_id is not None
    assert other.contact_id is not None
    return one.contact_id, other.contact_id


ANN = Sighting(name="Ann Lee", email="ann@lee.example", fields={"plan": "pro"}, consent=True, consent_text="News")
BOB = Sighting(
    name="Anne L.", phone="030 1234567", company="Lee & Co", fields={"plan": "basic", "size": 4}, country="DE"
)


async def test_the_kept_contact_takes_what_it_lacks_and_everything_that_hangs_on_the_lost_one(
    database: Database, owner: Caller
) -> None:
    ann, bob = await two(database, owner, ANN, BOB)
    bookings = Bookings(of_ann=ann, of_bob=bob)
    async with database.transaction(owner.workspace_id) as tx:
        await service.add_note(tx, owner, bob, "Likes tea")
        await merging.merge(tx, owner, ann, bob, [bookings])
    async with database.transaction(owner.workspace_id) as tx:
        contact = await service.access_contact(tx, owner, bob)
        notes = await service.list_notes(tx, ann)
        found = await service.search_contacts(tx, "1234567")
        listed = await service.list_contacts(tx, owner)
    assert (contact.id, contact.name, contact.company, contact.country) == (ann, "Ann Lee", "Lee & Co", "DE")
    assert contact.fields == {"plan": "pro", "size": 4}
    assert (contact.email, contact.phone) == ("ann@lee.example", "+49301234567")
    assert [note.body for note in notes] == ["Likes tea"]
    assert bookings.owners == {bookings.ids["of_ann"]: ann, bookings.ids["of_bob"]: ann}
    assert [row.id for row in found] == [ann]
    assert [row.id for row in listed] == [ann]


async def test_a_signal_with_an_address_of_the_lost_contact_is_of_the_kept_one(
    database: Database, owner: Caller
) -> None:
    ann, bob = await two(database, owner, ANN, BOB)
    async with database.transaction(owner.workspace_id) as tx:
        await merging.merge(tx, owner, ann, bob, [])
    (seen,) = await see(database, owner, Sighting(phone="+49 30 1234567"))
    assert (seen.contact_id, seen.is_new) == (ann, False)


async def test_the_preview_says_what_the_merge_does_and_changes_nothing(database: Database, owner: Caller) -> None:
    ann, bob = await two(database, owner, ANN, BOB)
    bookings = Bookings(of_ann=ann, of_bob=bob)
    async with database.transaction(owner.workspace_id) as tx:
        await service.add_note(tx, owner, bob, "Likes tea")
        before = await whole_tables(tx)
    async with database.transaction(owner.workspace_id) as tx:
        seen = await preview(tx, owner, ann, bob, [bookings])
    assert {(column.label, column.result) for column in seen.columns} == {
        ("Name", "Ann Lee"),
        ("Company", "Lee & Co"),
        ("Country", "DE"),
        ("plan", "pro"),
        ("size", "4"),
    }
    assert seen.moves == [MovePreview("addresses", 1), MovePreview("notes", 1), MovePreview("bookings", 1)]
    async with database.transaction(owner.workspace_id) as tx:
        assert await whole_tables(tx) == before


names = st.sampled_from(["", "Ann Lee", "Anna Lee", "Bo"])
texts = st.sampled_from(["", "Lee & Co", "Other"])
people = st.builds(
    Sighting,
    name=names,
    company=texts,
    country=st.sampled_from(["", "DE", "FR"]),
    locale=st.sampled_from(["", "de"]),
    fields=st.dictionaries(st.sampled_from(["plan", "size", "a.b"]), st.sampled_from(["pro", 4, True]), max_size=3),
    consent=st.sampled_from([None, True, False]),
)


@given(
    kept=people,
    lost=people,
    is_shared=st.booleans(),
    opted_out=st.sampled_from(["", "kept", "lost", "kept lost", "lost kept"]),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_an_undone_merge_leaves_every_table_as_it_was(
    database: Database, owner: Caller, *, kept: Sighting, lost: Sighting, is_shared: bool, opted_out: str
) -> None:
    tag = uuid4().int % 10**8
    kept_id, lost_id = await two(
        database,
        owner,
        replace(kept, email=f"kept{tag}@x.example"),
        replace(lost, email=f"lost{tag}@x.example", phone=f"030 {tag:08}" if is_shared else ""),
    )
    holders = [bookings := Bookings(one=kept_id, two=lost_id)]
    owners = dict(bookings.owners)
    async with database.transaction(owner.workspace_id) as tx:
        await service.add_note(tx, owner, kept_id, "One")
        await service.add_note(tx, owner, lost_id, "Two")
        for identity in await service.list_identities(tx, lost_id):
            if identity.kind == "phone":
                await identities.mark_shared(tx, owner, identity.id)
    for who in opted_out.split():
        async with database.transaction(owner.workspace_id) as tx:
            await service.opt_out(tx, {"kept": kept_id, "lost": lost_id}[who], owner.actor, "said so")
    async with database.transaction(owner.workspace_id) as tx:
        before = await whole_tables(tx)
    async with database.transaction(owner.workspace_id) as tx:
        merge_id = await merging.merge(tx, owner, kept_id, lost_id, holders)
    async with database.transaction(owner.workspace_id) as tx:
        assert (await service.access_contact(tx, owner, lost_id)).id == kept_id
        refused = kept.consent is False or lost.consent is False or bool(opted_out)
        if refused:
            assert await find_consent(tx, kept_id) is False
        assert ((await service.access_contact(tx, owner, kept_id)).opted_out_at is not None) == bool(opted_out)
    async with database.transaction(owner.workspace_id) as tx:
        await merging.undo(tx, owner, merge_id, holders)
    async with database.transaction(owner.workspace_id) as tx:
        assert await whole_tables(tx) == before
        assert bookings.owners == owners


async def test_a_merge_of_a_merge_is_undone_from_the_last_to_the_first(database: Database, owner: Caller) -> None:
    ann, bob = await two(database, owner, ANN, BOB)
    (third,) = await see(database, owner, Sighting(name="A. Lee", email="a@lee.example", time_zone="Europe/Berlin"))
    cy = third.contact_id
    assert cy is not None
    async with database.transaction(owner.workspace_id) as tx:
        before = await whole_tables(tx)
        first = await merging.merge(tx, owner, ann, bob, [])
        between = await whole_tables(tx)
        second = await merging.merge(tx, owner, cy, ann, [])
        assert (await service.access_contact(tx, owner, bob)).id == cy
    async with database.transaction(owner.workspace_id) as tx:
        with pytest.raises(MergeRefusedError, match="Undo that merge first") as caught:
            await merging.undo(tx, owner, first, [])
    assert caught.value.data == {"merge_id": str(second), "contact_id": str(cy)}
    async with database.transaction(owner.workspace_id) as tx:
        await merging.undo(tx, owner, second, [])
        assert await whole_tables(tx) == between
        await merging.undo(tx, owner, first, [])
        assert await whole_tables(tx) == before


async def test_what_was_changed_after_a_merge_stays_after_its_undo(database: Database, owner: Caller) -> None:
    ann, bob = await two(database, owner, ANN, BOB)
    async with database.transaction(owner.workspace_id) as tx:
        merge_id = await merging.merge(tx, owner, ann, bob, [])
        await service.update_contact(tx, owner, ann, service.ContactForm(name="Ann Lee", company="New Co"))
    async with database.transaction(owner.workspace_id) as tx:
        await service.opt_out(tx, ann, owner.actor, "Unsubscribed")
        await merging.undo(tx, owner, merge_id, [])
        contacts = await service.load_contacts(tx, [ann, bob])
    assert (contacts[ann].company, contacts[bob].company) == ("New Co", "Lee & Co")
    assert contacts[ann].opted_out_at is not None


async def test_an_opt_out_while_they_were_one_holds_for_both_when_either_was_opted_out_before(
    database: Database, owner: Caller
) -> None:
    ann, bob = await two(database, owner, ANN, BOB)
    async with database.transaction(owner.workspace_id) as tx:
        await service.opt_out(tx, bob, owner.actor, "Before")
    async with database.transaction(owner.workspace_id) as tx:
        merge_id = await merging.merge(tx, owner, ann, bob, [])
    async with database.transaction(owner.workspace_id) as tx:
        await service.opt_out(tx, ann, owner.actor, "While merged")
    async with database.transaction(owner.workspace_id) as tx:
        await merging.undo(tx, owner, merge_id, [])
        contacts = await service.load_contacts(tx, [ann, bob])
    assert all(contact.opted_out_at is not None for contact in contacts.values())


async def test_timelines_show_both_while_they_are_one_and_each_their_own_after(
    database: Database, owner: Caller
) -> None:
    ann, bob = await two(database, owner, ANN, BOB)
    async with database.transaction(owner.workspace_id) as tx:
        await service.add_note(tx, owner, bob, "Likes tea")
        merge_id = await merging.merge(tx, owner, ann, bob, [])
        both = await list_timeline(tx, ann)
        await merging.undo(tx, owner, merge_id, [])
        of_ann, of_bob = await list_timeline(tx, ann), await list_timeline(tx, bob)
    assert [(item.kind, item.body) for item in both if item.kind != "consent.recorded"] == [
        ("contact.merged", ""),
        ("note.added", "Likes tea"),
        ("contact.created", ""),
        ("contact.created", ""),
    ]
    assert both[0].actor == "Olga Owner"
    assert "note.added" not in {item.kind for item in of_ann}
    assert [item.kind for item in of_bob] == ["contact.unmerged", "note.added", "contact.created"]


async def test_two_members_who_merge_the_same_pair_at_once_merge_it_once(
    database: Database, other_process: Database, owner: Caller
) -> None:
    ann, bob = await two(database, owner, ANN, BOB)

    async def merge(process: Database, kept: UUID, lost: UUID) -> bool:
        try:
            async with process.transaction(owner.workspace_id) as tx:
                await merging.merge(tx, owner, kept, lost, [])
        except MergeRefusedError:
            return False
        return True

    done = await asyncio.gather(merge(database, ann, bob), merge(other_process, bob, ann))
    assert sorted(done) == [False, True]
    async with database.transaction(owner.workspace_id) as tx:
        assert len(await service.list_contacts(tx, owner)) == 1


async def test_signals_and_merges_at_once_leave_every_address_with_a_contact_that_is_kept(
    database: Database, other_process: Database, owner: Caller
) -> None:
    ann, bob = await two(database, owner, ANN, BOB)

    async def signals(process: Database) -> None:
        for number in range(20):
            await see(process, owner, Sighting(phone="030 1234567", email=f"bob{number}@lee.example"))

    async def merge() -> None:
        async with other_process.transaction(owner.workspace_id) as tx:
            await merging.merge(tx, owner, ann, bob, [])

    await asyncio.gather(signals(database), merge(), signals(other_process))
    async with database.transaction(owner.workspace_id) as tx:
        owners = await tx.fetch_tuples("SELECT DISTINCT contact_id FROM app.identity")
        assert owners == [(ann,)]
        assert len(await service.list_identities(tx, ann)) == 22


async def test_refusals(database: Database, owner: Caller, viewer: Caller, stranger: Caller) -> None:
    ann, bob = await two(database, owner, ANN, BOB)
    async with database.transaction(owner.workspace_id) as tx:
        before = await whole_tables(tx)
        with pytest.raises(RoleForbidsError):
            await merging.merge(tx, viewer, ann, bob, [])
        with pytest.raises(InvalidError):
            await merging.merge(tx, owner, ann, ann, [])
        with pytest.raises(ContactNotFoundError):
            await merging.merge(tx, owner, ann, uuid4(), [])
        with pytest.raises(MergeNotFoundError):
            await merging.undo(tx, owner, uuid4(), [])
        assert await whole_tables(tx) == before
    async with database.transaction(stranger.workspace_id) as tx:
        with pytest.raises(ContactNotFoundError):
            await merging.merge(tx, stranger, ann, bob, [])
    async with database.transaction(owner.workspace_id) as tx:
        assert await whole_tables(tx) == before


async def test_a_merge_settles_its_suggestion_and_an_undo_opens_it_again(database: Database, owner: Caller) -> None:
    ann, bob = await two(database, owner, ANN, BOB)
    await see(database, owner, Sighting(email="ann@lee.example", phone="030 1234567"))
    async with database.transaction(owner.workspace_id) as tx:
        merge_id = await merging.merge(tx, owner, ann, bob, [])
        assert await suggesting.list_suggestions(tx, owner) == []
        await merging.undo(tx, owner, merge_id, [])
        assert len(await suggesting.list_suggestions(tx, owner)) == 1
