"""A page deep in a list costs what the first one does: its bound is a condition of the index in every plan.

A connection that has run a statement a few times keeps one plan for all values. There, `%s IS NULL OR id < %s` is no
bound: each page reads the index from its beginning.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest

from switchboard.delivery import repository as messages
from switchboard.delivery import repository_mailbox as mailbox
from switchboard.flows import repository_campaigns as campaigns
from switchboard.flows import repository_recipients as recipients
from switchboard.intake import repository_signals as signals
from switchboard.intake.repository_signals import Bounds
from switchboard.kernel.db import Database, Params, Tx
from switchboard.kernel.ids import new_id
from switchboard.leads import repository_lists as leads
from switchboard.leads.models import LeadFilter
from switchboard.people import repository as contacts
from switchboard.people import repository_segments as segments
from switchboard.people import repository_suggestions as suggestions
from switchboard.people import repository_tags as tags
from switchboard.people import repository_timeline as timeline
from tests.plans import explain_for_all_values

ID = new_id()
LISTS: dict[str, Callable[[Tx], Awaitable[object]]] = {
    "contacts": lambda tx: contacts.list_contacts(tx, ID, 51),
    "contacts with a tag": lambda tx: tags.list_tagged(tx, "vip", ID, 51),
    "members of a segment": lambda tx: segments.list_members(tx, ID, ID, 51),
    "suggestions": lambda tx: suggestions.list_open(tx, (80, ID), 51),
    "timeline": lambda tx: timeline.list_events(tx, [ID], lead_id=None, before=ID, limit=51),
    "leads": lambda tx: leads.list_leads(tx, LeadFilter(), before=ID, after=None, limit=51),
    "messages of a contact": lambda tx: messages.list_of_contact(tx, ID, ID, 51),
    "troubled messages": lambda tx: messages.list_troubles(tx, ["failed"], before=ID, limit=51),
    "mailbox": lambda tx: mailbox.list_mails(tx, ID, "", 51),
    "signals of a source": lambda tx: signals.list_signals(tx, ID, Bounds(older_than=ID), 51),
    "campaigns": lambda tx: campaigns.list_campaigns(tx, ID, 51),
    "recipients": lambda tx: recipients.list_recipients(tx, ID, None, ID, 51),
    "recipients in a state": lambda tx: recipients.list_recipients(tx, ID, "held", ID, 51),
}


class ListeningTx(Tx):
    """A transaction that keeps the statements that are run through it."""

    def __init__(self, tx: Tx, workspace_id: UUID) -> None:
        super().__init__(tx.connection, tx.hub, workspace_id)
        self.said: list[tuple[str, Params]] = []

    async def _run(self, sql: str, params: Params, row_factory: Callable[..., Any]) -> psycopg.AsyncCursor[Any]:
        self.said.append((sql, params))
        return await super()._run(sql, params, row_factory)


@pytest.mark.parametrize("name", LISTS)
async def test_a_deep_page_begins_where_it_is_asked_to(name: str, database: Database, workspace_id: UUID) -> None:
    async with database.transaction(workspace_id) as tx:
        listening = ListeningTx(tx, workspace_id)
        await LISTS[name](listening)
        # Tables without rows would be read whole; what matters is what the index can be asked.
        await tx.execute("SET LOCAL enable_seqscan = off")
        await tx.execute("SET LOCAL enable_bitmapscan = off")
        plan = await explain_for_all_values(tx, *listening.said[0])
    bounds = [line for line in plan.splitlines() if "Index Cond:" in line and ("id < $" in line or "id > $" in line)]
    bounds += [line for line in plan.splitlines() if "Index Cond:" in line and "ROW(" in line]
    assert bounds, plan
