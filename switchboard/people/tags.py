"""Tags: words that members, files and flows put on people."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.kernel import events
from switchboard.kernel.characters import is_storable
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Event
from switchboard.people import repository_tags as repository
from switchboard.people.models import ContactSummary

LONGEST_TAG = 60
MOST_TAGS = 50
MOST_CONTACTS = 10_000
MOST_KNOWN = 200
PAGE_ROWS = 50


def check_tags(words: Iterable[str]) -> list[str]:
    """Tags as they are kept: in small letters, one blank between words; raises InvalidError with what is wrong."""
    tags = [tag for tag in dict.fromkeys(" ".join(word.lower().split()) for word in words) if tag]
    if any(len(tag) > LONGEST_TAG or "," in tag or not is_storable(tag) for tag in tags):
        problem = Problem("tags", f"a tag has at most {LONGEST_TAG} letters and no comma")
        raise InvalidError("A tag cannot be kept as it is.", problems=[problem])
    if len(tags) > MOST_TAGS:
        problem = Problem("tags", f"at most {MOST_TAGS} at once")
        raise InvalidError("These are too many tags.", problems=[problem])
    return tags


async def add_tags(tx: Tx, caller: Caller, contact_ids: Collection[UUID], words: Iterable[str]) -> int:
    """Put tags on contacts and say on how many of them something is new; unknown and merged ones are left out.

    Each of those has one event contact.tagged with its new `tags`. Raises InvalidError.
    """
    caller.require("agent")
    tags = _checked(contact_ids, words)
    added = await repository.insert_tags(tx, contact_ids, tags)
    return await _tell(tx, caller, "contact.tagged", added)


async def remove_tags(tx: Tx, caller: Caller, contact_ids: Collection[UUID], words: Iterable[str]) -> int:
    """Take tags from contacts and say from how many; each has one event contact.untagged. Raises InvalidError."""
    caller.require("agent")
    tags = _checked(contact_ids, words)
    removed = await repository.delete_tags(tx, contact_ids, tags)
    return await _tell(tx, caller, "contact.untagged", removed)


async def list_tags(tx: Tx, contact_id: UUID) -> list[str]:
    """A contact's tags, by name."""
    return await repository.list_tags(tx, contact_id)


async def list_known_tags(tx: Tx, caller: Caller) -> list[str]:
    """Tags that are on somebody, by name, at most MOST_KNOWN."""
    caller.require("viewer")
    return await repository.list_known(tx, MOST_KNOWN)


async def list_tagged(
    tx: Tx, caller: Caller, tag: str, *, before: UUID | None = None, limit: int = PAGE_ROWS
) -> list[ContactSummary]:
    """Contacts with a tag, newest first, those older than the contact `before`."""
    caller.require("viewer")
    return await repository.list_tagged(tx, " ".join(tag.lower().split()), before, limit)


def _checked(contact_ids: Collection[UUID], words: Iterable[str]) -> list[str]:
    if len(contact_ids) > MOST_CONTACTS:
        problem = Problem("contact_ids", f"at most {MOST_CONTACTS:,} at once")
        raise InvalidError("These are too many contacts for one call.", problems=[problem])
    return check_tags(words)


async def _tell(tx: Tx, caller: Caller, kind: str, rows: Sequence[tuple[UUID, str]]) -> int:
    by_contact: dict[UUID, list[str]] = defaultdict(list)
    for contact_id, tag in rows:
        by_contact[contact_id].append(tag)
    told = [
        Event(kind, contact_id, contact_id, actor=caller.actor, data={"tags": sorted(tags)})
        for contact_id, tags in sorted(by_contact.items())
    ]
    await events.append(tx, told)
    return len(told)
