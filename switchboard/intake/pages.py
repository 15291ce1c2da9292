"""The pages of sources: the list, and one source with its address, its form and a test."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, WebState, action, page
from switchboard.intake import pages_imports, pages_mapping, pages_settings, pages_signals, service
from switchboard.intake.errors import SourceNameTakenError
from switchboard.intake.formats.base import Format
from switchboard.intake.formats.registry import FORMATS, get_format
from switchboard.intake.mapping import FieldMapping
from switchboard.intake.models import LoggedSignal, Source
from switchboard.intake.repository_signals import Bounds
from switchboard.intake.repository_sources import MOST_COUNTED, MOST_FAILED, SourceFigures
from switchboard.intake.samples import sample_payload
from switchboard.intake.signals import list_signals
from switchboard.intake.testing import send_test
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.http import page_response, path_id, see_other

LATEST = 8


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One line of the list."""

    source: Source
    format_title: str
    figures: SourceFigures


@dataclass(frozen=True, slots=True)
class SourceListPage:
    """Every source with how it does."""

    rows: list[SourceRow] = field(metadata={"help": "The sources, by name."})
    most_counted: int = field(metadata={"help": "Where the count of a day stops."})
    most_failed: int = field(metadata={"help": "Where the count of failures stops."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class SourceFormPage:
    """The form of a new source."""

    formats: list[tuple[str, str]] = field(metadata={"help": "Formats as pairs of name and title."})
    typed: Mapping[str, str] = field(metadata={"help": "What was typed before it was refused."})
    errors: Mapping[str, str] = field(metadata={"help": "What is wrong, by field."})


@dataclass(frozen=True, slots=True)
class SourcePage:
    """One source: where to send, and what came last."""

    source: Source = field(metadata={"help": "The source."})
    format: Format = field(metadata={"help": "How its payloads are written."})
    address: str = field(metadata={"help": "The full address signals are posted to."})
    sample: object = field(metadata={"help": "A payload that works as it stands."})
    honeypot: str = field(metadata={"help": "Name of the form field that only robots fill in."})
    figures: SourceFigures = field(metadata={"help": "How it does."})
    signals: tuple[LoggedSignal, ...] = field(metadata={"help": "The newest signals."})
    names: Mapping[UUID, str] = field(metadata={"help": "What to call the contacts, by id."})
    most_counted: int = field(metadata={"help": "Where the count of a day stops."})
    now: datetime = field(metadata={"help": "The request's time."})


async def show_sources(visit: Visit) -> Response:
    """Every source with what came in lately and whether it is paused."""
    sources = await service.list_sources(visit.tx, visit.caller)
    figures = await service.find_figures(visit.tx, sources)
    rows = [SourceRow(source, get_format(source.format).title, figures[source.id]) for source in sources]
    context = SourceListPage(rows, MOST_COUNTED, MOST_FAILED, await visit.tx.now())
    return await visit.render("intake/list.html", context, active="sources")


async def show_new_source(visit: Visit) -> Response:
    """The form of a new source."""
    visit.caller.require("admin")
    return await _form(visit, {"format": "webform"}, {})


async def create_source(visit: Visit) -> Response:
    """Add the source and show its address."""
    typed = {"name": visit.form.text("name"), "format": visit.form.text("format")}
    try:
        async with visit.tx.savepoint():
            source = await service.create_source(
                visit.tx, visit.caller, name=typed["name"], format_name=typed["format"]
            )
    except InvalidError as error:
        return await _form(visit, typed, {problem.field: problem.message for problem in error.problems}, status=422)
    except SourceNameTakenError as error:
        return await _form(visit, typed, {"name": error.message}, status=422)
    return visit.done(f"/sources/{source.id}", f"{source.name} is ready. Send it a test.")


async def show_source(visit: Visit) -> Response:
    """One source: the address to send to, examples, and the signals that came last."""
    source = await service.access_source(visit.tx, visit.caller, path_id(visit.request))
    latest = await list_signals(visit.tx, visit.caller, source.id, Bounds())
    context = SourcePage(
        source=source,
        format=get_format(source.format),
        address=service.intake_url(visit.state.settings, source),
        sample=sample_payload(source.format, name="Ada Lovelace", email="ada@example.com", unique="1"),
        honeypot=FieldMapping.from_json(source.mapping).honeypot,
        figures=(await service.find_figures(visit.tx, [source]))[source.id],
        signals=latest.signals[:LATEST],
        names=await pages_signals.find_names(visit, latest.signals[:LATEST]),
        most_counted=MOST_COUNTED,
        now=await visit.tx.now(),
    )
    return await visit.render("intake/source.html", context, active="sources")


async def post_test(visit: Visit) -> Response:
    """Send a test and follow it from station to station."""
    source_id = path_id(visit.request)
    signal_id = await send_test(visit.tx, visit.caller, source_id, visit.request.app.state.batcher)
    return see_other(f"/sources/{source_id}/signals/{signal_id}")


async def show_thanks(request: Request) -> Response:
    """Where a browser lands after a form whose page names no other place."""
    state: WebState = request.app.state
    return page_response(state.renderer.render("intake/thanks.html", {"static_version": state.static_version}))


async def _form(visit: Visit, typed: Mapping[str, str], errors: Mapping[str, str], *, status: int = 200) -> Response:
    formats = [(name, format_.title) for name, format_ in FORMATS.items()]
    context = SourceFormPage(formats, typed, errors)
    return await visit.render("intake/new.html", context, active="sources", status=status)


routes = [
    Route("/sources", page(show_sources), methods=["GET"]),
    Route("/sources", action(create_source), methods=["POST"]),
    Route("/sources/new", page(show_new_source), methods=["GET"]),
    Route("/sources/{id}", page(show_source), methods=["GET"]),
    Route("/sources/{id}/test", action(post_test), methods=["POST"]),
    Route("/thanks", show_thanks, methods=["GET"]),
    *pages_signals.routes,
    *pages_mapping.routes,
    *pages_settings.routes,
    *pages_imports.routes,
]
