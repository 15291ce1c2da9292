"""The payload log of a source, one signal on its way, and the payloads behind a lead."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, action, page
from switchboard.intake import service, signals
from switchboard.intake.errors import SignalMissingError
from switchboard.intake.models import LoggedSignal, Source
from switchboard.intake.repository_signals import Bounds
from switchboard.intake.signals import Passage
from switchboard.intake.stations import Station, find_stations
from switchboard.kernel.http import path_id
from switchboard.leads import service as leads
from switchboard.people import service as people


@dataclass(frozen=True, slots=True)
class SignalLogPage:
    """A page of a source's payload log."""

    source: Source = field(metadata={"help": "Whose log it is."})
    signals: tuple[LoggedSignal, ...] = field(metadata={"help": "The rows, newest first."})
    names: Mapping[UUID, str] = field(metadata={"help": "What to call the contacts, by id."})
    is_failed_only: bool = field(metadata={"help": "Whether only what stands failed is shown."})
    newer_href: str = field(metadata={"help": "Address of the newer rows, empty when there are none."})
    older_href: str = field(metadata={"help": "Address of the older rows, empty when there are none."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class SignalPageContext:
    """One signal: its stations, its payload as received, and every outcome."""

    source: Source = field(metadata={"help": "Where it came from."})
    passage: Passage = field(metadata={"help": "The signal and how far it has come."})
    stations: list[Station] = field(metadata={"help": "Its way, station by station."})
    contact_name: str = field(metadata={"help": "Who it was about, empty as long as nobody knows."})
    payload: str = field(metadata={"help": "The payload as JSON, indented."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class PayloadsPage:
    """The payloads behind a lead."""

    lead_id: UUID = field(metadata={"help": "Whose payloads they are."})
    rows: list[tuple[LoggedSignal, str]] = field(metadata={"help": "Each signal with its payload as JSON."})
    sources: Mapping[UUID, str] = field(metadata={"help": "Names of sources by id."})
    now: datetime = field(metadata={"help": "The request's time."})


async def show_log(visit: Visit) -> Response:
    """The payload log, or what of it stands failed."""
    source = await service.access_source(visit.tx, visit.caller, path_id(visit.request))
    is_failed_only = visit.query("show") == "failed"
    if is_failed_only:
        found = await signals.list_failed_signals(visit.tx, visit.caller, source.id)
    else:
        bounds = Bounds(visit.query_id("older"), visit.query_id("newer"))
        found = await signals.list_signals(visit.tx, visit.caller, source.id, bounds)
    context = SignalLogPage(
        source=source,
        signals=found.signals,
        names=await find_names(visit, found.signals),
        is_failed_only=is_failed_only,
        newer_href=f"/sources/{source.id}/signals?newer={found.newer_than}" if found.newer_than else "",
        older_href=f"/sources/{source.id}/signals?older={found.older_than}" if found.older_than else "",
        now=await visit.tx.now(),
    )
    return await visit.render("intake/signals.html", context, active="sources")


async def show_signal(visit: Visit) -> Response:
    """One signal on its way."""
    source = await service.access_source(visit.tx, visit.caller, path_id(visit.request))
    passage = await signals.find_passage(visit.tx, visit.caller, path_id(visit.request, "signal_id"))
    if passage.signal.source_id != source.id:
        raise SignalMissingError
    contact_id = passage.history[0].contact_id if passage.history else None
    contacts = await people.load_contacts(visit.tx, [contact_id] if contact_id else [])
    context = SignalPageContext(
        source=source,
        passage=passage,
        stations=find_stations(passage),
        contact_name=contacts[contact_id].title if contact_id in contacts else "",
        payload=_indented(passage.signal.payload),
        now=await visit.tx.now(),
    )
    return await visit.render("intake/signal.html", context, active="sources")


async def run_again(visit: Visit) -> Response:
    """Recognise one signal once more."""
    signal = await signals.run_again(visit.tx, visit.caller, path_id(visit.request, "signal_id"))
    return visit.done(f"/sources/{signal.source_id}/signals/{signal.id}", "It is on its way again.")


async def run_failed_again(visit: Visit) -> Response:
    """Recognise again whatever stands failed."""
    source_id = path_id(visit.request)
    number = await signals.run_failed_again(visit.tx, visit.caller, source_id)
    said = f"{number:,} {'signal is' if number == 1 else 'signals are'} on the way again." if number else "None failed."
    return visit.done(f"/sources/{source_id}/signals", said)


async def show_payloads(visit: Visit) -> Response:
    """What came in about a lead, as received; a piece of the lead's page, or a page of its own without script."""
    lead = await leads.access_lead(visit.tx, visit.caller, path_id(visit.request))
    found = await signals.list_signals_of_lead(visit.tx, lead.id)
    sources = {source.id: source.name for source in await service.list_sources(visit.tx, visit.caller)}
    rows = [(signal, _indented(signal.payload)) for signal in found]
    context = PayloadsPage(lead.id, rows, sources, await visit.tx.now())
    if visit.is_partial:
        return visit.render_partial("intake/payloads.html", context)
    return await visit.render("intake/payloads_page.html", context, active="leads")


async def find_names(visit: Visit, rows: Sequence[LoggedSignal]) -> Mapping[UUID, str]:
    """What to call the contacts of these signals, by their id."""
    contact_ids = {signal.contact_id for signal in rows if signal.contact_id is not None}
    return {key: contact.title for key, contact in (await people.load_contacts(visit.tx, contact_ids)).items()}


def _indented(payload: object) -> str:
    return json.dumps(payload, indent=2, ensure_ascii=False)


routes = [
    Route("/sources/{id}/signals", page(show_log), methods=["GET"]),
    Route("/sources/{id}/signals/again", action(run_failed_again), methods=["POST"]),
    Route("/sources/{id}/signals/{signal_id}", page(show_signal), methods=["GET"]),
    Route("/sources/{id}/signals/{signal_id}/again", action(run_again), methods=["POST"]),
    Route("/leads/{id}/payloads", page(show_payloads), methods=["GET"]),
]
