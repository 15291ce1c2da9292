"""Who may be the same person: scored from 0 to 100, with reasons, for a member to decide."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import cast
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.kernel import events, jobs
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Event
from switchboard.kernel.turns import in_turns
from switchboard.people import repository_suggestions as repository
from switchboard.people.comparing import LEAST_SCORE, Profile, can_be_one, compare, score_of
from switchboard.people.errors import SuggestionNotFoundError
from switchboard.people.likeness import ALIKE, Names, name_likeness
from switchboard.people.models import ContactRow, Key, Reason, Suggestion
from switchboard.people.normalising import fold
from switchboard.people.repository_suggestions import Named, Pair

JOB = "people.suggest"
# What is read at once for so many contacts stays within a few megabytes.
AT_ONCE = 200
# A microsecond or two for each couple, three for each profile.
COUPLES_AT_ONCE, PROFILES_AT_ONCE = 500, 250

# Two contacts by their ids as numbers, the smaller first: a UUID is hashed and compared by Python code.
_Couple = tuple[int, int]


async def enqueue(tx: Tx, contact_ids: Collection[UUID]) -> None:
    """Look for contacts like these, later and apart from whatever made or changed them."""
    if contact_ids:
        payload = {"contact_ids": sorted(map(str, contact_ids))}
        await jobs.enqueue(tx, JOB, payload, priority=8, wakes=False)


async def suggest(tx: Tx, payloads: Sequence[Mapping[str, object]]) -> int:
    """The jobs: compare each contact with the few that could be them, and keep what scores enough."""
    contact_ids, done = set[UUID](), 0
    for payload in payloads:
        if len(contact_ids) >= AT_ONCE:
            break
        contact_ids.update(UUID(text) for text in cast(Sequence[str], payload["contact_ids"]))
        done += 1
    ordered = sorted(contact_ids)
    for first in range(0, len(ordered), AT_ONCE):
        await keep(tx, await find_alike(tx, ordered[first : first + AT_ONCE]))
    return done


async def find_alike(tx: Tx, contact_ids: Collection[UUID]) -> list[Pair]:
    """Pairs of one of these contacts and another that score enough."""
    couples, named = await _find_couples(tx, contact_ids)
    profiles = await _load_profiles(tx, named)
    pairs = [
        compare(profiles[first], profiles[second])
        async for some in in_turns(couples, COUPLES_AT_ONCE)
        for first, second in some
        if can_be_one(profiles[first], profiles[second])
    ]
    return [pair for pair in pairs if pair.score >= LEAST_SCORE]


async def _load_profiles(tx: Tx, named: Mapping[int, Named]) -> dict[int, Profile]:
    addresses = await repository.load_addresses(tx, [one.id for one in named.values()]) if named else {}
    return {
        number: Profile.of(one.id, one.name, one.company, addresses.get(one.id, ()))
        async for some in in_turns(list(named.items()), PROFILES_AT_ONCE)
        for number, one in some
    }


async def _find_couples(tx: Tx, contact_ids: Collection[UUID]) -> tuple[list[_Couple], dict[int, Named]]:
    """Each of these contacts with those that have a key in common and a name that is alike; who they are."""
    asked = await repository.load_named(tx, contact_ids)
    # Whoever came together often has a company in common: the few of a key are read once for all of them.
    by_name, by_company = await repository.find_near(
        tx, {one.name_key for one in asked} - {""}, {one.company_key for one in asked} - {""}
    )
    crowds, employed = _gather(by_name), _gather(by_company)
    couples, named = dict[_Couple, None](), dict[int, Named]()
    async for some in in_turns(asked):
        for one in some:
            number = one.id.int
            for crowd in (crowds.get(one.name_key), employed.get(one.company_key)):
                for other, person in crowd.find_alike(one) if crowd else ():
                    couples[(number, other) if number < other else (other, number)] = None
                    named[number], named[other] = one, person
    return list(couples), named


def _gather(near: Mapping[str, Sequence[Named]]) -> dict[str, "_Crowd"]:
    """The crowds in which anybody could meet somebody else: whoever is alone with a key was found by their own."""
    return {key: _Crowd(members) for key, members in near.items() if len(members) > 1}


class _Crowd:
    """Contacts with one key in common."""

    def __init__(self, members: Sequence[Named]) -> None:
        self._members = [(member.id.int, member) for member in members]
        self._names = Names([fold(member.name) for member in members])

    def find_alike(self, one: Named) -> Iterator[tuple[int, Named]]:
        """The others whose names are alike, each with the id as a number."""
        for place in self._names.find_alike(fold(one.name)):
            if self._members[place][0] != one.id.int:
                yield self._members[place]


async def keep(tx: Tx, pairs: Sequence[Pair]) -> None:
    """Write suggestions with their events."""
    if pairs:
        made = await repository.upsert_suggestions(tx, pairs)
        await events.append(tx, [Event("suggestion.made", subject_id=suggestion_id) for suggestion_id in made])


def clash(one: ContactRow, other: ContactRow, key: Key) -> Pair:
    """One signal had an address of `one`, and `key` of the other: they are one person, or share that address."""
    kind, value = key
    reasons = [Reason(f"One signal had an address of one and the {_WORDS[kind]} of the other", 60, kind, value)]
    if name_likeness(fold(one.name), fold(other.name)) >= ALIKE:
        reasons.append(Reason("Their names are alike", 30))
    elif one.name and other.name:
        reasons.append(Reason("Their names differ: they may share it", -15))
    return Pair(min(one.id, other.id), max(one.id, other.id), score_of(reasons), tuple(reasons))


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
