"""Whose a sighting is, without a database: a batch decides as one sighting at a time would."""

from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from switchboard.people.models import Sighting
from switchboard.people.normalising import NormalSighting, fold, normalise, tidy
from switchboard.people.resolution import Known, Sharer, resolve

values = st.integers(0, 3)
sightings = st.builds(
    lambda name, email, phone, handle: normalise(
        Sighting(
            name=name,
            email=f"e{email}@x.example" if email else "",
            phone=f"+4915112{phone:05}" if phone else "",
            handle=f"@h{handle}" if handle else "",
        ),
        "DE",
    ),
    st.sampled_from(["", "Ann Lee", "Bob Ray"]),
    values,
    values,
    values,
)
shared_phone = ("phone", "+4915112000001")


def fresh(number: int) -> UUID:
    return UUID(int=number + 1)


@given(st.lists(sightings, max_size=12), st.booleans())
def test_a_batch_is_resolved_as_its_sightings_one_by_one(seen: list[NormalSighting], is_shared: bool) -> None:
    known = Known(sharers={shared_phone: [Sharer(uuid4(), "ann lee")]} if is_shared else {})
    whole = resolve(seen, [fresh(n) for n in range(len(seen))], known)
    step = known.copy()
    contact_ids = []
    for number, sighting in enumerate(seen):
        one = resolve([sighting], [fresh(number)], step)
        contact_ids += one.contact_ids
        for new in one.new_identities:
            if new.is_shared:
                step.sharers[new.key].append(Sharer(new.contact_id, fold(sighting.name)))
            else:
                step.owners[new.key] = new.contact_id
    assert whole.contact_ids == contact_ids


@given(st.lists(sightings, max_size=12))
def test_an_address_that_is_not_shared_is_of_one_contact(seen: list[NormalSighting]) -> None:
    found = resolve(seen, [fresh(n) for n in range(len(seen))], Known())
    keys = [new.key for new in found.new_identities]
    assert len(keys) == len(set(keys))
    owners = {new.key: new.contact_id for new in found.new_identities}
    for sighting, contact_id in zip(seen, found.contact_ids, strict=True):
        assert (contact_id is None) == (not sighting.names_somebody)
        if sighting.addresses:
            assert owners[sighting.addresses[0].key] == contact_id


def test_resolving_leaves_what_was_known_as_it_was() -> None:
    known = Known(sharers={shared_phone: []})
    resolve([normalise(Sighting(phone=shared_phone[1]), "DE")], [fresh(0)], known)
    assert known == Known(sharers={shared_phone: []})


@given(st.text(max_size=300))
def test_tidying_and_folding_are_done_once_and_for_all(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)
    assert fold(fold(text)) == fold(text)
    assert "\x00" not in tidy(text)
    assert "  " not in fold(text)


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_text_becomes_a_sighting_that_can_be_stored(name: str, email: str, phone: str) -> None:
    seen = normalise(Sighting(name=name, email=email, phone=phone, handle=name, fields={name: email}), "DE")
    stored = [seen.name, *seen.fields, *(address.raw for address in seen.addresses)]
    assert not any("\x00" in text for text in stored)
    assert all(text.encode().decode() == text for text in stored)
    assert len(seen.addresses) + len(seen.problems) <= 3
