"""Whom signals are about: finds or makes the contact of each sighting, whoever else sees the same person now.

A batch takes its locks in one order: addresses by key, then contacts by id. An address that nobody has is claimed by
writing it, and the unique index decides between processes: the one that comes second waits, then learns whose it is.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import UnavailableError
from switchboard.kernel.events import SYSTEM, Actor, Event
from switchboard.kernel.ids import new_id
from switchboard.kernel.turns import give_way
from switchboard.people import repository, repository_consents, repository_search, suggesting
from switchboard.people.drafts import (
    blank_row,
    blocking_keys,
    changed_columns,
    fold_in,
    given_consents,
    search_words,
)
from switchboard.people.models import ContactRow, Key, Recognised, Sighting
from switchboard.people.normalising import NormalSighting, normalise
from switchboard.people.repository_suggestions import Pair
from switchboard.people.resolution import Clash, Known, NewIdentity, Resolution, resolve

MOST_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class _Settled:
    """A decision that no other process can change any more: its addresses are ours, its contacts are locked."""

    resolution: Resolution
    before: dict[UUID, ContactRow]
    fresh_ids: list[UUID]


async def recognise(
    tx: Tx, sightings: Sequence[Sighting], region: str, actors: Sequence[Actor] = ()
) -> list[Recognised]:
    """Find or make the contact of each sighting, in the same order.

    `region` is the ISO 3166 country of phone numbers without a prefix. A sighting that has neither a name nor a usable
    address gets no contact; its problems say why. `actors` has who saw each of them, for the timeline; nobody named,
    it was Switchboard.
    """
    return await recognise_seen(tx, [normalise(sighting, region) for sighting in sightings], actors)


async def recognise_seen(
    tx: Tx,
    seen: Sequence[NormalSighting],
    actors: Sequence[Actor] = (),
    *,
    when_claimed: Callable[[], None] | None = None,
) -> list[Recognised]:
    """As `recognise`, of sightings in normal form.

    `when_claimed` is called once all addresses are ours: whoever sees one of them from then on waits for us.
    """
    settled = await _settle(tx, seen)
    if when_claimed is not None:
        when_claimed()
    after = _drafts(settled, seen)
    contact_ids = settled.resolution.contact_ids
    acting = {contact_id: actor for contact_id, actor in zip(contact_ids, actors, strict=bool(actors)) if contact_id}
    await _write(tx, settled, after, acting)
    await _keep_consents(tx, contact_ids, seen, acting)
    await _keep_clashes(tx, settled.resolution.clashes, after)
    return _recognised(settled, seen)


async def _settle(tx: Tx, seen: Sequence[NormalSighting]) -> _Settled:
    keys = {address.key for sighting in seen for address in sighting.addresses}
    fresh_ids = [new_id() for _ in seen]
    known = await _known(tx, keys)
    written: dict[Key, NewIdentity] = {}
    for _ in range(MOST_ROUNDS):
        resolution = resolve(seen, fresh_ids, known)
        lost = await _claim(tx, resolution, written)
        if lost:
            known.learn(await _known(tx, lost))
            continue
        existing = _existing(resolution, fresh_ids)
        before = await repository.lock_rows(tx, existing) if existing else {}
        merged = {row.id: row.merged_into for row in before.values() if row.merged_into is not None}
        if not merged:
            await _settle_identities(tx, resolution, written)
            return _Settled(resolution, before, fresh_ids)
        known.follow(merged)
    raise UnavailableError("These people are being changed by others at the moment.", retry_after_seconds=1)


async def _known(tx: Tx, keys: Collection[Key]) -> Known:
    known = await repository.find_known(tx, keys)
    if known.sharers:
        # The unique index cannot decide who makes a new contact with a shared address, so one waits for the other.
        await repository.lock_shared(tx, known.sharers)
        known = await repository.find_known(tx, keys)
    return known


async def _claim(tx: Tx, resolution: Resolution, written: dict[Key, NewIdentity]) -> set[Key]:
    claims = {new.key: new for new in resolution.new_identities if not new.is_shared and new.key not in written}
    won = await repository.claim_identities(tx, claims.values()) if claims else set()
    written |= {key: claims[key] for key in won}
    return claims.keys() - won


async def _settle_identities(tx: Tx, resolution: Resolution, written: dict[Key, NewIdentity]) -> None:
    own = [new for new in resolution.new_identities if not new.is_shared]
    moved = [new for new in own if new.contact_id != written[new.key].contact_id]
    if moved:
        await repository.reassign_identities(tx, moved)
    shared = [new for new in resolution.new_identities if new.is_shared]
    if shared:
        await repository.share_identities(tx, shared)


def _existing(resolution: Resolution, fresh_ids: Collection[UUID]) -> set[UUID]:
    mentioned = {contact_id for contact_id in resolution.contact_ids if contact_id is not None}
    mentioned |= {clash.other_id for clash in resolution.clashes}
    return mentioned - set(fresh_ids)


def _drafts(settled: _Settled, seen: Sequence[NormalSighting]) -> dict[UUID, ContactRow]:
    groups: dict[UUID, list[NormalSighting]] = {contact_id: [] for contact_id in settled.before}
    for contact_id, sighting in zip(settled.resolution.contact_ids, seen, strict=True):
        if contact_id is not None:
            groups.setdefault(contact_id, []).append(sighting)
    return {
        contact_id: fold_in(settled.before.get(contact_id) or blank_row(contact_id), group)
        for contact_id, group in groups.items()
    }


async def _write(tx: Tx, settled: _Settled, after: dict[UUID, ContactRow], acting: Mapping[UUID, Actor]) -> None:
    created = [row for row in after.values() if row.id not in settled.before]
    updated = [row for row in after.values() if row.id in settled.before and row != settled.before[row.id]]
    extended = {new.contact_id for new in _added(settled)}
    if created:
        words = _words_of_new(created, settled.resolution.new_identities)
        # Another batch may hold a rota by now.
        await give_way()
        await repository.insert_contacts(tx, created, words)
    if updated:
        await repository.update_contacts(tx, sorted(updated, key=lambda row: row.id))
    await refresh_words(tx, [after[contact_id] for contact_id in extended | {row.id for row in updated}])
    await suggesting.enqueue(tx, [row.id for row in [*created, *updated] if any(blocking_keys(row))])
    await events.append(tx, _events(settled, created, updated, acting))


def _words_of_new(created: Sequence[ContactRow], identities: Sequence[NewIdentity]) -> dict[UUID, str]:
    keys: dict[UUID, list[Key]] = {}
    for new in identities:
        keys.setdefault(new.contact_id, []).append(new.key)
    return {row.id: search_words(row, keys.get(row.id, ())) for row in created}


async def refresh_words(tx: Tx, rows: Sequence[ContactRow]) -> None:
    """Bring what contacts are found by in step with their columns and addresses as they are now."""
    if not rows:
        return
    keys: dict[UUID, list[Key]] = {}
    for identity in await repository.list_identities(tx, [row.id for row in rows]):
        keys.setdefault(identity.contact_id, []).append((identity.kind, identity.value))
    ordered = sorted(rows, key=lambda row: row.id)
    await repository_search.upsert_words(tx, {row.id: search_words(row, keys.get(row.id, ())) for row in ordered})


def _events(
    settled: _Settled, created: Sequence[ContactRow], updated: Sequence[ContactRow], acting: Mapping[UUID, Actor]
) -> list[Event]:
    found = [Event("contact.created", row.id, row.id, actor=acting.get(row.id, SYSTEM)) for row in created]
    for row in updated:
        columns = changed_columns(settled.before[row.id], row)
        actor = acting.get(row.id, SYSTEM)
        found.append(Event("contact.updated", row.id, row.id, actor=actor, data={"fields": columns}))
    for new in _added(settled):
        actor, data = acting.get(new.contact_id, SYSTEM), {"kind": new.key[0], "is_shared": new.is_shared}
        found.append(Event("contact.address_added", new.contact_id, new.contact_id, actor=actor, data=data))
    return found


def _added(settled: _Settled) -> list[NewIdentity]:
    """New addresses of contacts who were there before, which nobody was where a file brings only newcomers."""
    before, found = settled.before, settled.resolution.new_identities
    return [new for new in found if new.contact_id in before] if before else []


async def _keep_consents(
    tx: Tx, contact_ids: Sequence[UUID | None], seen: Sequence[NormalSighting], acting: Mapping[UUID, Actor]
) -> None:
    given = given_consents(contact_ids, seen)
    if given and await repository_consents.insert_consents(tx, given):
        who = sorted({one.contact_id for one in given})
        told = [Event("consent.recorded", one, one, actor=acting.get(one, SYSTEM)) for one in who]
        await events.append(tx, told)


async def _keep_clashes(tx: Tx, clashes: Sequence[Clash], after: dict[UUID, ContactRow]) -> None:
    pairs: dict[tuple[UUID, UUID], Pair] = {}
    for one_id, other_id, key in clashes:
        pair = suggesting.clash(after[one_id], after[other_id], key)
        pairs.setdefault((pair.first_id, pair.second_id), pair)
    await suggesting.keep(tx, list(pairs.values()))


def _recognised(settled: _Settled, seen: Sequence[NormalSighting]) -> list[Recognised]:
    new_ids = set(settled.fresh_ids)
    found = []
    for contact_id, matched_by, sighting in zip(
        settled.resolution.contact_ids, settled.resolution.matched_by, seen, strict=True
    ):
        found.append(Recognised(contact_id, contact_id in new_ids, matched_by, sighting.problems))
        if contact_id is not None:
            new_ids.discard(contact_id)
    return found
