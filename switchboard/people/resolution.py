"""Deciding whose each sighting of a batch is, in memory: the same answer as one sighting at a time would get."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from switchboard.people.models import Key
from switchboard.people.normalising import Address, NormalSighting, fold


class Sharer(NamedTuple):
    """One of several contacts who use an address, and their folded name."""

    contact_id: UUID
    folded_name: str


class NewIdentity(NamedTuple):
    """An address to be written for a contact."""

    key: Key
    raw: str
    contact_id: UUID
    is_shared: bool


class Clash(NamedTuple):
    """One sighting had an address of `contact_id`, and one (`key`) of somebody else, `other_id`."""

    contact_id: UUID
    other_id: UUID
    key: Key


@dataclass(slots=True)
class Known:
    """Whose addresses are: `owners` of those that identify one contact, `sharers` of those that several use."""

    owners: dict[Key, UUID] = field(default_factory=dict)
    sharers: dict[Key, list[Sharer]] = field(default_factory=dict)

    def copy(self) -> "Known":
        """One that can be added to without changing this one."""
        return Known(dict(self.owners), {key: list(sharers) for key, sharers in self.sharers.items()})

    def learn(self, newer: "Known") -> None:
        """Take over what was read later."""
        self.owners |= newer.owners
        self.sharers |= newer.sharers

    def follow(self, merged: Mapping[UUID, UUID]) -> None:
        """Put the kept contact in the place of each that has been merged into it."""
        self.owners = {key: merged.get(owner, owner) for key, owner in self.owners.items()}
        self.sharers = {
            key: [sharer._replace(contact_id=merged.get(sharer.contact_id, sharer.contact_id)) for sharer in sharers]
            for key, sharers in self.sharers.items()
        }


@dataclass(slots=True)
class Resolution:
    """What was decided, one entry of `contact_ids` and `matched_by` a sighting; None where it names nobody."""

    contact_ids: list[UUID | None] = field(default_factory=list)
    matched_by: list[tuple[str, ...]] = field(default_factory=list)
    new_identities: list[NewIdentity] = field(default_factory=list)
    clashes: list[Clash] = field(default_factory=list)


def resolve(seen: Sequence[NormalSighting], fresh_ids: Sequence[UUID], known: Known) -> Resolution:
    """Decide whose each sighting is; `fresh_ids[n]` is used when sighting `n` is of somebody new.

    The e-mail address decides before the phone number, and that before a handle. A shared address decides only
    where the name is that of one of its sharers. `known` is left as it is.
    """
    known = known.copy()
    resolution = Resolution()
    for sighting, fresh_id in zip(seen, fresh_ids, strict=True):
        if not sighting.names_somebody:
            resolution.contact_ids.append(None)
            resolution.matched_by.append(())
            continue
        matches = list(_matches(sighting, known))
        contact_id = matches[0][1] if matches else fresh_id
        resolution.contact_ids.append(contact_id)
        resolution.matched_by.append(tuple(key[0] for key, owner in matches if owner == contact_id))
        resolution.clashes += [Clash(contact_id, owner, key) for key, owner in matches if owner != contact_id]
        resolution.new_identities += _attach(sighting, contact_id, known)
    return resolution


def _matches(sighting: NormalSighting, known: Known) -> Iterator[tuple[Key, UUID]]:
    for address in sighting.addresses:
        if owner := known.owners.get(address.key):
            yield address.key, owner
    if not known.sharers:
        return
    name = fold(sighting.name)
    for address in sighting.addresses:
        for sharer in known.sharers.get(address.key, ()):
            if name and sharer.folded_name == name:
                yield address.key, sharer.contact_id
                break


def _attach(sighting: NormalSighting, contact_id: UUID, known: Known) -> Iterator[NewIdentity]:
    for address in sighting.addresses:
        if address.key in known.sharers:
            yield from _join_sharers(sighting, address, contact_id, known.sharers[address.key])
        elif address.key not in known.owners:
            known.owners[address.key] = contact_id
            yield NewIdentity(address.key, address.raw, contact_id, is_shared=False)


def _join_sharers(
    sighting: NormalSighting, address: Address, contact_id: UUID, sharers: list[Sharer]
) -> Iterator[NewIdentity]:
    if all(sharer.contact_id != contact_id for sharer in sharers):
        sharers.append(Sharer(contact_id, fold(sighting.name)))
        yield NewIdentity(address.key, address.raw, contact_id, is_shared=True)
