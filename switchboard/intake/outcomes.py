"""What becomes of signals that have been read: each is about a contact, and opens or joins a lead."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec
from msgspec.structs import asdict

from switchboard.accounts import service as accounts
from switchboard.intake.formats.answers import Reading, assemble
from switchboard.intake.formats.base import Parsed, Utm
from switchboard.intake.formats.registry import get_format
from switchboard.intake.mapping import FieldMapping
from switchboard.intake.models import DueSignal, SignalOutcome, Source
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Actor
from switchboard.kernel.turns import QUICK_AT_ONCE, in_turns
from switchboard.leads import service as leads
from switchboard.leads.models import Enquiry
from switchboard.people import service as people
from switchboard.people.models import Recognised, Sighting
from switchboard.people.normalising import NormalSighting, normalise

# A sender's clock may be wrong; a lead from the future would stand on top of every list for ever.
OLDEST = timedelta(days=3650)
_NO_UTM = Utm()


class Turns(Protocol):
    """How batches that follow each other closely keep their order."""

    def pass_on(self) -> None:
        """All addresses are claimed: the next may look for people."""

    async def take(self, tx: Tx) -> None:
        """Wait until leads may be touched."""


class Said(msgspec.Struct, frozen=True):
    """What a payload says, or why it says nothing."""

    parsed: Parsed | None
    problems: tuple[Problem, ...] = ()


class Read(msgspec.Struct, frozen=True):
    """One signal with what it says."""

    due: DueSignal
    parsed: Parsed | None
    problems: tuple[Problem, ...] = ()


def read_signal(due: DueSignal, source: Source, payload: object, mappings: Mapping[UUID, FieldMapping]) -> Read:
    """What a payload says by the mapping of its import, or by its source's format and mapping; never raises."""
    if due.import_id is not None and isinstance(payload, dict):
        said = read_row(payload, mappings[due.import_id])
    else:
        said = _read(lambda: get_format(source.format).parse(payload, mappings[source.id]))
    return Read(due, said.parsed, said.problems)


def read_row(cells: Mapping[str, object], mapping: FieldMapping) -> Said:
    """What a row of a file says; never raises."""
    said = _read(lambda: assemble(Reading(cells), mapping))
    if said.parsed is not None and said.parsed.is_test:
        return Said(None, (Problem("is_test", "the row says that it is only a test"),))
    return said


def see(parsed: Parsed | None, region: str) -> NormalSighting | None:
    """Whom it is about, in normal form; None where it says nothing that counts."""
    return None if parsed is None or parsed.is_test else normalise(_sighting(parsed), region)


async def settle(
    tx: Tx,
    reads: Sequence[Read],
    seen: Sequence[NormalSighting | None] = (),
    *,
    turns: Turns | None = None,
) -> list[SignalOutcome]:
    """Take read signals of the transaction's workspace through people, leads and routing, in no order of outcomes.

    `seen` has what `see` gives for each of them, where that has been done already. `turns` hears how
    far it is, where there are people.
    """
    outcomes = [_failed(each.due, each.problems) for each in reads if each.parsed is None]
    outcomes += [_test(each.due) for each in reads if each.parsed is not None and each.parsed.is_test]
    usable = [each for each in reads if each.parsed is not None and not each.parsed.is_test]
    if usable:
        region = (await tx.remember("workspace", accounts.get_workspace)).default_region
        known = [one for one in seen or await _see_all(reads, region) if one is not None]
        async with events.gathering(tx):
            outcomes += await _recognise_people(tx, usable, known, turns)
    return outcomes


async def _see_all(reads: Sequence[Read], region: str) -> list[NormalSighting | None]:
    return [see(each.parsed, region) async for some in in_turns(reads, QUICK_AT_ONCE) for each in some]


def fail(signal: DueSignal, problem: Problem) -> SignalOutcome:
    """The outcome of a signal with which nothing could be done."""
    return _failed(signal, (problem,))


def _read(parse: Callable[[], Parsed]) -> Said:
    try:
        parsed = parse()
    except InvalidError as error:
        return Said(None, error.problems or (Problem("", error.message),))
    if parsed.details_id is not None:
        reason = "the payload only announces a lead; connect the vendor so that its details can be fetched"
        return Said(None, (Problem("", reason),))
    return Said(parsed)


async def _recognise_people(
    tx: Tx,
    reads: Sequence[Read],
    seen: Sequence[NormalSighting],
    turns: Turns | None,
) -> list[SignalOutcome]:
    actors = _actors(reads)
    recognised = await people.recognise_seen(tx, seen, actors, when_claimed=turns.pass_on if turns else None)
    if turns is not None:
        await turns.take(tx)
    tx.newcomers |= {found.contact_id: frozenset() for found in recognised if found.is_new and found.contact_id}
    nobody = [
        _failed(each.due, found.problems)
        for each, found in zip(reads, recognised, strict=True)
        if found.contact_id is None
    ]
    known = [(each, found) for each, found in zip(reads, recognised, strict=True) if found.contact_id is not None]
    return nobody + await _open_leads(tx, known) if known else nobody


def _actors(reads: Iterable[Read]) -> list[Actor]:
    made: dict[UUID, Actor] = {}
    return [made.setdefault(each.due.source_id, Actor("source", each.due.source_id)) for each in reads]


async def _open_leads(tx: Tx, known: Sequence[tuple[Read, Recognised]]) -> list[SignalOutcome]:
    now = await tx.now()
    enquiries = [_enquiry(each, found, now) for each, found in known]
    opened = await leads.open_and_route(tx, enquiries, trigger="came in")
    return [
        SignalOutcome(
            signal_id=each.due.signal_id,
            received_at=each.due.received_at,
            source_id=each.due.source_id,
            outcome="junk" if each.parsed and each.parsed.junk_reason else "opened" if lead.is_new else "joined",
            contact_id=found.contact_id,
            lead_id=lead.lead_id,
            problems=tuple(problem.as_json() for problem in found.problems),
        )
        for (each, found), lead in zip(known, opened, strict=True)
    ]


def _sighting(parsed: Parsed) -> Sighting:
    return Sighting(
        name=parsed.name or "",
        first_name=parsed.first_name or "",
        last_name=parsed.last_name or "",
        email=parsed.email or "",
        phone=parsed.phone or "",
        company=parsed.company or "",
        country=parsed.country or "",
        time_zone=parsed.time_zone or "",
        locale=parsed.locale or "",
        fields=parsed.fields,
        consent=parsed.consent,
        consent_text=parsed.consent_text or "",
    )


def _enquiry(read: Read, found: Recognised, now: datetime) -> Enquiry:
    parsed = read.parsed
    if parsed is None or found.contact_id is None:
        raise RuntimeError("only read signals of known contacts become enquiries")
    # Nearly nobody says.
    utm = {} if parsed.utm == _NO_UTM else {name: value for name, value in asdict(parsed.utm).items() if value}
    return Enquiry(
        contact_id=found.contact_id,
        source_id=read.due.source_id,
        title=parsed.message or "",
        value_minor=parsed.value_minor,
        currency=parsed.currency,
        utm=utm,
        fields=_lead_fields(parsed),
        stage=parsed.stage,
        occurred_at=_believable(parsed.occurred_at, now),
        is_junk=parsed.junk_reason is not None,
        junk_reason=parsed.junk_reason,
    )


def _lead_fields(parsed: Parsed) -> Mapping[str, object]:
    page = {"page_url": parsed.page_url} if parsed.page_url else {}
    return {**parsed.fields, **page}


def _believable(at: datetime | None, now: datetime) -> datetime:
    return at if at is not None and now - OLDEST <= at <= now else now


def _failed(signal: DueSignal, problems: Sequence[Problem]) -> SignalOutcome:
    return SignalOutcome(
        signal.signal_id,
        signal.received_at,
        signal.source_id,
        "failed",
        problems=tuple(problem.as_json() for problem in problems),
    )


def _test(signal: DueSignal) -> SignalOutcome:
    return SignalOutcome(signal.signal_id, signal.received_at, signal.source_id, "test")
