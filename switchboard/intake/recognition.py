"""Recognition: from a committed signal to a contact, a lead, an owner and running flows, in one transaction.

A batch is claimed across workspaces and handled a workspace at a time. A row that cannot be read gets the outcome
`failed` with its problems and holds nobody up; it can be run again from the source's page once the mapping is mended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

import msgspec
import psycopg
import structlog

from switchboard.accounts import service as accounts
from switchboard.intake import repository, repository_imports
from switchboard.intake.formats.answers import Reading, assemble
from switchboard.intake.formats.base import Parsed
from switchboard.intake.formats.registry import get_format
from switchboard.intake.import_tally import count_imported
from switchboard.intake.mapping import FieldMapping
from switchboard.intake.models import DueSignal, SignalOutcome, Source, StoredSignal
from switchboard.kernel import events
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import InvalidError, Problem, UnavailableError
from switchboard.kernel.events import Actor
from switchboard.kernel.queues import Tick, backoff
from switchboard.leads import service as leads
from switchboard.leads.models import Enquiry
from switchboard.people import service as people
from switchboard.people.models import Recognised, Sighting

MOST_SIGNALS = 500
SIDE_BY_SIDE = 2
# Whoever stops the process waits for so many batches at most.
BATCHES_IN_A_ROW = 4
MOST_ATTEMPTS = 8
# A sender's clock may be wrong; a lead from the future would stand on top of every list for ever.
OLDEST = timedelta(days=3650)

log = structlog.get_logger()


class _Read(msgspec.Struct, frozen=True):
    """One claimed signal, read: what it says, or why it says nothing."""

    due: DueSignal
    source: Source
    parsed: Parsed | None
    problems: tuple[Problem, ...] = ()


class RecognitionLoop:
    """The loop of the signals queue."""

    name = "signals"

    def __init__(self, database: Database, *, most_signals: int = MOST_SIGNALS) -> None:
        self._database = database
        self._most_signals = most_signals

    async def tick(self) -> Tick:
        """Recognise the oldest due signals; of a backlog several batches, side by side."""
        first = await self._recognise_batch()
        if not first.has_more:
            return first
        # Postgres writes one batch while Python reads the other. One that fails leaves the other alone.
        ended = await asyncio.gather(*(self._recognise_some() for _ in range(SIDE_BY_SIDE)), return_exceptions=True)
        handled = first.handled
        for end in ended:
            if isinstance(end, BaseException):
                raise end
            handled += end
        return Tick(handled, has_more=True)

    async def _recognise_some(self) -> int:
        handled = 0
        for _ in range(BATCHES_IN_A_ROW):
            batch = await self._recognise_batch()
            handled += batch.handled
            if not batch.has_more:
                break
        return handled

    async def _recognise_batch(self) -> Tick:
        try:
            return await self._recognise_claimed(_recognise_together)
        except (psycopg.OperationalError, UnavailableError):
            # A deadlock, a lost connection or a crowd about one person: the batch is claimed again.
            raise
        except Exception as error:  # noqa: BLE001 one row spoilt all; nothing is written, and what it was will be logged
            log.info("signals.one_by_one", error=type(error).__name__)
            return await self._recognise_claimed(_recognise_group)

    async def _recognise_claimed(self, recognise_some: "_Recogniser") -> Tick:
        async with self._database.queue_loop() as tx:
            claimed = await repository.claim_due(tx, self._most_signals)
            # People who wait are not kept until the rows of a file behind them are done too.
            due = [signal for signal in claimed if signal.import_id is None] or claimed
            for workspace_id, group in groupby(sorted(due, key=_workspace), key=_workspace):
                await tx.enter_workspace(workspace_id)
                await _recognise_loud_and_quiet(tx, list(group), recognise_some)
        return Tick(len(due), has_more=len(claimed) == self._most_signals or len(due) < len(claimed))


def _workspace(signal: DueSignal) -> UUID:
    return signal.workspace_id


_Recogniser = Callable[[Tx, list[DueSignal]], Awaitable[None]]


async def _recognise_loud_and_quiet(tx: Tx, group: list[DueSignal], recognise_some: _Recogniser) -> None:
    """Live signals begin flows; those of an import only when whoever started it said so."""
    imports = {signal.import_id for signal in group if signal.import_id is not None}
    quiet = await repository_imports.find_quiet(tx, imports) if imports else set()
    for is_backfill in (False, True):
        part = [signal for signal in group if (signal.import_id in quiet) is is_backfill]
        if part:
            with tx.backfill(is_backfill=is_backfill), tx.remembering():
                await recognise_some(tx, part)


async def _recognise_together(tx: Tx, group: list[DueSignal]) -> None:
    """All of one workspace, without a savepoint: nearly always nothing fails."""
    await recognise(tx, group)


async def _recognise_group(tx: Tx, group: list[DueSignal]) -> None:
    """All of one workspace together; when that fails, one by one, so that a single row cannot hold the rest up."""
    try:
        async with tx.savepoint():
            await recognise(tx, group)
    except (psycopg.OperationalError, UnavailableError):
        # A deadlock, a lost connection or a crowd about one person concerns the whole batch: it is claimed again.
        raise
    except Exception as error:  # noqa: BLE001 whatever went wrong, the other rows go on
        if len(group) == 1:
            await _put_off(tx, group[0], error)
            return
        for signal in group:
            await _recognise_group(tx, [signal])


async def _put_off(tx: Tx, signal: DueSignal, error: Exception) -> None:
    log.error("signal.not_recognised", signal_id=str(signal.signal_id), attempts=signal.attempts + 1, exc_info=error)
    if signal.attempts + 1 < MOST_ATTEMPTS:
        await repository.postpone_due(tx, signal.signal_id, await tx.now() + backoff(signal.attempts + 1))
        return
    problem = Problem("", f"Recognition failed {MOST_ATTEMPTS} times: {type(error).__name__}. Run it again later.")
    await _finish(tx, [_failed(signal, (problem,))], [signal], {})


async def recognise(tx: Tx, due: Sequence[DueSignal]) -> list[SignalOutcome]:
    """Take claimed signals of the transaction's workspace through people, leads and routing."""
    # Whoever came with an earlier part of the transaction has a lead by now, and perhaps runs.
    tx.newcomers.clear()
    received = {signal.id: signal for signal in await repository.load_signals(tx, due)}
    reads = await _read_all(tx, due, received)
    outcomes = [_failed(each.due, each.problems) for each in reads if each.parsed is None]
    tests = [each for each in reads if each.parsed is not None and each.parsed.is_test]
    outcomes += [SignalOutcome(each.due.signal_id, each.due.received_at, each.source.id, "test") for each in tests]
    usable = [each for each in reads if each.parsed is not None and not each.parsed.is_test]
    if usable:
        async with events.gathering(tx):
            outcomes += await _recognise_people(tx, usable)
    await _finish(tx, outcomes, due, received)
    return outcomes


async def _finish(
    tx: Tx, outcomes: Sequence[SignalOutcome], due: Sequence[DueSignal], received: Mapping[UUID, StoredSignal]
) -> None:
    await repository.conclude(tx, outcomes)
    await events.notify_live(tx, {"signal"})
    await count_imported(tx, due, outcomes, {signal.id: signal.payload for signal in received.values()})


async def _read_all(tx: Tx, due: Sequence[DueSignal], received: Mapping[UUID, StoredSignal]) -> list[_Read]:
    sources = await repository.load_sources(tx, list({signal.source_id for signal in due}))
    import_ids = sorted({signal.import_id for signal in due if signal.import_id is not None})
    columns = await repository_imports.load_columns(tx, import_ids) if import_ids else {}
    mappings = {source.id: FieldMapping.from_json(source.mapping) for source in sources.values()}
    mappings |= {import_id: FieldMapping.from_json(mapping) for import_id, mapping in columns.items()}
    return [_read(signal, sources[signal.source_id], received[signal.signal_id].payload, mappings) for signal in due]


def _read(due: DueSignal, source: Source, payload: object, mappings: Mapping[UUID, FieldMapping]) -> _Read:
    try:
        parsed = _parse(due, source, payload, mappings)
    except InvalidError as error:
        return _Read(due, source, None, error.problems or (Problem("", error.message),))
    if parsed.is_test and due.import_id is not None:
        return _Read(due, source, None, (Problem("is_test", "the row says that it is only a test"),))
    if parsed.details_id is not None:
        reason = "the payload only announces a lead; connect the vendor so that its details can be fetched"
        return _Read(due, source, None, (Problem("", reason),))
    return _Read(due, source, parsed)


def _parse(due: DueSignal, source: Source, payload: object, mappings: Mapping[UUID, FieldMapping]) -> Parsed:
    """A row of a file is read by the columns of its import, everything else by its source's format and mapping."""
    if due.import_id is not None and isinstance(payload, dict):
        return assemble(Reading(payload), mappings[due.import_id])
    return get_format(source.format).parse(payload, mappings[source.id])


async def _recognise_people(tx: Tx, reads: Sequence[_Read]) -> list[SignalOutcome]:
    workspace = await tx.remember("workspace", accounts.get_workspace)
    sightings = [_sighting(each.parsed) for each in reads if each.parsed is not None]
    actors = [Actor("source", each.source.id) for each in reads]
    recognised = await people.recognise(tx, sightings, workspace.default_region, actors)
    tx.newcomers |= {found.contact_id: frozenset() for found in recognised if found.is_new and found.contact_id}
    nobody = [
        _failed(each.due, found.problems)
        for each, found in zip(reads, recognised, strict=True)
        if found.contact_id is None
    ]
    known = [(each, found) for each, found in zip(reads, recognised, strict=True) if found.contact_id is not None]
    return nobody + await _open_leads(tx, known) if known else nobody


async def _open_leads(tx: Tx, known: Sequence[tuple[_Read, Recognised]]) -> list[SignalOutcome]:
    now = await tx.now()
    enquiries = [_enquiry(each, found, now) for each, found in known]
    opened = await leads.open_and_route(tx, enquiries, trigger="came in")
    return [
        SignalOutcome(
            signal_id=each.due.signal_id,
            received_at=each.due.received_at,
            source_id=each.source.id,
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


def _enquiry(read: _Read, found: Recognised, now: datetime) -> Enquiry:
    parsed = read.parsed
    if parsed is None or found.contact_id is None:
        raise RuntimeError("only read signals of known contacts become enquiries")
    utm = {
        name: value
        for name in ("source", "medium", "campaign", "term", "content")
        if (value := getattr(parsed.utm, name))
    }
    return Enquiry(
        contact_id=found.contact_id,
        source_id=read.source.id,
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
