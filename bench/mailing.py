"""A mailing's letters, ready to go out: a workspace that may write at any hour, its people, and a message for each."""

from collections.abc import Sequence
from uuid import UUID

from bench.fresh import add_workspace
from switchboard.accounts.models import system_caller
from switchboard.delivery.letter_templates import create_template
from switchboard.delivery.letters import Letterhead
from switchboard.delivery.models import Draft, LetterDraft
from switchboard.delivery.service import queue_messages
from switchboard.kernel.db import Database

LETTERHEAD = Letterhead("https://bench.example", b"a secret of thirty-two letters...", "switchboard.localhost", "")
LETTER = LetterDraft(
    name="offer",
    title="Offer",
    purpose="marketing",
    subject="An offer for {{ contact.first_name | default: 'you' }}",
    body="<mj-section><mj-column><mj-text>Hello {{ contact.first_name }},</mj-text>"
    "<mj-text>we have something new for {{ contact.company | default: 'you' }}, and wish you would look at it. "
    "It takes a minute, and there is no catch: {{ workspace.name }} has made it for people like you.</mj-text>"
    '<mj-button href="https://bench.example/offer?to={{ contact.id }}">Look at it</mj-button>'
    '<mj-text>Not for you? <a href="{{ unsubscribe_url }}">No more mail</a></mj-text></mj-column></mj-section>',
)
QUEUED_AT_ONCE = 1_000


async def furnish(database: Database) -> UUID:
    """A workspace without quiet hours, with a cap that nobody reaches, and the letter."""
    workspace_id = await add_workspace(database)
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.workspace SET quiet_start = '00:00', quiet_end = '00:00', cap_messages = 1000")
        await create_template(tx, system_caller(workspace_id), LETTER)
    return workspace_id


async def queue_letters(
    database: Database, workspace_id: UUID, count: int, *, domain: str, campaign_id: UUID | None = None
) -> list[UUID]:
    """The letter for so many new people with addresses at `domain`; the messages' ids."""
    people = await _add_people(database, workspace_id, count, domain)
    ids: list[UUID] = []
    for at in range(0, len(people), QUEUED_AT_ONCE):
        drafts = [
            Draft(purpose="marketing", contact_id=contact_id, template_name=LETTER.name, campaign_id=campaign_id)
            for contact_id in people[at : at + QUEUED_AT_ONCE]
        ]
        async with database.transaction(workspace_id) as tx:
            ids += await queue_messages(tx, drafts)
    return ids


async def _add_people(database: Database, workspace_id: UUID, count: int, domain: str) -> Sequence[UUID]:
    async with database.transaction(workspace_id) as tx:
        rows = await tx.fetch_tuples(
            """
            WITH new AS (
                INSERT INTO app.contact (id, workspace_id, name, first_name, company)
                SELECT app.uuid7(), %(workspace)s, 'Ada Number ' || n, 'Ada', 'Engines ' || n
                FROM generate_series(1, %(count)s) AS n RETURNING id
            ), addressed AS (
                INSERT INTO app.identity (id, workspace_id, contact_id, kind, value, raw)
                SELECT app.uuid7(), %(workspace)s, id, 'email', value, value
                FROM (SELECT id, id || '@' || %(domain)s AS value FROM new) AS address
            )
            SELECT id FROM new
            """,
            {"workspace": workspace_id, "count": count, "domain": domain},
        )
    return [contact_id for (contact_id,) in rows]
