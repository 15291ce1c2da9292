"""Which colleague a step means: the owner, the supervisor, or a member by e-mail address."""

from collections.abc import Sequence
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.flows.walking import Batch, Walk


async def find_recipients(batch: Batch, walks: Sequence[Walk], whom: str) -> dict[UUID, UUID]:
    """The colleague for each run, by the run's id; runs for which there is none are missing."""
    if whom == "owner":
        return await find_owners(batch, walks)
    user_id = (await batch.workspace()).supervisor_id if whom == "supervisor" else await find_member(batch, whom)
    return {walk.run.id: user_id for walk in walks} if user_id is not None else {}


async def find_owners(batch: Batch, walks: Sequence[Walk]) -> dict[UUID, UUID]:
    """Who has the subject of each run; a contact's owner is that of the lead it is about."""
    by_kind: dict[str, dict[UUID, list[UUID]]] = {}
    for walk in walks:
        kind, subject_id = walk.key
        by_kind.setdefault(kind, {}).setdefault(subject_id, []).append(walk.run.id)
    owners: dict[UUID, UUID] = {}
    for kind, subjects in by_kind.items():
        found = await batch.kinds[kind].current_owner(batch.tx, list(subjects)) if kind in batch.kinds else {}
        for subject_id, owner_id in found.items():
            if owner_id is not None:
                owners.update(dict.fromkeys(subjects[subject_id], owner_id))
    return owners


async def find_member(batch: Batch, email: str) -> UUID | None:
    """The present member with that address."""
    members = {member.email: member.user_id for member in await batch.tx.remember("members", accounts.list_members)}
    return members.get(email.lower())
