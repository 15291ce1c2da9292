"""The addresses of contacts: adding and removing them, and keeping people apart who share one."""

from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.accounts.service import get_workspace
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id
from switchboard.people import repository
from switchboard.people.drafts import blank_row, fold_in, search_words
from switchboard.people.errors import AddressTakenError, IdentityNotFoundError
from switchboard.people.models import IDENTITY_KINDS, Identity, IdentityKind, Sighting
from switchboard.people.normalising import normalise
from switchboard.people.recognition import refresh_words
from switchboard.people.resolution import NewIdentity
from switchboard.people.service import lock_contact
from switchboard.people.suggesting import access_suggestion, dismiss


async def access_identity(tx: Tx, caller: Caller, identity_id: UUID) -> Identity:
    """One address, held against changes by others; raises IdentityNotFoundError."""
    caller.require("viewer")
    found = await repository.find_identity(tx, identity_id)
    if found is None:
        raise IdentityNotFoundError
    return found


async def add_identity(tx: Tx, caller: Caller, contact_id: UUID, kind: IdentityKind, text: str) -> None:
    """Add an address to a contact.

    Raises InvalidError when it is none, AddressTakenError when it identifies another contact: merge the two, or mark
    it as shared there first.
    """
    caller.require("agent")
    address = await _parsed(tx, kind, text)
    known = await repository.find_known(tx, [address.key])
    if address.key in known.sharers:
        await repository.share_identities(tx, [address._replace(contact_id=contact_id, is_shared=True)])
    elif not await repository.claim_identities(tx, [address._replace(contact_id=contact_id)]):
        owner = (await repository.find_known(tx, [address.key])).owners.get(address.key)
        if owner == contact_id:
            return
        raise AddressTakenError(
            "That address is another contact's. Merge the two, or mark it as shared there first.",
            data={"contact_id": str(owner)},
        )
    row = await lock_contact(tx, contact_id)
    await refresh_words(tx, [row])
    data = {"kind": kind, "is_shared": address.key in known.sharers}
    await events.append(tx, [Event("contact.address_added", contact_id, contact_id, actor=caller.actor, data=data)])


async def remove_identity(tx: Tx, caller: Caller, identity_id: UUID) -> None:
    """Forget an address; the next signal with it is of somebody new. Raises IdentityNotFoundError."""
    caller.require("agent")
    identity = await access_identity(tx, caller, identity_id)
    await repository.delete_identity(tx, identity_id)
    await refresh_words(tx, [await lock_contact(tx, identity.contact_id)])
    await _append(tx, caller, "contact.address_removed", identity)


async def put_first(tx: Tx, caller: Caller, identity_id: UUID) -> None:
    """Make an address the one that is written to. Raises IdentityNotFoundError."""
    caller.require("agent")
    identity = await access_identity(tx, caller, identity_id)
    await repository.put_identity_first(tx, identity_id)
    await _append(tx, caller, "contact.address_preferred", identity)


async def mark_shared(tx: Tx, caller: Caller, identity_id: UUID) -> None:
    """Several people use an address: from now on it identifies somebody only together with their name."""
    caller.require("agent")
    identity = await access_identity(tx, caller, identity_id)
    if not identity.is_shared:
        await repository.update_identity_shared(tx, identity_id, is_shared=True)
        await _append(tx, caller, "contact.address_shared", identity)


async def mark_own(tx: Tx, caller: Caller, identity_id: UUID) -> None:
    """Only one person uses an address; raises AddressTakenError while other contacts have it too."""
    caller.require("agent")
    identity = await access_identity(tx, caller, identity_id)
    if not identity.is_shared:
        return
    if len(await repository.list_sharers(tx, identity.kind, identity.value)) > 1:
        raise AddressTakenError("Other contacts have that address too. Remove it there first.")
    await repository.update_identity_shared(tx, identity_id, is_shared=False)
    await _append(tx, caller, "contact.address_owned", identity)


async def split_identity(tx: Tx, caller: Caller, identity_id: UUID, name: str) -> UUID:
    """Give an address to a new contact called `name`, which may be empty; returns the new contact's id."""
    caller.require("agent")
    identity = await access_identity(tx, caller, identity_id)
    left = await lock_contact(tx, identity.contact_id)
    row = fold_in(blank_row(new_id()), [normalise(Sighting(name=name), "")])
    words = search_words(row, [(identity.kind, identity.value)])
    await repository.insert_contacts(tx, [row], {row.id: words})
    await repository.update_identity_owner(tx, identity_id, row.id)
    await refresh_words(tx, [left])
    data = {"kind": identity.kind, "new_id": row.id, "old_id": left.id}
    await events.append(
        tx,
        [Event("contact.split", row.id, contact_id, actor=caller.actor, data=data) for contact_id in (left.id, row.id)],
    )
    return row.id


async def keep_apart(tx: Tx, caller: Caller, suggestion_id: UUID) -> None:
    """Two contacts are two people: what they share is marked as shared, and it is not suggested again."""
    caller.require("agent")
    suggestion = await access_suggestion(tx, caller, suggestion_id)
    pair = (suggestion.first_id, suggestion.second_id)
    disputed = {(reason.kind, reason.value) for reason in suggestion.reasons if reason.value}
    for identity in await repository.list_identities(tx, pair):
        if (identity.kind, identity.value) in disputed:
            await mark_shared(tx, caller, identity.id)
            other = pair[1] if identity.contact_id == pair[0] else pair[0]
            key = (identity.kind, identity.value)
            await repository.share_identities(tx, [NewIdentity(key, identity.raw, other, is_shared=True)])
            await refresh_words(tx, [await lock_contact(tx, other)])
    await dismiss(tx, caller, suggestion_id)


async def _parsed(tx: Tx, kind: IdentityKind, text: str) -> NewIdentity:
    if kind not in IDENTITY_KINDS:
        raise InvalidError("That is no kind of address.", problems=[Problem("kind", "choose one of the list")])
    region = (await get_workspace(tx)).default_region
    sighting = Sighting(
        email=text if kind == "email" else "",
        phone=text if kind == "phone" else "",
        handle=text if kind == "handle" else "",
    )
    normal = normalise(sighting, region)
    if not normal.addresses:
        reason = normal.problems[0].message if normal.problems else "fill this in"
        raise InvalidError("That address cannot be used.", problems=[Problem("value", reason)])
    (address,) = normal.addresses
    # The contact is put in by the caller, who knows it; the nil id never reaches a table.
    return NewIdentity(address.key, address.raw, UUID(int=0), is_shared=False)


async def _append(tx: Tx, caller: Caller, kind: str, identity: Identity) -> None:
    data = {"kind": identity.kind}
    await events.append(tx, [Event(kind, identity.contact_id, identity.contact_id, actor=caller.actor, data=data)])
