"""Contacts to write to, and a template to write with."""

from dataclasses import replace
from uuid import UUID

from switchboard.delivery.models import Draft, LetterDraft
from switchboard.kernel.db import Database
from switchboard.people import service as people
from switchboard.people.models import Sighting

WELCOME = LetterDraft(
    name="welcome",
    title="Welcome",
    purpose="marketing",
    subject="Welcome, {{ contact.first_name | default: 'you' }}",
    body="<mj-text>Hello {{ contact.first_name }}, I am {{ owner.name | default: workspace.name }}. "
    '<a href="{{ unsubscribe_url }}">No more</a></mj-text>',
)


async def make_contact(database: Database, workspace_id: UUID, email: str, name: str = "Ann Lee") -> UUID:
    """A contact with that address."""
    async with database.transaction(workspace_id) as tx:
        found = await people.recognise(tx, [Sighting(name=name, email=email)], "DE")
    contact_id = found[0].contact_id
    assert contact_id is not None
    return contact_id


def letter(contact_id: UUID, subject: str = "Hello", **more: object) -> Draft:
    """An advertising letter to a contact; `more` are fields of the draft that differ."""
    return replace(Draft(purpose="marketing", contact_id=contact_id, subject=subject, text="Text"), **more)  # type: ignore[arg-type]
