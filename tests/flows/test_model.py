"""The stepper against a small model of what flows mean, over random flows, events and times."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switchboard.kernel.db import Database
from tests.conftest import Urls, move_clock
from tests.flows.world import LETTERS, add_contact, add_letters, save_active, settle, tell

Step = tuple[str, int]
Deed = tuple[str, int]

STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 2)),
        st.tuples(st.just("wait"), st.integers(1, 48)),
        st.tuples(st.just("wait_for"), st.integers(1, 48)),
    ),
    min_size=1,
    max_size=5,
)
DEEDS: st.SearchStrategy[list[Deed]] = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(1, 72)),
        st.tuples(st.just("reply"), st.just(0)),
        st.tuples(st.just("close"), st.just(0)),
    ),
    max_size=6,
)
numbers = count()


@dataclass
class Model:
    """One run: it stands before `steps[at]`, or within it until `due` (in hours)."""

    steps: Sequence[Step]
    at: int = 0
    hour: int = 0
    due: int | None = None
    is_over: bool = False
    sent: list[str] = field(default_factory=list)
    dropped: int = 0

    def move(self) -> None:
        """Do all that can be done at this hour."""
        while not self.is_over and (self.due is None or self.due <= self.hour):
            if self.due is not None:
                self._leave()
                continue
            kind, amount = self.steps[self.at]
            if kind == "send":
                self.sent.append(LETTERS[amount])
                self._leave()
            else:
                self.due = self.hour + amount

    def reply(self) -> None:
        """The event that waits await; nothing else changes."""
        if not self.is_over and self.steps[self.at][0] == "wait_for" and self.due is not None:
            self.due = self.hour

    def close(self) -> None:
        """The event that stops: what waits to go out never does, also of a run that has just ended."""
        self.is_over, self.dropped = True, len(self.sent)

    def _leave(self) -> None:
        self.at, self.due = self.at + 1, None
        self.is_over = self.at == len(self.steps)


def written(name: str, steps: Sequence[Step]) -> str:
    """The flow as YAML."""
    lines = {
        "send": lambda amount: f"  - send: {LETTERS[amount]}",
        "wait": lambda amount: f"  - wait: {amount}h",
        "wait_for": lambda amount: f"  - wait: {{event: message.replied, timeout: {amount}h}}",
    }
    head = (
        f"flow: {name}\ntitle: {name}\nsubject: contact\nstarts: [lead.stage_changed]\nstops: [conversation.closed]\n"
    )
    return head + "steps:\n" + "\n".join(lines[kind](amount) for kind, amount in steps) + "\n"


async def messages(database: Database, workspace_id: UUID, contact_id: UUID) -> tuple[list[str], int]:
    """The letters to a contact in the order of the steps, and how many of them were dropped."""
    async with database.transaction(workspace_id) as tx:
        rows = await tx.fetch_tuples(
            "SELECT t.name, m.state FROM app.message m JOIN app.template t ON t.id = m.template_id"
            " WHERE m.contact_id = %s ORDER BY m.run_revision",
            (contact_id,),
        )
    return [name for name, _ in rows], sum(state == "dropped" for _, state in rows)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, deeds=DEEDS)
async def test_every_run_does_what_the_model_says(
    database: Database, workspace_id: UUID, urls: Urls, steps: list[Step], deeds: list[Deed]
) -> None:
    number, model = next(numbers), Model(steps)
    await move_clock(urls, "0")
    async with database.transaction(workspace_id) as tx:
        if not await tx.fetch_value("SELECT count(*) FROM app.template"):
            await add_letters(tx)
        await tx.execute("UPDATE app.flow SET is_active = false")
        await save_active(tx, written(f"flow_{number}", steps))
        contact_id = await add_contact(tx, f"p{number}@x.example")
        await tell(tx, "lead.stage_changed", contact_id=contact_id)
    await settle(database)
    model.move()
    for deed, hours in deeds:
        if deed == "pass":
            model.hour += hours
            await move_clock(urls, f"{model.hour} hours")
        else:
            async with database.transaction(workspace_id) as tx:
                kind = "message.replied" if deed == "reply" else "conversation.closed"
                await tell(tx, kind, contact_id=contact_id)
            model.reply() if deed == "reply" else model.close()
        await settle(database)
        model.move()
        assert await messages(database, workspace_id, contact_id) == (model.sent, model.dropped)
    async with database.transaction(workspace_id) as tx:
        standing = await tx.fetch_tuples("SELECT step FROM app.run WHERE contact_id = %s", (contact_id,))
    assert standing == ([] if model.is_over else [(model.at,)])
