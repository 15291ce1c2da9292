"""What letters of one template share is kept once, and each reads as it went out."""

from email import message_from_bytes
from email.policy import default
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

import switchboard.migrations
from switchboard.accounts.models import system_caller
from switchboard.delivery.letter_templates import create_template
from switchboard.delivery.models import LetterDraft
from switchboard.kernel.db import Database
from tests.conftest import Urls
from tests.delivery.letters import letter, make_contact
from tests.delivery.sending import Outbox, load, queue

OFFER = LetterDraft(
    name="offer",
    title="Offer",
    purpose="marketing",
    subject="An offer for {{ contact.first_name }}",
    body="<mj-text>Grüß Gott, {{ contact.first_name }} of {{ contact.company | default: 'nowhere' }}: "
    '<a href="{{ unsubscribe_url }}">no more</a></mj-text>',
)
WAY_BACK = next(Path(switchboard.migrations.__path__[0]).glob("*_letter_frames.down.sql")).read_text()


@pytest.fixture
async def sent(database: Database, workspace_id: UUID) -> tuple[Outbox, list[UUID]]:
    """Two letters of one template that went out."""
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.workspace SET quiet_start = '00:00', quiet_end = '00:00'")
        await create_template(tx, system_caller(workspace_id), OFFER)
    people = [
        await make_contact(database, workspace_id, f"{name}@x.example", f"{name} <i>Lee") for name in ("Ann", "Bob")
    ]
    ids = await queue(database, workspace_id, *[letter(one, "", template_name="offer") for one in people])
    outbox = Outbox(database)
    await outbox.run()
    return outbox, ids


def find_markup(raw: bytes) -> str:
    body = message_from_bytes(raw, policy=default).get_body(("html",))
    assert body is not None
    return str(body.get_content())


async def test_each_letter_reads_as_it_went_out(
    database: Database, workspace_id: UUID, sent: tuple[Outbox, list[UUID]]
) -> None:
    outbox, ids = sent
    went = {one.key.partition(".")[2]: find_markup(one.raw) for one in outbox.channel.envelopes}
    for message_id in ids:
        message = await load(database, workspace_id, message_id)
        assert message.body_html is not None
        assert message.body_html.splitlines() == went[message_id.hex].splitlines()
        assert "of nowhere" in message.body_html
    assert "Grüß Gott, Ann of" in (await load(database, workspace_id, ids[0])).body_text


async def test_what_they_share_is_kept_once(
    database: Database, workspace_id: UUID, sent: tuple[Outbox, list[UUID]]
) -> None:
    async with database.transaction(workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.letter_frame") == 1
        rows = await tx.fetch_tuples("SELECT body_html, frame_pieces ->> 0 FROM app.message ORDER BY id")
    assert rows == [(None, "Ann"), (None, "Bob")]


async def test_on_the_way_back_to_yesterday_each_letter_gets_its_whole_markup(
    database: Database, workspace_id: UUID, sent: tuple[Outbox, list[UUID]], urls: Urls
) -> None:
    whole = (await load(database, workspace_id, sent[1][0])).body_html
    with psycopg.connect(urls.owner) as connection:
        connection.execute(WAY_BACK.encode())
        connection.execute(f"SET LOCAL app.workspace_id = '{workspace_id}'".encode())
        row = connection.execute("SELECT body_html FROM app.message WHERE id = %s", (sent[1][0],)).fetchone()
        connection.rollback()
    assert row == (whole,)
