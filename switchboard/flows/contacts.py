"""Contacts as a subject of flows, and their runs when two contacts are merged."""

from collections.abc import Sequence
from uuid import UUID

import psycopg

from switchboard.flows import repository_runs
from switchboard.flows.subjects import Facts
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Actor
from switchboard.people import service as people

FIELD_PREFIX = "fields."


class ContactKind:
    """The kind of subject that `subject: contact` names in a flow."""

    kind = "contact"

    async def load_facts(self, tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Facts]:
        """The facts of many contacts in one query."""
        contacts = await people.load_contacts(tx, ids)
        return {
            contact.id: Facts(
                contact.id, {"contact": {**people.contact_facts(contact), "created_at": contact.created_at}}
            )
            for contact in contacts.values()
        }

    async def lock(self, tx: Tx, ids: Sequence[UUID]) -> None:
        """Hold contacts against changes by others."""
        await people.lock_contacts(tx, ids)

    async def change(self, tx: Tx, ids: Sequence[UUID], field: str, value: object, actor: Actor) -> None:
        """Write one custom field of contacts; a contact has nothing else that a flow may set."""
        if not field.startswith(FIELD_PREFIX):
            problem = Problem(field, "a flow about a contact may set fields only")
            raise InvalidError(f"A contact has no {field} to set.", problems=[problem])
        await people.set_custom_field(tx, ids, field.removeprefix(FIELD_PREFIX), str(value), actor)

    async def current_owner(self, _tx: Tx, ids: Sequence[UUID]) -> dict[UUID, UUID | None]:
        """Nobody owns a contact; its leads have owners."""
        return dict.fromkeys(ids)

    async def list_stages(self, _tx: Tx) -> frozenset[str] | None:
        """Contacts have no stages."""
        return None


class RunHolder:
    """Runs belong to a contact; merging people moves them."""

    name = "runs of flows"

    async def move(self, tx: Tx, from_id: UUID, to_id: UUID) -> list[UUID]:
        """Give all runs of one contact to another; returns their ids.

        Where both go through the same flow, the lost one's run rests, so that nobody gets its letters twice.
        """
        while True:
            try:
                async with tx.savepoint():
                    return await repository_runs.move_contact(tx, from_id, to_id)
            except psycopg.errors.UniqueViolation:
                # A campaign has just begun the same flow with the kept one; by now its run is there to be seen.
                continue

    async def move_back(self, tx: Tx, row_ids: Sequence[UUID], to_id: UUID) -> None:
        """Give these runs back, and let those go on that rested."""
        await repository_runs.move_back_contact(tx, row_ids, to_id)
