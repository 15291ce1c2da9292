"""Who may be the same person: scored from 0 to 100, with reasons, for a member to decide."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import cast
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.kernel import events, jobs
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Event
from switchboard.people import repository_suggestions as repository
from switchboard.people.errors import SuggestionNotFoundError
from switchboard.people.likeness import ALIKE, is_short_for, name_likeness
from switchboard.people.models import ContactRow, Key, Reason, Suggestion
from switchboard.people.normalising import fold
from switchboard.people.repository_suggestions import Pair, Profile

JOB = "people.suggest"
LEAST_SCORE = 60
# Boxes that many companies have: sharing the word says nothing about the person.
_ROLE_BOXES = frozenset(
    {
        "admin", "billing", "contact", "enquiries", "hello", "help", "hi", "hr", "info", "kontakt", "mail", "marketing",
        "me", "no-reply", "noreply", "office", "post", "sales", "support", "team", "webmaster",
    }
)  # fmt: skip


async def enqueue(tx: Tx, contact_ids: Collection[UUID]) -> None:
    """Look for contacts like these, later and apart from whatever made or changed them."""
    if contact_ids:
        payload = {"contact_ids": sorted(map(str, contact_ids))}
        await jobs.enqueue(tx, JOB, payload, priority=8, wakes=False)


async def suggest(tx: Tx, payload: Mapping[str, object]) -> None:
    """The job: compare each contact with the few that could be them, and keep what scores enough."""
    contact_ids = [UUID(text) for text in cast(Sequence[str], payload["contact_ids"])]
    candidates = await repository.find_candidates(tx, contact_ids)
    wanted = {*candidates, *(near for nears in candidates.values() for near in nears)}
    profiles = {profile.id: profile for profile in await repository.load_profiles(tx, wanted)}
    couples = {(min(one, near), max(one, near)) for one, nears in candidates.items() for near in nears}
    pairs = [
        compare(profiles[first], profiles[second])
        for first, second in couples
        if first in profiles and second in profiles
    ]
    await keep(tx, [pair for pair in pairs if pair.score >= LEAST_SCORE])


async def keep(tx: Tx, pairs: Sequence[Pair]) -> None:
    """Write suggestions with their events."""
    if pairs:
        made = await repository.upsert_suggestions(tx, pairs)
        await events.append(tx, [Event("suggestion.made", subject_id=suggestion_id) for suggestion_id in made])


def compare(one: Profile, other: Profile) -> Pair:
    """The score of two contacts and what it is made of; nothing counts unless their names are alike."""
    first, second = sorted((one, other), key=lambda profile: profile.id)
    reasons = tuple(_reasons(first, second))
    return Pair(first.id, second.id, _score(reasons), reasons)


def clash(one: ContactRow, other: ContactRow, key: Key) -> Pair:
    """One signal had an address of `one`, and `key` of the other: they are one person, or share that address."""
    kind, value = key
    reasons = [Reason(f"One signal had an address of one and the {_WORDS[kind]} of the other", 60, kind, value)]
    if name_likeness(fold(one.name), fold(other.name)) >= ALIKE:
        reasons.append(Reason("Their names are alike", 30))
    elif one.name and other.name:
        reasons.append(Reason("Their names differ: they may share it", -15))
    return Pair(min(one.id, other.id), max(one.id, other.id), _score(reasons), tuple(reasons))


async def list_suggestions(
    tx: Tx, caller: Caller, after: tuple[int, UUID] | None = None, limit: int = 50
) -> list[Suggestion]:
    """Open suggestions, the surest first; `after` is the score and id of the last one seen."""
    caller.require("viewer")
    return await repository.list_open(tx, after, limit)


async def list_suggestions_of(tx: Tx, contact_id: UUID) -> list[Suggestion]:
    """Open suggestions that one contact is part of, the surest first."""
    return await repository.list_of_contact(tx, contact_id)


async def access_suggestion(tx: Tx, caller: Caller, suggestion_id: UUID) -> Suggestion:
    """One open suggestion; raises SuggestionNotFoundError."""
    caller.require("viewer")
    found = await repository.find_open(tx, suggestion_id)
    if found is None:
        raise SuggestionNotFoundError
    return found


async def dismiss(tx: Tx, caller: Caller, suggestion_id: UUID) -> None:
    """Say that two contacts are not one person; it is not suggested again."""
    caller.require("agent")
    await access_suggestion(tx, caller, suggestion_id)
    if not await repository.decide(tx, suggestion_id, "dismissed"):
        raise SuggestionNotFoundError
    await events.append(tx, [Event("suggestion.dismissed", suggestion_id, actor=caller.actor)])


_WORDS = {"email": "e-mail address", "phone": "phone number", "handle": "handle"}


def _score(reasons: Iterable[Reason]) -> int:
    return max(0, min(100, sum(reason.points for reason in reasons)))


def _reasons(first: Profile, second: Profile) -> Iterator[Reason]:
    a, b = fold(first.name), fold(second.name)
    likeness = name_likeness(a, b)
    if likeness < ALIKE:
        return
    yield _name_reason(a, b, likeness)
    company = fold(first.company)
    if company and company == fold(second.company):
        yield Reason(f"Both are at {first.company}", 25)
    yield from _email_reasons(first.emails, second.emails)
    yield from _phone_reasons(first.phones, second.phones)
    if not (first.emails and second.emails) and not (first.phones and second.phones):
        yield Reason("What one lacks the other has: no address contradicts", 5)


def _name_reason(a: str, b: str, likeness: int) -> Reason:
    if a == b:
        return Reason("They have the same name", 40)
    if is_short_for(a, b):
        return Reason("One name is short for the other", 35)
    return Reason(f"Their names are alike ({likeness} of 100)", 30)


def _email_reasons(ours: Sequence[str], theirs: Sequence[str]) -> Iterator[Reason]:
    split_ours, split_theirs = ([text.rpartition("@")[::2] for text in emails] for emails in (ours, theirs))
    boxes = {box for box, _ in split_ours} & {box for box, _ in split_theirs} - _ROLE_BOXES
    if boxes:
        yield Reason(f"Both e-mail addresses begin with {min(boxes)}", 35)
    elif {domain for _, domain in split_ours} & {domain for _, domain in split_theirs}:
        yield Reason("They have different e-mail addresses in one domain", -20)


def _phone_reasons(ours: Sequence[str], theirs: Sequence[str]) -> Iterator[Reason]:
    tails = {text[-7:] for text in ours} & {text[-7:] for text in theirs}
    if tails:
        yield Reason(f"Both phone numbers end in {min(tails)}", 40)
