"""What two contacts have in common, counted from 0 to 100 with the reasons."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from switchboard.people.likeness import ALIKE, is_short_for, name_likeness
from switchboard.people.models import Key, Reason
from switchboard.people.normalising import fold
from switchboard.people.repository_suggestions import Pair

LEAST_SCORE = 60
# Boxes that many companies have: sharing the word says nothing about the person.
_ROLE_BOXES = frozenset(
    {
        "admin", "billing", "contact", "enquiries", "hello", "help", "hi", "hr", "info", "kontakt", "mail", "marketing",
        "me", "no-reply", "noreply", "office", "post", "sales", "support", "team", "webmaster",
    }
)  # fmt: skip
_SAME_NAME, _SHORT_NAME, _ALIKE_NAME = 40, 35, 30
_SAME_COMPANY = 25
_SAME_BOX, _SAME_DOMAIN = 35, -20
_SAME_TAIL = 40
_NOTHING_CONTRADICTS = 5


@dataclass(frozen=True, slots=True)
class Profile:
    """What is compared of a contact, ready for being compared with many."""

    id: UUID
    company: str
    folded_name: str
    folded_company: str
    boxes: frozenset[str]
    domains: frozenset[str]
    tails: frozenset[str]

    @classmethod
    def of(cls, contact_id: UUID, name: str, company: str, addresses: Sequence[Key]) -> "Profile":
        """The profile of a contact with these addresses, in their normal form."""
        split = [value.rpartition("@")[::2] for kind, value in addresses if kind == "email"]
        return cls(
            contact_id,
            company,
            fold(name),
            fold(company),
            frozenset(box for box, _ in split),
            frozenset(domain for _, domain in split),
            frozenset(value[-7:] for kind, value in addresses if kind == "phone"),
        )


def compare(one: Profile, other: Profile) -> Pair:
    """The score of two contacts and what it is made of; nothing counts unless their names are alike."""
    first, second = sorted((one, other), key=lambda profile: profile.id)
    reasons = tuple(_reasons(first, second))
    return Pair(first.id, second.id, score_of(reasons), reasons)


def can_be_one(one: Profile, other: Profile) -> bool:
    """Whether they would be suggested as one if their names were the same: quicker than to compare them."""
    # Colleagues share a company and a domain, and nothing else: that is never enough.
    if not _share_more_than_a_domain(one, other):
        return False
    points = _SAME_NAME
    if one.folded_company and one.folded_company == other.folded_company:
        points += _SAME_COMPANY
    points += sum(reason.points for reason in _address_reasons(one, other))
    return points >= LEAST_SCORE


def _share_more_than_a_domain(one: Profile, other: Profile) -> bool:
    return (
        one.domains.isdisjoint(other.domains)
        or not one.boxes.isdisjoint(other.boxes)
        or not one.tails.isdisjoint(other.tails)
    )


def score_of(reasons: Iterable[Reason]) -> int:
    """The sum of their points, from 0 to 100."""
    return max(0, min(100, sum(reason.points for reason in reasons)))


def _reasons(first: Profile, second: Profile) -> Iterator[Reason]:
    likeness = name_likeness(first.folded_name, second.folded_name)
    if likeness < ALIKE:
        return
    yield _name_reason(first.folded_name, second.folded_name, likeness)
    if first.folded_company and first.folded_company == second.folded_company:
        yield Reason(f"Both are at {first.company}", _SAME_COMPANY)
    yield from _address_reasons(first, second)


def _name_reason(a: str, b: str, likeness: int) -> Reason:
    if a == b:
        return Reason("They have the same name", _SAME_NAME)
    if is_short_for(a, b):
        return Reason("One name is short for the other", _SHORT_NAME)
    return Reason(f"Their names are alike ({likeness} of 100)", _ALIKE_NAME)


def _address_reasons(first: Profile, second: Profile) -> Iterator[Reason]:
    boxes = (first.boxes & second.boxes) - _ROLE_BOXES
    if boxes:
        yield Reason(f"Both e-mail addresses begin with {min(boxes)}", _SAME_BOX)
    elif not first.domains.isdisjoint(second.domains):
        yield Reason("They have different e-mail addresses in one domain", _SAME_DOMAIN)
    tails = first.tails & second.tails
    if tails:
        yield Reason(f"Both phone numbers end in {min(tails)}", _SAME_TAIL)
    if not (first.boxes and second.boxes) and not (first.tails and second.tails):
        yield Reason("What one lacks the other has: no address contradicts", _NOTHING_CONTRADICTS)
