"""Random people held against random conditions: SQL says of each what the CEL library says of them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import cel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switchboard.accounts.models import Caller
from switchboard.entrypoints.assembly import segment_vocabulary
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.ids import new_id
from switchboard.people import repository_membership as repository
from switchboard.people.segment_conditions import check_condition
from switchboard.people.segment_loop import predicate_of
from tests.people.segment_world import make_segment, member_ids

WORDS = ("", "DE", "AT", "ada", "Ada", "won", "new", "d%e", "a_a", "a'\"")
KINDS = ("message.sent", "message.replied", "note.added")


class Both(NamedTuple):
    """A condition in our words, and in the words of the library, which knows no fields without a value."""

    ours: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Person:
    company: str
    country: str
    plan: str
    opted_out: bool
    age_hours: int
    tags: list[str]
    leads: list[Mapping[str, object]]
    events: list[Mapping[str, object]]
    id: UUID = field(default_factory=new_id)

    def has_open(self, lead: Mapping[str, object]) -> bool:
        """Whether a lead is the open one; of those that were drawn as open only the first can be."""
        return lead["is_open"] is True and next(one for one in self.leads if one["is_open"]) is lead


words = st.sampled_from(WORDS)
people = st.builds(
    Person,
    company=words,
    country=words,
    plan=words,
    opted_out=st.booleans(),
    age_hours=st.integers(0, 100),
    tags=st.lists(st.sampled_from([word for word in WORDS if word]), max_size=3, unique=True),
    leads=st.lists(
        st.fixed_dictionaries(
            {
                "stage": words,
                "value": st.one_of(st.none(), st.integers(-5, 5)),
                "is_open": st.booleans(),
                "junk": st.booleans(),
            }
        ),
        max_size=3,
    ),
    events=st.lists(
        st.fixed_dictionaries({"kind": st.sampled_from(KINDS), "hours": st.integers(0, 100), "reason": words}),
        max_size=3,
    ),
)


def quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def same(text: str) -> Both:
    return Both(text, text)


# The library counts bytes where CEL's definition, and we, count characters: no person's words have the difference.
literals = st.sampled_from([*WORDS, "ä", "\\"]).map(quoted)
signs = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
texts = st.sampled_from(["contact.company", "contact.country", "contact.fields.plan"])
changed = st.one_of(texts, texts.map("lower({})".format), texts.map("upper({})".format))
compared = st.tuples(changed, signs, literals).map(lambda parts: same(" ".join(parts)))
plain = st.one_of(
    compared,
    compared,
    st.tuples(texts, literals).map(lambda parts: same(f"!({parts[0]} == {parts[1]})")),
    st.tuples(texts, st.sampled_from(["startsWith", "endsWith", "contains"]), literals).map(
        lambda parts: same("{}.{}({})".format(*parts))
    ),
    st.tuples(texts, st.lists(literals, min_size=1, max_size=3)).map(
        lambda parts: same(f"{parts[0]} in [{', '.join(parts[1])}]")
    ),
    st.tuples(texts, st.sampled_from(["^[Aa]d", "D?E$", "a.a|w+on", "^$", "n|E"])).map(
        lambda parts: same('{}.matches("{}")'.format(*parts))
    ),
    st.tuples(texts, signs, st.integers(0, 4)).map(lambda parts: same("size({}) {} {}".format(*parts))),
    texts.map(lambda name: Both(f"has({name})", f'{name} != ""')),
    literals.map(lambda word: same(f"{word} in contact.tags")),
    st.tuples(signs, st.integers(0, 3)).map(lambda parts: same("size(contact.tags) {} {}".format(*parts))),
    st.tuples(signs, st.integers(0, 3)).map(lambda parts: same("size(leads) {} {}".format(*parts))),
    st.sampled_from([same("contact.opted_out"), same("contact.opted_out == false"), same("true")]),
    st.tuples(signs, st.integers(0, 100)).map(
        lambda parts: same('contact.created_at {} now - duration("{}h30m")'.format(*parts))
    ),
    st.tuples(signs, st.integers(0, 100)).map(
        lambda parts: same('now - contact.created_at {} duration("{}h30m")'.format(*parts))
    ),
)
of_leads = st.one_of(
    st.tuples(signs, literals).map(lambda parts: same("x.stage {} {}".format(*parts))),
    st.tuples(signs, st.integers(-5, 5)).map(lambda parts: same("x.value {} {}".format(*parts))),
    st.sampled_from([same("x.is_open"), same("x.junk"), same("contact.opted_out")]),
)
of_events = st.one_of(
    st.tuples(signs, st.integers(0, 100)).map(lambda parts: same('x.at {} now - duration("{}h30m")'.format(*parts))),
    st.tuples(signs, literals).map(lambda parts: same("x.data.reason {} {}".format(*parts))),
)


def joined(parts: st.SearchStrategy[Both]) -> st.SearchStrategy[Both]:
    """These, put together by && and ||, and turned round."""

    def put_together(sign: str, chosen: Sequence[Both]) -> Both:
        return Both(*(f"({f' {sign} '.join(texts)})" for texts in zip(*chosen, strict=True)))

    def deeper(inner: st.SearchStrategy[Both]) -> st.SearchStrategy[Both]:
        lists = st.lists(inner, min_size=2, max_size=3)
        return st.one_of(
            st.tuples(st.sampled_from(["&&", "||"]), lists).map(lambda drawn: put_together(*drawn)),
            inner.map(lambda one: Both(f"!({one.ours})", f"!({one.theirs})")),
        )

    return st.recursive(parts, deeper, max_leaves=4)


def looped(name: str, body: Both, before: str = "") -> Both:
    return Both(f"{name}(x, {before}{body.ours})", f"{name}(x, {before}{body.theirs})")


loops = st.one_of(
    st.tuples(st.sampled_from(["leads.exists", "leads.all"]), joined(of_leads)).map(lambda drawn: looped(*drawn)),
    st.tuples(st.sampled_from(KINDS), joined(of_events)).map(
        lambda drawn: looped("events.exists", drawn[1], f'x.kind == "{drawn[0]}" && ')
    ),
    literals.map(lambda word: same(f"contact.tags.exists(x, x == {word})")),
)
conditions = joined(st.one_of(plain, loops))


def judged(condition: Both, person: Person, now: datetime) -> bool:
    """What the CEL library says of a person."""
    facts = {
        "now": now,
        "contact": {
            "company": person.company,
            "country": person.country,
            "fields": {"plan": person.plan},
            "opted_out": person.opted_out,
            "created_at": now - timedelta(hours=person.age_hours),
            "tags": person.tags,
        },
        "leads": [{**lead, "value": lead["value"] or 0, "is_open": person.has_open(lead)} for lead in person.leads],
        "events": [
            {"kind": event["kind"], "at": now - timedelta(hours=int(str(event["hours"]))), "data": event}
            for event in person.events
        ],
    }
    changes = {"lower": str.lower, "upper": str.upper}
    return bool(cel.compile(condition.theirs).execute(cel.Context(facts, changes)))


async def write(tx: Tx, person: Person) -> None:
    now = await tx.now()
    await tx.execute(
        """
        INSERT INTO app.contact (id, workspace_id, company, country, fields, opted_out_at, created_at)
        VALUES (%s, %s, %s, %s, jsonb_build_object('plan', %s::text), %s, %s)
        """,
        (
            person.id,
            tx.workspace_id,
            person.company,
            person.country or None,
            person.plan or None,
            now if person.opted_out else None,
            now - timedelta(hours=person.age_hours),
        ),
    )
    for tag in person.tags:
        await tx.execute(
            "INSERT INTO app.contact_tag (workspace_id, contact_id, tag) VALUES (%s, %s, %s)",
            (tx.workspace_id, person.id, tag),
        )
    for lead in person.leads:
        await tx.execute(
            """
            INSERT INTO app.lead (id, workspace_id, contact_id, source_id, stage, value_minor, is_junk, closed_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (
                new_id(),
                tx.workspace_id,
                person.id,
                new_id(),
                lead["stage"],
                lead["value"],
                lead["junk"],
                None if person.has_open(lead) else now,
            ),
        )
    for event in person.events:
        await tx.execute(
            """
            INSERT INTO app.event (workspace_id, at, kind, contact_id, actor_kind, data)
            VALUES (%s, %s, %s, %s, 'system', jsonb_build_object('reason', %s::text))
            """,
            (
                tx.workspace_id,
                now - timedelta(hours=int(str(event["hours"]))),
                event["kind"],
                person.id,
                event["reason"],
            ),
        )


class UndoneError(Exception):
    """Takes an example's rows back."""


@pytest.fixture
async def segment_id(database: Database, agent: Caller) -> UUID:
    return (await make_segment(database, agent, "true")).id


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(persons=st.lists(people, min_size=1, max_size=4), chosen=st.lists(conditions, min_size=10, max_size=20))
async def test_sql_and_cel_agree(
    database: Database, agent: Caller, segment_id: UUID, persons: list[Person], chosen: list[Both]
) -> None:
    with suppress(UndoneError):
        async with database.transaction(agent.workspace_id) as tx:
            for person in persons:
                await write(tx, person)
            for condition in chosen:
                await agree(tx, segment_id, condition, persons)
            raise UndoneError


async def agree(tx: Tx, segment_id: UUID, condition: Both, persons: Sequence[Person]) -> None:
    if is_too_large(condition):
        return
    predicate = predicate_of(condition.ours, segment_vocabulary())
    await repository.settle_contacts(tx, segment_id, predicate, [person.id for person in persons])
    now = await tx.now()
    expected = sorted(person.id for person in persons if judged(condition, person, now))
    assert await member_ids(tx, segment_id) == expected, condition.ours


def is_too_large(condition: Both) -> bool:
    """Whether a condition was drawn larger than any may be; whatever else is refused fails the test."""
    try:
        check_condition(condition.ours, segment_vocabulary())
    except InvalidError as error:
        if "at most" in error.message or "nest deeper" in error.message:
            return True
        raise
    return False
